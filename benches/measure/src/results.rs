//! The form of a file of results: versioned JSON, with a JSON Schema beside the results.

#[cfg(test)]
pub(crate) mod made_up;

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
#[cfg(test)]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of this form. It rises when a program for the old form would misread a new file.
pub(crate) const VERSION: u32 = 1;

/// One run of `measure run`: what was measured, where and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    /// The version of this form.
    pub(crate) version: u32,
    /// When the run began, in RFC 3339 and UTC.
    pub(crate) made: String,
    /// The commit that was measured; with `-dirty` if files differed from it, `unknown` outside a checkout.
    pub(crate) commit: String,
    /// Where it was measured.
    pub(crate) machine: Machine,
    /// How it was measured.
    pub(crate) method: Method,
    /// What makes these figures less reliable.
    pub(crate) warnings: Vec<String>,
    /// What was measured: one row for each scenario, subject and set of conditions.
    pub(crate) rows: Vec<Row>,
}

/// The machine that client and server shared.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Machine {
    /// The processor, as it names itself.
    pub(crate) processor: String,
    /// Cores that the run could use.
    pub(crate) cores: usize,
    /// Memory, in MiB.
    pub(crate) memory_mib: u64,
    /// The kernel's name and release.
    pub(crate) kernel: String,
}

/// How a run measured, the same for all subjects.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Method {
    /// A short run: fewer and shorter repetitions, and fewer conditions.
    pub(crate) quick: bool,
    /// How often each figure was measured, the subjects in turns.
    pub(crate) repetitions: usize,
    /// The text of each message, in bytes.
    pub(crate) text_bytes: usize,
    /// The pause of a short-polling client between two polls, in milliseconds.
    pub(crate) short_poll_pause_ms: u64,
    /// What is between client and server.
    pub(crate) network: String,
    /// The servers' flags that differ from their defaults.
    pub(crate) flags: Vec<String>,
    /// The load average over one minute, before and after.
    pub(crate) load_average: [f64; 2],
}

/// The figures of one subject in one scenario under one set of conditions.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// The scenario's name.
    pub(crate) scenario: String,
    /// The transport's name, or `tcp`, the bare broadcast that is the floor.
    pub(crate) subject: String,
    /// What was varied, by name and unit: `rate_per_s`, `rtt_ms`, `clients` …
    pub(crate) conditions: BTreeMap<String, f64>,
    /// What was measured, by name.
    pub(crate) figures: BTreeMap<String, Figure>,
    /// All latencies of all repetitions in microseconds: an HdrHistogram (V2, deflated, base64).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) latencies_us: Option<String>,
    /// Counts of deliveries, over all repetitions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deliveries: Option<Deliveries>,
    /// Why this row is invalid; empty if it is valid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) invalid: Vec<String>,
}

/// One figure: a sample for each repetition, in their order.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Figure {
    /// The unit of the samples.
    pub(crate) unit: String,
    /// One value for each repetition.
    pub(crate) samples: Vec<f64>,
}

/// Counts of deliveries. A lost, duplicated or reordered message makes a row invalid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Deliveries {
    /// Expected deliveries: messages times readers.
    pub(crate) expected: u64,
    /// Messages that never arrived.
    pub(crate) lost: u64,
    /// Messages that arrived twice.
    pub(crate) duplicated: u64,
    /// Messages that arrived after a later one.
    pub(crate) reordered: u64,
}

impl Run {
    /// Reads a file of results.
    pub(crate) fn read(path: &std::path::Path) -> anyhow::Result<Self> {
        let json = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let form: Form = serde_json::from_slice(&json).with_context(|| not_results(path))?;
        if form.version != VERSION {
            bail!(
                "{} has version {} of the form, and this program reads version {VERSION}",
                path.display(),
                form.version
            );
        }
        serde_json::from_slice(&json).with_context(|| not_results(path))
    }

    /// Whether a subject was measured at all.
    pub(crate) fn measures(&self, subject: &str) -> bool {
        self.rows.iter().any(|row| row.subject == subject)
    }

    /// The rows of one scenario.
    pub(crate) fn rows<'a>(&'a self, scenario: &'a str) -> impl Iterator<Item = &'a Row> {
        self.rows.iter().filter(move |row| row.scenario == scenario)
    }
}

/// What a file of every version has.
#[derive(Deserialize)]
struct Form {
    version: u32,
}

fn not_results(path: &std::path::Path) -> String {
    format!("{} is not what `measure run` writes", path.display())
}

impl Row {
    /// One of its conditions.
    pub(crate) fn condition(&self, name: &str) -> Option<f64> {
        self.conditions.get(name).copied()
    }

    /// Its latencies, in microseconds.
    pub(crate) fn latencies(&self) -> anyhow::Result<Option<Histogram<u64>>> {
        let Some(text) = &self.latencies_us else { return Ok(None) };
        let bytes = BASE64_STANDARD.decode(text).context("the histogram is not base64")?;
        let histogram = Deserializer::new().deserialize(&mut bytes.as_slice());
        histogram.map(Some).map_err(|error| anyhow::anyhow!("the histogram cannot be read: {error}"))
    }
}

/// A histogram in the form that results have.
pub(crate) fn encode(histogram: &Histogram<u64>) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new()
        .serialize(histogram, &mut bytes)
        .map_err(|error| anyhow::anyhow!("the histogram cannot be written: {error}"))?;
    Ok(BASE64_STANDARD.encode(bytes))
}

impl Figure {
    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    /// The middle sample, or the mean of the middle two if their number is even. `NaN` without samples.
    pub(crate) fn median(&self) -> f64 {
        let sorted = self.sorted();
        match sorted.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => sorted[n / 2],
            n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
        }
    }

    /// The smallest and the largest sample. The true median lies between them with probability
    /// 1 − 2·(1/2)ⁿ, whatever the distribution: 93.75 % for five samples, 75 % for three.
    pub(crate) fn interval(&self) -> (f64, f64) {
        let sorted = self.sorted();
        (sorted.first().copied().unwrap_or(f64::NAN), sorted.last().copied().unwrap_or(f64::NAN))
    }

    /// Whether all samples lie on one side of all samples of the other figure. Only then are they ranked.
    ///
    /// With fewer than three samples it is `false`, because chance is too likely.
    pub(crate) fn apart_from(&self, other: &Self) -> bool {
        if self.samples.len().min(other.samples.len()) < 3 {
            return false;
        }
        let ((a, b), (c, d)) = (self.interval(), other.interval());
        b < c || d < a
    }
}

impl Deliveries {
    /// Adds another count of messages to this one.
    pub(crate) fn add(&mut self, other: Self) {
        self.expected += other.expected;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
    }

    /// What went wrong, in words; `None` if no message was lost, duplicated or reordered.
    pub(crate) fn fault(&self) -> Option<String> {
        let Self { expected, lost, duplicated, reordered } = self;
        (lost + duplicated + reordered > 0).then(|| {
            format!(
                "of {expected} deliveries {lost} were lost, {duplicated} duplicated, {reordered} reordered"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(samples: &[f64]) -> Figure {
        Figure { unit: "ms".to_owned(), samples: samples.to_vec() }
    }

    #[test]
    fn only_intervals_that_do_not_touch_are_apart() {
        assert!(figure(&[3.0, 1.0, 2.0]).apart_from(&figure(&[4.0, 5.0, 6.0])));
        assert!(figure(&[4.0, 5.0, 6.0]).apart_from(&figure(&[3.0, 1.0, 2.0])));
        assert!(!figure(&[1.0, 3.0, 4.0]).apart_from(&figure(&[4.0, 5.0, 6.0])));
        assert!(!figure(&[1.0, 2.0, 3.0]).apart_from(&figure(&[4.0, 5.0])));
    }

    #[test]
    fn a_median_is_in_the_middle_of_the_sorted_samples() {
        assert_eq!(figure(&[9.0, 1.0, 5.0]).median(), 5.0);
        assert_eq!(figure(&[9.0, 1.0, 5.0, 6.0]).median(), 5.5);
        assert!(figure(&[]).median().is_nan());
    }

    #[test]
    fn a_histogram_survives_being_kept() {
        let mut histogram = Histogram::new(3).unwrap();
        for value in [1, 1_000, 1_000_000] {
            histogram.record(value).unwrap();
        }
        let row = Row {
            scenario: "latency".to_owned(),
            subject: "sse".to_owned(),
            conditions: BTreeMap::new(),
            figures: BTreeMap::new(),
            latencies_us: Some(encode(&histogram).unwrap()),
            deliveries: None,
            invalid: Vec::new(),
        };
        assert_eq!(row.latencies().unwrap().unwrap(), histogram);
    }
}
