//! The verdict in sentences: which transports fit, why the others do not, what does not matter, and what to doubt.

use std::collections::BTreeMap;

use super::model::{Estimate, Model, Wish};
use super::verdict::{Choice, Criterion, Rank, Standing, Verdict};
use crate::catalogue::title;
use crate::number::{between, bytes, capital, joined, plain};
use crate::results::Run;

/// Two to six sentences.
pub(crate) fn sentences(
    run: &Run,
    model: &Model,
    wish: &Wish,
    estimates: &[Estimate],
    verdict: &Verdict,
) -> Vec<String> {
    let mut sentences = vec![choice(&verdict.choice, model, wish, estimates)];
    if verdict.choice != Choice::CannotTell {
        sentences.extend(unsure(estimates, verdict));
        sentences.extend(outside(verdict));
        sentences.extend(costs(verdict));
        sentences.extend(indifferent(verdict));
        sentences.extend(ties(verdict));
    }
    sentences.push(doubts(run, model, wish, verdict));
    sentences
}

fn choice(choice: &Choice, model: &Model, wish: &Wish, estimates: &[Estimate]) -> String {
    match choice {
        Choice::Fit(subjects) if subjects.len() == model.transports.len() => {
            "It does not matter which transport you take: no two of them differ by so much that people would notice.".to_owned()
        }
        Choice::Fit(subjects) => match &subjects[..] {
            [one] => format!("{} fits: it alone is behind in nothing that matters.", capital(title(one))),
            many => {
                let none = if many.len() == 2 { "neither" } else { "none of them" };
                let many = capital(&list(many));
                format!("{many} fit, and between them it does not matter: {none} is behind in anything that people would notice.")
            }
        },
        Choice::Trade(subjects) => {
            let verb = if subjects.len() == 1 { "is" } else { "are" };
            format!("Every transport is behind in something; {} {verb} ahead in what people notice first.", list(subjects))
        }
        Choice::CannotTell => cannot_tell(model, wish, estimates),
    }
}

/// Why there is no advice.
fn cannot_tell(model: &Model, wish: &Wish, estimates: &[Estimate]) -> String {
    let mut why = model.beyond(wish);
    if why.is_empty() {
        why = lacking(estimates.iter());
    }
    if why.is_empty() {
        why.push("these results have fewer than three runs of a figure that advice needs".to_owned());
    }
    format!("Cannot tell which transport fits: {}.", why.join("; "))
}

/// The transports that are behind in no known figure, and which of their figures are unknown.
fn unsure(estimates: &[Estimate], verdict: &Verdict) -> Option<String> {
    let is_open = |one: &&Estimate| {
        let is_behind = verdict.criteria.iter().any(|criterion| criterion.is_behind(one.subject));
        !is_behind && !chosen(&verdict.choice).contains(&one.subject)
    };
    let why = lacking(estimates.iter().filter(is_open));
    (!why.is_empty()).then(|| format!("Cannot tell about the others: {}.", why.join("; ")))
}

/// Which figures of these transports are unknown, and why.
fn lacking<'a>(estimates: impl Iterator<Item = &'a Estimate>) -> Vec<String> {
    let mut lacking: BTreeMap<(&'static str, &str), Vec<&str>> = BTreeMap::new();
    for estimate in estimates {
        for (name, why) in &estimate.lacking {
            lacking.entry((*name, why.as_str())).or_default().push(estimate.subject);
        }
    }
    let words = |((name, why), subjects): (_, Vec<&str>)| {
        format!("{} of {} is {why}", subject(name), list(&subjects))
    };
    lacking.into_iter().map(words).collect()
}

/// Why the others do not fit: for each, the criterion in which it is furthest behind.
fn outside(verdict: &Verdict) -> Option<String> {
    let chosen = chosen(&verdict.choice);
    let mut subjects: Vec<&str> = Vec::new();
    for standing in verdict.criteria.iter().flat_map(|criterion| &criterion.standings) {
        if !chosen.contains(&standing.subject) && !subjects.contains(&standing.subject) {
            subjects.push(standing.subject);
        }
    }
    let reasons: Vec<String> =
        subjects.into_iter().filter_map(|subject| Some(worst(verdict, subject)?.2)).collect();
    (!reasons.is_empty()).then(|| capital(&format!("{}.", reasons.join("; "))))
}

/// The price of a choice that is a trade.
fn costs(verdict: &Verdict) -> Option<String> {
    let Choice::Trade(subjects) = &verdict.choice else { return None };
    let costs: Vec<String> = subjects.iter().filter_map(|subject| Some(worst(verdict, subject)?.2)).collect();
    (!costs.is_empty()).then(|| format!("The price of this choice: {}.", costs.join("; ")))
}

/// The criterion in which a transport is furthest behind, in words.
fn worst<'a>(verdict: &'a Verdict, subject: &str) -> Option<(f64, &'a Criterion, String)> {
    let behind =
        verdict.criteria.iter().filter(|criterion| criterion.is_known() && criterion.is_behind(subject));
    let told = behind.filter_map(|criterion| {
        let (standing, best) = (criterion.standing(subject)?, criterion.best()?);
        let lag = (standing.value.median - best.value.median) / criterion.noticed;
        let words = format!(
            "{} needs {} where {} needs {}, and {} is where it begins to matter",
            title(subject),
            amount(criterion, standing),
            title(best.subject),
            amount(criterion, best),
            limit(criterion)
        );
        Some((lag, criterion, words))
    });
    told.max_by(|one, other| one.0.total_cmp(&other.0))
}

/// The criteria in which transports differ, but by too little to matter.
fn indifferent(verdict: &Verdict) -> Option<String> {
    let close = |criterion: &&Criterion| {
        criterion.is_known()
            && !criterion.matters()
            && criterion.standings.iter().any(|one| one.rank == Rank::Close)
    };
    let told: Vec<String> = verdict
        .criteria
        .iter()
        .filter(close)
        .map(|criterion| {
            let medians = || criterion.standings.iter().map(|standing| standing.value.median);
            let apart = medians().fold(f64::NEG_INFINITY, f64::max) - medians().fold(f64::INFINITY, f64::min);
            format!(
                "{} ({} between the least and the most, below {})",
                subject(criterion.name),
                scaled(criterion, apart),
                limit(criterion)
            )
        })
        .collect();
    (!told.is_empty()).then(|| format!("What differs too little to matter: {}.", told.join(", ")))
}

/// The criteria in which transports are not clearly apart.
fn ties(verdict: &Verdict) -> Option<String> {
    let tied = |criterion: &Criterion| {
        let level = criterion.standings.iter().filter(|one| matches!(one.rank, Rank::Best | Rank::Level));
        let level: Vec<&str> = level.map(|standing| standing.subject).collect();
        (criterion.is_known() && level.len() > 1)
            .then(|| format!("{} of {}", subject(criterion.name), list(&level)))
    };
    let ties: Vec<String> = verdict.criteria.iter().filter_map(tied).collect();
    (!ties.is_empty()).then(|| format!("Not clearly apart: {}.", ties.join("; ")))
}

/// What the calculation leaves out, so that a reader can doubt it.
fn doubts(run: &Run, model: &Model, wish: &Wish, verdict: &Verdict) -> String {
    let mut doubts = vec![format!(
        "this is calculated from texts of {} bytes on {} cores of {} without TLS or a proxy",
        model.text_bytes, run.machine.cores, run.machine.processor
    )];
    if let Some([(slowest, _), _]) = model.edges().filter(|[(slowest, _), _]| wish.rate_per_s < *slowest) {
        doubts.push(format!("latency is that of single messages, measured at {}/s", plain(slowest)));
    }
    let unknown = verdict.criteria.iter().filter(|criterion| !criterion.is_known());
    let unknown: Vec<&str> = unknown.map(|criterion| subject(criterion.name)).collect();
    if !unknown.is_empty() {
        doubts.push(format!("not compared: {}", unknown.join(", ")));
    }
    if model.transports.iter().all(|transport| transport.send_bytes.is_none()) {
        doubts.push("bytes of sending were not measured and are left out".to_owned());
    }
    format!("{}.", capital(&doubts.join("; ")))
}

fn chosen(choice: &Choice) -> &[&'static str] {
    match choice {
        Choice::Fit(subjects) | Choice::Trade(subjects) => subjects,
        Choice::CannotTell => &[],
    }
}

fn subject(criterion: &'static str) -> &'static str {
    match criterion {
        "bytes" => "bytes on the wire",
        "processor" => "the server's processor time",
        "memory" => "the server's memory",
        name => name,
    }
}

fn amount(criterion: &Criterion, standing: &Standing) -> String {
    let value = standing.value;
    match criterion.name {
        "bytes" => {
            let (scaled, unit) = bytes(value.median);
            let factor = if value.median == 0.0 { 1.0 } else { scaled / value.median };
            format!("{} {unit} an hour", between(scaled, value.least * factor, value.most * factor))
        }
        _ => joined(&value.words(), criterion.unit),
    }
}

/// A difference in the unit of a criterion.
fn scaled(criterion: &Criterion, value: f64) -> String {
    match criterion.name {
        "bytes" => {
            let (value, unit) = bytes(value);
            format!("{} {unit} an hour", plain(value))
        }
        _ => joined(&plain(value), criterion.unit),
    }
}

fn limit(criterion: &Criterion) -> String {
    scaled(criterion, criterion.noticed)
}

/// `WebSocket, SSE and long polling`.
fn list(subjects: &[&str]) -> String {
    let titles: Vec<&str> = subjects.iter().map(|subject| title(subject)).collect();
    match titles.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        Some((last, _)) => (*last).to_owned(),
        None => "none".to_owned(),
    }
}
