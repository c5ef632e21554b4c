//! Latency by rate: from when a message is due until each of ten readers has it.

use crate::crowd::Crowd;
use crate::load::{Delivery, Plan, deliver};
use crate::process::Process;
use crate::recorder::Recorder;
use crate::settings::Settings;
use crate::subject::Subject;

/// How many readers each message has.
pub(super) const READERS: usize = 10;

/// Messages a second.
const RATES: [f64; 4] = [10.0, 100.0, 500.0, 2_000.0];
const RATES_QUICK: [f64; 2] = [10.0, 200.0];

pub(super) async fn measure(
    subject: Subject,
    settings: &Settings,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    let process = Process::start(&[]).await?;
    let crowd = Crowd::gather(&process, READERS).await?;
    for &rate in settings.full_or_quick(&RATES[..], &RATES_QUICK[..]) {
        let clients = crowd.connect(subject, &process.target(subject)).await?;
        let seconds = settings.full_or_quick(3.0, 0.6) + subject.pause().as_secs_f64();
        let plan = Plan::steady(rate, seconds, 0.2);
        let delivery = deliver(&process, subject, &crowd, clients, plan).await?;
        let row = recorder.row("latency", subject, &[("rate_per_s", rate), ("clients", READERS as f64)]);
        row.add_latencies(&Delivery::latencies(&delivery.arrivals)?)?;
        delivery.judge(row);
    }
    process.stop().await
}
