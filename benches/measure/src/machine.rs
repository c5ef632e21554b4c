//! The machine, the commit and the time of a run.

use std::fs::read_to_string;
use std::process::Command;
use std::time::SystemTime;

use anyhow::Context;

use crate::process::field;
use crate::results::Machine;

/// The machine that this runs on.
pub(crate) fn machine() -> anyhow::Result<Machine> {
    let processor = read_to_string("/proc/cpuinfo")?;
    let model = processor.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let kernel = read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(Machine {
        processor: model.trim_start_matches(['\t', ':', ' ']).to_owned(),
        cores: std::thread::available_parallelism()?.get(),
        memory_mib: (field(&read_to_string("/proc/meminfo")?, "MemTotal:")? / 1024.0) as u64,
        // The version only, without what the distribution appends.
        kernel: format!("Linux {}", kernel.trim().split('-').next().unwrap_or_default()),
    })
}

/// The load average over the last minute.
pub(crate) fn load_average() -> anyhow::Result<f64> {
    let averages = read_to_string("/proc/loadavg")?;
    Ok(averages.split_whitespace().next().context("three averages")?.parse()?)
}

/// The commit that is checked out; with `-dirty` if tracked files have changed.
pub(crate) fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output =
            Command::new("git").args(arguments).output().ok().filter(|done| done.status.success())?;
        String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return "unknown".to_owned() };
    match git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|changes| changes.is_empty()) {
        true => commit,
        false => format!("{commit}-dirty"),
    }
}

/// The current time, in RFC 3339.
pub(crate) fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}
