//! One connection that carries polls and other requests ([RFC 9112 §9]).
//!
//! The transport takes the connection of a waiting poll over from the HTTP library. The client must not notice this.
//!
//! [RFC 9112 §9]: https://www.rfc-editor.org/rfc/rfc9112#section-9

use std::time::Duration;

use laws::{TestServer, TestUser};
use longpoll_server::LongPollServer;
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::{Wire, held, quiet_server, send};

async fn ann_and_bob() -> (TestServer<LongPollServer>, TestUser<LongPollServer>, TestUser<LongPollServer>) {
    let server = quiet_server(|_| {}).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    (server, ann, bob)
}

#[tokio::test]
async fn answers_what_was_asked_behind_a_poll_after_it() {
    let (server, ann, bob) = ann_and_bob().await;
    let mut wire = Wire::open(&server, bob.token.as_str()).await;
    let cursor = bob.cursor().await;
    let requests = [
        wire.request("GET", &format!("/poll?after={cursor}&wait=60"), "HTTP/1.1", ""),
        wire.request("GET", "/api/users", "HTTP/1.1", ""),
        wire.request("GET", &format!("/poll?after={cursor}&wait=0"), "HTTP/1.1", ""),
    ];
    wire.say(&requests[0]).await;
    held(&server).await;
    // The requests come in pieces while the poll waits. The server must not take them for a sign that the client left.
    let behind = requests[1..].concat();
    let (one, two) = behind.split_at(40);
    wire.say(one).await;
    wire.say(two).await;
    assert!(wire.is_held());
    send(&ann, &bob, "1").await;
    assert!(!wire.answer().await.json()["events"].as_array().unwrap().is_empty());
    assert_eq!(wire.answer().await.json()["users"].as_array().unwrap().len(), 2);
    assert_eq!(wire.answer().await.json()["events"].as_array().unwrap().len(), 2);

    // All requests come at once, and the poll in the middle waits.
    let cursor = bob.cursor().await;
    let poll = wire.request("GET", &format!("/poll?after={cursor}&wait=60"), "HTTP/1.1", "");
    wire.say(&[requests[1].as_str(), &poll, &requests[1]].concat()).await;
    held(&server).await;
    assert!(wire.answer().await.json()["users"].is_array());
    send(&ann, &bob, "2").await;
    assert_eq!(wire.answer().await.json()["events"][0]["cid"], "2");
    assert!(wire.answer().await.json()["users"].is_array());
}

#[tokio::test]
async fn loses_no_answer_that_the_client_has_not_read_when_it_polls() {
    let server = quiet_server(|_| {}).await;
    let ann = server.user("Ann").await;
    for number in 0..300 {
        server.user(&format!("Somebody whose name is {number}")).await;
    }
    let mut wire = Wire::open(&server, ann.token.as_str()).await;
    // These answers are more than all buffers in between hold, so the server cannot have written all of them.
    let users = wire.request("GET", "/api/users", "HTTP/1.1", "");
    let asked = 400;
    wire.say(&users.repeat(asked)).await;
    wire.ask("?wait=1").await;
    for _ in 0..asked {
        assert_eq!(wire.answer().await.json()["users"].as_array().unwrap().len(), 301);
    }
    assert_eq!(wire.answer().await.json()["events"], json!([]));
}

#[tokio::test]
async fn keeps_users_apart_who_poll_over_one_connection() {
    let (server, ann, bob) = ann_and_bob().await;
    let mut wire = Wire::open(&server, bob.token.as_str()).await;
    let mut cursor = wire.poll("?wait=0").await.cursor();
    for number in 0..3 {
        send(&ann, &bob, &number.to_string()).await;
        let answer = wire.poll(&format!("?after={cursor}&wait=60")).await;
        assert_eq!(answer.json()["events"].as_array().unwrap().last().unwrap()["cid"], number.to_string());
        cursor = answer.cursor();
    }
    let cid = server.user("Cid").await;
    wire.token = cid.token.as_str().to_owned();
    assert_eq!(
        wire.poll(&format!("?after={cursor}&wait=0")).await.json()["events"][0]["user"]["name"],
        "Cid"
    );
    let after = cid.cursor().await;
    send(&ann, &bob, "secret").await;
    assert_eq!(wire.poll(&format!("?after={after}&wait=0")).await.json()["events"], json!([]));
    wire.token = bob.token.as_str().to_owned();
    assert_eq!(wire.poll(&format!("?after={after}&wait=0")).await.json()["events"][0]["cid"], "secret");
}

#[tokio::test]
async fn reads_a_repeated_poll_as_it_read_the_first() {
    let (server, ann, bob) = ann_and_bob().await;
    let cursors = [bob.cursor().await.to_string(), {
        send(&ann, &bob, "1").await;
        bob.cursor().await.to_string()
    }];
    send(&ann, &bob, "2").await;
    let [old, new] = cursors;
    // Each request is sent on a connection of its own, and on one that has just carried the same poll with another
    // cursor.
    for (path, headers) in [
        ("/poll?wait=0&after=C", ""),
        ("/poll?after=C&wait=0", ""),
        ("/poll?wait=0&x=1?after=C", ""),
        ("/poll?wait=0&lastEventId=OLD&after=C", ""),
        ("/poll?after=C&wait=0&lastEventId=OLD", ""),
        ("/poll?after=C&wait=0&lastEventId=", ""),
        ("/poll?after=C&wait=0", "Last-Event-ID: OLD\r\n"),
        ("/poll?after=C&wait=0", "Last-Event-ID:\r\n"),
        ("/poll?wait=0&%61fter=C", ""),
        ("/poll?wait=0&x=%26after=C", ""),
        ("http://localhost/poll?wait=0&after=C", ""),
    ] {
        let headers = headers.replace("OLD", &old);
        let request = |wire: &Wire, cursor: &str| {
            let path = path.replace("OLD", &old).replace('C', cursor);
            wire.request("GET", &path, "HTTP/1.1", &headers)
        };
        let mut alone = Wire::open(&server, bob.token.as_str()).await;
        alone.say(&request(&alone, &new)).await;
        let expected = alone.answer().await.json()["events"].clone();
        let mut wire = Wire::open(&server, bob.token.as_str()).await;
        for cursor in [&old, &new, &new] {
            wire.say(&request(&wire, cursor)).await;
            let events = wire.answer().await.json()["events"].clone();
            if cursor == &new {
                assert_eq!(events, expected, "{path} {headers}");
            }
        }
    }
}

#[tokio::test]
async fn refuses_the_next_poll_of_a_sign_in_that_has_ended() {
    let (server, ann, bob) = ann_and_bob().await;
    let mut wire = Wire::open(&server, bob.token.as_str()).await;
    let mut cursor = wire.poll("?wait=0").await.cursor();
    for number in 0..2 {
        send(&ann, &bob, &number.to_string()).await;
        cursor = wire.poll(&format!("?after={cursor}&wait=60")).await.cursor();
    }
    bob.target.sign_out(&bob.token).await.unwrap();
    let answer = wire.poll(&format!("?after={cursor}&wait=60")).await;
    assert_eq!(answer.status, "HTTP/1.1 401 Unauthorized");
    assert_eq!(answer.problem(), "unauthenticated");
    assert_eq!(wire.poll("?wait=61").await.status, "HTTP/1.1 400 Bad Request");
}

#[tokio::test]
async fn shows_the_answer_to_a_listed_page_however_often_it_asks() {
    let (server, ann, bob) = ann_and_bob().await;
    let origin = server.target.base().to_owned();
    let mut wire = Wire::open(&server, bob.token.as_str()).await;
    let mut cursor = bob.cursor().await.to_string();
    for number in 0..3 {
        send(&ann, &bob, &number.to_string()).await;
        let headers = format!("Origin: {origin}\r\n");
        let request = wire.request("GET", &format!("/poll?after={cursor}&wait=60"), "HTTP/1.1", &headers);
        wire.say(&request).await;
        let answer = wire.answer().await;
        assert!(answer.headers.contains(&format!("access-control-allow-origin: {origin}")), "{answer:?}");
        cursor = answer.cursor();
    }
    let headers = "Origin: http://elsewhere.example\r\n";
    let request = wire.request("GET", &format!("/poll?after={cursor}&wait=60"), "HTTP/1.1", headers);
    wire.say(&request).await;
    assert_eq!(wire.answer().await.problem(), "foreign_origin");
}

#[tokio::test]
async fn ends_the_connection_after_an_answer_when_the_client_wants_it() {
    let (server, ann, bob) = ann_and_bob().await;
    let cursor = bob.cursor().await;
    send(&ann, &bob, "1").await;
    let path = format!("/poll?after={cursor}&wait=60");
    for (version, headers, says, ends) in [
        ("HTTP/1.1", "Connection: close\r\n", Some("connection: close"), true),
        ("HTTP/1.0", "", None, true),
        ("HTTP/1.0", "Connection: Keep-Alive\r\n", Some("connection: keep-alive"), false),
    ] {
        let mut wire = Wire::open(&server, bob.token.as_str()).await;
        let request = wire.request("GET", &path, version, headers);
        wire.say(&request).await;
        let answer = wire.answer().await;
        assert_eq!(answer.status, format!("{version} 200 OK"));
        let said = answer.headers.iter().find(|line| line.starts_with("connection: "));
        assert_eq!(said.map(String::as_str), says, "{version} {headers}");
        assert!(answer.body.contains(r#""cid":"1""#), "{}", answer.body);
        if ends {
            wire.end().await;
        } else {
            wire.say(&request).await;
            assert!(wire.answer().await.body.contains(r#""cid":"1""#));
        }
    }
}

#[tokio::test]
async fn answers_head_with_the_head_alone() {
    let (server, _, bob) = ann_and_bob().await;
    let mut wire = Wire::open(&server, bob.token.as_str()).await;
    let request = wire.request("HEAD", "/poll?wait=60", "HTTP/1.1", "");
    wire.say(&request).await;
    let mut head = Vec::new();
    loop {
        match wire.line().await {
            empty if empty.is_empty() => break,
            line => head.push(line),
        }
    }
    assert_eq!(head[0], "HTTP/1.1 200 OK");
    assert!(head.contains(&"content-type: application/json".to_owned()), "{head:?}");
    server.eventually("nobody is served", |server| server.metric("chat_sessions", "") == 0).await;
    assert_eq!(wire.poll("?wait=0").await.json()["events"], json!([]));
}

#[tokio::test]
async fn takes_no_body_for_the_next_request() {
    let (server, _, bob) = ann_and_bob().await;
    let inner = "GET /api/users HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let length = format!("Content-Length: {}\r\n", inner.len());
    let chunked = format!("{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len());
    for (headers, body) in [(length.as_str(), inner), ("Transfer-Encoding: chunked\r\n", &chunked)] {
        let mut wire = Wire::open(&server, bob.token.as_str()).await;
        let request = wire.request("GET", "/poll?wait=0", "HTTP/1.1", headers);
        wire.say(&(request + body)).await;
        let answer = wire.answer().await;
        assert_eq!(answer.status, "HTTP/1.1 400 Bad Request");
        assert_eq!(answer.problem(), "bad_request");
        // If the connection goes on, the next answer belongs to the next request.
        let next = wire.request("GET", "/poll?wait=61", "HTTP/1.1", "");
        wire.say(&next).await;
        let mut status = String::new();
        let _ = tokio::io::AsyncBufReadExt::read_line(&mut wire.stream, &mut status).await;
        assert!(status.is_empty() || status.starts_with("HTTP/1.1 400 "), "{status}");
    }
}

#[tokio::test]
async fn lets_go_of_a_poll_whose_client_says_no_more() {
    let (server, _, bob) = ann_and_bob().await;
    let mut wire = Wire::open(&server, bob.token.as_str()).await;
    wire.ask("?wait=60").await;
    held(&server).await;
    wire.stream.get_mut().shutdown().await.unwrap();
    server.eventually("the session ends", |server| server.metric("chat_sessions", "") == 0).await;
    wire.end().await;
}

#[tokio::test]
async fn says_that_the_connection_ends_with_the_session() {
    let (mut server, _, bob) = ann_and_bob().await;
    let mut wire = Wire::open(&server, bob.token.as_str()).await;
    wire.ask("?wait=60").await;
    held(&server).await;
    let (answer, ()) = tokio::join!(wire.answer(), server.stop());
    assert!(answer.headers.contains(&"connection: close".to_owned()), "{answer:?}");
    wire.end().await;
}

#[tokio::test]
async fn takes_requests_and_polls_in_turn_over_one_connection() {
    let (server, _, bob) = ann_and_bob().await;
    let mut wire = Wire::open(&server, bob.token.as_str()).await;
    let mut cursor = bob.cursor().await.to_string();
    for number in 0..3 {
        let command = json!({"command": {"type": "create_group", "name": "rust", "cid": number.to_string()}});
        let body = command.to_string();
        let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        let request = wire.request("POST", "/api/commands", "HTTP/1.1", &headers) + &body;
        wire.say(&request).await;
        assert_eq!(wire.answer().await.json()["ok"]["type"], "group_created");
        let answer = wire.poll(&format!("?after={cursor}&wait=60")).await;
        assert_eq!(answer.json()["events"][0]["type"], "group_created");
        cursor = answer.cursor();
    }
}

#[tokio::test]
async fn answers_a_repeated_poll_of_a_client_that_sends_no_more() {
    let (server, ann, bob) = ann_and_bob().await;
    let cursor = bob.cursor().await;
    for cid in ["1", "2"] {
        send(&ann, &bob, cid).await;
    }
    let mut wire = Wire::open(&server, bob.token.as_str()).await;
    let poll = |wire: &Wire, cursor: &str, wait| {
        wire.request("GET", &format!("/poll?after={cursor}&wait={wait}"), "HTTP/1.1", "")
    };
    // The second request repeats the first, so it does not pass through the HTTP library. The requests behind it do.
    let first = poll(&wire, &cursor.to_string(), 60);
    let users = wire.request("GET", "/api/users", "HTTP/1.1", "");
    wire.say(&[first.as_str(), &first, &users, &first].concat()).await;
    wire.stream.get_mut().shutdown().await.unwrap();
    for number in 0..4 {
        let answer = wire.answer().await.json();
        match number {
            2 => assert_eq!(answer["users"].as_array().unwrap().len(), 2),
            _ => assert_eq!(answer["events"].as_array().unwrap().len(), 3),
        }
    }
    wire.end().await;

    // There is no event after the last cursor. This poll would be held, but the client sends no more.
    let mut wire = Wire::open(&server, bob.token.as_str()).await;
    let first = poll(&wire, &cursor.to_string(), 60);
    wire.say(&first).await;
    let now = wire.answer().await.cursor();
    let again = poll(&wire, &now, 60);
    wire.say(&again).await;
    held(&server).await;
    wire.stream.get_mut().shutdown().await.unwrap();
    server.eventually("the session ends", |server| server.metric("chat_sessions", "") == 0).await;
    wire.end().await;
    server.eventually("both have left", |server| server.closed("left") == 2).await;
}

#[tokio::test]
async fn ends_a_poll_that_is_reset_even_with_requests_behind_it() {
    let (server, _, bob) = ann_and_bob().await;
    for polls in ["?wait=60", "?after=AFTER&wait=60"] {
        let mut wire = Wire::open(&server, bob.token.as_str()).await;
        let after = wire.poll("?wait=0").await.cursor();
        let poll = format!("/poll{}", polls.replace("AFTER", &after));
        let poll = wire.request("GET", &poll, "HTTP/1.1", "");
        wire.say(&poll).await;
        held(&server).await;
        // This is more than the server reads ahead, so it cannot notice the end by reading.
        let users = wire.request("GET", "/api/users", "HTTP/1.1", "");
        wire.say(&users.repeat(1_000)).await;
        assert!(wire.is_held());
        socket2::SockRef::from(wire.stream.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
        drop(wire);
        server.eventually("the session ends", |server| server.metric("chat_sessions", "") == 0).await;
    }
    server.eventually("both were reset", |server| server.closed("aborted") == 2).await;
}

/// The HTTP library does not watch the connection while an answer is being made.
#[tokio::test]
async fn drops_a_request_whose_connection_is_reset_before_its_answer() {
    // Slow enough that a queue of them takes a while.
    let server = quiet_server(|limits| limits.hash_memory = 65_536).await;
    server.user("Ann").await;
    let body = r#"{"name":"Ann","password":"not her password"}"#;
    let length = body.len();
    let headers = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
    let mut queue = Vec::new();
    for number in 0..20 {
        let mut wire = Wire::open(&server, "none").await;
        let request = wire.request("POST", "/api/login", "HTTP/1.1", &headers) + body;
        wire.say(&request).await;
        queue.push(wire);
        // The connections are accepted in this order.
        server.eventually("it is accepted", |server| server.metric("chat_connections", "") > number).await;
    }
    let last = queue.pop().unwrap();
    socket2::SockRef::from(last.stream.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
    drop(last);
    server.eventually("its end is noticed", |server| server.closed("aborted") == 1).await;
    assert!(queue.last_mut().unwrap().is_held(), "it was noticed only after its turn");
}
