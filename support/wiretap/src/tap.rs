//! The tap itself: it listens, connects each client to the server, and keeps the counts of all connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::conditions::Conditions;
use crate::connection::{carry, reset};
use crate::counts::{Counts, Direction};
use crate::event::Viewer;
use crate::observe::Observe;
use crate::segments::TcpIp;
use crate::shared::Shared;
use crate::what::What;

/// The pause after the system had no file descriptor left for a connection. Trying again at once would only use
/// processor time.
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

impl Wiretap {
    /// Listens, and carries every connection to `upstream` and back. Port 0 takes any free one.
    ///
    /// Cancel safe: nothing listens until it returns.
    ///
    /// # Errors
    /// Another program listens there, or the address is not this machine's.
    pub async fn listen(listen: SocketAddr, upstream: SocketAddr, settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let backlog = if settings.observe == Observe::Events { settings.event_backlog.max(1) } else { 1 };
        let shared = Shared::new(upstream, settings.observe, backlog, settings.conditions);
        let shared = Arc::new(shared);
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

    /// Sets the conditions on every connection from now on, those that are open included.
    ///
    /// Bytes that are held already keep their time, and nothing overtakes them.
    pub fn set_conditions(&self, conditions: Conditions) {
        self.shared.conditions.send_replace(conditions);
    }

    /// The present conditions.
    #[must_use]
    pub fn conditions(&self) -> Conditions {
        *self.shared.conditions.borrow()
    }

    /// A viewer of events from now on. There are events only if the tap observes with [`Observe::Events`].
    #[must_use]
    pub fn viewer(&self) -> Viewer {
        Viewer::new(self.shared.events.subscribe())
    }

    /// Ends the tap and its connections, and waits until they have ended.
    pub async fn close(mut self) -> Counts {
        self.accepting.abort();
        // The error only says that the task was aborted.
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
            // This also happens if a client left before it was accepted.
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
