//! How often something may happen, for each name, user or address.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

use crate::refusal::{Code, Refusal};

/// The network of a client, as rate limits count it.
///
/// An IPv6 address counts by its first 64 bits: a host chooses the others itself ([RFC 4291 §2.5.4]), so it has more
/// addresses than a table has rows.
///
/// [RFC 4291 §2.5.4]: https://www.rfc-editor.org/rfc/rfc4291#section-2.5.4
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Network(IpAddr);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
            IpAddr::V4(address) => address.into(),
        })
    }
}

/// How often something may happen, for each key.
pub(crate) struct Rate<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
    what: &'static str,
}

impl<K: Hash + Eq + Clone> Rate<K> {
    /// `burst` at once, and then one each `every`.
    pub(crate) fn new(every: Duration, burst: u32, what: &'static str) -> Self {
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(every).unwrap_or(Quota::per_second(burst)).allow_burst(burst);
        Self { limiter: DefaultKeyedRateLimiter::keyed(quota), what }
    }

    /// So many in a minute, at once or spread over it.
    pub(crate) fn per_minute(count: u32, what: &'static str) -> Self {
        Self::new(Duration::from_secs(60) / count.max(1), count, what)
    }

    /// Counts one more, or says when to come back.
    pub(crate) fn check(&self, key: &K) -> Result<(), Refusal> {
        self.limiter.check_key(key).map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            too_many(wait, self.what)
        })
    }

    /// Forgets keys that have not been seen lately.
    pub(crate) fn forget_idle(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}

/// Failed sign-ins of each network. The limit is checked before a sign-in, and only a failure is counted after it. A
/// [`Rate`] cannot do this, because it checks and counts in one step.
pub(crate) struct Failures {
    /// What one failure costs.
    every: Duration,
    /// What all failures of a minute cost.
    minute: Duration,
    /// Guards when each network will have paid for its failures. Networks that have paid are forgotten.
    debts: Mutex<HashMap<Network, Instant>>,
}

impl Failures {
    pub(crate) fn per_minute(count: u32) -> Self {
        let every = Duration::from_secs(60) / count.max(1);
        Self { every, minute: every * count.max(1), debts: Mutex::default() }
    }

    fn debts(&self) -> std::sync::MutexGuard<'_, HashMap<Network, Instant>> {
        self.debts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the network may fail once more, or when to come back.
    pub(crate) fn check(&self, network: Network) -> Result<(), Refusal> {
        let debt = match self.debts().get(&network) {
            Some(paid) => paid.saturating_duration_since(Instant::now()) + self.every,
            None => return Ok(()),
        };
        match debt.checked_sub(self.minute) {
            Some(wait) if !wait.is_zero() => Err(too_many(wait, "failed sign-ins from this address")),
            _ => Ok(()),
        }
    }

    /// Counts a failure. More sign-ins may fail at the same time than a minute allows, so the debt has an upper bound.
    pub(crate) fn count(&self, network: Network) {
        let now = Instant::now();
        let mut debts = self.debts();
        let paid = debts.entry(network).or_insert(now);
        *paid = ((*paid).max(now) + self.every).min(now + 2 * self.minute);
    }

    /// Forgets networks that have paid.
    pub(crate) fn forget_idle(&self) {
        let now = Instant::now();
        let mut debts = self.debts();
        debts.retain(|_, paid| *paid > now);
        debts.shrink_to_fit();
    }
}

fn too_many(wait: Duration, what: &str) -> Refusal {
    Refusal::retry_after(Code::RateLimited, wait, format!("too many {what}; slow down"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str) -> Network {
        Network::from(address.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn a_host_with_many_addresses_is_one_network() {
        for (one, other, same) in [
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
            ("::ffff:192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
        ] {
            assert_eq!(network(one) == network(other), same, "{one} and {other}");
        }
    }

    #[test]
    fn only_failures_count_and_only_against_their_network() {
        let failures = Failures::per_minute(3);
        let (here, there) = (network("192.0.2.1"), network("192.0.2.2"));
        for _ in 0..10 {
            failures.check(here).unwrap();
        }
        for _ in 0..3 {
            failures.check(here).unwrap();
            failures.count(here);
        }
        let refusal = failures.check(here).unwrap_err();
        assert_eq!(refusal.code, Code::RateLimited);
        let wait = refusal.retry_after_ms.unwrap();
        assert!((15_000..=20_000).contains(&wait), "one of three a minute is free again in {wait} ms");
        failures.check(there).unwrap();
    }

    #[test]
    fn a_debt_ends_however_many_failed_at_once() {
        let failures = Failures::per_minute(60);
        let here = network("192.0.2.1");
        for _ in 0..10_000 {
            failures.count(here);
        }
        assert!(failures.check(here).unwrap_err().retry_after_ms.unwrap() <= 61_000);
        failures.forget_idle();
        assert_eq!(failures.debts().len(), 1, "a network in debt is not forgotten");
        failures.debts().insert(here, Instant::now());
        failures.forget_idle();
        assert_eq!(failures.debts().len(), 0);
    }
}
