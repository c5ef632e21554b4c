//! Loss: latency while packets are lost, at random or in bursts. Everything behind a lost packet waits.
//!
//! The kernel's packet filter drops packets of one server's port on the loopback interface, in both directions. Its
//! counters tell how many it really dropped. This needs root and iptables.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::sleep;

use crate::crowd::Crowd;
use crate::load::{Delivery, Plan, deliver};
use crate::process::Process;
use crate::recorder::Recorder;
use crate::settings::Settings;
use crate::subject::Subject;

/// How many readers each message has.
pub(super) const READERS: usize = 5;

/// Messages a second.
const RATE: f64 = 50.0;

/// Packets that are dropped, in per cent.
const LOSSES: [f64; 4] = [0.0, 1.0, 5.0, 10.0];
const LOSSES_QUICK: [f64; 2] = [0.0, 5.0];

/// The length of a burst, in which every packet is dropped.
const BURST: Duration = Duration::from_millis(100);

/// What is missing for this measurement, if anything is.
pub(super) fn missing() -> Option<&'static str> {
    match Command::new("iptables").args(["-w", "-n", "-L", "INPUT"]).output() {
        Ok(done) if done.status.success() => None,
        Ok(_) => Some("root, to drop packets with iptables"),
        Err(_) => Some("iptables (Debian: apt-get install iptables), to drop packets"),
    }
}

pub(super) async fn measure(
    subject: Subject,
    settings: &Settings,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    for &percent in settings.full_or_quick(&LOSSES[..], &LOSSES_QUICK[..]) {
        for in_bursts in [false, true] {
            if percent > 0.0 || !in_bursts {
                measure_one(subject, settings, recorder, percent, in_bursts).await?;
            }
        }
    }
    Ok(())
}

async fn measure_one(
    subject: Subject,
    settings: &Settings,
    recorder: &mut Recorder,
    percent: f64,
    in_bursts: bool,
) -> anyhow::Result<()> {
    let process = Process::start(&[]).await?;
    let crowd = Crowd::gather(&process, READERS).await?;
    let clients = crowd.connect(subject, &process.target(subject)).await?;
    let seconds = settings.full_or_quick(3.0, 1.0) + subject.pause().as_secs_f64();
    let plan = Plan::steady(RATE, seconds, 0.2);
    let mut filter = Filter::new(process.address(subject).port())?;
    let delivery = tokio::select! {
        delivery = deliver(&process, subject, &crowd, clients, plan) => delivery?,
        failed = lose(&mut filter, percent / 100.0, in_bursts) => return failed,
    };
    let observed_percent = filter.observed_percent()?;
    drop(filter);
    let conditions =
        [("loss_percent", percent), ("in_bursts", f64::from(u8::from(in_bursts))), ("rate_per_s", RATE)];
    let row = recorder.row("loss", subject, &conditions);
    row.add_latencies(&Delivery::latencies(&delivery.arrivals)?)?;
    row.add("observed_percent", observed_percent);
    delivery.judge(row);
    process.stop().await
}

/// Drops packets until this future is dropped: each with the same probability, or all of them in bursts.
async fn lose(filter: &mut Filter, share: f64, in_bursts: bool) -> anyhow::Result<()> {
    if !in_bursts {
        filter.drop_share(share)?;
        return std::future::pending().await;
    }
    loop {
        filter.drop_share(1.0)?;
        sleep(BURST).await;
        filter.drop_share(0.0)?;
        sleep(BURST.mul_f64(1.0 / share - 1.0)).await;
    }
}

/// A chain of packet filter rules for one port, removed when this value is dropped.
struct Filter {
    chain: String,
    port: u16,
    dropped: f64,
    packets: f64,
}

impl Filter {
    fn new(port: u16) -> anyhow::Result<Self> {
        let filter = Self { chain: format!("measure-{port}"), port, dropped: 0.0, packets: 0.0 };
        iptables(&["-N", &filter.chain])?;
        for side in ["--sport", "--dport"] {
            filter.hook("-I", side)?;
        }
        Ok(filter)
    }

    fn hook(&self, action: &str, side: &str) -> anyhow::Result<()> {
        let port = self.port.to_string();
        iptables(&[action, "INPUT", "-i", "lo", "-p", "tcp", side, &port, "-j", &self.chain]).map(drop)
    }

    /// Drops this share of the packets from now on.
    fn drop_share(&mut self, share: f64) -> anyhow::Result<()> {
        self.count()?;
        iptables(&["-F", &self.chain])?;
        let probability = share.to_string();
        let random = ["-m", "statistic", "--mode", "random", "--probability", &probability];
        iptables(&[&["-A", &self.chain][..], &random, &["-j", "DROP"]].concat())?;
        // This rule only counts the packets that the first one lets pass.
        iptables(&["-A", &self.chain, "-j", "RETURN"]).map(drop)
    }

    /// Adds up the counters of the rules.
    fn count(&mut self) -> anyhow::Result<()> {
        let list = iptables(&["-n", "-v", "-x", "-L", &self.chain])?;
        let counts = list.lines().skip(2).map(|rule| rule.split_whitespace().next().unwrap_or("0").parse());
        let counts = counts.collect::<Result<Vec<f64>, _>>().context("rules begin with a count")?;
        if let [dropped, passed] = counts[..] {
            self.dropped += dropped;
            self.packets += dropped + passed;
        }
        Ok(())
    }

    /// The share of packets that were dropped so far, in per cent.
    fn observed_percent(&mut self) -> anyhow::Result<f64> {
        self.count()?;
        Ok(self.dropped * 100.0 / self.packets.max(1.0))
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        // If a rule stays, it matches a port that no server uses any more.
        for side in ["--sport", "--dport"] {
            let _ = self.hook("-D", side);
        }
        let _ = iptables(&["-F", &self.chain]);
        let _ = iptables(&["-X", &self.chain]);
    }
}

fn iptables(arguments: &[&str]) -> anyhow::Result<String> {
    let done = Command::new("iptables").arg("-w").args(arguments).output().context("iptables is missing")?;
    if !done.status.success() {
        bail!("iptables {}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(String::from_utf8(done.stdout)?)
}
