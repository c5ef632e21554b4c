//! Starting and stopping: the launcher names what stands in the way, touches nothing by mistake, and stops cleanly.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod support;

use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Output;

use rusqlite::Connection;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use support::{Lab, gone, lab, outcome, read_answer};

/// The error output of a launcher that did not start. Checks its exit code, too.
fn complaint(output: &Output, code: i32) -> String {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(output.stdout.is_empty(), "it introduced itself all the same");
    said
}

/// What the launcher says about a database that it cannot use.
async fn complaint_about(database: &Path) -> String {
    let output = outcome(lab(&["--database", database.to_str().unwrap()])).await;
    let said = complaint(&output, 1);
    assert!(said.starts_with("error: ") && said.contains("--database"), "{said}");
    for cause in ["os error", "is not a database", "malformed"] {
        assert!(said.matches(cause).count() <= 1, "it says {cause:?} twice: {said}");
    }
    said
}

/// The names of all files in a directory.
fn files(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_busy_port_is_named_with_its_flag_and_no_database_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("chat.db");
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap();
    for flag in transports::programs().map(|program| program.flag).chain(["listen"]) {
        let flag = format!("--{flag}");
        let flags = [&flag, &address.to_string(), "--database", database.to_str().unwrap()];
        let said = complaint(&outcome(lab(&flags)).await, 2);
        assert!(said.contains(&format!("port {} ", address.port())), "{said}");
        assert!(said.contains(&format!("{flag} 127.0.0.1:PORT")), "{said}");
        assert_eq!(files(directory.path()), [""; 0]);
    }
}

#[tokio::test]
async fn a_directory_that_is_missing_or_cannot_be_written_to_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "not a directory").unwrap();
    // Not even root may make a file in /sys, although permissions do not stop root.
    for place in [directory.path().join("missing"), file, "/sys".into()] {
        let database = place.join("chat.db");
        let said = complaint_about(&database).await;
        assert!(said.contains(database.to_str().unwrap()), "{said}");
        assert!(said.contains("must exist and be writable"), "{said}");
    }
    assert_eq!(files(directory.path()), ["file"]);
}

#[tokio::test]
async fn a_directory_is_no_database() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("chat.db");
    std::fs::create_dir(&database).unwrap();
    complaint_about(&database).await;
    assert_eq!(files(&database), [""; 0]);
}

#[tokio::test]
async fn a_database_that_is_served_already_is_left_to_its_server() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("chat.db");
    let first = Lab::start(&database, &[]).await;
    let ann = first.register("Ann").await;
    let said = complaint_about(&database).await;
    assert!(said.contains(&format!("{}.lock", database.display())), "{said}");
    assert!(said.contains("Stop that process") && said.contains("a database of its own"), "{said}");
    assert_eq!(ann.get(first.page, "/api/users").await.status, 200);
    // The lock goes with the process, however it ends.
    first.kill().await;
    Lab::start(&database, &[]).await;
}

#[tokio::test]
async fn a_damaged_file_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("chat.db");
    // No SQLite header; a header and then noise; a part of a page.
    let noise = (0..16_384_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8);
    let noise: Vec<u8> = noise.collect();
    let header = [b"SQLite format 3\0", &noise[16..]].concat();
    for damaged in [&noise[..], &header, &noise[..100]] {
        std::fs::write(&database, damaged).unwrap();
        let said = complaint_about(&database).await;
        assert!(said.contains("damaged") && said.contains("restore a copy or move it away"), "{said}");
        assert!(std::fs::read(&database).unwrap() == damaged, "the file was changed");
    }
}

#[tokio::test]
async fn another_programs_database_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("photos.db");
    let photos = Connection::open(&database).unwrap();
    photos.execute_batch("CREATE TABLE users (id INTEGER PRIMARY KEY, photo BLOB)").unwrap();
    photos.close().unwrap();
    let before = std::fs::read(&database).unwrap();
    let said = complaint_about(&database).await;
    assert!(said.contains("of another program"), "{said}");
    assert!(std::fs::read(&database).unwrap() == before, "the file was changed");
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("chat.db");
    let lab = Lab::start(&database, &[]).await;
    lab.signal("TERM").await;
    lab.ended().await;
    Connection::open(&database).unwrap().execute_batch("PRAGMA user_version = 1000").unwrap();
    let before = std::fs::read(&database).unwrap();
    let output = outcome(support::lab(&["--database", database.to_str().unwrap()])).await;
    let said = complaint(&output, 1);
    assert!(said.contains("version 1000") && said.contains("newer program"), "{said}");
    assert!(std::fs::read(&database).unwrap() == before, "the file was changed");
}

#[tokio::test]
async fn a_setting_that_cannot_work_is_wrong_usage_and_the_answer_has_an_example() {
    for (flag, value, words) in [
        ("--colour", "red", "unexpected argument"),
        ("--listen", "127.0.0.1:99999", "port 99999 is too large"),
        ("--listen", "chat.example.org:4000", "write 127.0.0.1:4000"),
        ("--websocket", "localhost", "write it like 127.0.0.1:4000"),
        ("--sse", ":4002", "write 127.0.0.1:4002"),
        ("--longpoll", "http://127.0.0.1:4003", "this is a URL"),
        ("--origin", "chat.example.org", "write it like https://chat.example.org"),
        ("--origin", "https://a.example/chat", "write it like https://a.example"),
        ("--origin", "https://a.example,*", "list each origin"),
        ("--database", "", "switchboard.db"),
        ("--grace", "soon", "write it like 500ms, 10s or 7d"),
        ("--presence-interval", "0s", "at least 1ms"),
        ("--connections", "0", "at least 1, such as"),
        ("--messages-per-second", "0", "at least 1, such as"),
        ("--hash-memory", "1", "at least 8, such as"),
    ] {
        let said = complaint(&outcome(lab(&[&format!("{flag}={value}")])).await, 2);
        assert!(said.contains(flag) && said.contains(words), "{flag} {value}: {said}");
    }
    complaint(&outcome(lab(&["chat.db"])).await, 2);
    let mut loud = lab(&["--database", ":memory:"]);
    loud.env("CHAT_LOG", "chat_core=loud");
    let said = complaint(&outcome(loud).await, 2);
    assert!(said.contains("CHAT_LOG=chat_core=loud") && said.contains("write it like"), "{said}");
    // An environment variable is the same setting.
    let mut closed = lab(&["--database", ":memory:"]);
    closed.env("CHAT_CONNECTIONS", "0");
    let said = complaint(&outcome(closed).await, 2);
    assert!(said.contains("--connections") && said.contains("at least 1"), "{said}");
}

#[tokio::test]
async fn an_address_may_be_a_port_alone() {
    let flags =
        ["--listen", "0", "--websocket", "localhost:0", "--sse", "[::1]:0", "--longpoll", "0.0.0.0:0"];
    // A machine without IPv6 has no address there.
    let v6 = TcpListener::bind("[::1]:0").is_ok();
    let flags = if v6 { flags } else { flags.map(|flag| flag.trim_start_matches("[::1]:")) };
    let lab = Lab::start_temporary(&flags).await;
    let hosts = [lab.page, lab.websocket, lab.longpoll].map(|address| address.ip().to_string());
    // An address that stands for all addresses is shown as one that can be opened.
    assert_eq!(hosts, ["127.0.0.1", "127.0.0.1", "127.0.0.1"]);
    assert_eq!(lab.sse.is_ipv6(), v6);
    for (address, is_open_elsewhere) in [(lab.websocket, false), (lab.longpoll, true)] {
        let elsewhere = TcpStream::connect(("127.0.0.2", address.port())).await;
        assert_eq!(elsewhere.is_ok(), is_open_elsewhere, "{address}");
    }
}

#[tokio::test]
async fn two_flags_with_one_port_name_each_other() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let port = free.port().to_string();
    let names = |said: &str, flags: [&str; 2]| {
        let both = format!("{} and {} have the same port, {port}.", flags[0], flags[1]);
        assert!(said.contains(&both) && said.contains(&format!("such as {} 127.0.0.1:", flags[1])), "{said}");
    };
    let said = complaint(&outcome(lab(&["--listen", &port, "--sse", &port])).await, 2);
    names(&said, ["--listen", "--sse"]);
    // The same if a port does not come from the command line, as with a default.
    let mut implied = lab(&["--websocket", &port]);
    implied.env("CHAT_LONGPOLL", format!("localhost:{port}"));
    names(&complaint(&outcome(implied).await, 2), ["--websocket", "--longpoll"]);
}

#[tokio::test]
async fn help_says_what_it_does_and_how_to_begin() {
    let output = outcome(lab(&["--help"])).await;
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for said in [
        "one chat on every real-time transport",
        "[OPTIONS]\n",
        "--listen",
        "127.0.0.1:4000",
        "--websocket",
        "--sse",
        "--longpoll",
        "--database",
        "switchboard.db",
        ":memory:",
        "--origin",
        "--retention",
        "Examples:",
    ] {
        assert!(help.contains(said), "{said} is missing:\n{help}");
    }
}

#[tokio::test]
async fn a_temporary_database_leaves_nothing_behind() {
    for signal in ["TERM", "INT"] {
        let (temporary, current) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut command = lab(&["--database", ":memory:"]);
        command.env("TMPDIR", temporary.path()).current_dir(current.path());
        let lab = Lab::run(command).await;
        lab.register("Ann").await;
        assert_eq!(files(temporary.path()).len(), 1, "there is a database while it runs");
        lab.signal(signal).await;
        let (status, _) = lab.ended().await;
        assert!(status.success(), "{status}");
        assert_eq!(files(temporary.path()), [""; 0], "after {signal}");
        assert_eq!(files(current.path()), [""; 0], "after {signal}");
    }
}

#[tokio::test]
async fn ctrl_c_closes_every_transport_and_keeps_what_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("chat.db");
    let lab = Lab::start(&database, &["--presence-interval", "1h"]).await;
    let ann = lab.register("Ann").await;
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut streams = Vec::new();
    for (server, path, headers) in
        [(lab.websocket, "/ws", upgrade), (lab.sse, "/events", ""), (lab.longpoll, "/poll", "")]
    {
        let mut stream = TcpStream::connect(server).await.unwrap();
        let bearer = ann.bearer();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\n{bearer}{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    // A request whose connection stays open, as a browser's does.
    let mut idle = TcpStream::connect(lab.page).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(read_answer(&mut idle).await.status, 200);
    lab.eventually("chat_sessions", 3).await;
    let started = std::time::Instant::now();
    lab.signal("INT").await;

    let [mut websocket, mut sse, mut longpoll] = <[TcpStream; 3]>::try_from(streams).unwrap();
    let answer = read_answer(&mut longpoll).await;
    let close = json!({"type": "close", "code": 4001, "name": "shutdown", "reconnect": true});
    assert_eq!((answer.status, &answer.json()["events"]), (200, &json!([close])));
    let answer = read_answer(&mut sse).await;
    assert!(String::from_utf8(answer.body).unwrap().ends_with(&format!(
        "\n\ndata: {}\n\n",
        r#"{"type":"close","code":4001,"name":"shutdown","reconnect":true}"#
    )));
    let mut frames = Vec::new();
    // The close frame comes last. The server does not wait long for a client that does not answer it.
    timeout(support::PATIENCE, websocket.read_to_end(&mut frames)).await.unwrap().unwrap();
    assert!(frames.ends_with(b"\x88\x0A\x0F\xA1shutdown"), "{}", String::from_utf8_lossy(&frames));
    gone(&mut idle).await;
    let (status, printed) = lab.ended().await;
    assert!(status.success() && status.signal().is_none(), "{status}");
    assert!(printed.contains("Stopping"), "{printed}");
    assert!(started.elapsed().as_secs() < 5, "it waited for somebody: {:?}", started.elapsed());
}

#[tokio::test]
async fn what_was_acknowledged_before_ctrl_c_is_there_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("chat.db");
    let lab = Lab::start(&database, &["--messages-per-second", "10000", "--message-burst", "10000"]).await;
    let (ann, bob) = (lab.register("Ann").await, lab.register("Bob").await);
    let server = lab.longpoll;
    let sending = tokio::spawn({
        let (ann, bob) = (ann.clone(), bob.clone());
        async move {
            let mut acknowledged = Vec::new();
            for number in 0.. {
                let Ok(reply) = ann.try_send(server, &bob, &number.to_string(), "hi").await else { break };
                if reply.status == 200 {
                    acknowledged.push(number.to_string());
                }
            }
            acknowledged
        }
    });
    let messages = |lab: &Lab| {
        let (bob, page) = (bob.clone(), lab.page);
        async move { bob.cids(page, "c1").await }
    };
    while messages(&lab).await.len() < 10 {}
    lab.signal("INT").await;
    let (status, _) = lab.ended().await;
    assert!(status.success(), "{status}");
    let acknowledged = sending.await.unwrap();
    assert!(acknowledged.len() >= 10);
    // A copy of the one file is complete, because the write-ahead log beside it is empty.
    let beside = std::fs::metadata(directory.path().join("chat.db-wal"));
    assert_eq!(beside.map_or(0, |log| log.len()), 0);
    let lab = Lab::start(&database, &[]).await;
    let stored = messages(&lab).await;
    assert_eq!(stored[..acknowledged.len()], acknowledged);
    assert!(stored.len() <= acknowledged.len() + 1, "only the last one's outcome may be unknown");
}
