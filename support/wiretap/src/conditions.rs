//! The conditions of the network: they change when bytes arrive, and never the bytes.

use std::num::NonZeroU64;
use std::time::Duration;

use serde::Serialize;

/// The conditions on every connection of a tap. By default there are none, and bytes pass at once.
///
/// Make them with `Conditions { …, ..Conditions::default() }`, so that a new condition does not break your code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Conditions {
    /// From the client to the server.
    pub to_server: Link,
    /// From the server to the client.
    pub to_client: Link,
    /// How the client reads, as the server sees it.
    pub reader: Reader,
}

impl Conditions {
    /// The same link both ways.
    #[must_use]
    pub fn both_ways(link: Link) -> Self {
        Self { to_server: link, to_client: link, ..Self::default() }
    }

    /// A round trip of this length, half of it each way.
    ///
    /// TCP's own handshake is not part of it, because the tap accepts a connection at once.
    #[must_use]
    pub fn round_trip(time: Duration) -> Self {
        Self::both_ways(Link { delay: time / 2, ..Link::default() })
    }
}

/// One direction of a connection. Each connection has its own links, so connections do not share bandwidth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Link {
    /// How long every byte is held. The tap reads on meanwhile, up to [`Link::IN_FLIGHT_BYTES`], so a delay adds
    /// latency and does not slow the sender.
    ///
    /// A byte is never held shorter than this. On an idle machine it is held up to 2 ms longer, because tokio's timer
    /// counts whole milliseconds, and so does the system call under it. On a busy machine, add the time for which tasks
    /// wait for a processor.
    pub delay: Duration,
    /// The most that is added to `delay`. Each read gets its own random time, evenly spread. Bytes are never reordered:
    /// bytes that would overtake others wait.
    pub jitter: Duration,
    /// Bytes a second; `None`: no limit. It is a token bucket that holds [`Link::BURST`] worth of bytes. A byte waits
    /// until such a link would have sent it, and then for `delay`.
    pub bandwidth: Option<NonZeroU64>,
}

impl Link {
    /// How many bytes of one direction of one connection may wait for their delay. When there are more, the tap
    /// stops reading until some have left, so a delay of 50 ms carries at most 20 MiB/s.
    pub const IN_FLIGHT_BYTES: usize = 1024 * 1024;

    /// The longest delay and the longest jitter. Longer ones are shortened to this.
    pub const LONGEST: Duration = Duration::from_secs(3_600);

    /// How much unused time a bucket saves up: ten times the timer's resolution. With less, rates would not be reached.
    pub const BURST: Duration = Duration::from_millis(10);
}

/// How the client seems to read what the server sends.
///
/// The tap reads from the server at that pace, so the server's own socket buffers fill as with such a client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reader {
    /// As fast as the client itself.
    #[default]
    Eager,
    /// At most this many bytes a second.
    Slow(NonZeroU64),
    /// Not at all, until the conditions change.
    Stopped,
}
