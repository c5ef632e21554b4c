//! Connecting: the time until the first event, and how many clients connect in a second.
//!
//! Each client names a cursor that is one message old, so its first event is ready. Over a link with a long delay, the
//! time divided by the round trip is the number of round trips that connecting takes.

use std::time::{Duration, Instant};

use chat_client::Events;
use chat_core::protocol::Event;
use futures_util::{StreamExt, TryStreamExt, stream};
use hdrhistogram::Histogram;

use crate::crowd::{AT_ONCE, Crowd, Writer};
use crate::latencies::Latencies;
use crate::link::Link;
use crate::load::text;
use crate::process::Process;
use crate::recorder::Recorder;
use crate::settings::Settings;
use crate::subject::{AnyClient, Subject};

/// The round trip between client and server, in milliseconds.
const FAR_MS: f64 = 100.0;

pub(super) async fn measure(
    subject: Subject,
    settings: &Settings,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    let clients = settings.full_or_quick(500, 100);
    let process = Process::start(&[]).await?;
    let crowd = Crowd::gather(&process, clients).await?;
    let cursor = process.target(subject).snapshot(&crowd.writer.1).await?.cursor;
    Writer::new(&process, subject, &crowd).await?.write(std::iter::once(text(0))).await?;

    for (rtt_ms, times) in [(0.0, settings.full_or_quick(50, 20)), (FAR_MS, settings.full_or_quick(5, 2))] {
        let link = Link::open(&process, subject, rtt_ms).await?;
        let mut first_event = Histogram::new(3)?;
        for (_, token) in crowd.readers.iter().take(times) {
            // A browser that opens the page for the first time: no connection is open yet.
            let target = link.target().apart();
            let begun = Instant::now();
            let mut client = subject.connect(target, token, Some(cursor)).await?;
            first_message(&mut client).await?;
            first_event.record(u64::try_from(begun.elapsed().as_micros())?)?;
        }
        let latencies = Latencies(first_event);
        let row = recorder.row("connecting", subject, &[("rtt_ms", rtt_ms)]);
        if rtt_ms > 0.0 {
            row.add("round_trips", latencies.percentiles()["p50_ms"] / rtt_ms);
        }
        row.add_latencies(&latencies)?;
    }

    let target = process.target(subject);
    let strangers: Vec<_> = crowd.readers.iter().map(|(_, token)| (target.apart(), token)).collect();
    let begun = Instant::now();
    let connecting = strangers.into_iter().map(|(target, token)| async move {
        let mut client = subject.connect(target, token, Some(cursor)).await?;
        first_message(&mut client).await?;
        anyhow::Ok(client)
    });
    let connected: Vec<_> = stream::iter(connecting).buffer_unordered(AT_ONCE).try_collect().await?;
    let rate = connected.len() as f64 / begun.elapsed().max(Duration::from_nanos(1)).as_secs_f64();
    recorder.row("connecting", subject, &[("clients", clients as f64)]).add("connects_per_s", rate);
    drop(connected);
    process.stop().await
}

async fn first_message(client: &mut AnyClient) -> anyhow::Result<()> {
    while !matches!(client.events.next().await?, Event::Message(_)) {}
    Ok(())
}
