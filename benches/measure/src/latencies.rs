//! The latencies of a row, and their percentiles under the names that results use.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

/// Delays in microseconds.
pub(crate) struct Latencies(pub(crate) Histogram<u64>);

impl Latencies {
    /// Percentiles in milliseconds, by their names in results.
    pub(crate) fn percentiles(&self) -> BTreeMap<&'static str, f64> {
        let at = |quantile: f64| self.0.value_at_quantile(quantile) as f64 / 1e3;
        BTreeMap::from([
            ("p50_ms", at(0.5)),
            ("p90_ms", at(0.9)),
            ("p99_ms", at(0.99)),
            ("p999_ms", at(0.999)),
            ("max_ms", self.0.max() as f64 / 1e3),
        ])
    }
}
