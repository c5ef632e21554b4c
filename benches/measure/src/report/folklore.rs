//! `docs/folklore.md`: common claims, each with measured figures and a verdict that is calculated from intervals.
//!
//! The text is in `folklore.md.in` beside this file. Double braces in it are replaced:
//!
//! - `{{KEY}}`: a figure with its interval and unit.
//! - `{{times N KEY}}`: a figure times N.
//! - `{{ratio KEY by KEY}}`: the first figure divided by the second, with the bounds of the extremes.
//! - `{{verdict TEST; TEST …}}`: whether these tests hold. A test is `KEY < KEY`, `KEY > 2 * KEY` or
//!   `KEY < 100`.
//! - `{{see SCENARIO}}`: a link to its tables.
//! - `{{source}}`, `{{machine}}`, `{{made}}`, `{{text}}`: where the figures are from, where and when they were measured,
//!   and with how long a text.
//!
//! On the right side `/SUBJECT` is the key on the left with another subject. An unknown key is an error.

use anyhow::{Context, bail};

use super::key::Key;
use crate::catalogue::topic;
use crate::checkout::Source;
use crate::number::{between, bytes, joined};
use crate::quote::Quote;
use crate::ranking::LEAST_SAMPLES;
use crate::results::{Figure, Run};

const TEMPLATE: &str = include_str!("folklore.md.in");

/// What a test says about a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Holds,
    Fails,
    /// The runs overlap. `size`: the claim is about the size of a difference.
    Open {
        size: bool,
    },
    TooFew,
    /// A figure of the test is withdrawn.
    Withdrawn,
    NotMeasured,
}

/// The whole page.
pub(super) fn page(source: &Source) -> anyhow::Result<String> {
    fill(TEMPLATE, source)
}

/// Fills a template in.
pub(super) fn fill(template: &str, source: &Source) -> anyhow::Result<String> {
    let (mut page, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once("{{") {
        let (directive, after) = after.split_once("}}").context("a brace is not closed")?;
        page += before;
        page += &value(directive.trim(), source).with_context(|| format!("in {{{{{directive}}}}}"))?;
        rest = after;
    }
    Ok(page + rest)
}

fn value(directive: &str, source: &Source) -> anyhow::Result<String> {
    let run = &source.run;
    let (verb, rest) = directive.split_once(' ').unwrap_or((directive, ""));
    match verb {
        "verdict" => verdict(rest, run),
        "ratio" => {
            let (one, other) = rest.split_once(" by ").context("a ratio is KEY by KEY")?;
            let one = Key::parse(one)?;
            ratio(&one, &beside(other, &one)?, run)
        }
        "times" => {
            let (count, key) = rest.split_once(' ').context("it is times N KEY")?;
            times(count.parse().context("times takes a number")?, &Key::parse(key)?, run)
        }
        "see" => see(rest, run),
        "source" => Ok(source.file.clone()),
        "machine" => {
            Ok(format!("{} cores of {}, {}", run.machine.cores, run.machine.processor, run.machine.kernel))
        }
        "made" => Ok(format!("{}, commit `{}`", run.made, run.commit)),
        "text" => Ok(run.method.text_bytes.to_string()),
        _ => times(1.0, &Key::parse(directive)?, run),
    }
}

/// A key, or `/SUBJECT` for the left key with another subject.
fn beside(text: &str, other: &Key) -> anyhow::Result<Key> {
    let text = text.trim();
    match text.strip_prefix('/') {
        Some(subject) => Key::parse(&other.of(subject).to_string()),
        None => Key::parse(text),
    }
}

fn times(count: f64, key: &Key, run: &Run) -> anyhow::Result<String> {
    let figure = match key.find(run)? {
        Quote::Figure(figure) => figure,
        none @ (Quote::Invalid | Quote::Withdrawn(_) | Quote::NotMeasured) => return Ok(none.words("")),
    };
    let (least, most) = figure.interval();
    let (factor, unit) = unit(key.unit(), figure.median() * count);
    let scaled = |value: f64| value * count * factor;
    Ok(joined(&between(scaled(figure.median()), scaled(least), scaled(most)), unit))
}

/// The unit that fits a value, and the factor for it.
fn unit(unit: &'static str, value: f64) -> (f64, &'static str) {
    match unit {
        "B" => {
            let (scaled, unit) = bytes(value);
            (if value == 0.0 { 1.0 } else { scaled / value }, unit)
        }
        "KiB" if value >= 1024.0 * 1024.0 => (1.0 / (1024.0 * 1024.0), "GiB"),
        "KiB" if value >= 1024.0 => (1.0 / 1024.0, "MiB"),
        "ms" if value >= 10_000.0 => (1e-3, "s"),
        _ => (1.0, unit),
    }
}

fn ratio(one: &Key, other: &Key, run: &Run) -> anyhow::Result<String> {
    let (one, other) = match (one.find(run)?, other.find(run)?) {
        (Quote::Figure(one), Quote::Figure(other)) => (one, other),
        (Quote::Figure(_), none) | (none, _) => return Ok(none.words("")),
    };
    let ((least, most), (from, to)) = (one.interval(), other.interval());
    if from <= 0.0 {
        return Ok("no ratio, since the other may be nothing".to_owned());
    }
    Ok(joined(&between(one.median() / other.median(), least / to, most / from), "×"))
}

fn see(scenario: &str, run: &Run) -> anyhow::Result<String> {
    let topic = topic(scenario).with_context(|| format!("there is no scenario {scenario}"))?;
    let there = run.rows(scenario).next().is_some();
    let anchor = if there { slug(topic.title) } else { "not-measured-in-this-run".to_owned() };
    Ok(format!("[{}](results.md#{anchor})", topic.title))
}

/// The anchor of a heading, as GitHub and mdBook make it.
pub(super) fn slug(heading: &str) -> String {
    let kept = heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .collect::<String>();
    kept.replace(' ', "-")
}

fn verdict(tests: &str, run: &Run) -> anyhow::Result<String> {
    let outcomes = tests.split(';').map(|text| test(text, run)).collect::<anyhow::Result<Vec<Outcome>>>()?;
    let told: Vec<Outcome> =
        outcomes.iter().copied().filter(|outcome| *outcome != Outcome::NotMeasured).collect();
    let all = |one: fn(&Outcome) -> bool| told.iter().all(one);
    let word = if told.is_empty() {
        "Not measured"
    } else if told.contains(&Outcome::Withdrawn) {
        "Not judged"
    } else if all(|outcome| *outcome == Outcome::Holds) {
        "Supported"
    } else if all(|outcome| *outcome == Outcome::Fails) {
        "Refuted"
    } else if told.contains(&Outcome::TooFew) {
        "Cannot tell: too few runs"
    } else if all(|outcome| *outcome == Outcome::Open { size: false }) {
        "Not clearly apart"
    } else if all(|outcome| matches!(outcome, Outcome::Open { .. })) {
        "Cannot tell"
    } else {
        "It depends"
    };
    let count = |one: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| one(outcome)).count();
    let counts = [
        (count(|outcome| *outcome == Outcome::Holds), "holds", "hold"),
        (count(|outcome| *outcome == Outcome::Fails), "fails", "fail"),
        (
            count(|outcome| matches!(outcome, Outcome::Open { .. })),
            "is not clearly apart",
            "are not clearly apart",
        ),
        (count(|outcome| *outcome == Outcome::TooFew), "has too few runs", "have too few runs"),
        (
            count(|outcome| *outcome == Outcome::Withdrawn),
            "rests on a withdrawn figure",
            "rest on withdrawn figures",
        ),
        (count(|outcome| *outcome == Outcome::NotMeasured), "was not measured", "were not measured"),
    ];
    let counts = counts.into_iter().filter(|(count, ..)| *count > 0);
    let words: Vec<String> =
        counts.map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many })).collect();
    let tests = if outcomes.len() == 1 { "one test".to_owned() } else { format!("{} tests", outcomes.len()) };
    Ok(format!("**{word}.** Of {tests} {}.", words.join(", ")))
}

fn test(text: &str, run: &Run) -> anyhow::Result<Outcome> {
    let (left, right, less) = match (text.split_once('<'), text.split_once('>')) {
        (Some((left, right)), None) => (left, right, true),
        (None, Some((left, right))) => (left, right, false),
        _ => bail!("{text:?} is no test; write KEY < KEY"),
    };
    let key = Key::parse(left)?;
    let (factor, right) = match right.split_once('*') {
        Some((factor, right)) => {
            (factor.trim().parse::<f64>().context("a factor is a number")?, right.trim())
        }
        None => (1.0, right.trim()),
    };
    let limit = right.parse::<f64>().ok();
    let other = match limit {
        Some(limit) => Figure { unit: String::new(), samples: vec![limit; LEAST_SAMPLES] },
        None => match beside(right, &key)?.find(run)? {
            Quote::Figure(other) => other.clone(),
            Quote::Withdrawn(_) => return Ok(Outcome::Withdrawn),
            Quote::Invalid | Quote::NotMeasured => return Ok(Outcome::NotMeasured),
        },
    };
    let figure = match key.find(run)? {
        Quote::Figure(figure) => figure,
        Quote::Withdrawn(_) => return Ok(Outcome::Withdrawn),
        Quote::Invalid | Quote::NotMeasured => return Ok(Outcome::NotMeasured),
    };
    let scaled = Figure { samples: other.samples.iter().map(|sample| sample * factor).collect(), ..other };
    Ok(if figure.samples.len().min(scaled.samples.len()) < LEAST_SAMPLES {
        Outcome::TooFew
    } else if !figure.apart_from(&scaled) {
        Outcome::Open { size: factor != 1.0 || limit.is_some() }
    } else if (figure.median() < scaled.median()) == less {
        Outcome::Holds
    } else {
        Outcome::Fails
    })
}
