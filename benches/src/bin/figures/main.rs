//! The figures that no bench can show: of whole processes, with much in their log or many connections.
//!
//! Everything runs on this machine, over the loopback interface, on Linux (`/proc` tells what a process takes).

mod idle;
mod log;
mod process;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use chat_core::run::execute;
use clap::{Parser, Subcommand};

/// Measures start-up, resume and memory of the launcher, in processes of its own.
///
/// Build the launcher first: cargo build --release
#[derive(Debug, Parser)]
#[command(name = "figures", version)]
struct Options {
    #[command(subcommand)]
    figure: Figure,
    /// How often each is measured, in turns
    #[arg(long, global = true, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// The launcher [default: beside this program]
    #[arg(long, global = true, value_name = "PATH")]
    lab: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Figure {
    /// How long a start takes with a long log, and how fast a client reads on that was away for long
    Log {
        /// Messages in the log
        #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        messages: u64,
        /// How many of them the client missed
        #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        missed: u64,
    },
    /// How much memory of the process an idle connection takes
    Idle {
        /// Connections, each of a user of its own
        #[arg(long, default_value_t = 5_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        connections: u32,
    },
}

fn main() -> ExitCode {
    let options = Options::parse();
    execute(measure(options))
}

async fn measure(options: Options) -> anyhow::Result<()> {
    let lab = match options.lab {
        Some(lab) => lab,
        None => std::env::current_exe()?.with_file_name("lab"),
    };
    let found = lab.is_file().then_some(()).with_context(|| format!("{} is missing", lab.display()));
    found.context("build the launcher first: cargo build --release")?;
    println!("{}\n", machine()?);
    match options.figure {
        Figure::Log { messages, missed } => {
            log::measure(&lab, options.runs, messages, missed.min(messages)).await
        }
        Figure::Idle { connections } => idle::measure(&lab, options.runs, connections).await,
    }
}

/// Where this was measured.
fn machine() -> anyhow::Result<String> {
    let read = |path: &str| std::fs::read_to_string(path).map(|text| text.trim().to_owned());
    let cores = std::thread::available_parallelism()?;
    let processor = read("/proc/cpuinfo")?;
    let model = processor.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let model = model.trim_start_matches(['\t', ':', ' ']);
    let (kernel, load) = (read("/proc/sys/kernel/osrelease")?, read("/proc/loadavg")?);
    Ok(format!("{cores} cores of {model}, Linux {kernel}, load average {load}"))
}

/// Some measurements of one thing.
#[derive(Debug, Default, Clone)]
struct Sample(Vec<f64>);

impl Sample {
    fn add(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }
}

/// The middle one, and the smallest and largest.
impl std::fmt::Display for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Some(least), Some(most)) = (self.0.first(), self.0.last()) else { return f.write_str("–") };
        let middle = self.0[self.0.len() / 2];
        let digits = if *most < 100.0 { 1 } else { 0 };
        f.pad(&format!("{middle:.digits$} ({least:.digits$}–{most:.digits$})"))
    }
}
