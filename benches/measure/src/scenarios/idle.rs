//! Idle connections: what the process and the kernel keep for each, and what they give back.
//!
//! Connections are bare clients that nobody reads, each of a user of its own. Limits that
//! would end them are raised, so that nothing happens while memory is read.

use std::time::Duration;

use anyhow::Context;
use chat_core::auth::Token;
use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::{sleep, timeout};

use crate::bare::Bare;
use crate::crowd::AT_ONCE;
use crate::process::{Process, kernel_memory_kib};
use crate::recorder::Recorder;
use crate::settings::Settings;
use crate::subject::Subject;

/// How long the server may take until all are there, or gone, and its memory rests.
const SETTLING: Duration = Duration::from_secs(60);

/// The time between two looks at the memory; it rests when they differ by less than a thousandth.
const LOOKS: Duration = Duration::from_millis(250);

/// The same once all have left: longer than the grace and the second between two looks that the server takes at its
/// crowd, so memory that rests meanwhile is not about to be given back.
const LOOKS_AFTER: Duration = Duration::from_millis(1_500);

/// The time between two looks at a gauge.
const AGAIN: Duration = Duration::from_millis(10);

/// Connections that are open, that of the question included.
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
    let connections = settings.full_or_quick(5_000, 300);
    let process = Process::start(&FLAGS).await?;
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
        // No storm: what many requests take that come at once is not what idle connections take.
        if subject != Subject::ShortPoll {
            wait_for(&process, subject, SESSIONS, |served| served >= open.len() as f64).await?;
        }
    }
    let (full, kernel_full) = (settle(&process, LOOKS).await?, kernel_memory_kib()?);
    drop(open);
    wait_for(&process, subject, CONNECTIONS, |open| open <= 1.0).await?;
    // Users are let go after their grace, and free memory then goes back to the system.
    let left = settle(&process, LOOKS_AFTER).await?;
    let each = |kib: f64| kib / connections as f64;
    let row = recorder.row("idle", subject, &[("clients", connections as f64)]);
    row.add("process_kib", each(full - empty));
    // Client and server are on this machine, so half of the sockets are the client's.
    row.add("kernel_kib", each(kernel_full - kernel_empty) / 2.0);
    row.add("kept_kib", each(left - empty));
    process.stop().await
}

/// Waits until one of the server's gauges is where it should be.
async fn wait_for(
    process: &Process,
    subject: Subject,
    gauge: &str,
    is_reached: impl Fn(f64) -> bool,
) -> anyhow::Result<()> {
    let server = if subject == Subject::ShortPoll { Subject::LongPoll } else { subject };
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
    timeout(SETTLING, waiting).await.context("connections are missing, or do not end")?
}

/// The memory of a process in KiB, once it rests.
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
    timeout(SETTLING, settling).await.context("the memory does not come to rest")?
}
