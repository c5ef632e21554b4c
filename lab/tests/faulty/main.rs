//! A disk that is full, fails, is slow or hangs: every answer comes in time, says "unknown" and never "stored", and
//! the server recovers by itself.
//!
//! `faulty.c` is loaded into the launcher and makes the faults, so neither root nor a disk of its own is needed. It
//! is compiled by the C compiler that SQLite needs already.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

#[path = "../support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use support::{Answer, Lab, PASSWORD, PATIENCE, User, arrange, get, outcome, post};

/// Longer than a working disk takes on a busy machine.
const STORAGE_TIMEOUT: Duration = Duration::from_secs(2);

/// How much later than the limit an answer may be on a busy machine.
const SLACK: Duration = Duration::from_secs(6);

const FLAGS: [&str; 8] = [
    "--messages-per-second",
    "10000",
    "--message-burst",
    "10000",
    "--registrations-per-minute",
    "1000",
    "--storage-timeout",
    "2s",
];

/// A launcher on a disk whose faults a test chooses, and its log.
struct Disk {
    directory: TempDir,
}

impl Disk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("disk")).unwrap();
        let library = directory.path().join("faulty.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faulty/faulty.c");
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let compiled = std::process::Command::new(compiler)
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source])
            .output()
            .expect("a C compiler");
        assert!(compiled.status.success(), "{compiled:?}");
        let disk = Self { directory };
        disk.works();
        disk
    }

    /// From now on the disk has these faults.
    fn has(&self, faults: &str) {
        // The file is replaced as a whole, because half a line would be another fault.
        let fresh = self.directory.path().join("control-new");
        std::fs::write(&fresh, faults).unwrap();
        std::fs::rename(fresh, self.directory.path().join("control")).unwrap();
    }

    fn works(&self) {
        self.has("");
    }

    fn database(&self) -> PathBuf {
        self.directory.path().join("disk/chat.db")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
        arrange(&mut command);
        command.args(FLAGS).arg("--database").arg(self.database()).env("CHAT_LOG", "warn");
        command.env("LD_PRELOAD", self.directory.path().join("faulty.so"));
        command.env("FAULTY_DIRECTORY", self.directory.path().join("disk"));
        command.env("FAULTY_CONTROL", self.directory.path().join("control"));
        command
    }

    async fn start(&self) -> Lab {
        let mut command = self.command();
        let log = std::fs::File::options().create(true).append(true).open(self.directory.path().join("log"));
        command.stderr(log.unwrap());
        Lab::run(command).await
    }

    /// The error output of a launcher that does not start.
    async fn complaint(&self) -> String {
        let Output { status, stderr, .. } = outcome(self.command()).await;
        let said = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(1), "{said}");
        said
    }

    /// The lines of the log with these words.
    fn logged(&self, words: &str) -> Vec<String> {
        let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap();
        log.lines().filter(|line| line.contains(words)).map(str::to_owned).collect()
    }
}

async fn register(lab: &Lab, name: &str) -> Answer {
    post(lab.page, "/api/register", "", &json!({"name": name, "password": PASSWORD})).await
}

/// The refusal that says "unknown", which must come in time.
fn assert_unavailable(answer: &Answer, asked: Instant) {
    let took = asked.elapsed();
    assert!(took < STORAGE_TIMEOUT + SLACK, "answered after {took:?}: {answer:?}");
    let body = answer.json();
    let refusal = if body["type"] == "reply" { &body["refusal"] } else { &body };
    assert_eq!((answer.status, &refusal["code"]), (503, &"storage_unavailable".into()), "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(!body.to_string().contains("nothing was stored"), "{body}");
}

/// `/healthz`, which must not wait for the disk.
async fn health(lab: &Lab) -> Answer {
    let asked = Instant::now();
    let answer = get(lab.longpoll, "/healthz", "").await;
    assert!(asked.elapsed() < STORAGE_TIMEOUT, "the health waited for the disk");
    answer
}

/// Waits until the health has this status, and returns its text.
async fn health_is(lab: &Lab, status: u16) -> String {
    let looking = async {
        loop {
            let answer = health(lab).await;
            if answer.status == status {
                return answer;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let answer = timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("the health is never {status}"));
    match status {
        200 => assert_eq!(answer.json(), json!({"status": "ok"})),
        _ => assert_eq!(answer.problem(), "storage_unavailable"),
    }
    String::from_utf8(answer.body).unwrap()
}

/// Sends the same message until it is acknowledged, as a client does.
async fn send_until_stored(lab: &Lab, from: &User, to: &User, cid: &str) -> Answer {
    let sending = async {
        loop {
            let answer = from.send(lab.page, to, cid, "hi").await;
            if answer.status == 200 {
                return answer;
            }
            assert_unavailable(&answer, Instant::now());
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, sending).await.expect("the disk works in the end")
}

#[tokio::test]
async fn a_full_disk_is_logged_when_it_begins_and_when_it_ends() {
    let disk = Disk::new();
    let lab = disk.start().await;
    let (ann, bob) = (lab.register("Ann").await, lab.register("Bob").await);
    assert_eq!(ann.send(lab.page, &bob, "before", "hi").await.status, 200);
    health_is(&lab, 200).await;

    disk.has("write full\n");
    // For longer than one round of everything that runs once a second.
    let began = Instant::now();
    let mut refused = 0;
    while began.elapsed() < Duration::from_secs(4) {
        let asked = Instant::now();
        assert_unavailable(&ann.send(lab.page, &bob, "during", "hi").await, asked);
        refused += 1;
    }
    assert!(refused > 20, "only {refused} commands were tried");
    let said = health_is(&lab, 503).await;
    assert!(said.contains("the disk is full"), "{said}");
    // Reads go on.
    assert_eq!(bob.cids(lab.page, "c1").await, ["before"]);
    assert!(lab.metric("chat_storage_errors_total").await >= refused);
    assert_eq!(disk.logged("the disk is full").len(), 1, "{:?}", disk.logged(""));

    disk.works();
    // No client writes: the server itself notices.
    health_is(&lab, 200).await;
    assert_eq!(disk.logged("it is over").len(), 1, "{:?}", disk.logged(""));
    assert_eq!(disk.logged("").len(), 2, "{:?}", disk.logged(""));
    send_until_stored(&lab, &ann, &bob, "during").await;
    assert_eq!(bob.cids(lab.page, "c1").await, ["before", "during"]);
}

#[tokio::test]
async fn a_failing_disk_shows_in_the_health_without_a_write() {
    let disk = Disk::new();
    let lab = disk.start().await;
    let (ann, bob) = (lab.register("Ann").await, lab.register("Bob").await);
    send_until_stored(&lab, &ann, &bob, "before").await;
    for (faults, cid, said) in [
        ("write fail\n", "write", "the database cannot be written"),
        ("sync fail\n", "sync", "the database cannot be written"),
        ("read fail\n", "read", "the database cannot be read"),
    ] {
        disk.has(faults);
        let text = health_is(&lab, 503).await;
        assert!(text.contains(said), "{faults}: {text}");
        let asked = Instant::now();
        match cid {
            "read" => assert_unavailable(&bob.get(lab.page, "/api/users").await, asked),
            _ => assert_unavailable(&ann.send(lab.page, &bob, cid, "hi").await, asked),
        }
        disk.works();
        health_is(&lab, 200).await;
        send_until_stored(&lab, &ann, &bob, cid).await;
    }
    assert_eq!(bob.cids(lab.page, "c1").await, ["before", "write", "sync", "read"]);
    // One line for the beginning and one for the end of each fault, for the database and for the watermark beside it.
    assert!(disk.logged("").len() <= 12, "{:?}", disk.logged(""));
    assert_eq!(disk.logged("damaged"), [""; 0]);
}

#[tokio::test]
async fn a_slow_disk_is_answered_for_in_time_and_stores_once() {
    let disk = Disk::new();
    let lab = disk.start().await;
    let (ann, bob) = (lab.register("Ann").await, lab.register("Bob").await);
    send_until_stored(&lab, &ann, &bob, "before").await;
    disk.has("sync 5000\n");
    let asked = Instant::now();
    assert_unavailable(&ann.send(lab.page, &bob, "slow", "hi").await, asked);
    assert!(asked.elapsed() < Duration::from_secs(5), "it waited for the disk: {:?}", asked.elapsed());
    health_is(&lab, 503).await;
    // A commit that is slower than the limit still stores the message: a later attempt finds it stored.
    disk.has("sync 3000\n");
    send_until_stored(&lab, &ann, &bob, "slow").await;
    assert_eq!(health(&lab).await.status, 503);
    disk.works();
    health_is(&lab, 200).await;
    assert_eq!(bob.cids(lab.page, "c1").await, ["before", "slow"]);
    let metrics = String::from_utf8(get(lab.page, "/metrics", "").await.body).unwrap();
    for series in
        ["chat_commit_seconds_bucket{le=\"0.01\"}", "chat_commit_seconds_count", "chat_queue_depth 0"]
    {
        assert!(metrics.contains(series), "{series} is missing:\n{metrics}");
    }
}

#[tokio::test]
async fn a_disk_that_hangs_holds_up_neither_answers_nor_the_end() {
    let disk = Disk::new();
    let lab = disk.start().await;
    let (ann, bob) = (lab.register("Ann").await, lab.register("Bob").await);
    send_until_stored(&lab, &ann, &bob, "before").await;
    disk.has("sync hang\n");
    let cids: Vec<String> = (0..100).map(|number| format!("hung-{number}")).collect();
    let asked = Instant::now();
    // The first fills the batch that hangs; the others wait behind it.
    assert_unavailable(&ann.send(lab.page, &bob, "first", "hi").await, asked);
    let asked = Instant::now();
    let sent = join_all(cids.iter().map(|cid| ann.send(lab.page, &bob, cid, "hi"))).await;
    sent.iter().for_each(|answer| assert_unavailable(answer, asked));
    // Registering, signing in and signing out fail in the same way.
    let asked = Instant::now();
    let (credentials, bearer, nothing) =
        (json!({"name": "Bob", "password": PASSWORD}), bob.bearer(), json!({}));
    let answers = tokio::join!(
        register(&lab, "Cid"),
        post(lab.page, "/api/login", "", &credentials),
        post(lab.page, "/api/logout", &bearer, &nothing)
    );
    [answers.0, answers.1, answers.2].iter().for_each(|answer| assert_unavailable(answer, asked));
    assert!(health_is(&lab, 503).await.contains("does not answer in time"));
    // A command that was not run is not stored: of the hundred, none was begun.
    assert_eq!(ann.cids(lab.page, "c1").await, ["before"]);

    disk.works();
    health_is(&lab, 200).await;
    for cid in &cids {
        let answer = send_until_stored(&lab, &ann, &bob, cid).await;
        assert_eq!(answer.json()["ok"]["duplicate"], false, "work whose time was over was run");
    }
    send_until_stored(&lab, &ann, &bob, "first").await;
    let mut stored = ann.cids(lab.page, "c1").await;
    assert_eq!(stored.len(), 102, "each once");
    stored.retain(|cid| cid.starts_with("hung"));
    assert_eq!(stored, cids);

    disk.has("sync hang\nread hang\n");
    let asked = Instant::now();
    assert_unavailable(&ann.send(lab.page, &bob, "last", "hi").await, asked);
    lab.signal("TERM").await;
    let (status, _) = lab.ended().await;
    assert!(status.success(), "{status}");
    // Everything acknowledged is still there.
    disk.works();
    let lab = disk.start().await;
    assert!(ann.cids(lab.page, "c1").await.len() >= 102);
}

#[tokio::test]
async fn a_read_that_hangs_is_answered_for_in_time() {
    let disk = Disk::new();
    let lab = disk.start().await;
    let (ann, bob) = (lab.register("Ann").await, lab.register("Bob").await);
    send_until_stored(&lab, &ann, &bob, "before").await;
    // The server knows this sign-in from now on.
    assert_eq!(bob.get(lab.page, "/api/users").await.status, 200);
    disk.has("read hang\n");
    health_is(&lab, 503).await;
    // More reads than the store has readers.
    let asked = Instant::now();
    let reads = join_all((0..12).map(|_| bob.get(lab.page, "/api/snapshot"))).await;
    reads.iter().for_each(|answer| assert_unavailable(answer, asked));
    // A browser whose sign-in cannot be read gets this refusal, and not the answer that it is signed out.
    let asked = Instant::now();
    let stranger = "Authorization: Bearer unknown\r\n";
    assert_unavailable(&get(lab.page, "/api/transports", stranger).await, asked);
    // What is in memory is still served.
    let poll = get(lab.longpoll, "/poll?wait=0", &bob.bearer()).await;
    assert_eq!(poll.status, 200, "{poll:?}");
    disk.works();
    health_is(&lab, 200).await;
    assert_eq!(bob.get(lab.page, "/api/snapshot").await.status, 200);
}

#[tokio::test]
async fn a_start_on_a_full_disk_says_so() {
    let disk = Disk::new();
    disk.has("write full\n");
    let said = disk.complaint().await;
    assert!(said.contains("disk") && said.contains("full") && said.contains("Make room"), "{said}");
    assert!(!said.contains("damaged") && !said.contains("must exist"), "{said}");

    // With an existing database, a start has no room for what it writes.
    disk.works();
    let lab = disk.start().await;
    lab.register("Ann").await;
    lab.signal("TERM").await;
    lab.ended().await;
    disk.has("write full\n");
    let said = disk.complaint().await;
    assert!(said.contains("the disk of the database is full"), "{said}");
    assert!(!said.contains("damaged"), "{said}");
}

#[tokio::test]
async fn a_database_that_is_lost_takes_no_more_commands() {
    let disk = Disk::new();
    let lab = disk.start().await;
    let (ann, bob) = (lab.register("Ann").await, lab.register("Bob").await);
    send_until_stored(&lab, &ann, &bob, "before").await;
    let (database, aside) = (disk.database(), disk.directory.path().join("disk/aside"));
    let wal = disk.directory.path().join("disk/chat.db-wal");
    for (file, with_copy) in [(&database, false), (&database, true), (&wal, false)] {
        std::fs::rename(file, &aside).unwrap();
        if with_copy {
            std::fs::copy(&aside, file).unwrap();
        }
        let text = health_is(&lab, 503).await;
        assert!(text.contains("the database file was deleted or replaced"), "{text}");
        let asked = Instant::now();
        assert_unavailable(&ann.send(lab.page, &bob, "lost", "hi").await, asked);
        // Put back, it is the same file again.
        std::fs::rename(&aside, file).unwrap();
        health_is(&lab, 200).await;
    }
    send_until_stored(&lab, &ann, &bob, "lost").await;
    assert_eq!(bob.cids(lab.page, "c1").await, ["before", "lost"]);
}
