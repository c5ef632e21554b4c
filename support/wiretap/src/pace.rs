//! When bytes may be read, and when they are to arrive: delay, jitter and bandwidth as arithmetic on instants.

use std::num::NonZeroU64;
use std::time::Duration;

use tokio::time::Instant;

use crate::conditions::Link;

/// The least that one read may take from a slow link, in bytes: about one packet.
const PACKET_BYTES: u64 = 1_500;

/// The timetable of one direction of one connection.
#[derive(Debug)]
pub(crate) struct Pace {
    delay: Duration,
    jitter: Duration,
    rate: Option<NonZeroU64>,
    /// When the link has sent everything that was read so far.
    link_free_at: Instant,
    random: SplitMix,
}

impl Pace {
    /// Equal seeds give equal jitter.
    pub(crate) fn new(seed: u64, now: Instant) -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            rate: None,
            link_free_at: now,
            random: SplitMix(seed),
        }
    }

    /// Applies these conditions to what is read from now on. What waits already keeps its time.
    pub(crate) fn set(&mut self, link: Link, rate: Option<NonZeroU64>, now: Instant) {
        (self.delay, self.jitter) = (link.delay.min(Link::LONGEST), link.jitter.min(Link::LONGEST));
        if self.rate != rate {
            self.rate = rate;
            self.link_free_at = now;
        }
    }

    /// Whether bytes pass at once.
    pub(crate) fn is_free(&self) -> bool {
        self.rate.is_none() && self.longest().is_zero()
    }

    /// The longest that a byte is held after it left the link.
    pub(crate) fn longest(&self) -> Duration {
        self.delay + self.jitter
    }

    /// When more may be read, and how much at once; `None` if there is no limit.
    ///
    /// The tap reads no more than the link can send, so that the sender is slowed too.
    pub(crate) fn limit(&self) -> Option<(Instant, usize)> {
        let rate = self.rate?.get();
        let burst = u128::from(rate) * Link::BURST.as_nanos() / 1_000_000_000;
        let most = burst.max(u128::from(PACKET_BYTES));
        Some((self.link_free_at, usize::try_from(most).unwrap_or(usize::MAX)))
    }

    /// When `bytes` that were read at `now` are to arrive, unless what was read before is later.
    pub(crate) fn due(&mut self, bytes: usize, now: Instant) -> Instant {
        let mut sent = now;
        if let Some(rate) = self.rate {
            let nanos = (bytes as u128 * 1_000_000_000).div_ceil(u128::from(rate.get()));
            let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            let saved = now.checked_sub(Link::BURST).unwrap_or(now);
            self.link_free_at = self.link_free_at.max(saved) + takes;
            sent = now.max(self.link_free_at);
        }
        sent + self.delay + self.random.up_to(self.jitter)
    }
}

/// Numbers that look random: [SplitMix64], small and repeatable.
///
/// [SplitMix64]: https://prng.di.unimi.it/splitmix64.c
#[derive(Debug)]
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A time from zero to `most`, both included.
    fn up_to(&mut self, most: Duration) -> Duration {
        if most.is_zero() {
            return most;
        }
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX - 1);
        Duration::from_nanos(self.next() % (nanos + 1))
    }
}
