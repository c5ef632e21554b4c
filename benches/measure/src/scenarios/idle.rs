//! Idle connections: what the process and the kernel keep for each, and what they give back.
//!
//! Each connection is a bare client of a different user, and nothing reads from it. The time limits that would close
//! it are raised, so that nothing happens while memory is read.

use std::time::Duration;

use anyhow::Context;
use chat_core::auth::Token;
use chat_http::Way;
use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::{sleep, timeout};

use crate::bare::Bare;
use crate::crowd::AT_ONCE;
use crate::process::{Process, kernel_memory_kib};
use crate::recorder::Recorder;
use crate::settings::Settings;
use crate::subject::{Subject, condition, flags};

/// The limit for connecting or disconnecting all clients, and for the memory to settle.
const SETTLING: Duration = Duration::from_secs(60);

/// The time between two looks at the memory. It has settled when they differ by less than a thousandth.
const LOOKS: Duration = Duration::from_millis(250);

/// The same after all clients have disconnected. The server returns free memory to the system at the first check after
/// the grace period, and it checks once a second. This time is longer than both together.
const LOOKS_AFTER: Duration = Duration::from_millis(1_500);

/// The time between two looks at a gauge.
const AGAIN: Duration = Duration::from_millis(10);

/// Open connections, including the one that reads the metrics.
const CONNECTIONS: &str = "chat_connections";

/// Streams and polls that are being served.
const SESSIONS: &str = "chat_sessions";

const FLAGS: [&str; 10] = [
    "--header-timeout",
    "10m",
    "--ping-after",
    "10m",
    "--keep-alive",
    "10m",
    "--poll-wait",
    "60s",
    "--grace",
    "200ms",
];

pub(super) async fn measure(
    subject: Subject,
    settings: &Settings,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    for way in subject.ways() {
        measure_way(subject, way, settings, recorder).await?;
    }
    Ok(())
}

async fn measure_way(
    subject: Subject,
    way: Way,
    settings: &Settings,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    let connections = settings.full_or_quick(5_000, 300);
    let process = Process::start(&[&FLAGS, flags(way)].concat()).await?;
    let target = process.target(subject);
    let registering =
        (0..connections).map(|number| {
            let target = &target;
            async move {
                target.register(&format!("user {number}"), "correct horse").await.map(|(_, token)| token)
            }
        });
    let tokens: Vec<Token> = stream::iter(registering).buffer_unordered(8).try_collect().await?;
    drop(target);
    wait_for(&process, subject, CONNECTIONS, |open| open <= 1.0).await?;
    let (empty, kernel_empty) = (settle(&process, LOOKS).await?, kernel_memory_kib()?);
    let mut open = Vec::with_capacity(connections);
    for tokens in tokens.chunks(AT_ONCE) {
        let opening = tokens.iter().map(|token| Bare::open(&process, subject, token, None));
        open.append(&mut try_join_all(opening).await?);
        // A few at a time: many requests at once would need memory that idle connections do not need.
        if !subject.polls_at_intervals() {
            wait_for(&process, subject, SESSIONS, |served| served >= open.len() as f64).await?;
        }
    }
    let (full, kernel_full) = (settle(&process, LOOKS).await?, kernel_memory_kib()?);
    drop(open);
    wait_for(&process, subject, CONNECTIONS, |open| open <= 1.0).await?;
    // The server drops a user's inbox after the grace period, and then returns free memory to the system.
    let left = settle(&process, LOOKS_AFTER).await?;
    let each = |kib: f64| kib / connections as f64;
    let conditions = [&[("clients", connections as f64)], condition(way)].concat();
    let row = recorder.row("idle", subject, &conditions);
    row.add("process_kib", each(full - empty));
    // Both ends are on this machine, so half of the sockets belong to the clients.
    row.add("kernel_kib", each(kernel_full - kernel_empty) / 2.0);
    row.add("kept_kib", each(left - empty));
    process.stop().await
}

/// Waits until a gauge of the server meets this condition.
async fn wait_for(
    process: &Process,
    subject: Subject,
    gauge: &str,
    is_reached: impl Fn(f64) -> bool,
) -> anyhow::Result<()> {
    // The connections of a server are counted under its first transport.
    let server = match subject {
        Subject::Transport(transport) => transport.program.profiles[0].name,
        Subject::Tcp | Subject::Server => subject.name(),
    };
    let series = format!("{gauge}{{transport=\"{server}\"}} ");
    let metrics = format!("http://{}/metrics", process.address(subject));
    let waiting = async {
        loop {
            let text = reqwest::get(&metrics).await?.text().await?;
            let line = text.lines().find_map(|line| line.strip_prefix(&series)).context("no such series")?;
            if is_reached(line.parse()?) {
                return anyhow::Ok(());
            }
            sleep(AGAIN).await;
        }
    };
    timeout(SETTLING, waiting).await.context("not all clients connect, or not all disconnect")?
}

/// The memory of a process in KiB, after it has settled.
async fn settle(process: &Process, looks: Duration) -> anyhow::Result<f64> {
    let settling = async {
        let mut last = process.memory_kib()?;
        loop {
            sleep(looks).await;
            let now = process.memory_kib()?;
            if (now - last).abs() < last / 1_000.0 {
                return anyhow::Ok(now);
            }
            last = now;
        }
    };
    timeout(SETTLING, settling).await.context("the memory does not settle")?
}
