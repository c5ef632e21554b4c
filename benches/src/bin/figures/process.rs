//! The launcher as a process: started on free ports, watched through `/proc`, ended.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// `/proc/PID/stat` counts processor time in hundredths of a second (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// A running launcher.
pub(crate) struct Process {
    child: Child,
    id: u32,
    /// Kept open: the launcher says goodbye.
    _stdout: Lines<BufReader<ChildStdout>>,
    /// From the start of the process to the line that says where it listens.
    pub(crate) start_up: Duration,
    pub(crate) websocket: SocketAddr,
    pub(crate) sse: SocketAddr,
    pub(crate) longpoll: SocketAddr,
}

/// What a process takes, in KiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) now: f64,
    pub(crate) peak: f64,
}

impl Process {
    /// Starts it with further flags and waits until it listens.
    pub(crate) async fn start(lab: &Path, database: &Path, flags: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(lab);
        for flag in ["--listen", "--websocket", "--sse", "--longpoll"] {
            command.args([flag, "127.0.0.1:0"]);
        }
        command.arg("--database").arg(database).args(["--hash-memory", "8"]).args(flags);
        let begun = Instant::now();
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let mut stdout = BufReader::new(child.stdout.take().context("stdout is piped")?).lines();
        let mut addresses = Vec::new();
        while let Some(line) = stdout.next_line().await? {
            if line.contains("Ctrl-C") {
                break;
            }
            // The table, indented: a label and a URL.
            if let Some((_, url)) = line.strip_prefix("  ").and_then(|row| row.split_once("http://")) {
                addresses.push(url.split('/').next().unwrap_or(url).parse()?);
            }
        }
        let start_up = begun.elapsed();
        let [_, websocket, sse, longpoll, _] = addresses[..] else { bail!("the launcher did not start") };
        let id = child.id().context("it runs")?;
        Ok(Self { child, id, _stdout: stdout, start_up, websocket, sse, longpoll })
    }

    /// Ends it as Ctrl-C does, and waits until it has ended.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let asked = Command::new("kill").args(["-s", "TERM"]).arg(self.id.to_string()).status().await?;
        if !asked.success() || !self.child.wait().await?.success() {
            bail!("the launcher did not stop in order");
        }
        Ok(())
    }

    /// Ends it without a word.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// The memory that it has in use, and had at most ([proc_pid_status]).
    ///
    /// [proc_pid_status]: https://man7.org/linux/man-pages/man5/proc_pid_status.5.html
    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id))?;
        let kib = |name: &str| -> anyhow::Result<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context("/proc has it")?;
            Ok(line.trim_start_matches(':').trim().trim_end_matches("kB").trim().parse()?)
        };
        Ok(Memory { now: kib("VmRSS")?, peak: kib("VmHWM")? })
    }

    /// The processor time that it has used.
    pub(crate) fn processor_time(&self) -> anyhow::Result<Duration> {
        processor_time(&self.id.to_string())
    }
}

/// The processor time that a process has used; `self` is this one.
pub(crate) fn processor_time(process: &str) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // After the name, which may hold anything: utime and stime are the 12th and 13th fields from there.
    let (_, fields) = stat.rsplit_once(')').context("/proc has it")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
    let ticks = ticks.sum::<Result<u32, _>>()?;
    Ok(TICK * ticks)
}
