//! Which requests begin a WebSocket and which do not: bytes in, a status out ([RFC 6455 §4.2.1]).
//!
//! [RFC 6455 §4.2.1]: https://www.rfc-editor.org/rfc/rfc6455#section-4.2.1

use laws::TestServer;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use ws_server::WsServer;

use crate::frames::{TEXT, Wire, quiet_server};

const LINE: &str = "GET /ws HTTP/1.1\r\n";
const HOST: &str = "Host: localhost\r\n";
const UPGRADE: &str = "Upgrade: websocket\r\n";
const CONNECTION: &str = "Connection: Upgrade\r\n";
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";

/// How a head differs from a good one: a line to replace, and its replacement; then the status of the answer.
type Case = (&'static str, &'static [u8], u16);

/// Each replaces one line of a good handshake, or the empty line at its end.
const CASES: [Case; 74] = [
    (LINE, b"GET /ws HTTP/1.1\r\n", 101),
    (LINE, b"GET /ws? HTTP/1.1\r\n", 101),
    (LINE, b"GET http://localhost/ws HTTP/1.1\r\n", 101),
    (LINE, b"GET http://elsewhere.example/ws HTTP/1.1\r\n", 421),
    (LINE, b"HEAD /ws HTTP/1.1\r\n", 400),
    (LINE, b"POST /ws HTTP/1.1\r\n", 405),
    (LINE, b"PUT /ws HTTP/1.1\r\n", 405),
    (LINE, b"OPTIONS /ws HTTP/1.1\r\n", 204),
    (LINE, b"GET /ws HTTP/1.0\r\n", 400),
    (LINE, b"GET /ws/ HTTP/1.1\r\n", 404),
    (LINE, b"GET /ws?after=yesterday HTTP/1.1\r\n", 400),
    (LINE, b"GET /ws?after= HTTP/1.1\r\n", 400),
    (LINE, b"GET /ws?after=00000000.1&after=00000000.1 HTTP/1.1\r\n", 400),
    (HOST, b"", 400),
    (HOST, b"Host:\r\n", 400),
    (HOST, b"Host: localhost\r\nHost: localhost\r\n", 400),
    (HOST, b"Host: local host\r\n", 400),
    (HOST, b"Host: caf\xc3\xa9\r\n", 400),
    (HOST, b"Host: evil.example\r\n", 421),
    (HOST, b"host: 127.0.0.1:9\r\n", 101),
    (UPGRADE, b"", 400),
    (UPGRADE, b"Upgrade:\r\n", 400),
    (UPGRADE, b"UPGRADE: WebSocket\r\n", 101),
    (UPGRADE, b"Upgrade: h2c\r\n", 400),
    (UPGRADE, b"Upgrade: h2c, websocket\r\n", 101),
    (UPGRADE, b"Upgrade: websocket, h2c\r\n", 101),
    (UPGRADE, b"Upgrade: h2c\r\nUpgrade: websocket\r\n", 101),
    (UPGRADE, b"Upgrade: caf\xe9, websocket\r\n", 101),
    (UPGRADE, b"Upgrade: websocket/13\r\n", 400),
    (UPGRADE, b"Upgrade: websockets\r\n", 400),
    (UPGRADE, b"Upgrade: not-websocket\r\n", 400),
    (CONNECTION, b"", 400),
    (CONNECTION, b"Connection: upgrade\r\n", 101),
    (CONNECTION, b"Connection: UPGRADE\r\n", 101),
    (CONNECTION, b"Connection: keep-alive, Upgrade\r\n", 101),
    (CONNECTION, b"Connection: keep-alive,Upgrade,\r\n", 101),
    (CONNECTION, b"Connection: keep-alive\r\nConnection: Upgrade\r\n", 101),
    (CONNECTION, b"Connection: Upgrade\r\nConnection: keep-alive\r\n", 101),
    (CONNECTION, b"Connection: \xff\r\nConnection: Upgrade\r\n", 101),
    (CONNECTION, b"Connection: no-upgrade-please\r\n", 400),
    (CONNECTION, b"Connection: upgrades\r\n", 400),
    (CONNECTION, b"Connection: keep-alive\r\n", 400),
    (CONNECTION, b"Connection: keep-alive Upgrade\r\n", 400),
    (KEY, b"", 400),
    (KEY, b"Sec-WebSocket-Key:\r\n", 400),
    (KEY, b"Sec-WebSocket-Key: abc\r\n", 400),
    (KEY, b"Sec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\n", 400),
    (KEY, b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n", 400),
    (KEY, b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ===\r\n", 400),
    (KEY, b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSE=\r\n", 400),
    (KEY, b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSEh\r\n", 400),
    (KEY, b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j!Q==\r\n", 400),
    (KEY, b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==\r\n", 400),
    (KEY, b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\xe9Q==\r\n", 400),
    (
        KEY,
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        400,
    ),
    (KEY, b"Sec-WebSocket-Key:   dGhlIHNhbXBsZSBub25jZQ==\t\r\n", 101),
    (KEY, b"Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n", 101),
    (VERSION, b"", 400),
    (VERSION, b"Sec-WebSocket-Version: 8\r\n", 426),
    (VERSION, b"Sec-WebSocket-Version: 12\r\n", 426),
    (VERSION, b"Sec-WebSocket-Version: 14\r\n", 426),
    (VERSION, b"Sec-WebSocket-Version: 013\r\n", 426),
    (VERSION, b"Sec-WebSocket-Version: 13, 8\r\n", 426),
    (VERSION, b"Sec-WebSocket-Version: x\r\n", 426),
    (VERSION, b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13\r\n", 400),
    (VERSION, b"Sec-WebSocket-Version: \xff\r\n", 400),
    ("\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n", 101),
    ("\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\nhello", 400),
    ("\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("\r\n\r\n", b"\r\nLast-Event-ID: \xe9\r\n\r\n", 400),
    ("\r\n\r\n", b"\r\nLast-Event-ID:\r\n\r\n", 101),
    ("\r\n\r\n", b"\r\nOrigin: http://elsewhere.example\r\n\r\n", 403),
    ("\r\n\r\n", b"\r\nOrigin: http://caf\xe9\r\n\r\n", 400),
    ("\r\n\r\n", b"\r\nCookie: theme=caf\xe9\r\n\r\n", 101),
];

fn good(token: &str) -> String {
    format!("{LINE}{HOST}{UPGRADE}{CONNECTION}{KEY}{VERSION}Authorization: Bearer {token}\r\n\r\n")
}

/// Sends a head on a connection of its own; returns the connection, the status of the answer, and its head.
async fn ask(server: &TestServer<WsServer>, head: &[u8]) -> (Wire, u16, String) {
    let address = server.target.base().trim_start_matches("http://");
    let mut wire = Wire(TcpStream::connect(address).await.unwrap());
    wire.0.write_all(head).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.extend(wire.read(1).await);
    }
    let answer = String::from_utf8(answer).unwrap();
    (wire, answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

/// The problem document after a head.
async fn problem(wire: &mut Wire, head: &str) -> Value {
    assert!(head.contains("\r\ncontent-type: application/problem+json\r\n"), "{head}");
    let (_, length) = head.split_once("content-length: ").unwrap();
    let body = wire.read(length.lines().next().unwrap().parse().unwrap()).await;
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn begins_with_exactly_what_the_rfc_asks_for() {
    let server = quiet_server(|limits| limits.connections_per_user = CASES.len()).await;
    let ann = server.user("Ann").await;
    let mut accepted = Vec::new();
    for (line, replacement, status) in CASES {
        let good = good(ann.token.as_str());
        let (before, behind) = good.split_once(line).unwrap();
        let head = [before.as_bytes(), replacement, behind.as_bytes()].concat();
        let shown = String::from_utf8_lossy(replacement);
        let (mut wire, answered, head) = ask(&server, &head).await;
        assert_eq!(answered, status, "{line:?} became {shown:?}: {head}");
        match status {
            101 => accepted.push((wire, shown)),
            204 => assert!(head.contains("\r\nallow: GET,HEAD\r\n"), "{head}"),
            // Nothing follows the head of an answer to HEAD.
            400 if replacement.starts_with(b"HEAD") => {}
            _ => assert_eq!(problem(&mut wire, &head).await["status"], status, "{shown}"),
        }
    }
    // An accepted connection is a WebSocket: it answers a request.
    let nonsense = br#"{"request_id":"r","command":{"type":"fly"}}"#;
    for (mut wire, shown) in accepted {
        wire.send(TEXT, nonsense).await;
        assert_eq!(wire.json().await["refusal"]["code"], "bad_request", "{shown}");
    }
}

#[tokio::test]
async fn says_what_is_wrong_with_a_key_and_which_version_it_speaks() {
    let server = quiet_server(|_| {}).await;
    let good = good(server.user("Ann").await.token.as_str());
    let refused = async |line: &str, replacement: &str| {
        let (mut wire, _, head) = ask(&server, good.replace(line, replacement).as_bytes()).await;
        let problem = problem(&mut wire, &head).await;
        (head, problem["code"].as_str().unwrap().to_owned(), problem["detail"].as_str().unwrap().to_owned())
    };
    for (key, said) in [
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\n", "has 10 bytes"),
        ("Sec-WebSocket-Key: \r\n", "has 0 bytes"),
        ("Sec-WebSocket-Key: abc\r\n", "is not base64"),
        ("", "send a Sec-WebSocket-Key"),
        (&KEY.repeat(2), "several sec-websocket-key"),
    ] {
        let (_, code, detail) = refused(KEY, key).await;
        assert!(code == "bad_request" && detail.contains(said) && detail.contains("send"), "{key}: {detail}");
    }
    let (head, code, detail) = refused(VERSION, "Sec-WebSocket-Version: 8\r\n").await;
    assert_eq!(code, "upgrade_required", "{detail}");
    for line in ["sec-websocket-version: 13", "upgrade: websocket", "connection: upgrade"] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{head}");
    }
}

#[tokio::test]
async fn takes_a_request_for_another_protocol_as_if_it_had_not_asked() {
    let server = quiet_server(|_| {}).await;
    let address = server.target.base();
    let cookie = server.cookie(&server.user("Ann").await);
    // Java's client sends this with every first request. The cookie is there because on a WebSocket it needs an origin.
    let h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n";
    let request = |path: &str, headers: &str| {
        format!("GET {path} HTTP/1.1\r\n{HOST}Cookie: {cookie}\r\n{headers}\r\n").into_bytes()
    };
    assert_eq!(ask(&server, &request("/api/snapshot", h2c)).await.1, 200);
    assert_eq!(ask(&server, &request("/ws", h2c)).await.1, 400);
    let websocket = format!("{CONNECTION}{UPGRADE}{KEY}{VERSION}");
    assert_eq!(ask(&server, &request("/ws", &websocket)).await.1, 403);
    let both = websocket.replace("Upgrade: websocket", "Upgrade: h2c, websocket");
    assert_eq!(ask(&server, &request("/ws", &both)).await.1, 403);
    assert_eq!(ask(&server, &request("/ws", &format!("{both}Origin: {address}\r\n"))).await.1, 101);
}
