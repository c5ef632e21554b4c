//! The heartbeat of a WebSocket connection: when a Ping or a tick is due, and whether the last Ping was answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_core::limits::Limits;

/// The shortest patience. Zero would mean a short poll, which the session answers at once.
const LEAST_PATIENCE: Duration = Duration::from_millis(1);

/// When something last came from the client, and which heartbeats were sent to it.
pub(crate) struct Heartbeat {
    limits: Arc<Limits>,
    /// When something last came from the client.
    heard: Instant,
    /// A Ping was sent, and nothing has come since.
    is_pinged: bool,
    /// When the last tick was sent.
    ticked: Instant,
}

/// Which heartbeats are due.
pub(crate) struct Due {
    pub(crate) ping: bool,
    pub(crate) tick: bool,
}

impl Heartbeat {
    pub(crate) fn new(limits: Arc<Limits>) -> Self {
        let now = Instant::now();
        Self { limits, heard: now, is_pinged: false, ticked: now }
    }

    /// Notes that something came from the client.
    pub(crate) fn heard(&mut self) {
        (self.heard, self.is_pinged) = (Instant::now(), false);
    }

    /// How long to wait for the client: for the answer to a Ping, or until the next Ping or tick is due.
    pub(crate) fn patience(&self) -> Duration {
        match self.is_pinged {
            true => self.limits.pong_timeout,
            false => {
                let quiet = self.heard.min(self.ticked).elapsed();
                self.limits.ping_after.saturating_sub(quiet).max(LEAST_PATIENCE)
            }
        }
    }

    /// What is to be sent now; `None`: the client has not answered the last Ping.
    pub(crate) fn due(&mut self) -> Option<Due> {
        if self.is_pinged {
            return None;
        }
        let is_due = |since: Instant| since.elapsed() >= self.limits.ping_after;
        let due = Due { ping: is_due(self.heard), tick: is_due(self.ticked) };
        self.is_pinged = due.ping;
        if due.tick {
            self.ticked = Instant::now();
        }
        Some(due)
    }
}
