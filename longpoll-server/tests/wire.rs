//! The bytes of a poll, read without an HTTP library ([RFC 9112]).
//!
//! [RFC 9112]: https://www.rfc-editor.org/rfc/rfc9112

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

#[path = "wire/takeover.rs"]
mod takeover;

use std::process::Command;
use std::time::{Duration, Instant};

use chat_client::{PostSender, Sender};
use chat_core::limits::Limits;
use laws::{PATIENCE, TestServer, TestUser};
use longpoll_server::LongPollServer;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// One connection, over which one poll is sent after the other.
pub(crate) struct Wire {
    stream: BufReader<TcpStream>,
    token: String,
}

/// An answer: the status line, the headers sorted and without the date, the body.
#[derive(Debug)]
struct Answer {
    status: String,
    headers: Vec<String>,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(self.status, "HTTP/1.1 200 OK", "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }

    /// The cursor for the next poll.
    fn cursor(&self) -> String {
        self.json()["cursor"].as_str().unwrap().to_owned()
    }

    /// The code of a problem document.
    fn problem(&self) -> Value {
        assert!(self.headers.contains(&"content-type: application/problem+json".to_owned()), "{self:?}");
        serde_json::from_str::<Value>(&self.body).unwrap()["code"].clone()
    }
}

impl Wire {
    async fn open(server: &TestServer<LongPollServer>, token: &str) -> Self {
        let address = server.target.base().trim_start_matches("http://");
        let stream = BufReader::new(TcpStream::connect(address).await.unwrap());
        Self { stream, token: token.to_owned() }
    }

    /// Sends a poll, and waits for the answer.
    async fn poll(&mut self, query: &str) -> Answer {
        self.ask(query).await;
        self.answer().await
    }

    async fn ask(&mut self, query: &str) {
        let request = self.request("GET", &format!("/poll{query}"), "HTTP/1.1", "");
        self.say(&request).await;
    }

    /// A request of this user's, with whole lines of further headers.
    fn request(&self, method: &str, path: &str, version: &str, headers: &str) -> String {
        let token = &self.token;
        format!(
            "{method} {path} {version}\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{headers}\r\n"
        )
    }

    async fn say(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).await.unwrap();
    }

    async fn answer(&mut self) -> Answer {
        timeout(PATIENCE, self.read()).await.expect("an answer comes in time")
    }

    async fn read(&mut self) -> Answer {
        let status = self.line().await;
        let (mut headers, mut length) = (Vec::new(), 0);
        loop {
            let line = self.line().await;
            match line.split_once(": ") {
                None => break,
                Some(("date", _)) => {}
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(_) => headers.push(line),
            }
        }
        headers.sort_unstable();
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.unwrap();
        Answer { status, headers, body: String::from_utf8(body).unwrap() }
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).await.unwrap();
        line.strip_suffix("\r\n").expect("a whole line").to_owned()
    }

    /// Whether no byte of an answer has come yet.
    fn is_held(&mut self) -> bool {
        let mut byte = [0];
        self.stream.buffer().is_empty() && self.stream.get_ref().try_read(&mut byte).is_err()
    }

    /// The end of the connection.
    async fn end(mut self) {
        let read = timeout(PATIENCE, self.stream.read_u8()).await.expect("the server hangs up in time");
        assert!(read.is_err(), "a byte after the answer: {read:?}");
    }
}

/// A server whose polls carry only events that the test causes.
async fn quiet_server(change: impl FnOnce(&mut Limits)) -> TestServer<LongPollServer> {
    TestServer::open_with(|limits| {
        limits.presence_interval = Duration::from_secs(3_600);
        change(limits);
    })
    .await
}

/// Sends a direct message, and returns the reply.
async fn send(from: &TestUser<LongPollServer>, to: &TestUser<LongPollServer>, cid: &str) -> Value {
    let request = json!({"command": {"type": "send", "to": {"user": to.id()}, "cid": cid, "text": "hi"}});
    let reply =
        PostSender::new(&from.target, &from.token).send(serde_json::from_value(request).unwrap()).await;
    serde_json::to_value(reply.unwrap()).unwrap()["ok"].clone()
}

/// Waits until a poll is under way on the server.
async fn held(server: &TestServer<LongPollServer>) {
    server.eventually("a poll is held", |server| server.metric("chat_sessions", "") == 1).await;
}

#[tokio::test]
async fn answers_with_events_a_cursor_and_nothing_to_keep() {
    let server = quiet_server(|_| {}).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let before = bob.cursor().await;
    let sent = send(&ann, &bob, "9f").await;
    let (id, at) = (sent["id"].as_str().unwrap(), sent["at"].as_str().unwrap());

    let answer = Wire::open(&server, bob.token.as_str()).await.poll(&format!("?after={before}&wait=0")).await;
    assert_eq!(answer.status, "HTTP/1.1 200 OK");
    assert_eq!(
        answer.headers,
        ["cache-control: no-store", "content-type: application/json", "vary: origin",]
    );
    let cursor = answer.cursor();
    let started = answer.json()["events"][0]["id"].as_str().unwrap().to_owned();
    let expected = [
        r#"{"events":["#,
        &format!(
            r#"{{"type":"direct_started","id":"{started}","conversation":"c1","members":["u1","u2"]}},"#
        ),
        &format!(r#"{{"type":"message","id":"{id}","conversation":"c1","seq":1,"from":"u1","#),
        &format!(r#""cid":"9f","text":"hi","at":"{at}"}}],"cursor":"{cursor}","more":false}}"#),
    ];
    assert_eq!(answer.body, expected.concat());
}

#[tokio::test]
async fn carries_on_where_the_last_answer_ended() {
    let server = quiet_server(|_| {}).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let mut wire = Wire::open(&server, bob.token.as_str()).await;
    // Without a cursor a client starts from now.
    let start = wire.poll("?wait=0").await;
    assert_eq!(start.json()["events"], json!([]));

    let mut cursor = start.cursor();
    let mut seen = Vec::new();
    for number in 0..3 {
        send(&ann, &bob, &number.to_string()).await;
        let answer = wire.poll(&format!("?after={cursor}&wait=0")).await;
        let again = wire.poll(&format!("?after={cursor}&wait=0")).await;
        assert_eq!(answer.json()["events"], again.json()["events"], "asking again gives the same");
        let events = answer.json()["events"].as_array().unwrap().clone();
        seen.extend(events.iter().filter_map(|event| event["seq"].as_u64()));
        cursor = answer.cursor();
    }
    assert_eq!(seen, [1, 2, 3]);
    let nothing = wire.poll(&format!("?after={cursor}&wait=0")).await;
    assert_eq!(nothing.body, format!(r#"{{"events":[],"cursor":"{}","more":false}}"#, nothing.cursor()));
}

#[tokio::test]
async fn says_when_there_is_more_than_one_answer_holds() {
    let server = quiet_server(|_| {}).await;
    let ann = server.user("Ann").await;
    let before = ann.cursor().await;
    for number in 0..5 {
        let command = |n: usize| json!({"command": {"type": "create_group", "name": "rust", "cid": format!("{number}.{n}")}});
        let commands: Vec<Value> = (0..60).map(command).collect();
        let post = ann.target.request("POST".parse().unwrap(), "/api/commands", &ann.token);
        assert!(post.json(&commands).send().await.unwrap().status().is_success());
    }
    // 256 events fill an answer.
    let mut wire = Wire::open(&server, ann.token.as_str()).await;
    let mut cursor = before.to_string();
    for (events, more) in [(256, true), (44, false)] {
        let answer = wire.poll(&format!("?after={cursor}&wait=0")).await;
        let json = answer.json();
        assert_eq!((json["events"].as_array().unwrap().len(), &json["more"]), (events, &json!(more)));
        cursor = answer.cursor();
    }
}

#[tokio::test]
async fn holds_a_poll_until_there_is_news() {
    let server = quiet_server(|_| {}).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let mut wire = Wire::open(&server, bob.token.as_str()).await;
    // 60 is the longest wait; a poll that names none is held too.
    for (number, wait) in ["wait=60", ""].into_iter().enumerate() {
        let cursor = bob.cursor().await;
        wire.ask(&format!("?after={cursor}&{wait}")).await;
        held(&server).await;
        assert!(wire.is_held());
        let asked = Instant::now();
        let sent = send(&ann, &bob, &number.to_string()).await;
        let answer = wire.answer().await;
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?} after the message", asked.elapsed());
        let last = answer.json()["events"].as_array().unwrap().last().unwrap().clone();
        assert!(last["id"] == sent["id"] || last["type"] == "direct_started", "{last}");
    }
}

#[tokio::test]
async fn answers_with_nothing_once_it_has_waited_enough() {
    let server = quiet_server(|_| {}).await;
    let ann = server.user("Ann").await;
    let mut wire = Wire::open(&server, ann.token.as_str()).await;
    for wait in [0, 1] {
        let asked = Instant::now();
        let answer = wire.poll(&format!("?wait={wait}")).await;
        assert!(asked.elapsed() >= Duration::from_secs(wait), "answered early");
        assert_eq!(answer.body, format!(r#"{{"events":[],"cursor":"{}","more":false}}"#, answer.cursor()));
        assert!(answer.headers.contains(&"cache-control: no-store".to_owned()));
    }
}

#[tokio::test]
async fn holds_no_poll_for_longer_than_the_limit() {
    let server = quiet_server(|limits| limits.longest_poll = Duration::from_secs(1)).await;
    let ann = server.user("Ann").await;
    let mut wire = Wire::open(&server, ann.token.as_str()).await;
    // This holds for every `wait`, and without one. The second poll goes past the HTTP library.
    for query in ["?wait=60", "", "?wait=2"] {
        let mut cursor = ann.cursor().await.to_string();
        for _ in 0..2 {
            let asked = Instant::now();
            let joint = if query.is_empty() { "?" } else { "&" };
            let answer = wire.poll(&format!("{query}{joint}after={cursor}")).await;
            let held = asked.elapsed();
            assert!(
                held >= Duration::from_millis(990) && held < Duration::from_secs(25),
                "{query}: {held:?}"
            );
            assert_eq!(answer.json()["events"], json!([]));
            cursor = answer.cursor();
        }
    }
    assert_eq!(wire.poll("?wait=61").await.problem(), "bad_request");
}

#[tokio::test]
async fn refuses_what_is_no_wait_and_no_cursor() {
    let server = quiet_server(|_| {}).await;
    let ann = server.user("Ann").await;
    let mut wire = Wire::open(&server, ann.token.as_str()).await;
    for query in [
        "wait=61",
        "wait=-1",
        "wait=1.5",
        "wait=soon",
        "wait=",
        "wait=99999999999999999999",
        "after=yesterday",
        "wait=0&wait=0",
        "wait=0&%77ait=0",
    ] {
        let answer = wire.poll(&format!("?{query}")).await;
        assert_eq!(answer.status, "HTTP/1.1 400 Bad Request", "{query}");
        assert_eq!(answer.problem(), "bad_request", "{query}");
    }
}

#[tokio::test]
async fn refuses_a_bad_token_with_a_problem_document() {
    let server = quiet_server(|limits| limits.connections_per_user = 1).await;
    let mut wire = Wire::open(&server, "stolen").await;
    let answer = wire.poll("").await;
    assert_eq!(answer.status, "HTTP/1.1 401 Unauthorized");
    assert_eq!(answer.problem(), "unauthenticated");
    assert!(answer.headers.contains(&"cache-control: no-store".to_owned()));

    let ann = server.user("Ann").await;
    let mut first = Wire::open(&server, ann.token.as_str()).await;
    first.ask("?wait=60").await;
    held(&server).await;
    let second = Wire::open(&server, ann.token.as_str()).await.poll("?wait=60").await;
    assert_eq!(second.status, "HTTP/1.1 429 Too Many Requests");
    assert_eq!(second.problem(), "too_many_connections");
    assert!(second.headers.iter().any(|line| line.starts_with("retry-after: ")), "{second:?}");
}

#[tokio::test]
async fn answers_a_held_poll_with_the_reason_of_its_end() {
    let mut server = quiet_server(|_| {}).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let close = |answer: &Answer, close: &str| {
        let expected = format!(r#"{{"events":[{close}],"cursor":"{}","more":false}}"#, answer.cursor());
        assert_eq!(answer.body, expected);
    };
    let mut wire = Wire::open(&server, ann.token.as_str()).await;
    wire.ask("?wait=60").await;
    held(&server).await;
    ann.target.sign_out(&ann.token).await.unwrap();
    close(&wire.answer().await, r#"{"type":"close","code":4503,"name":"revoked","reconnect":false}"#);
    server.eventually("Ann is gone", |server| server.metric("chat_sessions", "") == 0).await;

    let mut wire = Wire::open(&server, bob.token.as_str()).await;
    wire.ask("?wait=60").await;
    held(&server).await;
    let (answer, ()) = tokio::join!(wire.answer(), server.stop());
    close(&answer, r#"{"type":"close","code":4001,"name":"shutdown","reconnect":true}"#);
    wire.end().await;
}

#[tokio::test]
async fn answers_an_unusable_cursor_with_a_reset() {
    let server = quiet_server(|limits| limits.retention = Duration::from_secs(1)).await;
    let ann = server.user("Ann").await;
    let old = ann.cursor().await;
    server.user("Bob").await;
    let mut wire = Wire::open(&server, ann.token.as_str()).await;
    // Even a long poll is answered at once.
    let unknown = wire.poll("?after=00000000.1&wait=60").await;
    assert_eq!(unknown.json()["events"], json!([{"type": "reset", "reason": "unknown"}]));
    assert!(unknown.headers.contains(&"cache-control: no-store".to_owned()));

    // The log is trimmed some time later. Until then, the event after the cursor is still there.
    let expired = async {
        loop {
            let events = wire.poll(&format!("?after={old}&wait=0")).await.json()["events"].clone();
            if events[0]["type"] != "user_registered" {
                return events;
            }
        }
    };
    let events = timeout(PATIENCE, expired).await.unwrap();
    assert_eq!(events, json!([{"type": "reset", "reason": "expired"}]));
}

#[tokio::test]
async fn lets_go_of_a_poll_whose_client_hangs_up() {
    let server = quiet_server(|_| {}).await;
    let ann = server.user("Ann").await;
    let mut wire = Wire::open(&server, ann.token.as_str()).await;
    wire.ask("?wait=60").await;
    held(&server).await;
    drop(wire);
    server.eventually("the session ends", |server| server.metric("chat_sessions", "") == 0).await;
}

#[tokio::test]
async fn explains_itself() {
    let help = Command::new(env!("CARGO_BIN_EXE_longpoll-server")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for said in [
        "long polling",
        "short polling",
        "--listen",
        "127.0.0.1:4003",
        "--database",
        "longpoll-server.db",
        "--origin",
    ] {
        assert!(help.contains(said), "{said} is missing:\n{help}");
    }
    // No option is required.
    assert!(help.contains("Usage: longpoll-server [OPTIONS]\n"), "{help}");
}
