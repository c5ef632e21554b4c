//! The README's table: the few figures that people come for, between two marks.

use anyhow::Context;

use super::Source;
use super::key::{Found, Key};
use crate::catalogue::{Better, FLOOR, SUBJECTS, find};
use crate::number::{joined, spread};
use crate::ranking::{Ranking, rank};
use crate::results::Figure;

/// What the table lies between.
const BEGIN: &str = "<!-- results:begin -->\n";
const END: &str = "<!-- results:end -->";

/// A line of the table: its words, and the key of WebSocket's figure.
const LINES: [(&str, &str); 9] = [
    ("a message comes after, at 10 a second", "latency/websocket rate_per_s=10 p50_ms"),
    (
        "behind a round trip of 100 ms, 2 messages a second",
        "crossover/websocket rate_per_s=2 rtt_ms=100 p50_ms",
    ),
    ("the same, 50 messages a second", "crossover/websocket rate_per_s=50 rtt_ms=100 p50_ms"),
    ("bytes for a lone message, both ways, above TCP", "bytes/websocket burst=1 total_bytes"),
    ("bytes down in an idle hour", "idle_bytes/websocket hourly_down_bytes"),
    ("server's processor time for a delivery, 100 readers", "cpu/websocket clients=100 delivery_us"),
    ("memory of the process for an idle connection", "idle/websocket process_kib"),
    ("round trips until the first event", "connecting/websocket rtt_ms=100 round_trips"),
    ("reading on after a pause, events a second", "catch_up/websocket clients=1 events_per_s"),
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
        "Measured {date} at commit `{}` on {} cores of {} with {}, client and server on one machine: \
         the median of {} repetitions and, in brackets, the least and the most.\n\
         Bold is what is apart from all others; where nothing is bold, there is no difference at this n.\n\n|",
        run.commit, machine.cores, machine.processor, machine.kernel, run.method.repetitions
    );
    let transports = || SUBJECTS.iter().filter(|name| name.subject != FLOOR);
    text += " |";
    transports().for_each(|name| text += &format!(" {} |", name.title));
    text += &format!("\n|---|{}\n", "---|".repeat(transports().count()));
    let mut missing = 0;
    for (words, key) in LINES {
        let key = Key::parse(key)?;
        let found = transports()
            .map(|name| Ok((name.subject, key.of(name.subject).find(run)?)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let figures: Vec<(&str, &Figure)> = found
            .iter()
            .filter_map(|(subject, found)| match found {
                Found::Figure(figure) => Some((*subject, *figure)),
                Found::Invalid | Found::NotMeasured => None,
            })
            .collect();
        if figures.is_empty() {
            missing += 1;
            continue;
        }
        let better = find(&key.scenario, &key.figure).map_or(Better::Neither, |measure| measure.better);
        let best = rank(better, &figures);
        let cells = found.iter().map(|(subject, found)| match found {
            Found::Figure(figure) if best == Ranking::Best(subject) => {
                format!("**{}**", joined(&spread(figure), key.unit()))
            }
            Found::Figure(figure) => joined(&spread(figure), key.unit()),
            Found::Invalid => "invalid".to_owned(),
            Found::NotMeasured => "not measured".to_owned(),
        });
        text += &format!("| {words} | {} |\n", cells.collect::<Vec<_>>().join(" | "));
    }
    if missing > 0 {
        text += &format!("\n{missing} more figures of this table were not measured in this run.\n");
    }
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
