//! Advice: which transport fits a chat with this rate, round trip and size, calculated from measured figures.

mod model;
mod range;
#[cfg(test)]
mod tests;
mod verdict;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;

pub(crate) use model::{Estimate, Model, Wish};
pub(crate) use verdict::{Choice, Verdict};

use crate::catalogue::title;
use crate::checkout::{Source, checkout};
use crate::number::joined;
use crate::quote::Reason;
use crate::say::say;
use range::Range;

/// The assumed size of a group if there is no `--send-rate`: each member sends an equal share of the messages that all
/// receive.
const GROUP: f64 = 100.0;

/// The same advice for the report's page, calculated by the rules of `model.rs` and `verdict.rs`.
pub(crate) const ADVICE: &str = include_str!("advice.js");

/// The exit code if the figures do not tell which transport fits.
const CANNOT_TELL: u8 = 4;

/// A chat, as its owner describes it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Options {
    /// How many messages each client receives, such as 0.2/s, 6/min or 50/h
    #[arg(long)]
    rate: Rate,
    /// The round trip between clients and server, such as 80ms
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    rtt: std::time::Duration,
    /// How many clients are connected at the same time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    clients: u32,
    /// How many messages each client sends [default: a hundredth of --rate, as in groups of 100]
    #[arg(long, value_name = "RATE")]
    send_rate: Option<Rate>,
    /// The results to calculate from [default: the newest in benches/results]
    #[arg(long, value_name = "PATH")]
    results: Option<PathBuf>,
    /// Print the advice as JSON on stdout, and nothing else there
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  The chat of a company:
    cargo measure advise --rate 0.2/s --rtt 80ms --clients 5000
  A ticker:
    cargo measure advise --rate 50/s --rtt 120ms --clients 200
  A news page:
    cargo measure advise --rate 1/h --rtt 40ms --clients 100000";

const EXIT_CODES: &str = "\
Exit codes:
  0    there is advice
  1    failed
  2    wrong usage
  4    the figures do not tell: the text says why";

/// Messages in a second.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rate(f64);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
        let seconds = match unit.trim() {
            "s" => 1.0,
            "min" | "m" => 60.0,
            "h" => 3_600.0,
            _ => return Err("a rate is a number and /s, /min or /h".to_owned()),
        };
        match number.trim().parse::<f64>() {
            Ok(number) if number.is_finite() && number > 0.0 => Ok(Self(number / seconds)),
            _ => Err("a rate is a number above zero, such as 0.2/s".to_owned()),
        }
    }
}

/// The output of `--json`.
#[derive(Serialize)]
struct Advice<'a> {
    results: &'a str,
    wish: Wish,
    estimates: &'a [Estimate],
    verdict: &'a Verdict,
    sentences: Vec<String>,
    notes: Vec<String>,
}

/// Says which transport fits. The exit code tells scripts whether there is advice.
pub(crate) fn advise(options: &Options) -> anyhow::Result<ExitCode> {
    // With a named file, the current directory need not be in a checkout.
    let root = if options.results.is_some() { PathBuf::new() } else { checkout()? };
    let source = Source::open(&root, options.results.as_deref())?;
    let model = Model::of(&source.run);
    let Rate(rate_per_s) = options.rate;
    let wish = Wish {
        rate_per_s,
        rtt_ms: options.rtt.as_secs_f64() * 1e3,
        clients: f64::from(options.clients),
        send_rate_per_s: options.send_rate.map_or(rate_per_s / GROUP, |Rate(rate)| rate),
    };
    let estimates = model.estimates(&wish);
    let verdict = Verdict::of(&model, &estimates);
    let sentences = words::sentences(&source.run, &model, &wish, &estimates, &verdict);
    let mut withdrawn: Vec<Reason> =
        model.transports.iter().flat_map(|transport| transport.withdrawn.values().copied()).collect();
    withdrawn.sort_unstable();
    withdrawn.dedup();
    let notes: Vec<String> = withdrawn
        .into_iter()
        .map(|one| format!("Withdrawn ({}) until it is measured anew: {}", one.name(), one.note()))
        .collect();
    let code = ExitCode::from(if verdict.choice == Choice::CannotTell { CANNOT_TELL } else { 0 });
    if options.json {
        let advice = Advice {
            results: &source.file,
            wish,
            estimates: &estimates,
            verdict: &verdict,
            sentences,
            notes,
        };
        return say(serde_json::to_string_pretty(&advice)?).map(|()| code);
    }
    say(format_args!("{}\n\n{}", table(&estimates), [sentences, notes].concat().join("\n")))?;
    source.run.warnings.iter().try_for_each(|warning| say(format_args!("Warning: {warning}.")))?;
    say(format_args!(
        "Calculated from {}, measured {} at commit {}.",
        source.file, source.run.made, source.run.commit
    ))?;
    Ok(code)
}

fn table(estimates: &[Estimate]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header([
        "",
        "latency, median",
        "each client, each hour",
        "server's processor",
        "server's memory",
    ]);
    for one in estimates {
        table.add_row([
            title(one.subject).to_owned(),
            cell(one, "latency", one.p50_ms, 1.0, "ms"),
            cell(one, "bytes", one.hourly_bytes, 1e-6, "MB"),
            cell(one, "processor", one.cores, 1.0, "cores"),
            cell(one, "memory", one.memory_mib, 1.0, "MiB"),
        ]);
    }
    table
}

fn cell(one: &Estimate, criterion: &str, range: Option<Range>, factor: f64, unit: &str) -> String {
    match range {
        Some(range) => joined(&(range * factor).words(), unit),
        None => one.lacking.get(criterion).cloned().unwrap_or_default(),
    }
}
