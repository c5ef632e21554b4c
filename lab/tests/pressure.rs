//! Too much, too often, too slow: such clients are refused or disconnected, and the others are served meanwhile.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use support::{Answer, Lab, PASSWORD, User, ask, gone, head, post, read_answer};

/// The longest that a slow client may stay connected.
const STALL_LIMIT: Duration = Duration::from_secs(10);

/// How long another client may have to wait meanwhile: far above what an answer takes, far below `STALL_LIMIT`.
const SERVED: Duration = Duration::from_secs(3);

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Sends one byte a second until the server ends the connection. Returns how long that took, and what the server sent.
async fn dribble(server: SocketAddr, begin: String, bytes: String) -> (Duration, Vec<u8>) {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let opened = Instant::now();
    let (mut reader, mut writer) = stream.split();
    writer.write_all(begin.as_bytes()).await.unwrap();
    let writing = async {
        let mut seconds = interval(Duration::from_secs(1));
        for byte in bytes.bytes() {
            seconds.tick().await;
            if writer.write_all(&[byte]).await.is_err() {
                break;
            }
        }
        std::future::pending().await
    };
    let mut said = Vec::new();
    let listening = async {
        // A reset is an end too.
        let _ = reader.read_to_end(&mut said).await;
    };
    let either = async {
        tokio::select! {
            () = listening => {}
            () = writing => {}
        }
    };
    timeout(support::PATIENCE, either).await.expect("the server lets go of a slow client");
    (opened.elapsed(), said)
}

/// Sends ordinary requests until the slow clients are disconnected, and fails if an answer is late. Returns how long
/// each slow client stayed.
async fn ordinary_life(lab: &Lab, user: &User, slow: &mut JoinSet<(Duration, Vec<u8>)>) -> Vec<Duration> {
    let mut stays = Vec::new();
    let mut moments = interval(Duration::from_millis(100));
    moments.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut served = 0;
    while !slow.is_empty() {
        moments.tick().await;
        let asked = Instant::now();
        let name = format!("rust {served}");
        let command = json!({"type": "create_group", "name": name, "cid": name.replace(' ', "-")});
        assert_eq!(user.command(lab.websocket, command).await.status, 200);
        assert_eq!(user.get(lab.websocket, "/api/snapshot").await.status, 200);
        assert!(asked.elapsed() < SERVED, "kept waiting for {:?}", asked.elapsed());
        served += 1;
        while let Some(ended) = slow.try_join_next() {
            stays.push(ended.unwrap().0);
        }
    }
    assert!(served > 10, "there was hardly anything to see");
    stays
}

#[tokio::test]
async fn a_hundred_slow_heads_are_cut_in_time_while_others_are_served() {
    let lab = Lab::start_temporary(&["--message-burst", "1000"]).await;
    let ann = lab.register("Ann").await;
    let mut slow = JoinSet::new();
    for _ in 0..100 {
        slow.spawn(dribble(lab.websocket, String::new(), format!("GET /{} HTTP/1.1\r\n", "x".repeat(100))));
    }
    let stays = ordinary_life(&lab, &ann, &mut slow).await;
    assert_eq!(stays.len(), 100);
    assert!(stays.iter().max().unwrap() < &STALL_LIMIT, "one stayed for {:?}", stays.iter().max());
}

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let lab = Lab::start_temporary(&["--header-timeout", "500ms"]).await;
    let mut silent = TcpStream::connect(lab.page).await.unwrap();
    let mut used = TcpStream::connect(lab.page).await.unwrap();
    used.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(read_answer(&mut used).await.status, 200);
    let opened = Instant::now();
    gone(&mut silent).await;
    gone(&mut used).await;
    assert!(opened.elapsed() < STALL_LIMIT, "{:?}", opened.elapsed());
}

#[tokio::test]
async fn a_slow_body_is_answered_and_its_connection_closed() {
    let lab = Lab::start_temporary(&["--body-timeout", "1s", "--message-burst", "1000"]).await;
    let ann = lab.register("Ann").await;
    let begin = format!(
        "POST /api/commands HTTP/1.1\r\nHost: localhost\r\n{}Content-Type: application/json\r\n\
         Content-Length: 1000\r\n\r\n",
        ann.bearer()
    );
    let mut slow = JoinSet::new();
    for _ in 0..20 {
        slow.spawn(dribble(lab.longpoll, begin.clone(), " ".repeat(100)));
    }
    let (first, said) = slow.join_next().await.unwrap().unwrap();
    let said = String::from_utf8(said).unwrap();
    assert!(said.starts_with("HTTP/1.1 4") && said.contains("did not arrive in time"), "{said}");
    let last = slow.join_all().await.into_iter().map(|(stay, _)| stay).max().unwrap();
    assert!(first >= Duration::from_millis(900) && last < STALL_LIMIT, "{first:?} to {last:?}");
}

#[tokio::test]
async fn a_head_that_is_too_long_or_has_too_many_lines_is_refused() {
    let lab = Lab::start_temporary(&[]).await;
    let ann = lab.register("Ann").await;
    let request = |headers: &str| {
        let bearer = ann.bearer();
        format!("GET /api/users HTTP/1.1\r\nHost: localhost\r\n{bearer}{headers}\r\n").into_bytes()
    };
    let many = |n: usize| (0..n).map(|n| format!("X-{n}: x\r\n")).collect::<String>();
    let long = |n: usize| format!("X: {}\r\n", "x".repeat(n));
    for headers in [long(12_000), many(90)] {
        assert_eq!(ask(lab.page, &request(&headers)).await.status, 200, "{} bytes", headers.len());
    }
    let path = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(20_000)).into_bytes();
    for flood in [request(&long(20_000)), request(&long(1_000).repeat(20)), request(&many(101)), path] {
        let mut stream = TcpStream::connect(lab.page).await.unwrap();
        stream.write_all(&flood).await.unwrap();
        let answer = read_answer(&mut stream).await;
        assert!(matches!(answer.status, 414 | 431), "{answer:?}");
        gone(&mut stream).await;
    }
    // A flood without an end is cut off too.
    let mut stream = TcpStream::connect(lab.page).await.unwrap();
    let flooding = async { while stream.write_all(b"X: xxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n").await.is_ok() {} };
    timeout(support::PATIENCE, flooding).await.expect("the server hangs up");
}

/// Checks a refusal that asks the client to wait. The wait is the same in the header and in the body.
fn wait(answer: &Answer, code: &str) -> u64 {
    let body = answer.json();
    let refusal = if body["type"] == "reply" { &body["refusal"] } else { &body };
    assert_eq!((answer.status, &refusal["code"]), (429, &json!(code)), "{body}");
    let wait_ms = refusal["retry_after_ms"].as_u64().unwrap();
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert_eq!(seconds, wait_ms.div_ceil(1_000));
    assert_eq!(answer.header("access-control-expose-headers"), Some("retry-after"));
    assert!(wait_ms > 0);
    wait_ms
}

#[tokio::test]
async fn too_many_sign_ins_for_one_name_are_refused_for_now() {
    let lab = Lab::start_temporary(&[]).await;
    lab.register("Ann").await;
    lab.register("Bob").await;
    let log_in = async |name: &str, password: &str| {
        post(lab.page, "/api/login", "", &json!({"name": name, "password": password})).await
    };
    for _ in 0..5 {
        assert_eq!(log_in("Ann", "wrong horse").await.status, 401);
    }
    // Even the right password is refused, for the name in any case, or guessing would go on.
    assert!(wait(&log_in("Ann", PASSWORD).await, "rate_limited") <= 60_000);
    wait(&log_in("aNN", PASSWORD).await, "rate_limited");
    assert_eq!(log_in("Bob", PASSWORD).await.status, 200, "Bob has done nothing");
}

#[tokio::test]
async fn too_many_registrations_from_one_address_are_refused_for_now() {
    let lab = Lab::start_temporary(&["--registrations-per-minute", "2"]).await;
    let register = async |name: &str| {
        post(lab.page, "/api/register", "", &json!({"name": name, "password": PASSWORD})).await
    };
    assert_eq!((register("Ann").await.status, register("Bob").await.status), (201, 201));
    assert!(wait(&register("Cid").await, "rate_limited") <= 60_000);
}

#[tokio::test]
async fn too_many_messages_are_refused_for_now_on_every_server_together() {
    // One message to each server: the page's, and those of the list.
    let burst = (1 + transports::programs().count()).to_string();
    let lab = Lab::start_temporary(&["--messages-per-second", "1", "--message-burst", &burst]).await;
    let (ann, bob) = (lab.register("Ann").await, lab.register("Bob").await);
    let servers = lab.servers();
    for (number, server) in servers.into_iter().enumerate() {
        assert_eq!(ann.send(server, &bob, &number.to_string(), "hi").await.status, 200);
    }
    let refused = ann.send(lab.page, &bob, "last", "hi").await;
    let wait_ms = wait(&refused, "rate_limited");
    assert!(wait_ms <= 1_000, "{wait_ms}");
    assert_eq!(bob.send(lab.page, &ann, "0", "hi").await.status, 200, "Bob has his own measure");
    // After the wait, the server takes the same message, as it promised.
    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
    assert_eq!(ann.send(lab.page, &bob, "last", "hi").await.status, 200);
}

#[tokio::test]
async fn too_many_connections_of_one_user_are_refused_in_the_way_of_each_transport() {
    let lab = Lab::start_temporary(&["--connections-per-user", "2"]).await;
    let (ann, bob) = (lab.register("Ann").await, lab.register("Bob").await);
    let request = |server: SocketAddr, path: &str, user: &User, headers: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: {server}\r\n{}{headers}\r\n", user.bearer()).into_bytes()
    };
    let stream = async |user: &User| {
        let mut stream = TcpStream::connect(lab.sse).await.unwrap();
        stream.write_all(&request(lab.sse, "/events", user, "")).await.unwrap();
        stream
    };
    let (first, _second) = (stream(&ann).await, stream(&ann).await);
    lab.eventually("chat_sessions", 2).await;

    let body = read_answer(&mut stream(&ann).await).await.body;
    let close = r#"data: {"type":"close","code":4504,"name":"too_many_connections","reconnect":false}"#;
    assert!(String::from_utf8(body).unwrap().contains(close));
    let poll = ask(lab.longpoll, &request(lab.longpoll, "/poll?wait=60", &ann, "")).await;
    wait(&poll, "too_many_connections");
    let mut socket = TcpStream::connect(lab.websocket).await.unwrap();
    socket.write_all(&request(lab.websocket, "/ws", &ann, UPGRADE)).await.unwrap();
    let mut said = Vec::new();
    timeout(support::PATIENCE, socket.read_to_end(&mut said)).await.unwrap().unwrap();
    assert!(said.starts_with(b"HTTP/1.1 101 ") && said.ends_with(b"\x88\x16\x11\x98too_many_connections"));

    // Other users are not affected, and a closed connection frees its place.
    assert_eq!(head(lab.sse, &request(lab.sse, "/events", &bob, "")).await.status, 200);
    drop(first);
    lab.eventually("chat_sessions", 1).await;
    assert_eq!(ask(lab.longpoll, &request(lab.longpoll, "/poll?wait=0", &ann, "")).await.status, 200);
}

#[tokio::test]
async fn a_full_server_says_so_and_has_room_again_later() {
    let lab = Lab::start_temporary(&["--connections", "3"]).await;
    let ann = lab.register("Ann").await;
    let health = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut guests = Vec::new();
    for _ in 0..3 {
        let mut guest = TcpStream::connect(lab.sse).await.unwrap();
        guest.write_all(health).await.unwrap();
        assert_eq!(read_answer(&mut guest).await.status, 200);
        guests.push(guest);
    }
    let mut refused = TcpStream::connect(lab.sse).await.unwrap();
    let answer = read_answer(&mut refused).await;
    assert_eq!((answer.status, answer.problem().as_str()), (503, "busy"));
    assert_eq!((answer.header("retry-after"), answer.header("connection")), (Some("1"), Some("close")));
    gone(&mut refused).await;
    // Each server has a limit of its own.
    assert_eq!(ann.get(lab.page, "/api/users").await.status, 200);
    drop(guests);
    lab.eventually("chat_connections", 1).await;
    assert_eq!(ann.get(lab.sse, "/api/users").await.status, 200);
}
