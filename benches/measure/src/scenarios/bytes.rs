//! Bytes on the wire for each delivered message, by layer: one message alone, and twenty at once.
//!
//! The next message is sent when the one before has arrived and no bytes pass any more. So the figures include
//! everything that a delivery needs, also the poll that follows a response, but no heartbeats.

use anyhow::Context;
use chat_client::Events;
use chat_core::protocol::Event;
use tokio::time::timeout;

use crate::crowd::{Crowd, Writer};
use crate::link::{Link, PATIENCE};
use crate::load::text;
use crate::process::Process;
use crate::recorder::Recorder;
use crate::settings::Settings;
use crate::subject::{AnyClient, Subject};

/// How many messages are sent at once.
const BURSTS: [usize; 2] = [1, 20];

pub(super) async fn measure(
    subject: Subject,
    settings: &Settings,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    let process = Process::start(&[]).await?;
    let crowd = Crowd::gather(&process, 1).await?;
    let writer = Writer::new(&process, subject, &crowd).await?;
    for burst in BURSTS {
        let link = Link::open(&process, subject, 0.0).await?;
        let mut client = subject.connect(link.target().apart(), &crowd.readers[0].1, None).await?;
        let turns = settings.full_or_quick(5, 1);
        // The first turn opens connections that stay open, and is not counted.
        let mut before = None;
        for turn in 0..=turns {
            writer.write((0..burst).map(text)).await?;
            timeout(PATIENCE, read(&mut client, burst)).await.context("the message does not arrive")??;
            link.silence().await?;
            if turn == 0 {
                before = Some(link.traffic());
            }
        }
        let traffic = link.traffic().since(before.context("there was a first turn")?);
        traffic.note(recorder.row("bytes", subject, &[("burst", burst as f64)]), (burst * turns) as f64);
    }
    process.stop().await
}

async fn read(client: &mut AnyClient, messages: usize) -> anyhow::Result<()> {
    let mut missing = messages;
    while missing > 0 {
        if let Event::Message(_) = client.events.next().await? {
            missing -= 1;
        }
    }
    Ok(())
}
