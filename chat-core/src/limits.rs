//! Every limit of the chat in one value, with its default.

use std::time::Duration;

/// A day, in seconds.
const DAY: u64 = 24 * 3_600;

/// Every limit. The flags of the programs are `LimitFlags` in `support/chat-http`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How long the event log reaches back; message history is never removed.
    pub retention: Duration,
    /// How long a sign-in lasts.
    pub sign_in_lifetime: Duration,
    /// Events kept in memory for each user who is here.
    pub inbox_events: usize,
    /// Bytes of events kept in memory for each user who is here.
    pub inbox_bytes: usize,
    /// How long presence and inbox outlive a user's last connection.
    pub grace: Duration,
    /// How long presence changes are collected before they are sent.
    pub presence_interval: Duration,
    /// The most users that one presence event lists.
    pub presence_list: usize,
    /// Connections of one user.
    pub connections_per_user: usize,
    /// Connections of one server.
    pub connections: usize,
    /// Messages and group commands a second, for each user.
    pub messages_per_second: u32,
    /// Messages and group commands at once, for each user.
    pub message_burst: u32,
    /// Sign-ins a minute, for each name and address.
    pub sign_ins_per_minute: u32,
    /// Failed sign-ins a minute, for each address; those that succeed do not count.
    pub failed_sign_ins_per_minute: u32,
    /// Registrations a minute, for each address.
    pub registrations_per_minute: u32,
    /// Memory that hashing a password takes, in KiB; the default meets OWASP's advice with one pass.
    pub hash_memory: u32,
    /// Passwords that may wait to be hashed.
    pub hash_queue: usize,
    /// How long a connection may take to send the head of a request, and how long it may stay unused.
    pub header_timeout: Duration,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
    /// How long a client may read nothing while bytes wait for it.
    pub write_timeout: Duration,
    /// Bytes that the kernel accepts for a client before they can be sent.
    pub unsent_bytes: u32,
    /// Silence after which a WebSocket client is pinged.
    pub ping_after: Duration,
    /// How long a WebSocket client may take to answer a ping.
    pub pong_timeout: Duration,
    /// Time between two keep-alives on an event stream.
    pub keep_alive: Duration,
    /// How long a poll is held if it does not say how long to wait.
    pub poll_wait: Duration,
    /// The longest time that a poll is held, even if it asks for more, because proxies often cut after 50 or 60 s.
    pub longest_poll: Duration,
    /// How long the disk may take for a command or a read before the client gets a refusal.
    pub storage_timeout: Duration,
    /// A database of at most so many bytes is searched for damage before it is served, a longer one while it is served.
    pub check_first_bytes: u64,
    /// How long connections may take to end at shutdown.
    pub shutdown_timeout: Duration,
}

impl Limits {
    /// The longest frame up or down, and the longest body, in bytes.
    pub const FRAME_BYTES: usize = 65_536;
    /// The longest head of a request, in bytes.
    pub const HEAD_BYTES: usize = 16_384;
    /// Frames handed to a transport at once.
    pub const BATCH_FRAMES: usize = 256;
    /// Bytes handed to a transport at once, unless a single frame is longer.
    pub const BATCH_BYTES: usize = 65_536;
    /// Requests of one connection that may await their commit; beyond that the server stops reading.
    pub const REQUESTS_IN_FLIGHT: usize = 64;
    /// The most rate-limited requests in a row: one more ends the connection.
    pub const MAX_CONSECUTIVE_RATE_LIMITS: u32 = 256;
    /// How long a session may take to end after it was asked to, before its connection is cut.
    pub const ENDING: Duration = Duration::from_millis(500);
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            retention: Duration::from_secs(7 * DAY),
            sign_in_lifetime: Duration::from_secs(30 * DAY),
            inbox_events: 1_024,
            inbox_bytes: 1_048_576,
            grace: Duration::from_secs(30),
            presence_interval: Duration::from_secs(1),
            presence_list: 256,
            connections_per_user: 20,
            connections: 15_000,
            messages_per_second: 10,
            message_burst: 50,
            sign_ins_per_minute: 5,
            failed_sign_ins_per_minute: 60,
            registrations_per_minute: 60,
            hash_memory: 47_104,
            hash_queue: 64,
            header_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            unsent_bytes: 131_072,
            ping_after: Duration::from_secs(20),
            pong_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(15),
            poll_wait: Duration::from_secs(25),
            longest_poll: Duration::from_secs(45),
            storage_timeout: Duration::from_secs(5),
            check_first_bytes: 268_435_456,
            shutdown_timeout: Duration::from_secs(5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let limits = Limits::default();
        assert_eq!(limits.retention, Duration::from_secs(7 * 24 * 3_600));
        assert_eq!((limits.messages_per_second, limits.message_burst), (10, 50));
        assert_eq!(limits.connections_per_user, 20);
        // Below the 50 or 60 s after which common proxies end a request.
        assert_eq!(limits.longest_poll, Duration::from_secs(45));
        assert_eq!(limits.ping_after + limits.pong_timeout, Duration::from_secs(30));
    }
}
