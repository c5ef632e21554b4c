//! Distance: latency and bytes over links of different delay, for single messages and for bursts.
//!
//! There is one reader behind each link, and all are in one group, so they receive the same messages at the same time.
//! The rates range from those of people who chat to those of machines. Rate and delay together decide which transport
//! is ahead.

use crate::crowd::Crowd;
use crate::link::Link;
use crate::load::{Delivery, Plan, deliver};
use crate::process::Process;
use crate::recorder::Recorder;
use crate::settings::Settings;
use crate::subject::Subject;

/// The round trips between client and server, in milliseconds.
const ROUND_TRIPS_MS: [f64; 5] = [0.0, 20.0, 50.0, 100.0, 200.0];

/// Messages a second.
const RATES: [f64; 4] = [0.5, 2.0, 10.0, 50.0];
const RATES_QUICK: [f64; 2] = [2.0, 50.0];

/// Messages at once, and bursts a second.
const BURST: usize = 20;
const BURSTS_PER_S: f64 = 1.0;

/// Single messages.
pub(super) async fn crossover(
    subject: Subject,
    settings: &Settings,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    for &rate in settings.full_or_quick(&RATES[..], &RATES_QUICK[..]) {
        // Long enough for four messages.
        let seconds =
            settings.full_or_quick(3.0, 1.0_f64).max(4.0 / rate).max(2.0 * subject.pause().as_secs_f64());
        measure("crossover", subject, Plan::steady(rate, seconds, 1.0 / rate), recorder).await?;
    }
    Ok(())
}

/// Bursts of twenty messages.
pub(super) async fn bursts(
    subject: Subject,
    settings: &Settings,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    let bursts = settings.full_or_quick(5, 2);
    let plan = Plan {
        rate_per_s: BURSTS_PER_S * BURST as f64,
        warm_up: BURST,
        messages: bursts * BURST,
        burst: BURST,
    };
    measure("round_trip", subject, plan, recorder).await
}

async fn measure(
    scenario: &str,
    subject: Subject,
    plan: Plan,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    let process = Process::start(&[]).await?;
    let crowd = Crowd::gather(&process, ROUND_TRIPS_MS.len()).await?;
    let (mut links, mut clients) = (Vec::new(), Vec::new());
    for (rtt_ms, (_, token)) in ROUND_TRIPS_MS.into_iter().zip(&crowd.readers) {
        let link = Link::open(&process, subject, rtt_ms).await?;
        clients.push(subject.connect(link.target().apart(), token, None).await?);
        links.push((rtt_ms, link));
    }
    let before: Vec<_> = links.iter().map(|(_, link)| link.traffic()).collect();
    let delivery = deliver(&process, subject, &crowd, clients, plan).await?;
    for (index, (rtt_ms, link)) in links.iter().enumerate() {
        let rate = ("rate_per_s", plan.rate_per_s);
        let conditions = [rate, ("rtt_ms", *rtt_ms), ("burst", plan.burst as f64)];
        let row = recorder.row(scenario, subject, &conditions);
        row.add_latencies(&Delivery::latencies(&delivery.arrivals[index..=index])?)?;
        link.traffic().since(before[index]).note(row, plan.total() as f64);
        // The server's time for all readers together: a link adds nothing to it.
        row.add("cpu_us", delivery.server.cpu.as_secs_f64() * 1e6 / delivery.delivered());
        delivery.judge(row);
    }
    process.stop().await
}
