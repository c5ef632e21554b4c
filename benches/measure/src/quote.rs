//! Which figures of a row may be quoted, and the reason if one may not.
//!
//! Every table, chart, verdict and piece of advice uses [`quote`]. The results keep each figure as it was measured.

use serde::{Serialize, Serializer};

use crate::catalogue::FIRST_TO_LAST;
use crate::number::{joined, spread};
use crate::results::{Figure, Row};
use crate::scenarios::{Scenario, readers};
use crate::subject::Subject;

/// How many independent messages a percentile p needs: 10/(1−p). No number is enough for a maximum.
const NEEDED: [(&str, u64); 6] = [
    ("p50_ms", 20),
    ("p90_ms", 100),
    ("p99_ms", 1_000),
    ("others_p99_ms", 1_000),
    ("p999_ms", 10_000),
    ("max_ms", u64::MAX),
];

/// Scenarios that send messages at constant intervals to connected clients.
const DELIVERIES: [&str; 6] = ["latency", FIRST_TO_LAST, "loss", "round_trip", "crossover", "slow_reader"];

/// Figures that are divided by the number of deliveries.
const PER_DELIVERY: [&str; 5] =
    ["cpu_us", "delivery_us", "publishing_us", "client_cpu_us", "context_switches"];

/// What a page may show of one figure.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Quote<'a> {
    Figure(&'a Figure),
    /// The row is invalid; its `invalid` gives the reasons.
    Invalid,
    /// The method makes this figure wrong.
    Withdrawn(Reason),
    NotMeasured,
}

/// Why a figure is withdrawn until it is measured again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// Too few messages for this percentile.
    Samples,
    /// Many servers ran at the same time.
    Crowd,
    /// Messages and polls both came at constant intervals.
    Phase,
    /// Many deliveries share one poll.
    SharedPoll,
}

impl Reason {
    /// One or two words, short enough for a cell.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::Crowd => "crowd",
            Self::Phase => "phase",
            Self::SharedPoll => "shared poll",
        }
    }

    /// The note below a table.
    pub(crate) const fn note(self) -> &'static str {
        match self {
            Self::Samples => {
                "There are too few messages for this percentile. \
                 A percentile p needs at least 10/(1−p) independent messages over all repetitions; \
                 ten readers of one message count once. No number of messages is enough for a maximum."
            }
            Self::Crowd => {
                "Many servers ran at the same time on few cores, so p90 and above show how long a server waited \
                 for a core. Only the median is shown."
            }
            Self::Phase => {
                "Messages came at constant intervals, and the client polled at constant intervals. \
                 The latency depends on how the two happened to fall together, so it says nothing about other chats."
            }
            Self::SharedPoll => {
                "Several deliveries share one poll, so processor time per delivery says more about the message rate than \
                 about the transport. Other servers also ran at the same time."
            }
        }
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'a> Quote<'a> {
    /// The figure, if it may be quoted.
    pub(crate) fn figure(self) -> Option<&'a Figure> {
        match self {
            Self::Figure(figure) => Some(figure),
            Self::Invalid | Self::Withdrawn(_) | Self::NotMeasured => None,
        }
    }

    /// Why it is withdrawn, if it is.
    pub(crate) fn reason(self) -> Option<Reason> {
        match self {
            Self::Withdrawn(reason) => Some(reason),
            Self::Figure(_) | Self::Invalid | Self::NotMeasured => None,
        }
    }

    /// The median and its interval, or the reason why there is no figure.
    pub(crate) fn words(self, unit: &str) -> String {
        match self {
            Self::Figure(figure) => joined(&spread(figure), unit),
            Self::Invalid => "invalid".to_owned(),
            Self::Withdrawn(reason) => format!("withdrawn ({})", reason.name()),
            Self::NotMeasured => "not measured".to_owned(),
        }
    }
}

/// What a page may show of this figure of a row.
pub(crate) fn quote<'a>(row: &'a Row, name: &str) -> Quote<'a> {
    if !row.invalid.is_empty() {
        return Quote::Invalid;
    }
    let Some(figure) = row.figures.get(name) else { return Quote::NotMeasured };
    reason(row, name).map_or(Quote::Figure(figure), Quote::Withdrawn)
}

/// Every reason for which a figure of these rows is withdrawn.
pub(crate) fn withdrawn<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = rows
        .into_iter()
        .flat_map(|row| row.figures.keys().filter_map(|name| quote(row, name).reason()))
        .collect();
    reasons.sort_unstable();
    reasons.dedup();
    reasons
}

fn reason(row: &Row, name: &str) -> Option<Reason> {
    let subject = Subject::named(&row.subject);
    let needed = NEEDED.iter().find(|(percentile, _)| *percentile == name).map(|(_, needed)| *needed);
    if subject.is_some_and(Subject::polls_at_intervals) {
        let delivers = DELIVERIES.contains(&row.scenario.as_str());
        if delivers && needed.is_some() {
            return Some(Reason::Phase);
        }
        if (delivers || row.scenario == Scenario::Cpu.name()) && PER_DELIVERY.contains(&name) {
            return Some(Reason::SharedPoll);
        }
    }
    let needed = needed?;
    if needed > NEEDED[0].1 && is_crowded(row) {
        return Some(Reason::Crowd);
    }
    (independent(row) < needed).then_some(Reason::Samples)
}

/// Whether other servers ran at the same time as this row's.
fn is_crowded(row: &Row) -> bool {
    // Both tables come from one measurement.
    let scenario = if row.scenario == FIRST_TO_LAST { Scenario::Cpu.name() } else { &row.scenario };
    let subject = Subject::named(&row.subject);
    let scenario = Scenario::ALL.into_iter().find(|known| known.name() == scenario);
    scenario.zip(subject).is_some_and(|(scenario, subject)| scenario.is_patient(subject))
}

/// How many independent messages a row's percentiles rest on. Ten readers of one message count once, and so do the
/// messages of one burst.
pub(crate) fn independent(row: &Row) -> u64 {
    let counted = match row.latencies() {
        Ok(Some(latencies)) => latencies.len(),
        Ok(None) => row.deliveries.map_or(0, |deliveries| deliveries.expected),
        Err(_) => 0,
    };
    let burst = row.condition("burst").unwrap_or(1.0).max(1.0) as u64;
    counted / (readers(&row.scenario) * burst)
}

/// The highest percentile that a row has enough messages for, in nines: 1 is 90 %, 2 is 99 %.
pub(crate) fn nines(row: &Row) -> f64 {
    (independent(row) as f64 / 10.0).max(1.0).log10()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::made_up::{row, with_messages};

    fn said(row: &Row, name: &str) -> String {
        quote(row, name).words("ms")
    }

    #[test]
    fn a_percentile_without_samples_stays_empty() {
        for (name, needed) in NEEDED.into_iter().filter(|(_, needed)| *needed != u64::MAX) {
            // Ten readers of one message are one message.
            let at = |messages: u64| {
                with_messages(row("latency", "sse", &[("clients", 10.0)], name, &[5.0; 5]), messages * 10)
            };
            assert_eq!(said(&at(needed - 1), name), "withdrawn (samples)", "{name}");
            assert_eq!(said(&at(needed), name), "5 ms", "{name}");
        }
        // Twenty messages of one burst are one, and a row without a count has none.
        let burst =
            |count| with_messages(row("sending", "sse", &[("burst", 20.0)], "p50_ms", &[5.0; 5]), count);
        assert_eq!(said(&burst(399), "p50_ms"), "withdrawn (samples)");
        assert_eq!(said(&burst(400), "p50_ms"), "5 ms");
        let mut unknown = burst(400);
        unknown.latencies_us = None;
        assert_eq!(said(&unknown, "p50_ms"), "withdrawn (samples)");
        let longest = with_messages(row("sending", "sse", &[], "max_ms", &[5.0; 5]), 1_000_000);
        assert_eq!(said(&longest, "max_ms"), "withdrawn (samples)");
    }

    #[test]
    fn figures_that_the_method_made_wrong_are_withdrawn_and_no_others() {
        let cases = [
            // High percentiles, measured while other servers ran.
            ("crossover", "websocket", "p50_ms", "5 ms"),
            ("crossover", "websocket", "p90_ms", "withdrawn (crowd)"),
            ("crossover", "websocket", "p99_ms", "withdrawn (crowd)"),
            ("round_trip", "longpoll", "p999_ms", "withdrawn (crowd)"),
            ("loss", "sse", "p99_ms", "withdrawn (crowd)"),
            ("connecting", "shortpoll", "p99_ms", "withdrawn (crowd)"),
            ("connecting", "websocket", "p99_ms", "5 ms"),
            ("latency", "websocket", "p99_ms", "5 ms"),
            ("latency", "tcp", "p999_ms", "5 ms"),
            ("slow_reader", "sse", "others_p99_ms", "5 ms"),
            // Short polling's latencies.
            ("latency", "shortpoll", "p50_ms", "withdrawn (phase)"),
            ("crossover", "shortpoll", "p50_ms", "withdrawn (phase)"),
            ("round_trip", "shortpoll", "p99_ms", "withdrawn (phase)"),
            ("loss", "shortpoll", "p50_ms", "withdrawn (phase)"),
            ("skew", "shortpoll", "p50_ms", "withdrawn (phase)"),
            ("slow_reader", "shortpoll", "others_p99_ms", "withdrawn (phase)"),
            ("connecting", "shortpoll", "p50_ms", "5 ms"),
            ("sending", "shortpoll", "p99_ms", "5 ms"),
            // Its processor time for each delivery.
            ("cpu", "shortpoll", "delivery_us", "withdrawn (shared poll)"),
            ("cpu", "shortpoll", "cpu_us", "withdrawn (shared poll)"),
            ("crossover", "shortpoll", "cpu_us", "withdrawn (shared poll)"),
            ("cpu", "longpoll", "delivery_us", "5 ms"),
            ("catch_up", "shortpoll", "cpu_us", "5 ms"),
            ("idle_bytes", "shortpoll", "hourly_cpu_ms", "5 ms"),
            ("bytes", "shortpoll", "total_bytes", "5 ms"),
        ];
        for (scenario, subject, name, words) in cases {
            assert_eq!(
                said(&row(scenario, subject, &[], name, &[5.0; 5]), name),
                words,
                "{scenario}/{subject} {name}"
            );
        }
    }

    #[test]
    fn an_invalid_row_says_so_first() {
        let mut invalid = row("crossover", "shortpoll", &[], "p50_ms", &[5.0; 5]);
        invalid.invalid.push("one was lost".to_owned());
        assert_eq!(said(&invalid, "p50_ms"), "invalid");
        assert_eq!(said(&row("cpu", "sse", &[], "cpu_us", &[5.0; 5]), "delivery_us"), "not measured");
    }
}
