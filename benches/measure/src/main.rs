//! The comparison: scenarios that measure every transport by one method, and what can be read from them.
//!
//! Reading order: `subject` is what is compared, `load` how messages are sent and counted, `scenarios` what is
//! measured, `results` the form in which it is kept; `report`, `compare` and `advise` only read that form.

mod advise;
mod bare;
mod book;
mod catalogue;
mod clock;
mod compare;
mod crowd;
mod floor;
mod lateness;
mod link;
mod load;
mod machine;
mod number;
mod process;
mod quote;
mod ranking;
mod report;
mod results;
mod run;
mod say;
mod scenarios;
mod serve;
mod subject;
mod table;
mod threshold;

use std::process::ExitCode;

use chat_core::run::execute;
use clap::{Parser, Subcommand};

/// The servers' flags that differ from their defaults: nobody is too fast, and passwords are not what is measured.
const FLAGS: [&str; 14] = [
    "--hash-memory",
    "8",
    "--registrations-per-minute",
    "1000000",
    "--messages-per-second",
    "1000000",
    "--message-burst",
    "1000000",
    "--connections",
    "20000",
    "--connections-per-user",
    "1000",
    "--presence-interval",
    "1h",
];

/// Measures WebSocket, SSE, long polling and short polling under one chat, by one method.
#[derive(Debug, Parser)]
#[command(name = "measure", version, after_help = EXAMPLES)]
struct Options {
    #[command(subcommand)]
    action: Action,
}

const EXAMPLES: &str = "Examples:
  measure run --quick                                      everything, in less than three minutes
  measure run --scenario cpu,idle --transport websocket    two scenarios of one transport
  measure run --quick --fail-if 'latency/sse p50 > 5ms'    exit code 3 if it is slower
  measure compare before.json after.json                   what changed, and what is not clearly apart
  measure advise --rate 0.2/s --rtt 80ms --clients 5000    which transport fits; exit code 4 if it cannot tell";

#[derive(Debug, Subcommand)]
enum Action {
    /// Measures, and writes the results to a file
    Run(run::Options),
    /// Measures only the floor: a bare TCP broadcast, as this machine's limit
    Floor(run::Options),
    /// Compares two runs, figure by figure
    Compare(compare::Options),
    /// Renders results as tables, charts and pages, or checks that what is there is not stale
    Report(report::Options),
    /// Says which transport fits a chat, from what was measured
    Advise(advise::Options),
    /// Serves what is measured, until it is told to stop
    #[command(hide = true)]
    Serve(Box<serve::Options>),
}

fn main() -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    let ended = execute(async {
        match Options::parse().action {
            Action::Run(options) => code = exit(run::run(options, run::Scope::Comparison).await?),
            Action::Floor(options) => code = exit(run::run(options, run::Scope::Floor).await?),
            Action::Compare(options) => compare::compare(&options)?,
            Action::Report(options) => report::report(&options)?,
            Action::Advise(options) => code = advise::advise(&options)?,
            Action::Serve(options) => serve::serve(*options).await?,
        }
        Ok(())
    });
    if ended == ExitCode::SUCCESS { code } else { ended }
}

fn exit(outcome: run::Outcome) -> ExitCode {
    match outcome {
        run::Outcome::Good => ExitCode::SUCCESS,
        run::Outcome::Missed => ExitCode::from(3),
        run::Outcome::Interrupted => ExitCode::from(130),
    }
}
