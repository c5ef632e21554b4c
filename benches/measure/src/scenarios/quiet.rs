//! A quiet hour: the bytes and requests of idle clients, and what they cost the server.
//!
//! It measures whole periods of each transport's heartbeat, and calculates an hour from them. A quick run makes the
//! servers' periods ten times shorter, and divides the figures by ten: a heartbeat has the same bytes in any period.

use chat_client::Events;
use tokio::time::sleep;

use crate::crowd::Crowd;
use crate::link::Link;
use crate::process::Process;
use crate::recorder::Recorder;
use crate::settings::Settings;
use crate::subject::Subject;

/// Enough clients that their share of the server's processor time can be measured.
const CLIENTS: usize = 100;

/// The servers' flags for periods that are ten times as short as their defaults.
const HASTY: [&str; 8] =
    ["--ping-after", "2s", "--pong-timeout", "1s", "--keep-alive", "1500ms", "--poll-wait", "2500ms"];

pub(super) async fn measure(
    subject: Subject,
    settings: &Settings,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    let flags = settings.full_or_quick(&[][..], &HASTY[..]);
    // Short polling has no period on the server: the client sets its pause.
    let shortened = if settings.quick && !subject.polls_at_intervals() { 10.0 } else { 1.0 };
    let period = subject.heartbeat().div_f64(shortened);
    let periods = settings.full_or_quick(if subject.polls_at_intervals() { 12 } else { 1 }, 1);
    let process = Process::start(flags).await?;
    let crowd = Crowd::gather(&process, CLIENTS).await?;
    let link = Link::open(&process, subject, 0.0).await?;
    let clients = crowd.connect(subject, link.target()).await?;
    let reading: Vec<_> = clients
        .into_iter()
        .map(|mut client| tokio::spawn(async move { while client.events.next().await.is_ok() {} }))
        .collect();
    // Wait for the first polls, and for the events which say that other users have connected.
    link.silence().await?;
    let (traffic, server) = (link.traffic(), process.usage()?);
    let length = period * periods;
    sleep(length).await;
    let (traffic, server) = (link.traffic().since(traffic), process.usage()?.since(&server));
    reading.iter().for_each(tokio::task::JoinHandle::abort);
    let hourly = |sum: f64| sum / CLIENTS as f64 / shortened * 3_600.0 / length.as_secs_f64();
    let row = recorder.row("idle_bytes", subject, &[("shortened", shortened)]);
    row.add("hourly_up_bytes", hourly(traffic.up_bytes()));
    row.add("hourly_down_bytes", hourly(traffic.down_bytes()));
    row.add("hourly_requests", hourly(traffic.requests()));
    row.add("hourly_cpu_ms", hourly(server.cpu.as_secs_f64() * 1e3));
    process.stop().await
}
