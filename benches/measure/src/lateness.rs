//! Whether this process runs on time: a client that is late itself measures only its own delay.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::clock::wait_until;

/// A task that wakes up every few milliseconds, and records how late it is.
pub(crate) struct Lateness(JoinHandle<Histogram<u64>>, oneshot::Sender<()>);

impl Lateness {
    /// Above this, a latency is mostly the client's own delay.
    pub(crate) const TOO_LATE_MS: f64 = 20.0;

    const STEP: Duration = Duration::from_millis(5);

    pub(crate) fn watch() -> anyhow::Result<Self> {
        let mut late_us = Histogram::<u64>::new(3)?;
        let (stop, mut stopped) = oneshot::channel();
        let watching = tokio::spawn(async move {
            while stopped.try_recv().is_err() {
                let due = Instant::now() + Self::STEP;
                wait_until(due).await;
                late_us.saturating_record(due.elapsed().as_micros() as u64);
            }
            late_us
        });
        Ok(Self(watching, stop))
    }

    /// The 99th percentile of its lateness, in milliseconds.
    pub(crate) async fn p99_ms(self) -> anyhow::Result<f64> {
        let _ = self.1.send(());
        Ok(self.0.await?.value_at_quantile(0.99) as f64 / 1e3)
    }
}
