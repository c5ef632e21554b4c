//! A server's process: started, watched through `/proc`, ended.

use std::fs::read_to_string;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use chat_core::client::Target;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::serve::Addresses;
use crate::subject::Subject;

/// How long a server may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server.
pub(crate) struct Process {
    child: Child,
    id: u32,
    addresses: Addresses,
    /// Where its database is; gone with it.
    _directory: Option<TempDir>,
}

impl Process {
    /// Starts one with an empty database on the disk, and further flags.
    pub(crate) async fn start(flags: &[&str]) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let database = directory.path().join("chat.db");
        let mut process = Self::start_on(&database, flags).await?;
        process._directory = Some(directory);
        Ok(process)
    }

    /// Starts one with a database of the caller's.
    pub(crate) async fn start_on(database: &std::path::Path, flags: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("serve").arg("--database").arg(database).args(crate::FLAGS).args(flags);
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("stdout is piped")?).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.context("the server does not start")??;
        let addresses = serde_json::from_str(&line.context("the server did not start")?)?;
        let id = child.id().context("it runs")?;
        Ok(Self { child, id, addresses, _directory: None })
    }

    /// Where a subject is served.
    pub(crate) fn address(&self, subject: Subject) -> std::net::SocketAddr {
        match subject {
            Subject::WebSocket => self.addresses.websocket,
            Subject::Sse => self.addresses.sse,
            Subject::LongPoll | Subject::ShortPoll | Subject::Server => self.addresses.longpoll,
            Subject::Tcp => self.addresses.tcp,
        }
    }

    /// A client's view of a subject's server.
    pub(crate) fn target(&self, subject: Subject) -> Target {
        Target::new(&format!("http://{}", self.address(subject)))
    }

    /// Ends it as Ctrl-C does, and waits until it has ended.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let asked = Command::new("kill").args(["-s", "TERM"]).arg(self.id.to_string()).status().await?;
        let ended = timeout(PATIENCE, self.child.wait()).await.context("the server does not stop")??;
        if !asked.success() || !ended.success() {
            bail!("the server did not stop in order");
        }
        Ok(())
    }

    /// Ends it without a word.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// What it has used so far.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(&self.id.to_string())
    }

    /// The memory that it has in use, in KiB ([proc_pid_status]).
    ///
    /// [proc_pid_status]: https://man7.org/linux/man-pages/man5/proc_pid_status.5.html
    pub(crate) fn memory_kib(&self) -> anyhow::Result<f64> {
        field(&read_to_string(format!("/proc/{}/status", self.id))?, "VmRSS:")
    }
}

/// What a process has used since it began.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Processor time.
    pub(crate) cpu: Duration,
    /// How often one of its threads was put on a processor.
    pub(crate) context_switches: f64,
}

impl Usage {
    /// Of a process by its number; `self` is this one.
    pub(crate) fn of(process: &str) -> anyhow::Result<Self> {
        let mut usage = Self::default();
        for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
            let task = task?.path();
            // A thread may end between the listing and the reading.
            let (Ok(times), Ok(status)) =
                (read_to_string(task.join("schedstat")), read_to_string(task.join("status")))
            else {
                continue;
            };
            let ran = times.split_whitespace().next().context("schedstat begins with the time run")?;
            usage.cpu += Duration::from_nanos(ran.parse()?);
            usage.context_switches += field(&status, "voluntary_ctxt_switches:")?;
            usage.context_switches += field(&status, "nonvoluntary_ctxt_switches:")?;
        }
        Ok(usage)
    }

    /// What was used since an earlier look.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            context_switches: self.context_switches - earlier.context_switches,
        }
    }
}

/// The kernel's own memory, in KiB: its slabs and the buffers of sockets, for the whole machine.
pub(crate) fn kernel_memory_kib() -> anyhow::Result<f64> {
    const PAGE_KIB: f64 = 4.0;
    let slab = field(&read_to_string("/proc/meminfo")?, "Slab:")?;
    let sockets = read_to_string("/proc/net/sockstat")?;
    let tcp = sockets.lines().find(|line| line.starts_with("TCP:")).context("sockstat has TCP")?;
    let pages = tcp.split_whitespace().last().context("sockstat ends with pages")?;
    Ok(slab + pages.parse::<f64>()? * PAGE_KIB)
}

/// The number behind a name at the beginning of a line.
pub(crate) fn field(text: &str, name: &str) -> anyhow::Result<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    Ok(line.split_whitespace().next().context("a number")?.parse()?)
}
