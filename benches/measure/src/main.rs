//! The measuring program: every transport under one chat, measured by one method, and what the figures say.
//!
//! Read the modules in this order; arrows between them run one way, from later to earlier:
//!
//! 1. `clock`, `say`: waiting for a moment; writing to stdout
//! 2. `results`, `number`, `catalogue`: the form of a file of results; numbers and names as people read them
//! 3. `floor`, `subject`: a bare TCP broadcast, the floor; everything that is compared
//! 4. `latencies`, `recorder`: percentiles; collecting the samples of a run
//! 5. `serve`, `process`, `machine`: the measured servers in a process of their own, and the machine around them
//! 6. `bare`, `crowd`: the smallest client of each transport; the users of a scenario
//! 7. `link`, `lateness`, `load`: a connection that counts its bytes; sending on time, and counting what arrives
//! 8. `settings`, `scenarios`: what is measured, and how
//! 9. `quote`, `ranking`: which figures may be quoted; which transports are ahead
//! 10. `table`, `threshold`, `run`: a whole run, and what it prints
//! 11. `checkout`, `compare`, `advise`, `report`: what reads kept results, and measures nothing

mod advise;
mod bare;
mod catalogue;
mod checkout;
mod clock;
mod compare;
mod crowd;
mod floor;
mod latencies;
mod lateness;
mod link;
mod load;
mod machine;
mod number;
mod process;
mod quote;
mod ranking;
mod recorder;
mod report;
mod results;
mod run;
mod say;
mod scenarios;
mod serve;
mod settings;
mod subject;
mod table;
mod threshold;

use std::process::ExitCode;

use chat_core::run::execute;
use clap::{Parser, Subcommand};

use crate::settings::Scope;

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
            Action::Run(options) => code = exit(run::run(options, Scope::Comparison).await?),
            Action::Floor(options) => code = exit(run::run(options, Scope::Floor).await?),
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
