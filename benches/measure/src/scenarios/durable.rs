//! Durable sends: acknowledged messages in a second, by number of clients. Each client waits for a reply before it
//! sends again.
//!
//! A reply waits for the disk. Messages that other clients send meanwhile share one commit, so more clients get more
//! messages acknowledged.

use std::time::{Duration, Instant};

use chat_client::{Events, Sender};
use chat_core::protocol::{Command, Request, To};
use futures_util::future::try_join_all;

use crate::crowd::{Crowd, cid};
use crate::load::text;
use crate::process::Process;
use crate::recorder::Recorder;
use crate::settings::Settings;
use crate::subject::{AnyClient, Subject};

const CLIENTS: [usize; 3] = [1, 8, 64];
const CLIENTS_QUICK: [usize; 2] = [1, 64];

pub(super) async fn measure(
    subject: Subject,
    settings: &Settings,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    for &clients in settings.full_or_quick(&CLIENTS[..], &CLIENTS_QUICK[..]) {
        let process = Process::start(&[]).await?;
        let crowd = Crowd::gather(&process, clients).await?;
        let target = process.target(subject);
        let mut senders = Vec::new();
        for client in &crowd.readers {
            let AnyClient { sender, mut events } = subject.connect(target.apart(), &client.1, None).await?;
            // Each sends in a direct conversation, so that a message is delivered to one user only.
            tokio::spawn(async move { while events.next().await.is_ok() {} });
            senders.push((sender, To::User(crowd.writer.0)));
        }
        let length = Duration::from_secs_f64(settings.full_or_quick(2.0, 0.3));
        let begun = Instant::now();
        let sending = senders.iter().map(|(sender, to)| async move {
            let mut acknowledged = 0_usize;
            while begun.elapsed() < length {
                let command = Command::Send { to: *to, cid: cid(), text: text(acknowledged) };
                sender.send(Request { request_id: None, command }).await?.into_result()?;
                acknowledged += 1;
            }
            anyhow::Ok(acknowledged)
        });
        let acknowledged: usize = try_join_all(sending).await?.into_iter().sum();
        let rate = acknowledged as f64 / begun.elapsed().as_secs_f64();
        recorder.row("durable", subject, &[("clients", clients as f64)]).add("acknowledged_per_s", rate);
        process.stop().await?;
    }
    Ok(())
}
