//! Clients that stop reading: what they cost, and how their end is counted.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use support::{Lab, PATIENCE, User, post};

/// The receive buffer of a stalled client: small, because these tests measure what the server's side keeps.
const RECEIVE_BYTES: u32 = 4_096;

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Sends a user this many messages of 8,000 bytes, and gives the cursor before them.
async fn fill(lab: &Lab, from: &User, to: &User, messages: usize) -> String {
    let cursor = to.get(lab.page, "/api/snapshot").await.json()["cursor"].as_str().unwrap().to_owned();
    let text = "x".repeat(8_000);
    let request = |number: &usize| {
        let command = json!({"type": "send", "to": {"user": to.id}, "cid": format!("{}-{number}", to.id), "text": text});
        json!({"command": command})
    };
    let numbers: Vec<usize> = (0..messages).collect();
    for part in numbers.chunks(7) {
        let body = Value::Array(part.iter().map(request).collect());
        assert_eq!(post(lab.page, "/api/commands", &from.bearer(), &body).await.status, 200);
    }
    cursor
}

/// Opens a connection, sends the request this many times, and reads nothing.
async fn stall(server: SocketAddr, path: &str, user: &User, headers: &str, times: usize) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(RECEIVE_BYTES).unwrap();
    let mut stream = socket.connect(server).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\n{}{headers}\r\n", user.bearer());
    stream.write_all(request.repeat(times).as_bytes()).await.unwrap();
    stream
}

/// For each connection of these servers, the bytes that the kernel keeps for its client ([proc_net(5)]).
///
/// [proc_net(5)]: https://man7.org/linux/man-pages/man5/proc_pid_net.5.html
fn kept(servers: &[SocketAddr]) -> Vec<u64> {
    const ESTABLISHED: &str = "01";
    let ports: Vec<String> = servers.iter().map(|server| format!("{:04X}", server.port())).collect();
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[3] == ESTABLISHED && ports.iter().any(|port| row[1].ends_with(&format!(":{port}"))))
        .map(|row| u64::from_str_radix(row[4].split(':').next().unwrap(), 16).unwrap())
        .collect()
}

#[tokio::test]
async fn two_hundred_stalled_clients_cost_little() {
    const MOST: u64 = 40 * 1_024 * 1_024;
    let flags = ["--connections-per-user", "300", "--message-burst", "1000", "--write-timeout", "1h"];
    let lab = Lab::start_temporary(&flags).await;
    let (ann, bob) = (lab.register("Ann").await, lab.register("Bob").await);
    // Far more than the kernel would take for each client without a limit.
    let cursor = fill(&lab, &ann, &bob, 700).await;
    let query = format!("?after={cursor}");
    let mut stalled = Vec::new();
    for number in 0..200 {
        stalled.push(match number % 4 {
            0 => stall(lab.websocket, &format!("/ws{query}"), &bob, UPGRADE, 1).await,
            1 => stall(lab.sse, &format!("/events{query}"), &bob, "", 1).await,
            2 => stall(lab.longpoll, &format!("/poll{query}&wait=60"), &bob, "", 100).await,
            _ => stall(lab.page, "/api/conversations/c1/messages?limit=200", &bob, "", 1).await,
        });
    }
    let servers = lab.servers();
    let settled = async {
        let mut before = Vec::new();
        loop {
            let now = kept(&servers);
            let full = now.iter().filter(|&&bytes| bytes > 65_536).count();
            if (full == 200 && now == before) || now.iter().sum::<u64>() > MOST {
                return now;
            }
            before = now;
            sleep(Duration::from_millis(300)).await;
        }
    };
    let kept = timeout(PATIENCE, settled).await.expect("all of them stall");
    let (sum, most) = (kept.iter().sum::<u64>(), kept.iter().max().unwrap());
    assert!(sum <= MOST, "{} connections keep {sum} bytes, one of them {most}", kept.len());
}

#[tokio::test]
async fn every_stalled_client_is_counted_as_slow() {
    let flags = ["--message-burst", "1000", "--write-timeout", "2s", "--header-timeout", "1h"];
    let lab = Lab::start_temporary(&flags).await;
    let (ann, bob, cid) = (lab.register("Ann").await, lab.register("Bob").await, lab.register("Cid").await);
    let mut stalled = Vec::new();
    // Bob's messages fit into the kernel's buffers: no write waits, and only the kernel notices. Cid's do not.
    for (user, messages, polls) in [(&bob, 5, 1), (&cid, 100, 10)] {
        let cursor = fill(&lab, &ann, user, messages).await;
        let query = format!("?after={cursor}");
        for _ in 0..5 {
            stalled.push(stall(lab.websocket, &format!("/ws{query}"), user, UPGRADE, 1).await);
            stalled.push(stall(lab.sse, &format!("/events{query}"), user, "", 1).await);
            stalled.push(stall(lab.longpoll, &format!("/poll{query}&wait=60"), user, "", polls).await);
        }
    }
    let counted = async {
        while lab.closed("slow").await != stalled.len() as u64 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let waited = timeout(PATIENCE, counted).await;
    assert!(waited.is_ok(), "{} of {} count as slow", lab.closed("slow").await, stalled.len());
    for mut stream in stalled {
        let mut rest = Vec::new();
        // A reset is an end too.
        let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("the server has ended it");
    }
}
