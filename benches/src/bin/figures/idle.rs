//! Idle connections: the memory of the process, divided by their number.
//!
//! The kernel's part (sockets and their buffers) is not in it. Limits that end idle connections are raised and
//! presence is not told, so that nothing happens while memory is read; neither changes what a connection takes.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use chat_core::auth::Token;
use chat_core::client::{Server, Target};
use futures_util::{StreamExt, TryStreamExt, stream};
use longpoll_server::{LongPollServer, ShortPollServer};
use sse_server::SseServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use ws_server::WsServer;

use crate::Sample;
use crate::process::Process;

/// Connections that are opened at once.
const AT_ONCE: usize = 64;

/// How long the server may take until its memory rests.
const SETTLING: Duration = Duration::from_secs(30);

/// The time between two looks at the memory; it rests when they differ by less than a thousandth.
const LOOKS: Duration = Duration::from_secs(1);

const FLAGS: [&str; 12] = [
    "--registrations-per-minute",
    "1000000",
    "--connections",
    "20000",
    "--header-timeout",
    "10m",
    "--ping-after",
    "10m",
    "--keep-alive",
    "10m",
    "--presence-interval",
    "1h",
];

/// What a client says to become an idle connection, and what it is told first.
struct Wire {
    name: &'static str,
    path: &'static str,
    headers: &'static str,
    /// What the head of the answer begins with; `None`: the answer comes with the first event.
    answer: Option<&'static str>,
    /// The server that has it, by the name in its metrics.
    server: &'static str,
}

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

const WIRES: [Wire; 4] = [
    Wire {
        name: WsServer::NAME,
        path: "/ws",
        headers: UPGRADE,
        answer: Some("HTTP/1.1 101"),
        server: WsServer::NAME,
    },
    Wire {
        name: SseServer::NAME,
        path: "/events",
        headers: "",
        answer: Some("HTTP/1.1 200"),
        server: SseServer::NAME,
    },
    Wire {
        name: LongPollServer::NAME,
        path: "/poll?wait=60",
        headers: "",
        answer: None,
        server: LongPollServer::NAME,
    },
    Wire {
        name: ShortPollServer::NAME,
        path: "/poll?wait=0",
        headers: "",
        answer: Some("HTTP/1.1 200"),
        server: LongPollServer::NAME,
    },
];

pub(crate) async fn measure(lab: &Path, runs: u16, connections: u32) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let database = directory.path().join("chat.db");
    let process = Process::start(lab, &database, &FLAGS).await?;
    let target = Target::new(&format!("http://{}", process.sse));
    let registering =
        stream::iter(0..connections).map(|number| {
            let target = &target;
            async move {
                target.register(&format!("user {number}"), "correct horse").await.map(|(_, token)| token)
            }
        });
    let tokens: Vec<Token> = registering.buffer_unordered(16).try_collect().await?;
    process.stop().await?;
    println!("{connections} users registered\n");

    let mut results = WIRES.map(|wire| (wire, Sample::default(), Sample::default(), Sample::default()));
    for _ in 0..runs {
        for (wire, before, after, each) in &mut results {
            let process = Process::start(lab, &database, &FLAGS).await?;
            let empty = process.memory()?.now;
            let address = match wire.server {
                WsServer::NAME => process.websocket,
                SseServer::NAME => process.sse,
                _ => process.longpoll,
            };
            let opening = stream::iter(&tokens).map(|token| wire.open(address, token));
            let open: Vec<TcpStream> = opening.buffer_unordered(AT_ONCE).try_collect().await?;
            wire.wait_for_all(&process, connections).await?;
            let full = settle(&process).await?;
            before.add(empty / 1024.0);
            after.add(full / 1024.0);
            each.add((full - empty) / f64::from(connections));
            drop(open);
            process.kill().await?;
        }
    }

    println!("{connections} idle connections, each of a user of its own, middle (least–most) of {runs}:\n");
    println!("{:<10} {:>20} {:>20} {:>20}", "transport", "RSS before, MiB", "RSS after, MiB", "KiB each");
    for (wire, before, after, each) in results {
        println!("{:<10} {before:>20} {after:>20} {each:>20}", wire.name);
    }
    Ok(())
}

impl Wire {
    /// Opens a connection and leaves it alone.
    async fn open(&self, address: SocketAddr, token: &Token) -> anyhow::Result<TcpStream> {
        let mut stream = TcpStream::connect(address).await?;
        let head = format!(
            "GET {} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n{}\r\n",
            self.path,
            token.as_str(),
            self.headers
        );
        stream.write_all(head.as_bytes()).await?;
        if let Some(expected) = self.answer {
            let mut start = vec![0; expected.len()];
            stream.read_exact(&mut start).await?;
            if start != expected.as_bytes() {
                bail!("{} answered {:?}", self.name, String::from_utf8_lossy(&start));
            }
        }
        Ok(stream)
    }

    /// Waits until the server says that all are there, and that all who wait have begun to wait.
    async fn wait_for_all(&self, process: &Process, connections: u32) -> anyhow::Result<()> {
        let series = match self.answer {
            None => format!("chat_sessions{{transport=\"{}\"}} ", self.name),
            Some(_) => format!("chat_connections{{transport=\"{}\"}} ", self.server),
        };
        let waiting = async {
            loop {
                let metrics = reqwest::get(format!("http://{}/metrics", process.sse)).await?.text().await?;
                let line =
                    metrics.lines().find_map(|line| line.strip_prefix(&series)).context("no such series")?;
                if line.parse::<f64>()? >= f64::from(connections) {
                    return anyhow::Ok(());
                }
                sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(SETTLING, waiting).await.context("connections are missing")?
    }
}

/// The memory of a process, once it rests.
async fn settle(process: &Process) -> anyhow::Result<f64> {
    let settling = async {
        let mut last = process.memory()?.now;
        loop {
            sleep(LOOKS).await;
            let now = process.memory()?.now;
            if (now - last).abs() < last / 1_000.0 {
                return anyhow::Ok(now);
            }
            last = now;
        }
    };
    timeout(SETTLING, settling).await.context("the memory does not come to rest")?
}
