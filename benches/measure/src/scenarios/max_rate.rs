//! The highest rate at which 99 of 100 deliveries to ten readers still arrive in time.
//!
//! The rate is doubled until a trial fails, and then a binary search finds the highest rate that succeeds. A trial that
//! fails is repeated once, because one short stall of the machine is not the limit of a server. `--quick` does not
//! repeat it.

use super::latency::READERS;
use crate::crowd::Crowd;
use crate::load::{Delivery, Plan, deliver};
use crate::process::Process;
use crate::recorder::Recorder;
use crate::settings::Settings;
use crate::subject::Subject;

/// In time means within this: in a conversation, a tenth of a second feels instantaneous.
const OBJECTIVE_MS: f64 = 100.0;

/// The lowest and the highest rate of the search, in messages a second.
const FIRST: f64 = 250.0;
const FIRST_QUICK: f64 = 2_000.0;
const LAST: f64 = 64_000.0;

pub(super) async fn measure(
    subject: Subject,
    settings: &Settings,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    let process = Process::start(&[]).await?;
    let crowd = Crowd::gather(&process, READERS).await?;
    let trial = async |rate: f64| {
        let clients = crowd.connect(subject, &process.target(subject)).await?;
        let plan = Plan::steady(rate, settings.full_or_quick(0.8, 0.2), 0.1);
        let delivery = deliver(&process, subject, &crowd, clients, plan).await?;
        let latencies = Delivery::latencies(&delivery.arrivals)?;
        let complete = delivery.arrivals.iter().all(|reader| reader.deliveries.fault().is_none());
        anyhow::Ok(complete && latencies.percentiles()["p99_ms"] <= OBJECTIVE_MS)
    };
    let holds = async |rate: f64| anyhow::Ok(trial(rate).await? || (!settings.quick && trial(rate).await?));
    let (mut held, mut rate) = (0.0, settings.full_or_quick(FIRST, FIRST_QUICK));
    while rate <= LAST && holds(rate).await? {
        (held, rate) = (rate, rate * 2.0);
    }
    let mut failed = rate;
    for _ in 0..settings.full_or_quick(3, 1) {
        let between = f64::midpoint(held, failed);
        match holds(between).await? {
            true => held = between,
            false => failed = between,
        }
    }
    let conditions = [("clients", READERS as f64), ("objective_ms", OBJECTIVE_MS)];
    recorder.row("max_rate", subject, &conditions).add("rate_per_s", held);
    process.stop().await
}
