//! `--hex`: the client connects through a tap in its own process, which shows the bytes on stderr.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use wiretap::{Observe, Settings, Viewer, Wiretap, hexdump};

use crate::output::{harmless_lines, note};

/// How long connections get for an orderly end, such as a WebSocket's Close and the answer to it.
const GOODBYE: Duration = Duration::from_millis(100);

/// How long printing may still take at the end.
const PRINTING: Duration = Duration::from_secs(2);

/// A tap, and what prints its events. The tap hides secrets: credentials in heads, tokens and passwords in JSON.
pub(crate) struct Hex {
    tap: Wiretap,
    printing: JoinHandle<()>,
}

impl Hex {
    /// Starts a tap in front of a server.
    pub(crate) async fn open(host: &str, port: u16) -> anyhow::Result<Self> {
        let unknown = || format!("no address is known for {host}");
        let mut addresses = tokio::net::lookup_host((host, port)).await.with_context(unknown)?;
        let upstream = addresses.next().with_context(unknown)?;
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let settings = Settings { observe: Observe::Events, ..Settings::default() };
        let tap = Wiretap::listen(any_port, upstream, settings).await.context("cannot tap the wire")?;
        let printing = tokio::spawn(print(tap.viewer()));
        Ok(Self { tap, printing })
    }

    /// The address to which the client connects instead.
    pub(crate) fn address(&self) -> SocketAddr {
        self.tap.address()
    }

    /// Waits until connections have ended and everything is printed.
    pub(crate) async fn close(self) {
        sleep(GOODBYE).await;
        self.tap.close().await;
        // The reader of stderr may have stopped, so this wait has a limit.
        let _ = timeout(PRINTING, self.printing).await;
    }
}

/// Prints events until the tap is closed.
async fn print(mut viewer: Viewer) {
    while let Some(event) = viewer.next().await {
        note(&harmless_lines(&hexdump(&event)));
    }
    match viewer.dropped() {
        0 => {}
        dropped => note(&format!("{dropped} more events passed too fast to be shown")),
    }
}
