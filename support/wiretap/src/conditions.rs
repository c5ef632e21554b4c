//! How good the wire is: what a tap does to the time at which bytes arrive, and never to the bytes.

use std::num::NonZeroU64;
use std::time::Duration;

use serde::Serialize;

/// The conditions on every connection of a tap. By default there are none, and bytes pass at once.
///
/// Make them with `Conditions { …, ..Conditions::default() }`, so that a condition more changes nothing for you.
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
    /// TCP's own handshake is not part of it: the tap accepts before any byte is held.
    #[must_use]
    pub fn round_trip(time: Duration) -> Self {
        Self::both_ways(Link { delay: time / 2, ..Link::default() })
    }
}

/// One direction of a wire. Each connection has a link of its own: they do not share bandwidth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Link {
    /// How long every byte is held. Bytes behind it are taken in meanwhile: a delay adds latency and does not
    /// make a sender wait for its turn, up to [`Link::IN_FLIGHT_BYTES`].
    ///
    /// Never shorter than asked for. Up to 2 ms longer on an idle machine: tokio's timer counts whole
    /// milliseconds, and so does the system call under it. On a busy one, as much as its tasks wait for a processor.
    pub delay: Duration,
    /// The most that is added to `delay`, evenly spread, for what is read at once. It never reorders: what would
    /// overtake waits.
    pub jitter: Duration,
    /// Bytes a second, none for no limit: a token bucket that holds [`Link::BURST`] worth of bytes. A byte
    /// arrives when it would have left such a link, and then waits for `delay`.
    pub bandwidth: Option<NonZeroU64>,
}

impl Link {
    /// How many bytes of one direction of one connection may wait for their delay. When there are more, the tap
    /// stops reading until some have left, so a delay of 50 ms carries at most 20 MiB/s.
    pub const IN_FLIGHT_BYTES: usize = 1024 * 1024;

    /// The longest delay and the longest jitter; what is asked beyond is as good as this.
    pub const LONGEST: Duration = Duration::from_secs(3_600);

    /// How much unused time a bucket saves up: ten grains of the timer, or rates would be missed for want of it.
    pub const BURST: Duration = Duration::from_millis(10);
}

/// How the client's end seems to read what the server sends.
///
/// The tap takes bytes from the server at that pace, so the server's own socket buffers fill, as they would.
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
