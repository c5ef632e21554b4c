//! The tap itself: it listens, connects each client to the server, and keeps the books of all connections.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};

use crate::conditions::Conditions;
use crate::connection::{carry, reset};
use crate::counts::{Counts, Direction};
use crate::event::{Viewer, WireEvent};
use crate::observe::Observe;
use crate::segments::{Kernel, TcpIp};
use crate::what::What;

/// A pause after the system refused a connection for want of files: asking again at once would only spin.
const OUT_OF_FILES: Duration = Duration::from_millis(50);

/// How a tap is set up.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The conditions at first.
    pub conditions: Conditions,
    /// How closely it looks.
    pub observe: Observe,
    /// The most connections at once; each is two sockets.
    pub most_connections: usize,
    /// How many events wait for a viewer that is slow, each with at most 512 bytes of the wire.
    pub event_backlog: usize,
}

impl Default for Settings {
    /// No conditions, counts only, at most 10,000 connections, 4,096 events.
    fn default() -> Self {
        Self {
            conditions: Conditions::default(),
            observe: Observe::Counts,
            most_connections: 10_000,
            event_backlog: 4_096,
        }
    }
}

/// A relay that runs until it is dropped; then its connections end too.
pub struct Wiretap {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// What all connections of a tap share.
pub(crate) struct Shared {
    pub(crate) upstream: SocketAddr,
    pub(crate) observe: Observe,
    pub(crate) began: Instant,
    /// Guards the counts, so that a reading of them is of one moment.
    counts: Mutex<Counts>,
    pub(crate) events: broadcast::Sender<Arc<WireEvent>>,
    pub(crate) conditions: watch::Sender<Conditions>,
    pub(crate) kernel: Arc<Kernel>,
}

impl Shared {
    pub(crate) fn lock_counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wiretap {
    /// Listens, and carries every connection to `upstream` and back. Port 0 takes any free one.
    ///
    /// Cancel safe: nothing listens until it returns.
    ///
    /// # Errors
    /// Somebody else listens there, or the address is not this machine's.
    pub async fn listen(listen: SocketAddr, upstream: SocketAddr, settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let backlog = if settings.observe == Observe::Events { settings.event_backlog.max(1) } else { 1 };
        let shared = Arc::new(Shared {
            upstream,
            observe: settings.observe,
            began: Instant::now(),
            counts: Mutex::default(),
            events: broadcast::Sender::new(backlog),
            conditions: watch::Sender::new(settings.conditions),
            kernel: Arc::default(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared), settings.most_connections));
        Ok(Self { address, shared, accepting })
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything counted so far, over all connections, those that ended included.
    ///
    /// A byte counts when the tap has read it; under a delay it has not arrived yet.
    #[must_use]
    pub fn counts(&self) -> Counts {
        *self.shared.lock_counts()
    }

    /// What TCP/IP added so far, estimated. It asks the kernel about every open connection (some microseconds
    /// each), so call it before and after a measurement rather than during one.
    #[must_use]
    pub fn tcp_ip(&self) -> TcpIp {
        self.shared.kernel.tcp_ip(&self.counts())
    }

    /// The conditions on every connection, those that are open included, from now on.
    ///
    /// What is held already keeps its time, and nothing overtakes it.
    pub fn set_conditions(&self, conditions: Conditions) {
        self.shared.conditions.send_replace(conditions);
    }

    /// The conditions as they are.
    #[must_use]
    pub fn conditions(&self) -> Conditions {
        *self.shared.conditions.borrow()
    }

    /// Looks on from now on. There are events only if the tap observes with [`Observe::Events`].
    #[must_use]
    pub fn viewer(&self) -> Viewer {
        Viewer::new(self.shared.events.subscribe())
    }

    /// Ends the tap and its connections, and waits until they are gone.
    pub async fn close(mut self) -> Counts {
        self.accepting.abort();
        // It was just told to end early, and that is what it reports.
        let _ = (&mut self.accepting).await;
        self.counts()
    }
}

impl Drop for Wiretap {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Accepts until it is aborted; its connections end with it.
async fn accept(listener: TcpListener, shared: Arc<Shared>, most_connections: usize) {
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let client = match accepted {
            Ok((client, _)) => client,
            // Also a client that left before it was accepted.
            Err(_) => {
                sleep(OUT_OF_FILES).await;
                continue;
            }
        };
        number += 1;
        if connections.len() >= most_connections {
            shared.lock_counts().turned_away += 1;
            shared.tell(number, Direction::ToClient, What::TurnedAway);
            reset(&client);
            continue;
        }
        connections.spawn(carry(client, number, Arc::clone(&shared)));
    }
}
