//! A link between client and server: it counts every byte, and can add a delay or read slowly.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::time::Duration;

use anyhow::Context;
use chat_client::Target;
use tokio::time::{sleep, timeout};
use wiretap::{Conditions, Counts, Direction, Reader, Settings, TcpIp, Wiretap};

use crate::process::Process;
use crate::recorder::RowBuilder;
use crate::subject::Subject;

/// The time limit for a step that does not wait for a transport's own pauses.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A link is silent when no byte has passed for this time: longer than a reply takes, shorter than any pause.
const SILENCE: Duration = Duration::from_millis(150);

/// The headers of one segment over IPv4 as Linux writes them: 20 bytes of IP, 20 of TCP, 12 of timestamps.
const SEGMENT_BYTES: u64 = 52;

/// One link, and the server behind it.
pub(crate) struct Link {
    tap: Wiretap,
    target: Target,
}

impl Link {
    /// Opens a link to a subject's server, with a delay of half a round trip in each direction.
    pub(crate) async fn open(process: &Process, subject: Subject, rtt_ms: f64) -> anyhow::Result<Self> {
        let conditions = Conditions::round_trip(Duration::from_secs_f64(rtt_ms / 1e3));
        let settings = Settings { conditions, ..Settings::default() };
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let tap = Wiretap::listen(any_port, process.address(subject), settings).await?;
        let target = Target::new(&format!("http://{}", tap.address()));
        Ok(Self { tap, target })
    }

    /// The server as clients on this link see it.
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// Limits how many bytes each connection reads from the server in a second.
    pub(crate) fn read_slowly(&self, bytes_per_s: NonZeroU64) {
        self.tap.set_conditions(Conditions { reader: Reader::Slow(bytes_per_s), ..self.tap.conditions() });
    }

    /// The traffic so far.
    pub(crate) fn traffic(&self) -> Traffic {
        Traffic { counts: self.tap.counts(), tcp_ip: self.tap.tcp_ip() }
    }

    /// Waits until no byte has passed for a while.
    pub(crate) async fn silence(&self) -> anyhow::Result<()> {
        let quiet = async {
            let mut last = self.tap.counts();
            loop {
                sleep(SILENCE).await;
                let now = self.tap.counts();
                if now == last {
                    return;
                }
                last = now;
            }
        };
        timeout(PATIENCE, quiet).await.context("the link is never silent")
    }
}

/// The bytes, requests and connections of a link.
#[derive(Clone, Copy)]
pub(crate) struct Traffic {
    counts: Counts,
    tcp_ip: TcpIp,
}

impl Traffic {
    /// The traffic since an earlier moment.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self { counts: self.counts - earlier.counts, tcp_ip: self.tcp_ip - earlier.tcp_ip }
    }

    /// Bytes from clients to the server.
    pub(crate) fn up_bytes(&self) -> f64 {
        self.counts.to_server.bytes as f64
    }

    /// Bytes from the server to clients.
    pub(crate) fn down_bytes(&self) -> f64 {
        self.counts.to_client.bytes as f64
    }

    /// Requests that clients made.
    pub(crate) fn requests(&self) -> f64 {
        self.counts.requests() as f64
    }

    /// Adds it to a row by layer, divided by the number of delivered messages.
    pub(crate) fn note(&self, row: &mut RowBuilder, messages: f64) {
        let layers = [Direction::ToServer, Direction::ToClient].map(|way| self.counts.flow(way).layers);
        let both = |layer: fn(&wiretap::Layers) -> u64| layers.iter().map(layer).sum::<u64>() as f64;
        let segments = (self.tcp_ip.segments.to_server + self.tcp_ip.segments.to_client) * SEGMENT_BYTES;
        for (name, sum) in [
            ("payload_bytes", both(|layers| layers.payload)),
            ("framing_bytes", both(|layers| layers.framing)),
            ("http_head_bytes", both(|layers| layers.http_head)),
            ("tcp_ip_estimated_bytes", segments as f64),
            ("up_bytes", self.up_bytes()),
            ("down_bytes", self.down_bytes()),
            ("total_bytes", self.up_bytes() + self.down_bytes()),
            ("requests", self.requests()),
            ("connections", self.counts.connections as f64),
        ] {
            row.add(name, sum / messages);
        }
        if both(|layers| layers.opaque) > 0.0 {
            row.invalidate("some bytes could not be parsed, so their layers are not known".to_owned());
        }
    }
}
