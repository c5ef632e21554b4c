//! Fan-out: what a message to many readers costs the server for each reader, and the time from the first arrival to the
//! last.
//!
//! Messages are sent one at a time, so that each delivery is a write of its own. The readers are bare clients, which
//! take little of the processor that they share with the server. The cost of publishing (the request and the commit to
//! the disk) is measured without readers, and subtracted: the rest is the cost of delivery.

use std::time::Duration;

use chat_http::Way;
use hdrhistogram::Histogram;

use crate::catalogue::FIRST_TO_LAST;
use crate::crowd::Crowd;
use crate::latencies::Latencies;
use crate::load::{Arrivals, Delivery, Plan, deliver};
use crate::process::Process;
use crate::recorder::Recorder;
use crate::settings::Settings;
use crate::subject::{Subject, condition, flags};

/// How many readers, and messages in a second: enough work to measure, with a pause between two messages.
const CROWDS: [(usize, f64); 3] = [(10, 50.0), (100, 20.0), (1_000, 4.0)];

pub(super) async fn measure(
    subject: Subject,
    settings: &Settings,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    let crowds = settings.full_or_quick(&CROWDS[..], &CROWDS[1..2]);
    let plain = subject.ways().filter(|way| *way == Way::Plain).map(|way| (CROWDS[1], way));
    for ((readers, rate), way) in crowds.iter().map(|crowd| (*crowd, Way::Takeover)).chain(plain) {
        let plan = Plan::steady(rate, settings.full_or_quick(3.0, 0.5) + subject.pause().as_secs_f64(), 0.2);
        let alone = delivery(subject, way, 0, plan).await?.server.cpu.as_secs_f64() * 1e6;
        let delivery = delivery(subject, way, readers, plan).await?;
        let delivered = delivery.delivered();
        let cpu = delivery.server.cpu.as_secs_f64() * 1e6;
        let conditions = [&[("clients", readers as f64), ("rate_per_s", rate)], condition(way)].concat();
        let row = recorder.row("cpu", subject, &conditions);
        row.add("cpu_us", cpu / delivered);
        row.add("delivery_us", (cpu - alone) / delivered);
        row.add("publishing_us", alone / plan.messages as f64);
        row.add("context_switches", delivery.server.context_switches / delivered);
        row.add("client_cpu_us", delivery.client.cpu.as_secs_f64() * 1e6 / delivered);
        delivery.judge(row);
        let row = recorder.row(FIRST_TO_LAST, subject, &conditions);
        row.add_latencies(&skew(&delivery.arrivals)?)?;
        delivery.judge(row);
    }
    Ok(())
}

async fn delivery(subject: Subject, way: Way, readers: usize, plan: Plan) -> anyhow::Result<Delivery> {
    let process = Process::start(flags(way)).await?;
    let crowd = Crowd::gather(&process, readers).await?;
    let clients = crowd.connect_bare(subject, &process).await?;
    let delivery = deliver(&process, subject, &crowd, clients, plan).await?;
    process.stop().await?;
    Ok(delivery)
}

/// For each message, the time from the first reader that receives it to the last.
fn skew(arrivals: &[Arrivals]) -> anyhow::Result<Latencies> {
    let mut histogram = Histogram::new(3)?;
    let messages = arrivals.first().map_or(0, |reader| reader.delays.len());
    for number in 0..messages {
        let delays = || arrivals.iter().filter_map(|reader| reader.delays[number]);
        let first = delays().min().unwrap_or(Duration::ZERO);
        let last = delays().max().unwrap_or(Duration::ZERO);
        histogram.record(u64::try_from((last - first).as_micros())?)?;
    }
    Ok(Latencies(histogram))
}
