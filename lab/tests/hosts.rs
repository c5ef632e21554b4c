//! The host names that the servers of a launch answer to: this keeps out a foreign page whose name was made to lead
//! here (DNS rebinding).

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod support;

use std::net::{Ipv4Addr, SocketAddr};

use support::{Answer, Lab, ask, lab, outcome};

/// Asks who is signed in, as a page would do whose name leads here.
async fn read(server: SocketAddr, host: &str) -> Answer {
    let request = format!("GET /api/transports HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    ask((Ipv4Addr::LOCALHOST, server.port()).into(), request.as_bytes()).await
}

/// The one status with which all servers of a launch answer a request for a host.
async fn everywhere(lab: &Lab, host: &str) -> u16 {
    let mut statuses = Vec::new();
    for server in lab.servers() {
        let answer = read(server, host).await;
        if answer.status != 200 {
            assert_eq!(answer.problem(), "misdirected_request", "{host}");
        }
        statuses.push(answer.status);
    }
    statuses.dedup();
    assert_eq!(statuses.len(), 1, "{host}: {statuses:?}");
    statuses[0]
}

#[tokio::test]
async fn a_foreign_name_gets_nowhere_on_loopback_without_any_flag() {
    let lab = Lab::start_temporary(&[]).await;
    for host in ["localhost:4000", "127.0.0.1", "[::1]", "switchboard.localhost"] {
        assert_eq!(everywhere(&lab, host).await, 200, "{host}");
    }
    assert_eq!(everywhere(&lab, "evil.example").await, 421);
    // Not even the page itself is served: under such a name, it would belong to the foreign site.
    let page = format!("GET / HTTP/1.1\r\nHost: evil.example:{}\r\n\r\n", lab.page.port());
    assert_eq!(ask(lab.page, page.as_bytes()).await.problem(), "misdirected_request");
    for path in ["/healthz", "/metrics"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
        assert_eq!(ask(lab.sse, request.as_bytes()).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn the_names_of_both_flags_are_answered_to() {
    let flags =
        ["--origin", "https://chat.example.org", "--host", "chat.lan,Other.LAN", "--host", "third.lan"];
    let lab = Lab::start_temporary(&flags).await;
    for host in ["chat.example.org", "chat.lan:4001", "other.lan", "third.lan.", "localhost"] {
        assert_eq!(everywhere(&lab, host).await, 200, "{host}");
    }
    assert_eq!(everywhere(&lab, "evil.example").await, 421);
}

#[tokio::test]
async fn a_server_for_other_machines_answers_to_any_name_until_one_is_named() {
    // One server listens on all addresses. Each server decides by its own listener.
    let lab = Lab::start_temporary(&["--websocket", "0.0.0.0:0"]).await;
    for server in lab.servers() {
        let expected = if server == lab.websocket { 200 } else { 421 };
        assert_eq!(read(server, "my-machine.lan").await.status, expected);
    }
    let lab = Lab::start_temporary(&["--websocket", "0.0.0.0:0", "--host", "my-machine.lan"]).await;
    assert_eq!(everywhere(&lab, "my-machine.lan").await, 200);
    assert_eq!(everywhere(&lab, "evil.example").await, 421);
}

#[tokio::test]
async fn a_host_that_cannot_be_one_is_refused_at_start() {
    for host in ["https://chat.lan", "chat.lan:80", "*", "chat.lan/path", ""] {
        let output = outcome(lab(&["--database", ":memory:", "--host", host])).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{host}: {said}");
        assert!(said.contains("--host") && said.contains("like chat.example.org"), "{host}: {said}");
    }
}
