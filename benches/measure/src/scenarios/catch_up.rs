//! Catching up: clients reconnect all at once, and read the messages that they missed.
//!
//! They are bare clients: the scenario measures how fast the server reads and sends, not how fast a library parses.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use chat_client::Events;
use chat_core::auth::Token;
use chat_core::ids::Cursor;
use chat_core::protocol::Event;
use futures_util::future::try_join_all;
use tokio::time::timeout;

use crate::bare::Bare;
use crate::crowd::{AT_ONCE, Crowd, Writer};
use crate::load::text;
use crate::process::Process;
use crate::recorder::Recorder;
use crate::settings::Settings;
use crate::subject::Subject;

/// How many clients reconnect, and how many messages each has missed: one after a long time, many after a short.
const AWAY: [(usize, usize); 2] = [(1, 10_000), (500, 20)];
const AWAY_QUICK: [(usize, usize); 2] = [(1, 2_000), (100, 20)];

/// The time limit for all clients together.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn measure(
    subject: Subject,
    settings: &Settings,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    for (clients, missed) in settings.full_or_quick(AWAY, AWAY_QUICK) {
        let process = Process::start(&[]).await?;
        let crowd = Crowd::gather(&process, clients).await?;
        let cursor = process.target(subject).snapshot(&crowd.writer.1).await?.cursor;
        let writer = Writer::new(&process, subject, &crowd).await?;
        for first in (0..missed).step_by(AT_ONCE) {
            writer.write((first..missed.min(first + AT_ONCE)).map(text)).await?;
        }
        let server = process.usage()?;
        let begun = Instant::now();
        let reading = crowd.readers.iter().map(|(_, token)| read(&process, subject, token, cursor, missed));
        timeout(PATIENCE, try_join_all(reading)).await.context("the clients do not catch up")??;
        let took = begun.elapsed().as_secs_f64();
        let server = process.usage()?.since(&server);
        let row =
            recorder.row("catch_up", subject, &[("clients", clients as f64), ("missed", missed as f64)]);
        row.add("catch_up_ms", took * 1e3);
        row.add("events_per_s", (clients * missed) as f64 / took);
        row.add("cpu_us", server.cpu.as_secs_f64() * 1e6 / (clients * missed) as f64);
        process.stop().await?;
    }
    Ok(())
}

/// Reads the missed messages, and fails if one is lost, duplicated or out of order.
async fn read(
    process: &Process,
    subject: Subject,
    token: &Token,
    cursor: Cursor,
    missed: usize,
) -> anyhow::Result<()> {
    let mut client = Bare::open(process, subject, token, Some(cursor)).await?;
    let mut last = None;
    for _ in 0..missed {
        let seq = loop {
            if let Event::Message(message) = client.next().await? {
                break message.seq;
            }
        };
        if last.is_some_and(|last| seq != last + 1) {
            bail!("message {seq} came after {last:?}");
        }
        last = Some(seq);
    }
    Ok(())
}
