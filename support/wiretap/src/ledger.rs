//! What one connection adds to the counts and events of its tap.

use std::sync::Arc;

use crate::counts::Direction;
use crate::observe::Observer;
use crate::segments::Watched;
use crate::shared::Shared;
use crate::what::What;

/// What one connection adds to the counts and events of its tap.
pub(crate) struct Ledger {
    pub(crate) number: u64,
    shared: Arc<Shared>,
    observer: Observer,
    /// Where its segments are counted.
    watched: Option<Watched>,
}

impl Ledger {
    pub(crate) fn new(number: u64, shared: Arc<Shared>) -> Self {
        let observer = Observer::new(shared.observe);
        Self { number, shared, observer, watched: None }
    }

    /// Counts and observes bytes that were read.
    pub(crate) fn saw(&mut self, direction: Direction, bytes: &[u8]) {
        let flow = self.observer.feed(direction, bytes);
        *self.shared.lock_counts().flow_mut(direction) += flow;
        self.tell_notes();
    }

    /// Notes that a sender has ended.
    pub(crate) fn ended(&mut self, direction: Direction, how: What) {
        if let Some(watched) = &self.watched {
            // Asks now: once both directions are closed, the kernel forgets the socket and its count.
            self.shared.kernel.look(watched);
        }
        self.observer.end(direction);
        self.tell_notes();
        self.tell(direction, how);
    }

    /// Notes that the server takes no connection.
    pub(crate) fn refused(&mut self, why: String) {
        self.shared.lock_counts().refused += 1;
        self.tell(Direction::ToClient, What::Refused(why));
    }

    /// Notes that both ends are connected.
    pub(crate) fn opened(&mut self, watched: Watched) {
        self.shared.lock_counts().connections += 1;
        self.tell(Direction::ToServer, What::Opened);
        self.watched = Some(watched);
    }

    /// Notes that the connection has ended.
    pub(crate) fn closed(&mut self) {
        self.watched = None;
        self.shared.lock_counts().ended += 1;
    }

    fn tell_notes(&mut self) {
        for note in self.observer.take_notes() {
            self.shared.publish(self.number, note);
        }
    }

    fn tell(&mut self, direction: Direction, what: What) {
        self.shared.tell(self.number, direction, what);
    }
}
