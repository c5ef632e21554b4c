//! The open connections of one server: how many, and how to cut each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chat_core::ending::{Cut, End};
use chat_core::heap::{Crowd, Joined};
use chat_core::metrics::TransportMetrics;
use chat_core::refusal::Close;
use tokio::sync::Notify;

/// The connections of one server.
pub(super) struct Connections {
    pub(super) metrics: Arc<TransportMetrics>,
    /// Guards the last number given to a connection, and how to cut each open connection, by its number.
    open: Mutex<(u64, HashMap<u64, Cut>)>,
    all_closed: Notify,
    crowd: Arc<Crowd>,
}

impl Connections {
    pub(super) fn new(metrics: Arc<TransportMetrics>, crowd: Arc<Crowd>) -> Self {
        Self { metrics, open: Mutex::default(), all_closed: Notify::new(), crowd }
    }

    fn open(&self) -> MutexGuard<'_, (u64, HashMap<u64, Cut>)> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection, if there is room for it.
    pub(super) fn add(self: &Arc<Self>, most: usize) -> Option<(Cut, Open)> {
        let mut open = self.open();
        if open.1.len() >= most {
            return None;
        }
        open.0 += 1;
        let (number, cut) = (open.0, Cut::default());
        open.1.insert(number, Arc::clone(&cut));
        self.metrics.connections.inc();
        let joined = self.crowd.join();
        Some((Arc::clone(&cut), Open { connections: Arc::clone(self), number, cut, _joined: joined }))
    }

    pub(super) fn cut_all(&self, why: Close) {
        self.open().1.values().for_each(|cut| cut.give(why));
    }

    pub(super) async fn wait_for_none(&self) {
        loop {
            let closed = self.all_closed.notified();
            if self.open().1.is_empty() {
                return;
            }
            closed.await;
        }
    }
}

/// One open connection. It is removed when this is dropped.
pub(super) struct Open {
    pub(super) connections: Arc<Connections>,
    number: u64,
    cut: Cut,
    /// Counts it in the [`Crowd`].
    _joined: Joined,
}

impl Open {
    /// Counts the end of the connection.
    pub(super) fn ended(&self, why: End) {
        self.connections.metrics.ended(&self.cut, why);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // This counts only if no other end was counted. Then the task has panicked.
        self.ended(End::Closed(Close::ServerError));
        self.connections.metrics.connections.dec();
        let mut open = self.connections.open();
        open.1.remove(&self.number);
        if open.1.is_empty() {
            self.connections.all_closed.notify_waiters();
        }
    }
}
