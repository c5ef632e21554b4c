//! A slow reader: what one slow member of a group costs the server and the nine other members.

use std::num::NonZeroU64;

use chat_client::Events;

use crate::crowd::Crowd;
use crate::link::Link;
use crate::load::{Delivery, Plan, deliver};
use crate::process::Process;
use crate::recorder::Recorder;
use crate::settings::Settings;
use crate::subject::Subject;

/// Members that read as fast as they can.
pub(super) const OTHERS: usize = 9;

/// What the slow member reads, in bytes a second; `None`: as fast as the others.
const PACES: [Option<NonZeroU64>; 2] = [None, NonZeroU64::new(8_192)];

/// Messages a second: much more than the slow member reads.
const RATE: f64 = 200.0;

pub(super) async fn measure(
    subject: Subject,
    settings: &Settings,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    for pace in PACES {
        let process = Process::start(&[]).await?;
        let crowd = Crowd::gather(&process, OTHERS + 1).await?;
        let link = Link::open(&process, subject, 0.0).await?;
        if let Some(pace) = pace {
            link.read_slowly(pace);
        }
        let (slow, others) = crowd.readers.split_first().expect("there are ten");
        let mut slow = subject.connect(link.target().apart(), &slow.1, None).await?;
        let reading = tokio::spawn(async move { while slow.events.next().await.is_ok() {} });
        let mut clients = Vec::new();
        for (_, token) in others {
            clients.push(subject.connect(process.target(subject), token, None).await?);
        }
        let before = process.memory_kib()?;
        let seconds = settings.full_or_quick(4.0, 0.5) + subject.pause().as_secs_f64();
        let delivery = deliver(&process, subject, &crowd, clients, Plan::steady(RATE, seconds, 0.2)).await?;
        let conditions = [("bytes_per_s", pace.map_or(0.0, |pace| pace.get() as f64)), ("rate_per_s", RATE)];
        let row = recorder.row("slow_reader", subject, &conditions);
        row.add("server_kib", process.memory_kib()? - before);
        row.add("others_p99_ms", Delivery::latencies(&delivery.arrivals)?.percentiles()["p99_ms"]);
        delivery.judge(row);
        reading.abort();
        process.stop().await?;
    }
    Ok(())
}
