//! The README's table: the few figures that most readers want, between two marks.

use std::collections::BTreeSet;

use anyhow::Context;

use super::key::Key;
use super::markdown::{legend, notes};
use crate::catalogue::{Better, FLOOR, SUBJECTS, find};
use crate::checkout::Source;
use crate::quote::Quote;
use crate::ranking::{Mark, rank};
use crate::results::Figure;

/// The marks around the table.
const BEGIN: &str = "<!-- results:begin -->\n";
const END: &str = "<!-- results:end -->";

/// The lines of the table: a title, and the key of WebSocket's figure.
const LINES: [(&str, &str); 9] = [
    ("median delivery latency, 10 messages/s", "latency/websocket rate_per_s=10 p50_ms"),
    (
        "median delivery latency over a round trip of 100 ms, 2 messages/s",
        "crossover/websocket rate_per_s=2 rtt_ms=100 p50_ms",
    ),
    (
        "median delivery latency over a round trip of 100 ms, 50 messages/s",
        "crossover/websocket rate_per_s=50 rtt_ms=100 p50_ms",
    ),
    ("bytes for a single message, both directions, above TCP", "bytes/websocket burst=1 total_bytes"),
    ("bytes to the client in an idle hour", "idle_bytes/websocket hourly_down_bytes"),
    ("server processor time for each delivery, 100 readers", "cpu/websocket clients=100 delivery_us"),
    ("server process memory for each idle connection", "idle/websocket process_kib"),
    ("round trips until the first event", "connecting/websocket rtt_ms=100 round_trips"),
    ("catching up after a disconnect", "catch_up/websocket clients=1 events_per_s"),
];

/// The README with its table filled in.
pub(super) fn with_table(readme: &str, source: &Source) -> anyhow::Result<String> {
    let marks = || format!("README.md has no {} and {END}", BEGIN.trim_end());
    let (before, rest) = readme.split_once(BEGIN).with_context(marks)?;
    let (_, after) = rest.split_once(END).with_context(marks)?;
    Ok(format!("{before}{BEGIN}{}{END}{after}", table(source)?))
}

fn table(source: &Source) -> anyhow::Result<String> {
    let run = &source.run;
    let machine = &run.machine;
    let (date, _) = run.made.split_once('T').unwrap_or((&run.made, ""));
    let mut text = format!(
        "Measured {date} at commit `{}` on {} cores of {} with {}, client and server on one machine.\n\
         A cell is the median of {} runs and, in brackets, the lowest and the highest run.\n\n{}\n|",
        run.commit,
        machine.cores,
        machine.processor,
        machine.kernel,
        run.method.repetitions,
        legend(run.method.repetitions)
    );
    let transports = || SUBJECTS.iter().filter(|name| name.subject != FLOOR && run.measures(name.subject));
    text += " |";
    transports().for_each(|name| text += &format!(" {} |", name.title));
    text += &format!("\n|---|{}\n", "---|".repeat(transports().count()));
    let (mut missing, mut reasons) = (0, BTreeSet::new());
    for (words, key) in LINES {
        let key = Key::parse(key)?;
        let found = transports()
            .map(|name| Ok((name.subject, key.of(name.subject).find(run)?)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let figures: Vec<(&str, &Figure)> =
            found.iter().filter_map(|(subject, found)| Some((*subject, found.figure()?))).collect();
        reasons.extend(found.iter().filter_map(|(_, found)| found.reason()));
        if found.iter().all(|(_, found)| matches!(found, Quote::NotMeasured)) {
            missing += 1;
            continue;
        }
        let better = find(&key.scenario, &key.figure).map_or(Better::Neither, |measure| measure.better);
        let ranking = rank(better, &figures);
        let cells = found.iter().map(|(subject, found)| match ranking.mark(subject) {
            Some(mark @ Mark::Ahead) => format!("**{}, {}**", found.words(key.unit()), mark.word()),
            Some(mark @ Mark::Behind) => format!("{}, *{}*", found.words(key.unit()), mark.word()),
            None => found.words(key.unit()),
        });
        text += &format!("| {words} | {} |\n", cells.collect::<Vec<_>>().join(" | "));
    }
    if missing > 0 {
        text += &format!("\n{missing} more figures of this table were not measured in this run.\n");
    }
    text += &notes(reasons);
    let warnings = match run.warnings.len() {
        0 => String::new(),
        1 => ", and a warning".to_owned(),
        count => format!(", and {count} warnings"),
    };
    text += &format!(
        "\n[All results](docs/results.md), with charts, method{warnings} · [folklore, tested](docs/folklore.md) · \
         [the raw data]({})\n\n",
        source.file
    );
    Ok(text)
}
