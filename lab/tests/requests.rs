//! Requests that are damaged at random: the server answers each with HTTP or closes the connection, and keeps serving.
//!
//! `PROPTEST_CASES` sets how many are tried.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use support::{Lab, get};

/// How many requests are tried, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 1_000;

fn cases() -> ProptestConfig {
    let cases =
        if std::env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default().cases } else { CASES };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Longer than a connection may stay open after its client has sent everything.
const END: Duration = Duration::from_secs(10);

/// What a byte may become.
const BYTES: [u8; 12] = [b'\r', b'\n', b' ', b'\t', b':', b',', b';', b'0', b'%', 0, 0x7f, 0xff];

/// One way to damage a request. Places are parts of its length, in thousandths.
#[derive(Debug, Clone)]
enum Damage {
    /// A byte becomes another one.
    Replace(usize, u8),
    /// A byte comes in between.
    Insert(usize, u8),
    /// A part is missing.
    Remove(usize, usize),
    /// A part comes twice.
    Repeat(usize, usize),
    /// The rest is missing.
    Cut(usize),
    /// Another request follows from here.
    Splice(usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let (place, byte) = (|| 0..1_000_usize, || prop::sample::select(&BYTES[..]));
    prop_oneof![
        (place(), byte()).prop_map(|(place, byte)| Damage::Replace(place, byte)),
        (place(), byte()).prop_map(|(place, byte)| Damage::Insert(place, byte)),
        (place(), 1..40_usize).prop_map(|(place, length)| Damage::Remove(place, length)),
        (place(), 1..40_usize).prop_map(|(place, length)| Damage::Repeat(place, length)),
        place().prop_map(Damage::Cut),
        (place(), place()).prop_map(|(place, from)| Damage::Splice(place, from)),
    ]
}

fn damaged(requests: &[Vec<u8>], which: usize, damages: &[Damage]) -> Vec<u8> {
    let mut bytes = requests[which % requests.len()].clone();
    for damage in damages {
        let at = |place: usize| place * bytes.len() / 1_000;
        let part = |place: usize, length: usize| at(place)..(at(place) + length).min(bytes.len());
        match *damage {
            Damage::Replace(place, byte) if !bytes.is_empty() => {
                let at = at(place);
                bytes[at] = byte;
            }
            Damage::Replace(..) => {}
            Damage::Insert(place, byte) => bytes.insert(at(place), byte),
            Damage::Remove(place, length) => drop(bytes.drain(part(place, length))),
            Damage::Repeat(place, length) => {
                let (part, at) = (bytes[part(place, length)].to_vec(), at(place));
                bytes.splice(at..at, part);
            }
            Damage::Cut(place) => bytes.truncate(at(place)),
            Damage::Splice(place, from) => {
                let other = &requests[from % requests.len()];
                bytes.truncate(at(place));
                bytes.extend_from_slice(&other[from * other.len() / 1_000..]);
            }
        }
    }
    bytes
}

/// Requests of every kind, as clients send them.
fn requests(token: &str) -> Vec<Vec<u8>> {
    let authorization = format!("Host: localhost\r\nAuthorization: Bearer {token}\r\n");
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let command = r#"{"command":{"type":"send","to":{"user":"u1"},"cid":"a","text":"hi"}}"#;
    let post = |path: &str, headers: &str, body: &str| {
        let length = body.len();
        format!(
            "POST {path} HTTP/1.1\r\n{authorization}Content-Type: application/json\r\n{headers}\
             Content-Length: {length}\r\n\r\n{body}"
        )
    };
    let chunked = format!(
        "POST /api/commands HTTP/1.1\r\n{authorization}Content-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{command}\r\n0\r\n\r\n",
        command.len()
    );
    let frame = [&[0x81, 0x80 | 2, 1, 2, 3, 4][..], &[b'{' ^ 1, b'}' ^ 2]].concat();
    let mut requests: Vec<Vec<u8>> = vec![
        format!("GET /poll?wait=0 HTTP/1.1\r\n{authorization}\r\n").into_bytes(),
        format!("GET /poll HTTP/1.1\r\n{authorization}\r\nGET /poll?wait=0 HTTP/1.1\r\n{authorization}\r\n")
            .into(),
        format!("GET /events?after=x HTTP/1.1\r\n{authorization}Last-Event-ID: y\r\n\r\n").into(),
        format!(
            "GET /api/snapshot HTTP/1.1\r\n{authorization}Cookie: a=b; c=d\r\nOrigin: http://a.b\r\n\r\n"
        )
        .into(),
        post("/api/commands", "", command).into(),
        post("/api/login", "Expect: 100-continue\r\n", r#"{"name":"Ann","password":"x"}"#).into(),
        chunked.into_bytes(),
        format!("OPTIONS * HTTP/1.0\r\n{authorization}\r\n").into(),
        format!("HEAD /app.js HTTP/1.1\r\n{authorization}If-None-Match: \"a\", W/\"b\"\r\n\r\n").into(),
    ];
    requests.push([format!("GET /ws HTTP/1.1\r\n{authorization}{upgrade}\r\n").into_bytes(), frame].concat());
    requests
}

/// What a server sends to a client that sends these bytes, and then no more.
async fn answered(server: SocketAddr, request: &[u8]) -> Result<Vec<u8>, String> {
    let mut stream = TcpStream::connect(server).await.map_err(|error| format!("no connection: {error}"))?;
    let mut answer = Vec::new();
    let exchange = async {
        // The server may close a connection whose request it does not like before all of it is there.
        let _ = stream.write_all(request).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut answer).await;
    };
    timeout(END, exchange).await.map_err(|_| "the connection stays open".to_owned())?;
    Ok(answer)
}

#[test]
fn a_damaged_request_gets_an_answer_or_an_end_and_the_server_goes_on() {
    let runtime = Runtime::new().unwrap();
    let flags = ["--header-timeout", "500ms", "--body-timeout", "500ms", "--keep-alive", "200ms"];
    let limits = ["--longest-poll", "200ms", "--poll-wait", "200ms", "--sign-ins-per-minute", "1000000"];
    let more = ["--failed-sign-ins-per-minute", "1000000", "--message-burst", "1000000"];
    let lab = runtime.block_on(Lab::start_temporary(&[&flags[..], &limits, &more].concat()));
    let ann = runtime.block_on(lab.register("Ann"));
    let (requests, servers) = (requests(&ann.token), lab.servers());
    let strategy = (0..requests.len(), 0..servers.len(), prop::collection::vec(damage(), 1..4));
    let tried = TestRunner::new(cases()).run(&strategy, |(which, server, damages)| {
        let (request, server) = (damaged(&requests, which, &damages), servers[server]);
        let answer = runtime.block_on(answered(server, &request)).map_err(TestCaseError::fail)?;
        let shown =
            || format!("{:?}\n→ {:?}", request.escape_ascii().to_string(), answer.escape_ascii().to_string());
        prop_assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "not HTTP: {}", shown());
        prop_assert!(!answer.starts_with(b"HTTP/1.1 5") && !answer.starts_with(b"HTTP/1.0 5"), "{}", shown());
        Ok(())
    });
    tried.unwrap_or_else(|error| panic!("{error}"));
    for server in servers {
        assert_eq!(runtime.block_on(get(server, "/healthz", "")).status, 200);
    }
}
