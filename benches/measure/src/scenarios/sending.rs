//! Sending: from a request until its reply, a WebSocket message against a POST.
//!
//! The loop is closed: the next request leaves after the reply to the one before. A `committed` request is a message,
//! whose reply waits for the disk. The others say that a user is typing, so nothing is stored.

use std::time::Instant;

use chat_client::{Events, Sender};
use chat_core::protocol::{Command, Request, To};
use hdrhistogram::Histogram;

use crate::crowd::{Crowd, cid};
use crate::latencies::Latencies;
use crate::link::Link;
use crate::load::text;
use crate::process::Process;
use crate::recorder::Recorder;
use crate::settings::Settings;
use crate::subject::Subject;

/// The round trips between client and server, in milliseconds.
const ROUND_TRIPS_MS: [f64; 2] = [0.0, 50.0];

pub(super) async fn measure(
    subject: Subject,
    settings: &Settings,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    let process = Process::start(&[]).await?;
    let crowd = Crowd::gather(&process, 1).await?;
    for rtt_ms in ROUND_TRIPS_MS {
        let link = Link::open(&process, subject, rtt_ms).await?;
        let client = subject.connect(link.target().apart(), &crowd.readers[0].1, None).await?;
        let (sender, mut events) = (client.sender, client.events);
        // The sender receives its own messages, too: a task has to read them.
        let echo = tokio::spawn(async move { while events.next().await.is_ok() {} });
        for committed in [true, false] {
            let requests = if rtt_ms > 0.0 {
                settings.full_or_quick(40_u32, 10)
            } else {
                settings.full_or_quick(500, 100)
            };
            let mut round_trips = Histogram::new(3)?;
            let before = link.traffic();
            for number in 0..requests {
                let command = match committed {
                    true => Command::Send {
                        to: To::Conversation(crowd.group),
                        cid: cid(),
                        text: text(number as usize),
                    },
                    false => Command::Typing { conversation: crowd.group },
                };
                let begun = Instant::now();
                sender.send(Request { request_id: None, command }).await?.into_result()?;
                // The first request may have to open a connection.
                if number > 0 {
                    round_trips.record(u64::try_from(begun.elapsed().as_micros())?)?;
                }
            }
            let conditions = [("rtt_ms", rtt_ms), ("committed", f64::from(u8::from(committed)))];
            let row = recorder.row("sending", subject, &conditions);
            row.add_latencies(&Latencies(round_trips))?;
            // A message also comes back to its sender as an event. Without messages, only requests and replies pass.
            if !committed {
                link.traffic().since(before).note(row, f64::from(requests));
            }
        }
        echo.abort();
    }
    process.stop().await
}
