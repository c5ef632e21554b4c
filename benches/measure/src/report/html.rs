//! `docs/results.html`: all figures to explore, in one file that loads nothing else.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::advise::{ADVICE, Model};
use crate::catalogue::{Better, CONDITIONS, FLOOR, INCIDENTAL, SUBJECTS, TOPICS, Values, find};
use crate::checkout::Source;
use crate::quote::{Reason, nines, quote, withdrawn};
use crate::ranking::{Mark, rank};
use crate::results::{Figure, Row, Run};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const PARTS: &str = include_str!("parts.js");

/// What the script reads.
#[derive(Serialize)]
struct Results<'a> {
    facts: Vec<String>,
    warnings: &'a [String],
    /// The reasons for which figures are withdrawn.
    notes: Vec<(&'static str, &'static str)>,
    floor: &'static str,
    incidental: &'static str,
    subjects: Vec<(&'static str, &'static str)>,
    conditions: Vec<Condition>,
    topics: Vec<Topic>,
    rows: Vec<Shown<'a>>,
    model: Model,
}

#[derive(Serialize)]
struct Condition {
    name: &'static str,
    title: &'static str,
    /// `None` for yes and no.
    unit: Option<&'static str>,
}

#[derive(Serialize)]
struct Topic {
    scenario: &'static str,
    title: &'static str,
    method: &'static str,
    measures: Vec<Measure>,
}

#[derive(Serialize)]
struct Measure {
    name: &'static str,
    title: &'static str,
    unit: &'static str,
    better: &'static str,
}

#[derive(Serialize)]
struct Shown<'a> {
    scenario: &'a str,
    subject: &'a str,
    conditions: &'a BTreeMap<String, f64>,
    figures: BTreeMap<&'a str, &'a [f64]>,
    /// The marks of its figures: ahead or behind.
    marks: BTreeMap<&'a str, &'static str>,
    /// Its withdrawn figures, with the reasons. The raw data keeps their samples.
    withdrawn: BTreeMap<&'a str, Reason>,
    /// Shares of the messages, with the milliseconds within which they were delivered.
    shares: Option<Vec<(f64, f64)>>,
    invalid: &'a [String],
}

/// The whole page.
pub(super) fn page(source: &Source) -> anyhow::Result<String> {
    let run = &source.run;
    let measured = SUBJECTS.iter().filter(|name| run.measures(name.subject));
    let results = Results {
        facts: facts(source),
        warnings: &run.warnings,
        notes: withdrawn(&run.rows).into_iter().map(|one| (one.name(), one.note())).collect(),
        floor: FLOOR,
        incidental: INCIDENTAL,
        subjects: measured.map(|name| (name.subject, name.title)).collect(),
        conditions: CONDITIONS.iter().map(condition).collect(),
        topics: TOPICS.iter().map(topic).collect(),
        rows: run.rows.iter().map(|row| shown(run, row)).collect::<anyhow::Result<_>>()?,
        model: Model::of(run),
    };
    // Without this, an end tag or a comment in the JSON would end the script element.
    let json = serde_json::to_string(&results)?.replace('<', "\\u003c");
    let script = [ADVICE, PARTS, SCRIPT].map(alone).join("\n");
    let parts = [
        ("{{source}}", source.file.as_str()),
        ("{{style}}", STYLE),
        ("{{script}}", &script),
        ("{{json}}", &json),
    ];
    Ok(parts.into_iter().fold(PAGE.to_owned(), |page, (name, part)| page.replacen(name, part, 1)))
}

/// Removes the imports and exports of a module, so that all modules fit in one script.
fn alone(module: &str) -> String {
    let lines = module.lines().filter(|line| !line.starts_with("import {"));
    lines.map(|line| format!("{}\n", line.strip_prefix("export ").unwrap_or(line))).collect()
}

fn facts(source: &Source) -> Vec<String> {
    let Run { made, commit, machine, method, .. } = &source.run;
    vec![
        format!("measured {made} at commit {commit}, {} repetitions", method.repetitions),
        format!(
            "{} cores of {}, {} MiB, {}",
            machine.cores, machine.processor, machine.memory_mib, machine.kernel
        ),
        format!("{}; texts of {} bytes", method.network, method.text_bytes),
        format!("raw data: {}", source.file),
    ]
}

fn condition(condition: &crate::catalogue::Condition) -> Condition {
    let unit = match condition.values {
        Values::Number(unit) => Some(unit),
        Values::YesNo => None,
    };
    Condition { name: condition.name, title: condition.title, unit }
}

fn topic(topic: &crate::catalogue::Topic) -> Topic {
    let measure = |measure: &crate::catalogue::Measure| Measure {
        name: measure.name,
        title: measure.title,
        unit: measure.unit,
        better: match measure.better {
            Better::Lower => "lower",
            Better::Higher => "higher",
            Better::Neither => "neither",
        },
    };
    Topic {
        scenario: topic.scenario,
        title: topic.title,
        method: topic.method,
        measures: topic.measures.iter().map(measure).collect(),
    }
}

/// The mark of a figure, compared with the other transports under the same conditions.
fn mark(run: &Run, row: &Row, name: &str) -> Option<&'static str> {
    let compared = |row: &Row| {
        let conditions = row.conditions.iter().filter(|(name, _)| *name != INCIDENTAL);
        conditions.map(|(name, value)| (name.clone(), *value)).collect::<Vec<_>>()
    };
    let peers = run.rows(&row.scenario).filter(|other| compared(other) == compared(row));
    let figures: Vec<(&str, &Figure)> =
        peers.filter_map(|other| Some((other.subject.as_str(), quote(other, name).figure()?))).collect();
    let better = find(&row.scenario, name).map_or(Better::Neither, |measure| measure.better);
    rank(better, &figures).mark(&row.subject).map(Mark::word)
}

fn shown<'a>(run: &Run, row: &'a Row) -> anyhow::Result<Shown<'a>> {
    let drawn = row.scenario == "latency" && quote(row, "p50_ms").figure().is_some();
    let shares = if drawn { row.latencies()? } else { None }.map(|histogram| {
        let nines = nines(row).min(4.0);
        let share = |step: i32| 1.0 - 10f64.powf(-f64::from(step) / 10.0);
        let at = |share: f64| (round(share), round(histogram.value_at_quantile(share).max(1) as f64 / 1e3));
        (0..=(nines * 10.0).floor() as i32).map(|step| at(share(step))).collect()
    });
    let names = || row.figures.keys().map(String::as_str);
    Ok(Shown {
        scenario: &row.scenario,
        subject: &row.subject,
        conditions: &row.conditions,
        figures: names()
            .filter_map(|name| quote(row, name).figure().map(|figure| (name, figure.samples.as_slice())))
            .collect(),
        marks: names().filter_map(|name| Some((name, mark(run, row, name)?))).collect(),
        withdrawn: names().filter_map(|name| Some((name, quote(row, name).reason()?))).collect(),
        shares,
        invalid: &row.invalid,
    })
}

/// Rounded to six digits, so that every machine writes the same.
fn round(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
