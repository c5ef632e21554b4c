//! `docs/results.md`: all results as tables and charts, with their method, their limits, and how to repeat them.

use std::fmt::Write;

use super::COMMAND;
use super::charts::Chart;
use super::sheet::{Sheet, TableLine, scenarios, sheets};
use crate::catalogue::{Better, TOPICS, condition_title, condition_value, title};
use crate::checkout::Source;
use crate::number::{capital, joined, plain};
use crate::quote::{Reason, withdrawn};
use crate::ranking::{LEAST_SAMPLES, NOTICED_MS};
use crate::results::{Row, Run};

/// How many figures of each scenario are visible; the others are in a section that opens.
const SHOWN: usize = 2;

/// The whole page.
pub(super) fn page(source: &Source, charts: &[Chart]) -> String {
    let run = &source.run;
    let mut page = opening(source);
    page += &reading(run);
    for (scenario, topic) in scenarios(run) {
        let name = topic.map_or(scenario, |topic| topic.title);
        let method = topic.map_or("", |topic| topic.method);
        page += &format!("\n## {name}\n\n{}\n", sentences(method));
        for chart in charts.iter().filter(|chart| chart.scenario == scenario) {
            page += &format!("\n![{}](charts/{}.svg)\n", chart.alternative, chart.name);
        }
        let (empty, sheets): (Vec<_>, Vec<_>) =
            sheets(run, scenario).into_iter().partition(|sheet| sheet.withdrawn().is_some());
        let (shown, others) = sheets.split_at(SHOWN.min(sheets.len()));
        page.extend(shown.iter().map(table));
        if !others.is_empty() {
            let names: Vec<&str> = others.iter().map(|sheet| sheet.title).collect();
            page += &format!("\n<details><summary>More: {}</summary>\n", names.join("; "));
            page.extend(others.iter().map(table));
            page += "\n</details>\n";
        }
        page += &emptied(&empty);
        page += &faults(run, scenario);
    }
    page += &missing(run);
    page += &again(source);
    page
}

/// Where the figures come from.
fn opening(source: &Source) -> String {
    let Run { made, commit, machine, method, warnings, .. } = &source.run;
    let length = if method.quick { "quick" } else { "full" };
    let [before, after] = method.load_average;
    let facts = [
        ("measured", format!("{made}, commit `{commit}`")),
        (
            "machine",
            format!(
                "{} cores of {}, {} MiB, {}",
                machine.cores, machine.processor, machine.memory_mib, machine.kernel
            ),
        ),
        ("run", format!("{length}; {} runs of each figure, the transports in turns", method.repetitions)),
        ("between client and server", method.network.clone()),
        ("text of a message", format!("{} bytes", method.text_bytes)),
        ("short polling", format!("asks again {} ms after each answer", method.short_poll_pause_ms)),
        ("the servers' flags", format!("`{}`", method.flags.join(" "))),
        ("load average", format!("{before} before, {after} after")),
    ];
    let mut text = format!(
        "<!-- Rendered by `measure report` from {}; what is changed by hand is lost. -->\n\n# Results\n\n\
         One chat over four transports, measured by one method.\n\
         The same figures [to play with](results.html) · [the raw data](../{}) and [its form](../benches/results/schema.json) · \
         [how it was measured](measuring.md) · [folklore, tested](folklore.md)\n\n| | |\n|---|---|\n",
        source.file, source.file
    );
    for (what, fact) in facts {
        let _ = writeln!(text, "| {what} | {} |", fact.replace('|', "\\|"));
    }
    if !warnings.is_empty() {
        text += "\n## Warnings\n\n";
        warnings.iter().for_each(|warning| text += &format!("- {warning}\n"));
    }
    text
}

/// How to read the tables, and the limits of the method.
fn reading(run: &Run) -> String {
    let n = run.method.repetitions;
    let chance = 2.0 / (1..=n).map(|k| (n + k) as f64 / k as f64).product::<f64>();
    let luck = match n {
        n if n < LEAST_SAMPLES => {
            format!(
                "With fewer than {LEAST_SAMPLES} runs no transports are compared, so this page compares none."
            )
        }
        n => format!(
            "Chance alone puts two equal transports apart in one of {:.0} comparisons of {n} runs each; \
             with fewer than {LEAST_SAMPLES} runs no transports are compared.",
            1.0 / chance
        ),
    };
    let cores = run.machine.cores;
    let legend = legend(n);
    let notes = notes(withdrawn(&run.rows));
    let notes = if notes.is_empty() { "\nNo figure is withdrawn.\n".to_owned() } else { notes };
    format!(
        "\n## How to read this\n\n\
         - A cell is the median of all runs and, in brackets, the lowest and the highest run. Without brackets all runs gave the same. \
         The column n counts the runs.\n\
         - The last column compares the transports. {luck}\n{legend}\
         - Bare TCP is the floor: a broadcast that costs the writes and nothing else. It is not compared with the transports.\n\
         - A row is invalid and shows no figure if a message was lost, duplicated or reordered, or if the client itself was late.\n\
         \n## What is withdrawn, and why\n{notes}\
         \n## What this machine distorts\n\n\
         - Client and server share {cores} cores. At high rates a latency includes the client's work.\n\
         - On loopback the sender's system call also does the receiver's TCP work. The server's processor time includes work that \
         another machine would do over a network; this holds for the floor too.\n\
         - Loopback loses nothing and reorders nothing unless a scenario makes it. A relay between client and server makes the delay. \
         It delays bytes, not segments, so TCP's slow start and retransmission do not see the delay.\n\
         - There is no TLS and no HTTP/2, and a proxy only where a scenario says so. Each of them adds costs, and not the same to each transport.\n"
    )
}

/// One figure as a table.
fn table(sheet: &Sheet<'_>) -> String {
    let way = match sheet.better {
        Better::Lower => ", less is better",
        Better::Higher => ", more is better",
        Better::Neither => "",
    };
    let unit = if sheet.unit.is_empty() { String::new() } else { format!(" in {}", unit(sheet.unit)) };
    let fixed: Vec<String> = sheet
        .fixed
        .iter()
        .map(|(name, value)| format!("{}: {}", condition_title(name), condition_value(name, *value)))
        .collect();
    let fixed = if fixed.is_empty() { String::new() } else { format!(" ({})", fixed.join(", ")) };
    let mut text = format!("\n**{}**{unit}{way}{fixed}\n\n|", capital(sheet.title));
    let ranked = sheet.is_ranked();
    let conditions = sheet.varied.iter().map(|name| condition_title(name));
    let mut columns: Vec<&str> =
        conditions.chain(sheet.subjects.iter().map(|subject| title(subject))).collect();
    columns.push("n");
    columns.extend(ranked.then_some("comparison"));
    columns.iter().for_each(|column| text += &format!(" {column} |"));
    text += &format!("\n|{}\n", "---|".repeat(columns.len()));
    for line in &sheet.lines {
        let values = sheet.varied.iter().zip(&line.values);
        let mut cells: Vec<String> = values.map(|(name, value)| condition_value(name, *value)).collect();
        cells.extend(line.cells.iter().map(|cell| cell.words("")));
        cells.push(samples(line));
        cells.extend(ranked.then(|| sheet.rank(line).words()));
        text += &format!("| {} |\n", cells.join(" | "));
    }
    text
}

/// The figures that are withdrawn for every transport.
fn emptied(sheets: &[Sheet<'_>]) -> String {
    let titles = sheets.iter().map(|sheet| {
        let reasons: Vec<&str> = sheet.withdrawn().into_iter().flatten().map(Reason::name).collect();
        format!("{} ({})", sheet.title, reasons.join(", "))
    });
    let titles: Vec<String> = titles.collect();
    if titles.is_empty() { String::new() } else { format!("\nWithdrawn for all: {}.\n", titles.join("; ")) }
}

/// The meaning of the marks beside figures.
pub(super) fn legend(runs: usize) -> String {
    let frame = plain(NOTICED_MS);
    format!(
        "- *Ahead*: all {runs} runs beat all runs of every other transport in the row.\n\
         - *Behind*: all {runs} runs lose to all runs of every transport in the row that is not behind.\n\
         - A figure without a mark is neither. It may still differ from the others: where runs overlap, \
         the transports are not clearly apart.\n\
         - A difference below a tenth, or below {frame} ms (one frame of a screen), gets no mark.\n"
    )
}

/// The meaning of the reasons in withdrawn cells.
pub(super) fn notes(reasons: impl IntoIterator<Item = Reason>) -> String {
    let lines: String =
        reasons.into_iter().map(|one| format!("- *withdrawn ({})*: {}\n", one.name(), one.note())).collect();
    if lines.is_empty() {
        return lines;
    }
    format!(
        "\nWithdrawn figures were measured in a way that makes them wrong.\n\
         They will be measured anew. Until then no table, chart, verdict or advice uses them; the raw data keeps them.\n\n{lines}"
    )
}

fn samples(line: &TableLine<'_>) -> String {
    let mut counts: Vec<usize> =
        line.cells.iter().filter_map(|cell| Some(cell.figure()?.samples.len())).collect();
    counts.sort_unstable();
    match (counts.first(), counts.last()) {
        (Some(least), Some(most)) if least != most => format!("{least}–{most}"),
        (Some(count), _) => count.to_string(),
        (None, _) => "0".to_owned(),
    }
}

/// The invalid rows of a scenario, and why they are invalid.
fn faults(run: &Run, scenario: &str) -> String {
    let invalid: Vec<&Row> = run.rows(scenario).filter(|row| !row.invalid.is_empty()).collect();
    if invalid.is_empty() {
        return String::new();
    }
    let mut text = "\nInvalid:\n\n".to_owned();
    for row in invalid {
        text += &format!("- {}: {}\n", place_in_words(row), row.invalid.join("; "));
    }
    text
}

/// A row's subject and conditions.
pub(super) fn place_in_words(row: &Row) -> String {
    let conditions: Vec<String> = row
        .conditions
        .iter()
        .map(|(name, value)| format!("{} {}", condition_title(name), condition_value(name, *value)))
        .collect();
    let conditions = conditions.join(", ");
    if conditions.is_empty() {
        title(&row.subject).to_owned()
    } else {
        format!("{} ({conditions})", title(&row.subject))
    }
}

/// The scenarios of the catalogue that this run did not measure.
fn missing(run: &Run) -> String {
    let absent = TOPICS.iter().filter(|topic| run.rows(topic.scenario).next().is_none());
    let lines: Vec<String> = absent.map(|topic| format!("- {}: {}\n", topic.title, topic.method)).collect();
    if lines.is_empty() {
        String::new()
    } else {
        format!("\n## Not measured in this run\n\n{}", lines.concat())
    }
}

fn again(source: &Source) -> String {
    let quick = if source.run.method.quick { " --quick" } else { "" };
    format!(
        "\n## Again\n\n```sh\n\
         git checkout {}        # what was measured\n\
         cargo measure run{quick} --output mine.json\n\
         cargo measure compare {} mine.json\n\
         {COMMAND} mine.json    # this page, from your own results\n\
         cargo measure advise --results mine.json --rate 0.2/s --rtt 80ms --clients 5000\n\
         ```\n",
        source.run.commit.trim_end_matches("-dirty"),
        source.file
    )
}

/// One sentence per line.
fn sentences(text: &str) -> String {
    text.replace(". ", ".\n")
}

fn unit(unit: &str) -> String {
    joined("", unit).trim_start().to_owned()
}
