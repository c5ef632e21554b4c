//! A run: every scenario for every subject, and then all of it again for each repetition.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use chat_http::run::{explain, stopped};
use clap::Args;
use futures_util::future::join_all;
use indicatif::{ProgressBar, ProgressStyle};
use longpoll_server::Pace;
use transports::Transport;

use crate::load;
use crate::machine::{commit, load_average, machine, now};
use crate::process::FLAGS;
use crate::recorder::Recorder;
use crate::results::{Method, Run, VERSION};
use crate::scenarios::Scenario;
use crate::settings::{Scope, Settings};
use crate::subject::{EveryTwoSeconds, Subject};
use crate::threshold::Threshold;

/// A load average above this share of the cores, before a run, gives a warning.
const BUSY: f64 = 0.25;

/// How long all scenarios take together, on two cores.
const FULL_RUN: &str = "about half an hour";
const QUICK_RUN: &str = "less than three minutes";

/// What to measure.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Options {
    /// Measure for a shorter time and fewer conditions: the intervals are wider
    #[arg(long)]
    quick: bool,
    /// Measure only these transports; names are separated by commas
    #[arg(long = "transport", value_name = "NAME", value_delimiter = ',')]
    transports: Vec<Transport>,
    /// Measure only these scenarios; names are separated by commas
    #[arg(long = "scenario", value_name = "NAME", value_delimiter = ',')]
    scenarios: Vec<Scenario>,
    /// How often to measure each figure [default: 5, or 2 with --quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    repetitions: Option<u16>,
    /// Write the results to this file
    #[arg(long, value_name = "PATH", default_value = "results.json")]
    output: PathBuf,
    /// Print the results as JSON on stdout, and nothing else there
    #[arg(long)]
    json: bool,
    /// End with exit code 3 if a median breaks this rule, such as 'latency/sse p50 > 5ms'
    #[arg(long = "fail-if", value_name = "RULE")]
    thresholds: Vec<Threshold>,
}

const EXAMPLES: &str = "\
Examples:
  Measure everything, in less than three minutes:
    cargo measure run --quick
  Measure everything, five times, in about half an hour:
    cargo measure run --output mine.json
  Measure two scenarios of one transport:
    cargo measure run --scenario cpu,idle --transport websocket
  Fail if SSE is slower than this:
    cargo measure run --quick --fail-if 'latency/sse p50 > 5ms'";

const EXIT_CODES: &str = "\
Exit codes:
  0    all rows are valid, and no rule is broken
  1    failed, or some rows are invalid: the results say why
  2    wrong usage
  3    a figure broke a rule of --fail-if
  130  interrupted: nothing is written";

/// Measures, writes the results to a file, and returns whether they are valid and break no rule of `--fail-if`.
///
/// If it is interrupted, it undoes what it has changed on the machine, and writes nothing.
pub(crate) async fn run(options: Options, scope: Scope) -> anyhow::Result<Outcome> {
    let stopped = stopped()?;
    tokio::select! {
        outcome = measure(options, scope) => outcome,
        () = stopped => Ok(Outcome::Interrupted),
    }
}

async fn measure(options: Options, scope: Scope) -> anyhow::Result<Outcome> {
    let transports = match scope {
        Scope::Floor => &[],
        Scope::Comparison if options.transports.is_empty() => Transport::started(),
        Scope::Comparison => &options.transports[..],
    };
    let settings = Settings {
        scope,
        quick: options.quick,
        transports: transports.iter().copied().map(Subject::Transport).collect(),
    };
    let repetitions = usize::from(options.repetitions.unwrap_or(settings.full_or_quick(5, 2)));
    let (mut scenarios, mut warnings) = (Vec::new(), Vec::new());
    for scenario in Scenario::ALL {
        if options.scenarios.is_empty() || options.scenarios.contains(&scenario) {
            match scenario.missing() {
                None => scenarios.push(scenario),
                Some(what) => warnings.push(format!("{scenario} was not measured: it needs {what}")),
            }
        }
    }
    // Read now: the checkout may change during the run.
    let (made, commit) = (now(), commit());
    let before = load_average()?;
    let mut recorder = Recorder::default();
    let rounds = rounds(&scenarios, &settings);
    let all = settings.full_or_quick(FULL_RUN, QUICK_RUN);
    eprintln!("Repetitions: {repetitions}. All scenarios together take {all}; a part of them takes less.");
    let progress = progress((rounds.len() * repetitions) as u64);
    let begun = Instant::now();
    for repetition in 1..=repetitions {
        for round in &rounds {
            progress.set_message(format!("{} · {repetition} of {repetitions}", title(round)));
            let measuring = round.iter().map(|&(scenario, subject)| {
                let settings = &settings;
                async move {
                    let mut recorder = Recorder::default();
                    let measured = scenario.measure(subject, settings, &mut recorder).await;
                    (scenario, subject, recorder, measured)
                }
            });
            for (scenario, subject, mut noted, measured) in join_all(measuring).await {
                if let Err(error) = measured {
                    let why = explain(&error);
                    progress.suspend(|| eprintln!("{scenario} of {subject} failed: {why}"));
                    noted.row(scenario.name(), subject, &[]).invalidate(format!("not measured: {why}"));
                }
                recorder.merge(noted)?;
            }
            progress.inc(1);
        }
        if repetition == 1 && repetitions > 1 {
            let took = begun.elapsed();
            let left = took * (repetitions as u32 - 1);
            progress.suspend(|| {
                eprintln!("The first repetition took {}; about {} left.", clock(took), clock(left))
            });
        }
    }
    progress.finish_and_clear();
    let after = load_average()?;
    let mut run = Run {
        version: VERSION,
        made,
        commit,
        machine: machine()?,
        method: Method {
            quick: options.quick,
            repetitions,
            text_bytes: load::TEXT_BYTES,
            short_poll_pause_ms: EveryTwoSeconds::PAUSE.as_millis() as u64,
            network: "loopback, HTTP/1.1 without TLS or compression, TCP_NODELAY at both ends".to_owned(),
            flags: FLAGS.map(str::to_owned).to_vec(),
            load_average: [before, after],
        },
        warnings,
        rows: recorder.finish()?,
    };
    warn(&mut run);
    let json = serde_json::to_string_pretty(&run)?;
    std::fs::write(&options.output, format!("{json}\n")).with_context(|| {
        format!("cannot write {}; choose another file with --output", options.output.display())
    })?;
    if options.json {
        println!("{json}");
    } else {
        crate::table::print(&run);
        eprintln!("Written to {}.", options.output.display());
    }
    let broken: Vec<String> = options.thresholds.iter().flat_map(|rule| rule.broken_by(&run)).collect();
    broken.iter().for_each(|line| eprintln!("{line}"));
    let invalid = run.rows.iter().filter(|row| !row.invalid.is_empty()).count();
    match (invalid, broken.is_empty()) {
        (0, true) => Ok(Outcome::Good),
        (0, false) => Ok(Outcome::Missed),
        (rows, _) => bail!("{rows} rows are invalid; the results say why"),
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All rows are valid, and all rules are kept.
    Good,
    /// A figure broke a rule.
    Missed,
    /// It was interrupted.
    Interrupted,
}

/// What is measured at the same time: first all pairs that mostly wait, then each of the others alone.
fn rounds(scenarios: &[Scenario], settings: &Settings) -> Vec<Vec<(Scenario, Subject)>> {
    let all = scenarios.iter().flat_map(|&scenario| {
        scenario.subjects(settings).into_iter().map(move |subject| (scenario, subject))
    });
    let (patient, busy): (Vec<_>, Vec<_>) =
        all.partition(|(scenario, subject)| scenario.is_patient(*subject));
    let patient = (!patient.is_empty()).then_some(patient);
    patient.into_iter().chain(busy.into_iter().map(|one| vec![one])).collect()
}

fn title(round: &[(Scenario, Subject)]) -> String {
    match round {
        [(scenario, subject)] => format!("{scenario} · {subject}"),
        several => format!("{} that mostly wait, together", several.len()),
    }
}

/// A time in whole seconds: `4m 12s`.
fn clock(time: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(Duration::from_secs(time.as_secs()))
}

/// Adds warnings about what makes the figures less reliable.
fn warn(run: &mut Run) {
    let [before, _] = run.method.load_average;
    if before > BUSY * run.machine.cores as f64 {
        run.warnings.push(format!("the machine was busy before the run began: load average {before:.2}"));
    }
    if run.machine.cores < 4 {
        run.warnings.push(format!(
            "client and server shared {} cores: latencies at high rates hold the client's work too",
            run.machine.cores
        ));
    }
    if run.commit.ends_with("-dirty") {
        run.warnings.push("files differed from the commit".to_owned());
    }
    if cfg!(debug_assertions) {
        run.warnings.push("a debug build: no figure of processor time or latency means anything".to_owned());
    }
    let short = run.method.repetitions;
    if short < 5 {
        run.warnings
            .push(format!("only {short} repetitions: intervals are wide, and few transports can be ranked"));
    }
}

/// A progress bar, on a terminal only.
fn progress(steps: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} · {msg}");
    let bar = ProgressBar::new(steps).with_style(style.expect("the template is well formed"));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
