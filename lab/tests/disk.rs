//! A disk that is full: nothing is acknowledged that is not stored, reads go on, and no restart is needed.
//!
//! A limit on the size of files stands in for the full disk: SQLite gets an error for its write either way, and
//! the limit of a running process can be lifted.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use support::{Answer, Lab, PASSWORD, User, arrange, post};

/// How large a file may get, in bytes: there is room for some hundred messages.
const ROOM: u64 = 1_048_576;

const FLAGS: [&str; 6] =
    ["--messages-per-second", "10000", "--message-burst", "10000", "--registrations-per-minute", "1000"];

/// Sends messages one after the other until one is not acknowledged. Returns the cids of those that were, the cid of
/// the one that was not, and its answer.
async fn send_until_refused(lab: &Lab, from: &User, to: &User, name: &str) -> (Vec<String>, String, Answer) {
    let text = "x".repeat(8_192);
    let mut acknowledged = Vec::new();
    for number in 0..1_000 {
        let cid = format!("{name}-{number}");
        let answer = from.send(lab.page, to, &cid, &text).await;
        if answer.status != 200 {
            return (acknowledged, cid, answer);
        }
        acknowledged.push(cid);
    }
    panic!("the disk is never full");
}

async fn register(lab: &Lab, name: &str) -> Answer {
    post(lab.page, "/api/register", "", &json!({"name": name, "password": PASSWORD})).await
}

/// The refusal that a storage error must have.
fn assert_unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("1"));
    let body = answer.json();
    let refusal = if body["type"] == "reply" { &body["refusal"] } else { &body };
    assert_eq!(
        (&refusal["code"], &refusal["retry_after_ms"]),
        (&"storage_unavailable".into(), &1_000.into())
    );
}

/// The launcher with little room for its files.
async fn start_with_little_room(database: &Path) -> Lab {
    // The signal that would end the process is ignored, so that it gets an error instead: setrlimit(2).
    let mut command = Command::new("sh");
    let limited = format!("trap '' XFSZ; ulimit -S -f {}; exec \"$0\" \"$@\"", ROOM / 512);
    command.arg("-c").arg(limited).arg(env!("CARGO_BIN_EXE_lab")).args(FLAGS).arg("--database").arg(database);
    arrange(&mut command);
    Lab::run(command).await
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_is_forgotten_when_there_is_room_again() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("chat.db");
    let lab = start_with_little_room(&database).await;
    let (ann, bob) = (lab.register("Ann").await, lab.register("Bob").await);

    let watching = tokio::spawn(watch(lab.sse, bob.clone(), "after-199"));
    lab.eventually("chat_sessions", 1).await;
    let (mut acknowledged, refused, answer) = send_until_refused(&lab, &ann, &bob, "before").await;
    assert!(acknowledged.len() > 10, "the disk was full from the start");
    assert_unavailable(&answer);
    // Smaller writes may still fit, until the disk has no room for them either.
    let mut names = (0..).map(|number| format!("Cid {number}"));
    let refused_name = loop {
        let name = names.next().unwrap();
        let answer = register(&lab, &name).await;
        if answer.status != 201 {
            assert_unavailable(&answer);
            break name;
        }
    };
    // Reads go on.
    assert_eq!(bob.cids(lab.page, "c1").await, acknowledged);
    let snapshot = bob.get(lab.page, "/api/snapshot").await.json();
    assert_eq!(snapshot["conversations"][0]["last_seq"], acknowledged.len());
    assert_eq!(poll(&lab, &bob, &snapshot["cursor"]).await, [""; 0], "an event of what was refused");
    assert_unavailable(&ann.send(lab.longpoll, &bob, "again", &"x".repeat(8_192)).await);

    let lift = format!("prlimit --pid {} --fsize=unlimited", lab.id());
    let lifted = Command::new("sh").arg("-c").arg(lift).stdout(Stdio::null()).status().await.unwrap();
    assert!(lifted.success(), "prlimit(1) of util-linux is needed");
    // The same message again, as a client would send it.
    let answer = ann.send(lab.page, &bob, &refused, &"x".repeat(8_192)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["ok"]["duplicate"], false);
    assert_eq!(poll(&lab, &bob, &snapshot["cursor"]).await, [refused.as_str()]);
    acknowledged.push(refused);
    for number in 0..200 {
        let cid = format!("after-{number}");
        assert_eq!(ann.send(lab.page, &bob, &cid, &"x".repeat(8_192)).await.status, 200);
        acknowledged.push(cid);
    }
    assert_eq!(
        register(&lab, &refused_name).await.status,
        201,
        "the refused registration left something behind"
    );

    // The client that was connected all the time saw the same.
    assert_eq!(timeout(support::PATIENCE, watching).await.unwrap().unwrap(), acknowledged);

    lab.kill().await;
    let lab = Lab::start(&database, &FLAGS).await;
    // Every acknowledged message once, in order, and none that was refused.
    assert_eq!(bob.cids(lab.page, "c1").await, acknowledged);
    assert_eq!(poll(&lab, &bob, &snapshot["cursor"]).await.len(), 201);
}

#[tokio::test]
async fn a_crash_while_the_disk_is_full_brings_nothing_back_that_was_refused() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("chat.db");
    let lab = start_with_little_room(&database).await;
    let (ann, bob) = (lab.register("Ann").await, lab.register("Bob").await);
    let (acknowledged, refused, answer) = send_until_refused(&lab, &ann, &bob, "before").await;
    assert_unavailable(&answer);
    lab.kill().await;

    let lab = Lab::start(&database, &FLAGS).await;
    assert_eq!(bob.cids(lab.page, "c1").await, acknowledged);
    let answer = ann.send(lab.page, &bob, &refused, "and now it fits").await;
    assert_eq!((answer.status, &answer.json()["ok"]["duplicate"]), (200, &json!(false)));
}

/// The cids of the messages that a stream brings, up to the last one.
async fn watch(server: SocketAddr, user: User, last: &str) -> Vec<String> {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let request = format!("GET /events HTTP/1.1\r\nHost: {server}\r\n{}\r\n", user.bearer());
    stream.write_all(request.as_bytes()).await.unwrap();
    // The head and the chunk sizes are lines, too, and are skipped.
    let mut lines = BufReader::new(stream).lines();
    let mut cids: Vec<String> = Vec::new();
    while cids.last().is_none_or(|cid| cid != last) {
        let line = lines.next_line().await.unwrap().expect("the stream goes on");
        if let Some(data) = line.strip_prefix("data: ") {
            let event: Value = serde_json::from_str(data).unwrap();
            cids.extend(event["cid"].as_str().map(str::to_owned));
        }
    }
    cids
}

/// The cids of the messages after a cursor.
async fn poll(lab: &Lab, user: &User, cursor: &Value) -> Vec<String> {
    let (mut cursor, mut cids) = (cursor.as_str().unwrap().to_owned(), Vec::new());
    loop {
        let answer = user.get(lab.longpoll, &format!("/poll?wait=0&after={cursor}")).await.json();
        let events = answer["events"].as_array().unwrap();
        assert!(events.iter().all(|event| event["type"] != "reset"), "{answer}");
        cids.extend(events.iter().filter_map(|event| Some(event["cid"].as_str()?.to_owned())));
        if answer["more"] == false {
            return cids;
        }
        answer["cursor"].as_str().unwrap().clone_into(&mut cursor);
    }
}
