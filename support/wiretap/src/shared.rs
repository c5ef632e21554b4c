//! What all connections of a tap share: where they lead, the counts, the events and the conditions.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use crate::conditions::Conditions;
use crate::counts::{Counts, Direction};
use crate::event::{Note, WireEvent};
use crate::observe::Observe;
use crate::segments::Kernel;
use crate::what::What;

/// What all connections of a tap share.
pub(crate) struct Shared {
    pub(crate) upstream: SocketAddr,
    pub(crate) observe: Observe,
    began: Instant,
    /// Guards the counts, so that all of them are read at one moment.
    counts: Mutex<Counts>,
    pub(crate) events: broadcast::Sender<Arc<WireEvent>>,
    pub(crate) conditions: watch::Sender<Conditions>,
    pub(crate) kernel: Arc<Kernel>,
}

impl Shared {
    pub(crate) fn new(
        upstream: SocketAddr,
        observe: Observe,
        backlog: usize,
        conditions: Conditions,
    ) -> Self {
        Self {
            upstream,
            observe,
            began: Instant::now(),
            counts: Mutex::default(),
            events: broadcast::Sender::new(backlog),
            conditions: watch::Sender::new(conditions),
            kernel: Arc::default(),
        }
    }

    pub(crate) fn lock_counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes something that has no bytes.
    pub(crate) fn tell(&self, connection: u64, direction: Direction, what: What) {
        if self.observe == Observe::Events {
            let note = Note { direction, bytes: 0..0, layers: Default::default(), what, raw: Vec::new() };
            self.publish(connection, note);
        }
    }

    pub(crate) fn publish(&self, connection: u64, note: Note) {
        // An error only says that there are no viewers.
        let _ = self.events.send(Arc::new(WireEvent { connection, at: self.began.elapsed(), note }));
    }
}
