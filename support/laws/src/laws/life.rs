//! How a connection lives and ends.

use std::time::Duration;

use chat_client::Events;
use chat_core::limits::Limits;
use chat_core::protocol::{Event, To};
use chat_core::refusal::Close;
use chat_http::Server;
use tokio::time::timeout;

use crate::laws::pace::fill;
use crate::raw::{half_closed, request};
use crate::test_server::{asks_once, polls, position, texts};
use crate::{Raw, TestConnection, TestServer};

pub async fn survives_silence<S: Server>() {
    let server = TestServer::<S>::open_with(|limits| {
        limits.keep_alive = Duration::from_millis(50);
        limits.ping_after = Duration::from_millis(50);
        limits.pong_timeout = Duration::from_secs(2);
        limits.poll_wait = Duration::from_millis(50);
        limits.presence_interval = Duration::from_millis(10);
    })
    .await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let mut at_ann = ann.connect().await;
    // Events that are not for Ann still move her cursor: by ticks on a stream, by empty answers to polls.
    let cid = server.user("Cid").await;
    bob.connect().await.send(To::User(cid.id()), "not for Ann").await;
    let head = position(bob.cursor().await).1;
    let reached =
        |connection: &TestConnection<S>| connection.events.cursor().map(|cursor| position(cursor).1);
    let mut ticks = 0;
    while reached(&at_ann) < Some(head) || (!polls::<S>() && ticks < 3) {
        // Polls bring no event in silence, so only the cursor can be checked.
        match timeout(Duration::from_millis(100), at_ann.events.next()).await {
            Ok(Ok(Event::Tick { cursor })) => {
                assert_eq!(at_ann.events.cursor(), Some(cursor));
                ticks += 1;
            }
            Ok(Ok(_)) | Err(_) => {}
            Ok(Err(error)) => panic!("the connection ended: {error}"),
        }
    }
    bob.connect().await.send(To::User(ann.id()), "at last").await;
    at_ann.until_text("at last").await;
}

pub async fn ends_properly_at_shutdown<S: Server>() {
    let mut server = TestServer::<S>::open().await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let (mut at_ann, mut at_bob) = (ann.connect().await, bob.connect().await);
    at_ann.send(To::User(bob.id()), "before").await;
    at_bob.until_text("before").await;
    server.chat.end_sessions();
    for connection in [&mut at_ann, &mut at_bob] {
        loop {
            if let Event::Close { code, name, reconnect } = connection.next().await {
                assert_eq!((code, name.as_str(), reconnect), (Close::Shutdown.code(), "shutdown", true));
                break;
            }
        }
    }
    drop((at_ann, at_bob));
    server.stop().await;
    // No server answers any more, or it closes the connection at once.
    if let Ok(mut connection) = bob.try_resume(None).await {
        assert_eq!(connection.end().await, Close::Shutdown.code());
    }
}

pub async fn keeps_what_it_acknowledged_over_a_restart<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let start = bob.cursor().await;
    let at_ann = ann.connect().await;
    for number in 0..20 {
        at_ann.send(To::User(bob.id()), &number.to_string()).await;
    }
    let bob_user = bob.user.clone();
    drop((ann, bob, at_ann));
    let server = server.restart_after(drop).await;
    let bob = server.sign_in(&bob_user).await;
    let expected: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(texts(&bob.resume(Some(start)).await.until_text("19").await), expected);
}

/// Every transport answers what is not a request with a code. This law tests the POSTs that all servers share. The
/// `tests/wire.rs` of each transport tests its own answer.
pub async fn refuses_what_is_not_a_request<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let post = |body: String, kind: &'static str| {
        let request = ann.target.request(reqwest::Method::POST, "/api/commands", &ann.token);
        async move {
            let answer = request.header("content-type", kind).body(body).send().await.expect("an answer");
            let status = answer.status().as_u16();
            let body: serde_json::Value = answer.json().await.expect("a JSON answer");
            let code =
                body["code"].as_str().or(body["refusal"]["code"].as_str()).unwrap_or_default().to_owned();
            (status, code)
        }
    };
    let json = "application/json";
    let long = format!("{{\"x\":\"{}\"}}", "y".repeat(Limits::FRAME_BYTES));
    let typing = |extra: &str| format!(r#"{{"command":{{"type":"typing","conversation":"c1"{extra}}}}}"#);
    for (body, kind, status, code) in [
        ("{".to_owned(), json, 400, "bad_request"),
        (String::new(), json, 400, "bad_request"),
        ("7".to_owned(), json, 400, "bad_request"),
        (typing(r#","mood":"good""#), json, 400, "bad_request"),
        (typing(r#","conversation":"c1""#), json, 400, "bad_request"),
        (r#"{"command":{"type":"typing","conversation":1}}"#.to_owned(), json, 400, "bad_request"),
        (r#"{"command":{"type":"fly"}}"#.to_owned(), json, 400, "bad_request"),
        (typing(""), "text/plain", 415, "unsupported_media_type"),
        (long, json, 413, "too_large"),
    ] {
        let shown: String = body.chars().take(80).collect();
        assert_eq!(post(body, kind).await, (status, code.to_owned()), "{shown}");
    }
    // None of these had an effect, and the server goes on.
    let mut at_bob = bob.connect().await;
    ann.connect().await.send(To::User(bob.id()), "well formed").await;
    assert_eq!(texts(&at_bob.until_text("well formed").await), ["well formed"]);
}

/// Tests commands and reads over HTTP on every server, and then the transport's own connection.
pub async fn answers_a_client_that_sends_no_more<S: Server>() {
    let server =
        TestServer::<S>::open_with(|limits| limits.presence_interval = Duration::from_secs(3_600)).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let start = bob.cursor().await;
    let post = |path: &str, body: String| {
        let (token, length) = (ann.token.as_str(), body.len());
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    let say = |cid: &str| {
        let to = bob.id();
        let command =
            format!(r#"{{"type":"send","to":{{"user":"{to}"}},"cid":"{cid}","text":"half-closed {cid}"}}"#);
        post("/api/commands", format!(r#"{{"command":{command}}}"#))
    };
    let login = post("/api/login", r#"{"name":"Ann","password":"correct horse battery"}"#.to_owned());
    let read = request("/api/snapshot", &ann, None);
    for requests in
        [vec![say("1")], vec![read.clone()], vec![login.clone()], vec![say("2"), read, login, say("3")]]
    {
        let answers = half_closed(&ann, &requests.concat()).await;
        assert_eq!(answers.matches("HTTP/1.1 200 ").count(), requests.len(), "{answers}");
    }
    let Some(path) = S::PATH else { return };
    // The events for Bob are read from disk, because he was not here and has no inbox in memory.
    let answers = half_closed(&bob, &request(path, &bob, Some(start))).await;
    for text in ["half-closed 1", "half-closed 2", "half-closed 3"] {
        assert_eq!(answers.matches(text).count(), 1, "{answers}");
    }
    // Now there is nothing for Bob. A short poll gets an empty answer; a long poll and a stream end.
    let now = bob.cursor().await;
    let answer = half_closed(&bob, &request(path, &bob, Some(now))).await;
    match (polls::<S>(), asks_once::<S>()) {
        (_, true) => assert!(answer.contains(r#"{"events":[],"#), "{answer}"),
        (true, false) => assert_eq!(answer, ""),
        (false, false) => assert!(answer.starts_with("HTTP/1.1 "), "{answer}"),
    }
    server.eventually("its session ends", |server| server.metric("chat_sessions", "") == 0).await;
}

pub async fn counts_each_end_once_with_its_reason<S: Server>() {
    let mut server = TestServer::<S>::open_with(|limits| {
        limits.write_timeout = Duration::from_millis(300);
        limits.header_timeout = Duration::from_secs(3_600);
    })
    .await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let start = bob.cursor().await;
    let mut expected = vec!["slow"];
    if let Some(path) = S::PATH {
        half_closed(&bob, &request(path, &bob, Some(start))).await;
        server.eventually("a client has left", |server| server.closed("left") == 1).await;
        Raw::open(&bob, None).await.vanish();
        server.eventually("a connection was reset", |server| server.closed("aborted") == 1).await;
        expected.push("aborted");
    }
    fill(&ann, bob.id()).await;
    let stuck = Raw::fall_behind(&bob, start).await;
    server.eventually("a client does not read", |server| server.closed("slow") == 1).await;
    stuck.ended().await;
    #[cfg(target_os = "linux")]
    if let Some(_unreachable) = Raw::unreachable(&bob, start).await {
        server.eventually("a client has vanished", |server| server.closed("gone") == 1).await;
        expected.push("gone");
    }
    if !asks_once::<S>() {
        let now = bob.cursor().await;
        let mut held = bob.resume(Some(now)).await;
        let (ended, _) = tokio::join!(held.end(), async {
            server.eventually("it is held", |server| server.metric("chat_sessions", "") == 1).await;
            bob.target.sign_out(&bob.token).await.expect("signed out");
        });
        assert_eq!(ended, Close::Revoked.code());
        server.eventually("its sign-in was ended", |server| server.closed("revoked") == 1).await;
        expected.push("revoked");
    }
    let expected = expected.into_iter().map(|reason| (reason.to_owned(), 1)).collect();
    let mut ends = server.ends();
    // The connections over which the test's clients send requests end when they have been idle for a while.
    ends.remove("left");
    assert_eq!(ends, expected, "an end is counted twice, or under another reason");
    server.stop().await;
    server.eventually("no connection is left", |server| server.metric("chat_connections", "") == 0).await;
}
