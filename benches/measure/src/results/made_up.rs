//! Made-up results for tests.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::{Figure, Machine, Method, Row, Run, VERSION, encode};

/// A run with these rows, on a made-up machine.
pub(crate) fn run(rows: Vec<Row>) -> Run {
    Run {
        version: VERSION,
        made: "2026-01-02T03:04:05Z".to_owned(),
        commit: "0123456789ab".to_owned(),
        machine: Machine {
            processor: "Some <Processor>".to_owned(),
            cores: 2,
            memory_mib: 10_240,
            kernel: "Linux 6.1".to_owned(),
        },
        method: Method {
            quick: false,
            repetitions: 5,
            text_bytes: 64,
            short_poll_pause_ms: 2_000,
            network: "loopback".to_owned(),
            flags: vec!["--hash-memory".to_owned(), "8".to_owned()],
            load_average: [0.1, 1.5],
        },
        warnings: vec!["client and server shared 2 cores".to_owned()],
        rows,
    }
}

/// A row with one figure, and enough messages for any percentile.
pub(crate) fn row(
    scenario: &str,
    subject: &str,
    conditions: &[(&str, f64)],
    figure: &str,
    samples: &[f64],
) -> Row {
    let unit = figure.rsplit('_').next().unwrap_or_default().to_owned();
    let row = Row {
        scenario: scenario.to_owned(),
        subject: subject.to_owned(),
        conditions: conditions.iter().map(|&(name, value)| (name.to_owned(), value)).collect(),
        figures: BTreeMap::from([(figure.to_owned(), Figure { unit, samples: samples.to_vec() })]),
        latencies_us: None,
        deliveries: None,
        invalid: Vec::new(),
    };
    if figure.ends_with("_ms") { with_messages(row, 1_000_000) } else { row }
}

/// The row with a histogram of this number of latencies.
pub(crate) fn with_messages(row: Row, count: u64) -> Row {
    let mut latencies = Histogram::<u64>::new(3).expect("three digits are allowed");
    latencies.record_n(1_000, count).expect("it is in range");
    Row { latencies_us: Some(encode(&latencies).expect("it can be written")), ..row }
}
