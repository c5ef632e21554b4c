//! A long log: how long a start takes, and how a client fares that missed much of it.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use benches::message;
use chat_core::auth::Token;
use chat_core::client::{Client, Events, Server, Target, read};
use chat_core::ids::Cursor;
use chat_core::protocol::{Done, Event, Reply, To};
use longpoll_server::{LongPollServer, ShortPollServer};
use reqwest::Method;
use sse_server::SseServer;
use ws_server::WsServer;

use crate::Sample;
use crate::process::{Process, processor_time};

/// Messages in one request: as many as an array may have.
const BATCH: u64 = 64;

/// Messages written before a process is killed, so that the next start finds them in the write-ahead log.
const UNTIDY: u64 = 1_000;

const FLAGS: [&str; 4] = ["--messages-per-second", "1000000", "--message-burst", "1000000"];

pub(crate) async fn measure(lab: &Path, runs: u16, messages: u64, missed: u64) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let database = directory.path().join("chat.db");
    let process = Process::start(lab, &database, &FLAGS).await?;
    let target = Target::new(&format!("http://{}", process.sse));
    let (_, ann) = target.register("Ann", "correct horse").await?;
    let (bob, bobs) = target.register("Bob", "correct horse").await?;
    let to = To::User(bob.id);
    // The conversation begins before anything counts: its first event is no message.
    write(&target, &ann, to, 1).await?;
    let begun = Instant::now();
    write(&target, &ann, to, messages - missed).await?;
    let cursor = target.snapshot(&bobs).await?.cursor;
    write(&target, &ann, to, missed).await?;
    println!("{messages} messages written in {:.1} s", begun.elapsed().as_secs_f64());
    process.stop().await?;

    let mut resumes = [WsServer::NAME, SseServer::NAME, LongPollServer::NAME, ShortPollServer::NAME]
        .map(|name| (name, Resume::default()));
    let (mut tidy, mut untidy) = (Sample::default(), Sample::default());
    for _ in 0..runs {
        for (name, resume) in &mut resumes {
            let process = Process::start(lab, &database, &FLAGS).await?;
            tidy.add(process.start_up.as_secs_f64() * 1e3);
            match *name {
                WsServer::NAME => {
                    resume.run::<WsServer>(&process, process.websocket, &bobs, cursor, missed).await?
                }
                SseServer::NAME => {
                    resume.run::<SseServer>(&process, process.sse, &bobs, cursor, missed).await?
                }
                LongPollServer::NAME => {
                    resume.run::<LongPollServer>(&process, process.longpoll, &bobs, cursor, missed).await?;
                }
                _ => resume.run::<ShortPollServer>(&process, process.longpoll, &bobs, cursor, missed).await?,
            }
            process.stop().await?;
        }
    }
    // Last: they make the log longer.
    for _ in 0..runs {
        let process = Process::start(lab, &database, &FLAGS).await?;
        write(&Target::new(&format!("http://{}", process.sse)), &ann, to, UNTIDY).await?;
        process.kill().await?;
        let process = Process::start(lab, &database, &FLAGS).await?;
        untidy.add(process.start_up.as_secs_f64() * 1e3);
        process.kill().await?;
    }

    println!("\nStart-up, in ms, middle (least–most):");
    println!("  after an orderly end   {tidy:<24} n = {}", tidy.0.len());
    println!("  after SIGKILL          {untidy:<24} n = {}", untidy.0.len());
    println!("\nA client reads the {missed} events that it missed, middle (least–most) of {runs}:\n");
    println!(
        "{:<10} {:>24} {:>22} {:>22} {:>20} {:>20} {:>20}",
        "transport",
        "events/s",
        "server's CPU, ms",
        "client's CPU, ms",
        "RSS before, MiB",
        "RSS after, MiB",
        "peak, MiB"
    );
    for (name, resume) in resumes {
        let Resume { rate, server, client, before, after, peak } = resume;
        println!("{name:<10} {rate:>24} {server:>22} {client:>22} {before:>20} {after:>20} {peak:>20}");
    }
    Ok(())
}

/// Writes direct messages, each acknowledged.
async fn write(target: &Target, token: &Token, to: To, mut messages: u64) -> anyhow::Result<()> {
    while messages > 0 {
        let batch: Vec<_> = (0..messages.min(BATCH)).map(|_| message(to)).collect();
        let answer = target.request(Method::POST, "/api/commands", token).json(&batch).send().await?;
        for reply in read::<Vec<Reply>>(answer).await? {
            let Done::Sent { .. } = reply.into_result()? else { bail!("not a message") };
        }
        messages -= batch.len() as u64;
    }
    Ok(())
}

/// What reading on took, for one transport.
#[derive(Default)]
struct Resume {
    rate: Sample,
    server: Sample,
    client: Sample,
    before: Sample,
    after: Sample,
    peak: Sample,
}

impl Resume {
    async fn run<S: Server>(
        &mut self,
        process: &Process,
        address: std::net::SocketAddr,
        token: &Token,
        cursor: Cursor,
        missed: u64,
    ) -> anyhow::Result<()> {
        let target = Target::new(&format!("http://{address}"));
        let (memory, server, client) =
            (process.memory()?, process.processor_time()?, processor_time("self")?);
        let begun = Instant::now();
        let (_sender, mut events) = S::Client::connect(&target, token, Some(cursor)).await?;
        let mut last = None;
        for _ in 0..missed {
            let event = events.next().await.context("while reading on")?;
            let Event::Message(message) = event else { bail!("{event:?} is not a message") };
            // A run that loses, repeats or reorders something shows nothing.
            if last.is_some_and(|last| message.seq != last + 1) {
                bail!("{} after {last:?}", message.seq);
            }
            last = Some(message.seq);
        }
        self.rate.add(missed as f64 / begun.elapsed().as_secs_f64());
        self.server.add((process.processor_time()? - server).as_secs_f64() * 1e3);
        self.client.add((processor_time("self")? - client).as_secs_f64() * 1e3);
        let after = process.memory()?;
        self.before.add(memory.now / 1024.0);
        self.after.add(after.now / 1024.0);
        self.peak.add(after.peak / 1024.0);
        Ok(())
    }
}
