//! How long to wait before the next attempt: a random time (full jitter), so that not all clients reconnect at once
//! when a server restarts.

use std::time::Duration;

/// The longest that the first wait may be.
const BASE: Duration = Duration::from_millis(500);

/// The longest that any wait may be.
const CAP: Duration = Duration::from_secs(15);

/// How long a connection has to last before the next wait is short again.
const GOOD_HEALTH: Duration = Duration::from_secs(10);

/// The waits of one client that reconnects again and again.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next wait, after a connection that lasted this long: a random time between zero and a limit that doubles
    /// with each failure.
    pub(crate) fn next(&mut self, was_well: Duration) -> Duration {
        if was_well >= GOOD_HEALTH {
            self.failures = 0;
        }
        let wait = jitter(ceiling(self.failures));
        self.failures = self.failures.saturating_add(1);
        wait
    }
}

fn ceiling(failures: u32) -> Duration {
    2_u32.checked_pow(failures).map_or(CAP, |factor| BASE.saturating_mul(factor).min(CAP))
}

/// A random part of a time.
fn jitter(time: Duration) -> Duration {
    let mut bits = [0; 4];
    getrandom::fill(&mut bits).expect("the operating system gives random bits");
    time.mul_f64(f64::from(u32::from_le_bytes(bits)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_double_up_to_fifteen_seconds() {
        let ceilings: Vec<f64> = (0..7).map(|failures| ceiling(failures).as_secs_f64()).collect();
        assert_eq!(ceilings, [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]);
        assert_eq!(ceiling(u32::MAX), CAP);
    }

    #[test]
    fn jitter_uses_the_whole_of_its_time_and_no_more() {
        let waits: Vec<Duration> = (0..200).map(|_| jitter(CAP)).collect();
        assert!(waits.iter().all(|wait| *wait <= CAP));
        assert!(waits.iter().any(|wait| *wait < CAP / 4) && waits.iter().any(|wait| *wait > CAP / 4 * 3));
    }

    #[test]
    fn only_good_health_makes_waits_short_again() {
        let mut backoff = Backoff::default();
        for was_well in [0, 0, 1, 9] {
            backoff.next(Duration::from_secs(was_well));
        }
        assert_eq!(backoff.failures, 4);
        assert!(backoff.next(GOOD_HEALTH) <= BASE);
        assert_eq!(backoff.failures, 1);
    }
}
