//! A server's process: starting it, reading its usage from `/proc`, ending it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::read_to_string;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use chat_client::Target;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::serve::{API, Addresses};
use crate::subject::Subject;

/// The servers' flags that differ from their defaults: no rate limits, and cheap password hashes.
pub(crate) const FLAGS: [&str; 14] = [
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

/// How long a server may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server.
pub(crate) struct Process {
    child: Child,
    id: u32,
    addresses: Addresses,
    /// The directory of its database, deleted with this value.
    _directory: Option<TempDir>,
}

impl Process {
    /// Starts a server with these additional flags and an empty database on the disk.
    pub(crate) async fn start(flags: &[&str]) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let database = directory.path().join("chat.db");
        let mut process = Self::start_on(&database, flags).await?;
        process._directory = Some(directory);
        Ok(process)
    }

    /// Starts a server with this database.
    pub(crate) async fn start_on(database: &std::path::Path, flags: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("serve").arg("--database").arg(database).args(FLAGS).args(flags);
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("stdout is piped")?).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.context("the server does not start")??;
        let addresses = serde_json::from_str(&line.context("the server did not start")?)?;
        let id = child.id().context("it runs")?;
        Ok(Self { child, id, addresses, _directory: None })
    }

    /// The address of a subject's server.
    pub(crate) fn address(&self, subject: Subject) -> std::net::SocketAddr {
        let server = match subject {
            Subject::Transport(transport) => transport.program.name,
            Subject::Server => API,
            Subject::Tcp => return self.addresses.tcp,
        };
        self.addresses.servers[server]
    }

    /// A subject's server, as its clients address it.
    pub(crate) fn target(&self, subject: Subject) -> Target {
        Target::new(&format!("http://{}", self.address(subject)))
    }

    /// Shuts it down as Ctrl-C does, and waits until it has ended.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let asked = Command::new("kill").args(["-s", "TERM"]).arg(self.id.to_string()).status().await?;
        let ended = timeout(PATIENCE, self.child.wait()).await.context("the server does not stop")??;
        if !asked.success() || !ended.success() {
            bail!("the server did not shut down cleanly");
        }
        Ok(())
    }

    /// Kills it, so that it cannot shut down cleanly.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// What its threads have used so far.
    pub(crate) fn usage(&self) -> anyhow::Result<Look> {
        Look::at(&self.id.to_string())
    }

    /// Its resident memory, in KiB ([proc_pid_status]).
    ///
    /// [proc_pid_status]: https://man7.org/linux/man-pages/man5/proc_pid_status.5.html
    pub(crate) fn memory_kib(&self) -> anyhow::Result<f64> {
        field(&read_to_string(format!("/proc/{}/status", self.id))?, "VmRSS:")
    }
}

/// What a process used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Usage {
    /// Processor time.
    pub(crate) cpu: Duration,
    /// How often a processor switched to one of its threads.
    pub(crate) context_switches: f64,
}

/// What each thread of a process has used since it began, by the thread's number.
#[derive(Debug)]
pub(crate) struct Look(HashMap<OsString, Usage>);

impl Look {
    /// Reads the usage of a process by its number; `self` is this process.
    pub(crate) fn at(process: &str) -> anyhow::Result<Self> {
        let mut threads = HashMap::new();
        for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
            let task = task?;
            // A thread may end between the listing and the reading.
            let (Ok(times), Ok(status)) =
                (read_to_string(task.path().join("schedstat")), read_to_string(task.path().join("status")))
            else {
                continue;
            };
            let ran = times.split_whitespace().next().context("schedstat begins with the time run")?;
            let cpu = Duration::from_nanos(ran.parse()?);
            let context_switches =
                field(&status, "voluntary_ctxt_switches:")? + field(&status, "nonvoluntary_ctxt_switches:")?;
            threads.insert(task.file_name(), Usage { cpu, context_switches });
        }
        Ok(Self(threads))
    }

    /// What was used since an earlier look. The count of a thread ends with the thread, so only threads that still run
    /// are counted.
    pub(crate) fn since(&self, earlier: &Self) -> Usage {
        let mut used = Usage::default();
        for (thread, now) in &self.0 {
            let then = earlier.0.get(thread).copied().unwrap_or_default();
            used.cpu += now.cpu.saturating_sub(then.cpu);
            used.context_switches += now.context_switches - then.context_switches;
        }
        used
    }
}

/// The kernel's memory on the whole machine, in KiB: its slabs and the buffers of sockets.
pub(crate) fn kernel_memory_kib() -> anyhow::Result<f64> {
    const PAGE_KIB: f64 = 4.0;
    let slab = field(&read_to_string("/proc/meminfo")?, "Slab:")?;
    let sockets = read_to_string("/proc/net/sockstat")?;
    let tcp = sockets.lines().find(|line| line.starts_with("TCP:")).context("sockstat has TCP")?;
    let pages = tcp.split_whitespace().last().context("sockstat ends with pages")?;
    Ok(slab + pages.parse::<f64>()? * PAGE_KIB)
}

/// The number in the line that begins with this name.
pub(crate) fn field(text: &str, name: &str) -> anyhow::Result<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    Ok(line.split_whitespace().next().context("a number")?.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Threads that hash passwords end later. Their time must not be subtracted from that of the others.
    #[test]
    fn a_thread_that_ends_takes_nothing_from_the_others() {
        let look = |threads: &[(&str, u64)]| {
            let used = |&(thread, ms): &(&str, u64)| {
                let cpu = Duration::from_millis(ms);
                (OsString::from(thread), Usage { cpu, context_switches: ms as f64 })
            };
            Look(threads.iter().map(used).collect())
        };
        let (before, after) = (look(&[("1", 10), ("2", 500)]), look(&[("1", 14), ("3", 2)]));
        let used = Usage { cpu: Duration::from_millis(6), context_switches: 6.0 };
        assert_eq!(after.since(&before), used);
    }
}
