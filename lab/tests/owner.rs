//! One server owns a database, by whichever name the file is opened. The server notices a writer that ignores the lock.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod support;

use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use axum::Router;
use chat_core::Location;
use chat_core::chat::Chat;
use chat_core::limits::Limits;
use chat_http::Site;
use chat_http::server::start;
use longpoll_server::LongPollServer;
use rusqlite::Connection;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::time::timeout;

use support::{Lab, PASSWORD, User, lab, outcome, post, read_answer};

const FLAGS: [&str; 4] = ["--messages-per-second", "10000", "--message-burst", "10000"];

/// Other names of a database, in a directory of their own.
struct Names {
    directory: tempfile::TempDir,
}

impl Names {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("real")).unwrap();
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn database(&self) -> PathBuf {
        self.path("real/chat.db")
    }

    /// Makes symbolic links: to the file, to a link, to its directory.
    fn link(&self) {
        symlink("real/chat.db", self.path("symbolic.db")).unwrap();
        symlink("symbolic.db", self.path("symbolic of symbolic.db")).unwrap();
        symlink("real", self.path("folder")).unwrap();
    }

    /// Makes a hard link.
    fn link_hard(&self) {
        std::fs::hard_link(self.database(), self.path("hard.db")).unwrap();
    }
}

/// Every name of the database but the hard link.
const NAMES: [&str; 4] = ["real/chat.db", "symbolic.db", "symbolic of symbolic.db", "folder/chat.db"];

/// The error output of a launcher that must not start with this database.
async fn complaint(database: &Path) -> String {
    let output = outcome(lab(&["--database", database.to_str().unwrap()])).await;
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{}: {said}", database.display());
    assert!(output.stdout.is_empty(), "it introduced itself all the same");
    said
}

/// The number of messages, as another program reads it from the database.
fn count_messages(database: &Path) -> usize {
    let outside = Connection::open(database).unwrap();
    outside.query_row("SELECT count(*) FROM messages", [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn another_server_is_refused_by_every_name_of_the_file() {
    let names = Names::new();
    let database = names.database();
    let first = Lab::start(&database, &FLAGS).await;
    let (ann, bob) = (first.register("Ann").await, first.register("Bob").await);
    names.link();
    let mut acknowledged = Vec::new();
    let mut refuse = async |name: &str, expected: &str| {
        let said = complaint(&names.path(name)).await;
        assert!(said.contains(expected) && said.contains("--database"), "{name}: {said}");
        // The first server still writes, and other programs can still read what it wrote.
        let cid = format!("cid-{}", acknowledged.len());
        assert_eq!(ann.send(first.page, &bob, &cid, "hi").await.status, 200, "after {name}");
        acknowledged.push(cid);
        assert_eq!(count_messages(&database), acknowledged.len(), "after {name}");
    };
    let lock = names.path("real/chat.db.lock");
    for lock_is_there in [true, false] {
        for name in NAMES {
            if !lock_is_there {
                let _ = std::fs::remove_file(&lock);
            }
            refuse(name, "Stop that process").await;
        }
    }
    names.link_hard();
    for name in NAMES.into_iter().chain(["hard.db"]) {
        refuse(name, "Remove the other names").await;
    }
    first.signal("INT").await;
    assert!(first.ended().await.0.success());
    // No server has it open now. Hard links are still refused, and symbolic links lead to the one database.
    for name in ["real/chat.db", "hard.db"] {
        let said = complaint(&names.path(name)).await;
        assert!(said.contains("2 names (hard links)"), "{said}");
    }
    std::fs::remove_file(names.path("hard.db")).unwrap();
    for name in ["symbolic of symbolic.db", "folder/chat.db"] {
        let lab = Lab::start(&names.path(name), &FLAGS).await;
        assert_eq!(bob.cids(lab.page, "c1").await, acknowledged);
        lab.signal("INT").await;
        assert!(lab.ended().await.0.success());
    }
    assert!(!names.path("symbolic of symbolic.db.lock").exists(), "a link has a lock of its own");
}

#[tokio::test]
async fn a_hard_link_alone_does_not_let_a_second_server_in() {
    let names = Names::new();
    let first = Lab::start(&names.database(), &FLAGS).await;
    names.link_hard();
    // Not even after the first name was removed, when the file has one name again.
    std::fs::remove_file(names.database()).unwrap();
    let said = complaint(&names.path("hard.db")).await;
    assert!(said.contains("Stop that process") && said.contains("hard.db"), "{said}");
    first.kill().await;
}

#[tokio::test]
async fn a_symbolic_link_to_no_file_yet_makes_one_database() {
    let names = Names::new();
    symlink("real/chat.db", names.path("symbolic.db")).unwrap();
    let lab = Lab::start(&names.path("symbolic.db"), &FLAGS).await;
    let said = complaint(&names.database()).await;
    assert!(said.contains("real/chat.db.lock"), "{said}");
    lab.kill().await;
}

/// What the child process of the test below runs.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a part of another test"]
async fn serves_a_database_and_tries_to_open_it_again() {
    let Ok(directory) = std::env::var("SWITCHBOARD_TEST_DIRECTORY") else { return };
    let directory = PathBuf::from(directory);
    let limits = || Limits { hash_memory: 8, message_burst: 10_000, ..Limits::default() };
    let database = directory.join("real/chat.db");
    let chat = Chat::open(&Location::File(database), limits()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = start::<LongPollServer>(listener, &chat, Site::default(), Router::new()).unwrap();
    println!("listens on {}", server.address());
    // The runtime's own threads serve meanwhile.
    for name in std::io::stdin().lines().map(Result::unwrap) {
        match Chat::open(&Location::File(directory.join(&name)), limits()) {
            Err(_) => println!("refused {name}"),
            Ok(_) => println!("opened {name}"),
        }
        std::io::stdout().flush().unwrap();
    }
}

/// Whether a process holds the lock that every SQLite connection has on its database: a region of the file.
fn holds_its_lock(process: u32, database: &Path) -> bool {
    let inode = std::fs::metadata(database).unwrap().ino();
    let is_ours = |lock: &str| {
        let words: Vec<&str> = lock.split_whitespace().collect();
        words.get(1) == Some(&"POSIX")
            && words.get(4) == Some(&process.to_string().as_str())
            && words.get(5).is_some_and(|file| file.ends_with(&format!(":{inode}")))
    };
    std::fs::read_to_string("/proc/locks").unwrap().lines().any(is_ours)
}

#[tokio::test]
async fn a_refused_second_open_in_one_process_costs_no_acknowledged_row() {
    let names = Names::new();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "serves_a_database_and_tries_to_open_it_again", "--ignored", "--nocapture"]);
    command.env("SWITCHBOARD_TEST_DIRECTORY", names.directory.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut asks = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut answer = async |word: &str| loop {
        let line = timeout(support::PATIENCE, lines.next_line()).await.unwrap().unwrap().expect("it goes on");
        // The test harness may have printed the beginning of the line.
        if let Some((_, rest)) = line.split_once(word) {
            return rest.trim().to_owned();
        }
        assert!(!line.starts_with("opened"), "{line}");
    };
    let server = answer("listens on ").await.parse().unwrap();
    let register = async |name: &str| {
        let credentials = json!({"name": name, "password": PASSWORD});
        let answer = post(server, "/api/register", "", &credentials).await.json();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        User { id: text(&answer["user"]["id"]), token: text(&answer["token"]), cookie: String::new() }
    };
    let (ann, bob) = (register("Ann").await, register("Bob").await);
    names.link();

    let mut acknowledged = Vec::new();
    for name in NAMES.into_iter().chain(["hard.db"]) {
        // Made last: with a hard link, the file is refused for that alone.
        if name == "hard.db" {
            names.link_hard();
        }
        // With the lock file, the open would be refused before it gets to the database.
        let _ = std::fs::remove_file(names.path("real/chat.db.lock"));
        asks.write_all(format!("{name}\n").as_bytes()).await.unwrap();
        answer(&format!("refused {name}")).await;
        assert!(holds_its_lock(child.id().unwrap(), &names.database()), "{name} cost SQLite its lock");
        // Without the server's lock, an outside reader takes itself for the last connection. Then it removes the
        // write-ahead log, although the server still writes to it. From 3.51 on, SQLite tries to notice.
        assert_eq!(count_messages(&names.database()), acknowledged.len(), "{name}");
        for number in 0..5 {
            let cid = format!("cid-{}-{number}", acknowledged.len());
            assert_eq!(ann.send(server, &bob, &cid, "hi").await.status, 200);
            acknowledged.push(cid);
        }
    }
    assert_eq!(count_messages(&names.database()), acknowledged.len());
    child.kill().await.unwrap();
    std::fs::remove_file(names.path("hard.db")).unwrap();
    let lab = Lab::start(&names.database(), &FLAGS).await;
    assert_eq!(bob.cids(lab.page, "c1").await, acknowledged);
}

/// Starts the launcher with its log in a file.
async fn start_with_log(database: &Path, log: &Path) -> Lab {
    let mut command = lab(&FLAGS);
    command.arg("--database").arg(database).env("CHAT_LOG", "warn");
    command.stderr(Stdio::from(std::fs::File::create(log).unwrap()));
    Lab::run(command).await
}

#[tokio::test]
async fn a_foreign_writer_ends_the_program_and_every_session() {
    let names = Names::new();
    let (database, log) = (names.database(), names.path("log"));
    let lab = start_with_log(&database, &log).await;
    let (ann, bob) = (lab.register("Ann").await, lab.register("Bob").await);
    assert_eq!(ann.send(lab.page, &bob, "before", "hi").await.status, 200);
    let cursor = ann.get(lab.page, "/api/snapshot").await.json()["cursor"].as_str().unwrap().to_owned();
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut streams = Vec::new();
    for (server, path, headers) in
        [(lab.websocket, "/ws", upgrade), (lab.sse, "/events", ""), (lab.longpoll, "/poll", "")]
    {
        let mut stream = TcpStream::connect(server).await.unwrap();
        let (path, bearer) = (format!("{path}?after={cursor}"), ann.bearer());
        let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\n{bearer}{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    lab.eventually("chat_sessions", 3).await;

    let outside = Connection::open(&database).unwrap();
    outside.execute("INSERT INTO events (audience, body) VALUES (0, '{}')", []).unwrap();
    let answer = ann.send(lab.page, &bob, "after", "hi").await;
    assert_eq!(
        (answer.status, answer.json()["refusal"]["code"].as_str()),
        (503, Some("storage_unavailable"))
    );

    let [mut websocket, mut sse, mut longpoll] = <[TcpStream; 3]>::try_from(streams).unwrap();
    let close = json!({"type": "close", "code": 1011, "name": "server_error", "reconnect": true});
    let polled = read_answer(&mut longpoll).await.json();
    assert!(polled["events"].as_array().unwrap().contains(&close), "{polled}");
    let streamed = String::from_utf8(read_answer(&mut sse).await.body).unwrap();
    assert!(streamed.contains(r#""code":1011"#), "{streamed}");
    let mut frames = Vec::new();
    timeout(support::PATIENCE, websocket.read_to_end(&mut frames)).await.unwrap().unwrap();
    assert!(frames.ends_with(b"\x88\x0E\x03\xF3server_error"), "{}", String::from_utf8_lossy(&frames));
    let (status, _) = lab.ended().await;
    assert_eq!(status.code(), Some(1));
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("another process has written to the database"), "{said}");
    assert_eq!(count_messages(&database), 1);
}

#[tokio::test]
async fn an_outside_change_that_is_not_to_the_log_is_a_warning() {
    let names = Names::new();
    let (database, log) = (names.database(), names.path("log"));
    let lab = start_with_log(&database, &log).await;
    let (ann, bob) = (lab.register("Ann").await, lab.register("Bob").await);
    for number in 0..3 {
        assert_eq!(ann.send(lab.page, &bob, &format!("cid-{number}"), "hi").await.status, 200);
        let outside = Connection::open(&database).unwrap();
        // As backup tools do: they have a table of their own, and truncate the write-ahead log.
        outside.execute_batch("CREATE TABLE IF NOT EXISTS backups (at INTEGER)").unwrap();
        outside.execute("INSERT INTO backups VALUES (?1)", [number]).unwrap();
        outside.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    }
    assert_eq!(ann.send(lab.page, &bob, "last", "hi").await.status, 200);
    assert_eq!(bob.cids(lab.page, "c1").await.len(), 4);
    lab.signal("INT").await;
    assert!(lab.ended().await.0.success());
    let said = std::fs::read_to_string(&log).unwrap();
    assert_eq!(said.matches("but not to the log").count(), 1, "{said}");
}
