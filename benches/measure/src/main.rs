//! The measuring program: every transport under one chat, measured by one method, and what the figures say.
//!
//! Read the modules in this order. Each module uses only modules above it:
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
//! 11. `checkout`, `compare`, `advise`, `report`: the modules that read kept results, and measure nothing

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

use chat_http::run::execute;
use clap::{Parser, Subcommand};

use crate::settings::Scope;

/// Measure WebSocket, SSE, long polling and short polling under one chat, by one method.
#[derive(Debug, Parser)]
#[command(name = "measure", bin_name = "cargo measure", version)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
struct Options {
    #[command(subcommand)]
    action: Action,
}

const EXAMPLES: &str = "\
Examples:
  Measure everything, in less than three minutes:
    cargo measure run --quick
  Compare two results:
    cargo measure compare before.json after.json
  Ask which transport fits a chat:
    cargo measure advise --rate 0.2/s --rtt 80ms --clients 5000
  Check that the pages show the newest results:
    cargo measure report --check";

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed, or some rows are invalid, or a page is stale
  2    wrong usage
  3    a figure broke a rule of --fail-if
  4    the figures do not tell which transport fits
  130  interrupted";

#[derive(Debug, Subcommand)]
enum Action {
    /// Measure, and write the results to a file (half an hour; 3 minutes with --quick)
    Run(run::Options),
    /// Measure the floor alone: a bare TCP broadcast, this machine's limit
    Floor(run::Options),
    /// Compare two results, figure by figure
    Compare(compare::Options),
    /// Render the pages and charts from results, or check that they are up to date
    Report(report::Options),
    /// Say which transport fits a chat, from measured figures
    Advise(advise::Options),
    /// Serve one chat over every transport, until it is stopped
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

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory};

    use super::*;

    /// The program and its commands, ready to print their help on a terminal of 80 columns.
    fn commands() -> Vec<Command> {
        let mut program = Options::command().term_width(80);
        program.build();
        let commands = program.get_subcommands().filter(|command| !command.is_hide_set());
        let commands = commands.filter(|command| command.get_name() != "help").cloned();
        commands.chain([program.clone()]).collect()
    }

    #[test]
    fn every_help_fits_a_terminal_and_has_examples_and_exit_codes() {
        for mut command in commands() {
            let name = command.get_name().to_owned();
            let (short, long) = (command.render_help().to_string(), command.render_long_help().to_string());
            assert!(short.contains("Examples:") && long.contains("Examples:"), "{name}: {long}");
            assert!(long.contains("Exit codes:") && long.contains("\n  2    wrong usage"), "{name}: {long}");
            for line in short.lines().chain(long.lines()) {
                assert!(line.chars().count() <= 80, "{name}: {line}");
            }
        }
    }

    #[test]
    fn every_example_is_a_command_that_exists() {
        for mut command in commands() {
            let help = command.render_long_help().to_string();
            let examples = help.lines().filter_map(|line| line.trim_start().strip_prefix("cargo measure "));
            let mut count = 0;
            for example in examples {
                let words = example.split_whitespace().map(|word| word.trim_matches('\''));
                // A rule in quotes is one word for a shell.
                let words: Vec<&str> = words.take_while(|word| *word != "--fail-if").collect();
                Options::try_parse_from([&["measure"], &words[..]].concat())
                    .unwrap_or_else(|error| panic!("{example}: {error}"));
                count += 1;
            }
            assert!(count > 0, "{}", command.get_name());
        }
    }
}
