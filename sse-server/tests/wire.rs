//! The bytes of the event stream, read without an event stream library ([the HTML standard]).
//!
//! [the HTML standard]: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

#[path = "wire/stream.rs"]
mod stream;

use std::process::Command;
use std::time::{Duration, Instant};

use laws::PATIENCE;
use serde_json::Value;
use stream::{RETRY, Wire, close, quiet_server, send};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[tokio::test]
async fn answers_with_the_head_of_an_event_stream_and_a_delay_for_coming_back() {
    let server = quiet_server(|_| {}).await;
    let ann = server.user("Ann").await;
    let bearer = format!("Authorization: Bearer {}\r\n", ann.token.as_str());
    let (mut wire, head) = Wire::ask(&server, "/events", &bearer).await;
    let (status, headers) = head.split_first().unwrap();
    assert_eq!(status, "HTTP/1.1 200 OK");
    let mut headers: Vec<_> = headers.iter().filter(|line| !line.starts_with("date: ")).collect();
    headers.sort_unstable();
    assert_eq!(
        headers,
        [
            "cache-control: no-cache, no-transform",
            "content-type: text/event-stream",
            "transfer-encoding: chunked",
            "vary: origin",
            "x-accel-buffering: no",
        ]
    );
    // This comes at once, so that the browser's `open` event fires before the first message.
    assert_eq!(wire.chunk().await.as_deref(), Some("retry: 2000\n\n"));
}

#[tokio::test]
async fn writes_an_event_as_an_id_and_one_line_of_data() {
    let server = quiet_server(|_| {}).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let mut wire = Wire::open(&server, bob.token.as_str(), "", "").await;
    let sent = send(&ann, &bob, "9f", "hi").await;
    let (id, at) = (sent["id"].as_str().unwrap(), sent["at"].as_str().unwrap());
    let started = wire.event().await;
    let first = started.lines().next().unwrap().strip_prefix("id: ").unwrap();
    let (first, second) = (
        format!(r#"{{"type":"direct_started","id":"{first}","conversation":"c1","members":["u1","u2"]}}"#),
        format!(
            r#"{{"type":"message","id":"{id}","conversation":"c1","seq":1,"from":"u1","cid":"9f","text":"hi","at":"{at}"}}"#
        ),
    );
    assert!(started.ends_with(&format!("\ndata: {first}\n\n")), "{started}");
    assert_eq!(wire.event().await, format!("id: {id}\ndata: {second}\n\n"));
}

#[tokio::test]
async fn writes_several_events_in_order_each_with_its_own_id() {
    let server = quiet_server(|_| {}).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let cursor = bob.cursor().await;
    let mut ids = Vec::new();
    for number in 0..9 {
        ids.push(send(&ann, &bob, &number.to_string(), "hi").await["id"].as_str().unwrap().to_owned());
    }
    let mut wire = Wire::open(&server, bob.token.as_str(), &format!("?after={cursor}"), "").await;
    assert_eq!(wire.json().await["type"], "direct_started");
    for (number, id) in ids.iter().enumerate() {
        let event = wire.event().await;
        assert!(event.starts_with(&format!("id: {id}\ndata: {{\"type\":\"message\"")), "{event}");
        assert!(event.contains(&format!(r#""seq":{}"#, number + 1)), "{event}");
    }
}

#[tokio::test]
async fn keeps_any_text_in_one_line_of_data() {
    let server = quiet_server(|_| {}).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let mut wire = Wire::open(&server, bob.token.as_str(), "", "").await;
    let texts = [
        "\n\ndata: {\"type\":\"close\"}\n\n",
        "a\rb\r\nc\nid: 1\nretry: 1\n",
        ": a comment\nevent: message",
        "\u{2028}\u{2029}\u{85}\u{FEFF}",
        "\0\u{1}\u{1F}\u{7F}\\\"",
        "👩‍👩‍👧 \u{202E}é",
    ];
    for (number, text) in texts.into_iter().enumerate() {
        send(&ann, &bob, &number.to_string(), text).await;
        if number == 0 {
            assert_eq!(wire.json().await["type"], "direct_started");
        }
        let event = wire.event().await;
        // CR, LF and CR LF each end a line. Here are three line ends, each LF.
        assert!(!event.contains('\r') && event.matches('\n').count() == 3, "{event:?}");
        let (id, data) = event.trim_end_matches('\n').split_once("\ndata: ").unwrap();
        let message: Value = serde_json::from_str(data).unwrap();
        assert_eq!(message["text"], text);
        assert_eq!(id, format!("id: {}", message["id"].as_str().unwrap()));
    }
}

#[tokio::test]
async fn breaks_the_silence_with_a_comment_and_a_tick() {
    let keep_alive = Duration::from_millis(150);
    let server = quiet_server(|limits| limits.keep_alive = keep_alive).await;
    let ann = server.user("Ann").await;
    let opened = Instant::now();
    let mut wire = Wire::open(&server, ann.token.as_str(), "", "").await;
    for _ in 0..2 {
        let chunk = wire.chunk().await.unwrap();
        // The tick's own cursor is its id, so a browser that reconnects resumes from there.
        let id = chunk.strip_prefix(": keep-alive\nid: ").unwrap().lines().next().unwrap();
        let data = format!(r#"{{"type":"tick","cursor":"{id}"}}"#);
        assert_eq!(chunk, format!(": keep-alive\nid: {id}\ndata: {data}\n\n"));
    }
    assert!(opened.elapsed() >= 2 * keep_alive, "a tick without a reason");
}

#[tokio::test]
async fn ticks_though_there_is_no_silence() {
    let server = quiet_server(|limits| limits.keep_alive = Duration::from_millis(300)).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let mut wire = Wire::open(&server, bob.token.as_str(), "", "").await;
    let talking = async {
        for number in 0.. {
            send(&ann, &bob, &number.to_string(), "hi").await;
        }
    };
    let listening = async {
        let (mut ticks, mut messages) = (0, 0);
        while ticks < 3 {
            let kind = wire.json().await["type"].clone();
            ticks += u32::from(kind == "tick");
            messages += u32::from(kind == "message");
        }
        assert!(messages > 10, "{messages} messages are hardly a flow");
    };
    tokio::select! {
        () = talking => {}
        heard = timeout(PATIENCE, listening) => heard.expect("ticks come in time"),
    }
}

#[tokio::test]
async fn resumes_after_the_last_event_id_rather_than_after_the_query() {
    let server = quiet_server(|_| {}).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let older = bob.cursor().await;
    let newer = send(&ann, &bob, "1", "first").await["id"].as_str().unwrap().to_owned();
    send(&ann, &bob, "2", "second").await;
    let token = bob.token.as_str();

    let after_older = format!("?after={older}");
    let mut wire = Wire::open(&server, token, &after_older, "").await;
    assert_eq!(wire.json().await["type"], "direct_started");

    let mut wire = Wire::open(&server, token, &after_older, &format!("Last-Event-ID: {newer}\r\n")).await;
    assert_eq!(wire.json().await["text"], "second");
    // Before its first event a browser has no id.
    let mut wire = Wire::open(&server, token, &format!("?after={newer}"), "Last-Event-ID: \r\n").await;
    assert_eq!(wire.json().await["text"], "second");
}

#[tokio::test]
async fn starts_with_the_next_event_without_a_cursor() {
    let server = quiet_server(|_| {}).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    send(&ann, &bob, "1", "first").await;
    let mut wire = Wire::open(&server, bob.token.as_str(), "", "").await;
    send(&ann, &bob, "2", "second").await;
    assert_eq!(wire.json().await["text"], "second");
}

#[tokio::test]
async fn refuses_on_the_stream_because_a_browser_would_come_back_otherwise() {
    let server = quiet_server(|limits| limits.connections_per_user = 1).await;
    let mut wire = Wire::open(&server, "stolen", "", "").await;
    assert_eq!(wire.closed().await, close(4502, "unauthenticated", false));
    let (mut wire, head) = Wire::ask(&server, "/events", "").await;
    assert_eq!(head[0], "HTTP/1.1 200 OK");
    assert_eq!(wire.event().await, RETRY);
    assert_eq!(wire.closed().await, close(4502, "unauthenticated", false));

    let ann = server.user("Ann").await;
    let _first = Wire::open(&server, ann.token.as_str(), "", "").await;
    let mut second = Wire::open(&server, ann.token.as_str(), "", "").await;
    assert_eq!(second.closed().await, close(4504, "too_many_connections", false));
}

#[tokio::test]
async fn refuses_a_malformed_cursor_with_a_problem_document() {
    let server = quiet_server(|_| {}).await;
    let ann = server.user("Ann").await;
    let bearer = format!("Authorization: Bearer {}\r\n", ann.token.as_str());
    for (path, last) in [("/events?after=yesterday", ""), ("/events", "Last-Event-ID: yesterday\r\n")] {
        let (_, head) = Wire::ask(&server, path, &format!("{bearer}{last}")).await;
        assert_eq!(head[0], "HTTP/1.1 400 Bad Request");
        assert!(head.contains(&"content-type: application/problem+json".to_owned()), "{head:?}");
    }
}

#[tokio::test]
async fn says_why_it_ends_a_stream_and_ends_it_whole() {
    let mut server = quiet_server(|_| {}).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let mut anns = Wire::open(&server, ann.token.as_str(), "", "").await;
    let mut bobs = Wire::open(&server, bob.token.as_str(), "", "").await;
    ann.target.sign_out(&ann.token).await.unwrap();
    assert_eq!(anns.closed().await, close(4503, "revoked", false));
    let (closed, ()) = tokio::join!(bobs.closed(), server.stop());
    assert_eq!(closed, close(4001, "shutdown", true));
    bobs.end().await;
}

#[tokio::test]
async fn resets_an_unusable_cursor_and_then_closes() {
    let server = quiet_server(|limits| limits.retention = Duration::from_secs(1)).await;
    let ann = server.user("Ann").await;
    let old = ann.cursor().await;
    server.user("Bob").await;
    let token = ann.token.as_str();

    let mut wire = Wire::open(&server, token, "?after=00000000.1", "").await;
    assert_eq!(wire.event().await, "data: {\"type\":\"reset\",\"reason\":\"unknown\"}\n\n");
    assert_eq!(wire.closed().await, close(4409, "cursor_unknown", true));

    // The log is trimmed some time later. Until then, the event after the cursor is still there.
    let expired = async {
        loop {
            let mut wire = Wire::open(&server, token, &format!("?after={old}"), "").await;
            let first = wire.event().await;
            if first.contains("reset") {
                return (first, wire.closed().await);
            }
            assert!(first.contains("user_registered"), "{first}");
        }
    };
    let (reset, closed) = timeout(PATIENCE, expired).await.unwrap();
    assert_eq!(reset, "data: {\"type\":\"reset\",\"reason\":\"expired\"}\n\n");
    assert_eq!(closed, close(4410, "cursor_expired", true));
}

#[tokio::test]
async fn ends_the_session_of_a_client_that_hangs_up() {
    let server = quiet_server(|_| {}).await;
    let ann = server.user("Ann").await;
    let wire = Wire::open(&server, ann.token.as_str(), "", "").await;
    assert_eq!(server.metric("chat_sessions", ""), 1);
    drop(wire);
    server.eventually("the session ends", |server| server.metric("chat_sessions", "") == 0).await;
}

#[tokio::test]
async fn streams_to_a_client_of_http_1_0_without_chunks() {
    let server = quiet_server(|_| {}).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let cursor = bob.cursor().await;
    send(&ann, &bob, "1", "first").await;
    let address = server.target.base().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let token = bob.token.as_str();
    let request = format!("GET /events?after={cursor} HTTP/1.0\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut said = String::new();
    let mut bytes = [0; 4_096];
    while !said.contains("first") {
        let read = timeout(PATIENCE, stream.read(&mut bytes)).await.expect("bytes come in time").unwrap();
        said += std::str::from_utf8(&bytes[..read]).unwrap();
    }
    // Later events come in the same way.
    send(&ann, &bob, "2", "second").await;
    bob.target.sign_out(&bob.token).await.unwrap();
    timeout(PATIENCE, stream.read_to_string(&mut said)).await.expect("the connection ends").unwrap();
    let (head, body) = said.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.0 200 OK\r\n"), "{head}");
    assert!(!head.contains("transfer-encoding") && !head.contains("content-length"), "{head}");
    let events: Vec<&str> = body.split_inclusive("\n\n").collect();
    assert_eq!(events.len(), 5, "{body}");
    assert_eq!((events[0], events[4]), (RETRY, close(4503, "revoked", false).as_str()));
    assert!(events[1..4].iter().all(|event| event.starts_with("id: ")), "{body}");
}

#[tokio::test]
async fn answers_head_with_the_head_alone() {
    let server = quiet_server(|_| {}).await;
    let ann = server.user("Ann").await;
    let address = server.target.base().trim_start_matches("http://");
    let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
    let token = ann.token.as_str();
    for _ in 0..2 {
        let request =
            format!("HEAD /events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let reading = stream.read_line(&mut head);
            assert!(timeout(PATIENCE, reading).await.expect("a line comes in time").unwrap() > 0);
        }
        // Only the head of the next answer follows it.
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("content-type: text/event-stream\r\n"), "{head}");
    }
    server.eventually("nobody is served", |server| server.metric("chat_sessions", "") == 0).await;
}

#[tokio::test]
async fn carries_other_requests_before_and_after_a_stream() {
    let server = quiet_server(|_| {}).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let token = ann.token.as_str();
    let users = format!(
        "GET /api/users HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
        bob.token.as_str()
    );
    let events = format!("GET /events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
    let address = server.target.base().trim_start_matches("http://");
    let stream = BufReader::new(TcpStream::connect(address).await.unwrap());
    let mut wire = Wire { stream, text: String::new() };
    // A request that is sent behind a stream has to wait for the stream's end.
    wire.stream.write_all([users.as_str(), &events, &users].concat().as_bytes()).await.unwrap();
    let answer = async |wire: &mut Wire| {
        let mut length = None;
        loop {
            let line = wire.line().await;
            length = line.strip_prefix("content-length: ").map(|n| n.parse::<usize>().unwrap()).or(length);
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length.unwrap_or(0)];
        timeout(PATIENCE, wire.stream.read_exact(&mut body)).await.expect("a body comes in time").unwrap();
        String::from_utf8(body).unwrap()
    };
    assert!(answer(&mut wire).await.contains("Ann"));
    assert_eq!(answer(&mut wire).await, "", "a stream has no length");
    assert_eq!(wire.event().await, RETRY);
    send(&bob, &ann, "1", "hi").await;
    assert_eq!(wire.json().await["type"], "direct_started");
    assert_eq!(wire.json().await["text"], "hi");
    ann.target.sign_out(&ann.token).await.unwrap();
    assert_eq!(wire.closed().await, close(4503, "revoked", false));
    assert!(answer(&mut wire).await.contains("Bob"));
}

#[tokio::test]
async fn shows_the_stream_to_a_listed_page_and_to_no_other() {
    let server = quiet_server(|_| {}).await;
    let ann = server.user("Ann").await;
    let bearer = format!("Authorization: Bearer {}\r\n", ann.token.as_str());
    let origin = server.target.base();
    let (_wire, head) = Wire::ask(&server, "/events", &format!("{bearer}Origin: {origin}\r\n")).await;
    assert!(head.contains(&format!("access-control-allow-origin: {origin}")), "{head:?}");
    let (_, head) =
        Wire::ask(&server, "/events", &format!("{bearer}Origin: http://elsewhere.example\r\n")).await;
    assert_eq!(head[0], "HTTP/1.1 403 Forbidden");
}

#[tokio::test]
async fn ends_the_session_of_a_client_that_says_no_more() {
    let server = quiet_server(|_| {}).await;
    let ann = server.user("Ann").await;
    let mut wire = Wire::open(&server, ann.token.as_str(), "", "").await;
    wire.stream.get_mut().shutdown().await.unwrap();
    server.eventually("the session ends", |server| server.metric("chat_sessions", "") == 0).await;
}

#[tokio::test]
async fn explains_itself() {
    let help = Command::new(env!("CARGO_BIN_EXE_sse-server")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for said in [
        "Server-Sent Events",
        "--listen",
        "127.0.0.1:4002",
        "--database",
        "sse-server.db",
        "--origin",
        "--keep-alive",
    ] {
        assert!(help.contains(said), "{said} is missing:\n{help}");
    }
    // No option is required.
    assert!(help.contains("Usage: sse-server [OPTIONS]\n"), "{help}");
}
