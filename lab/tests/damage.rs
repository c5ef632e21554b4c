//! Damaged databases: found at every start, never served as if they were whole, and never written to.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod support;

use std::path::Path;

use rusqlite::Connection;
use serde_json::json;
use tokio::time::{sleep, timeout};

use support::{Answer, Lab, PASSWORD, User, get, lab, outcome, post};

/// The size of a page: SQLite's default.
const PAGE: usize = 4_096;

/// How many damaged files a start has to find.
const DAMAGED: usize = 20;

const FLAGS: [&str; 4] = ["--messages-per-second", "10000", "--message-burst", "10000"];

/// A database after a clean stop: users and messages, some of them longer than a page. Returns its bytes and Ann.
async fn database(directory: &Path) -> (Vec<u8>, User) {
    let path = directory.join("chat.db");
    let lab = Lab::start(&path, &FLAGS).await;
    let (ann, bob) = (lab.register("Ann").await, lab.register("Bob").await);
    for number in 0..150 {
        let text = "x".repeat(if number % 10 == 0 { 8_000 } else { 300 });
        assert_eq!(ann.send(lab.page, &bob, &format!("cid-{number}"), &text).await.status, 200);
    }
    lab.signal("TERM").await;
    lab.ended().await;
    (std::fs::read(&path).unwrap(), ann)
}

/// The error output of a launcher that does not start.
async fn complaint(database: &Path) -> String {
    let output = outcome(lab(&["--database", database.to_str().unwrap()])).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

#[tokio::test]
async fn every_damaged_page_is_found_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let (whole, _) = database(directory.path()).await;
    let pages = whole.len() / PAGE;
    assert!(pages >= 2 * DAMAGED, "only {pages} pages");
    let path = directory.path().join("chat.db");
    // Spread over the file, with other noise each time. It hits the header of a page; in the first page, that follows
    // the header of the file.
    let noise = |n: usize| (0..8).map(move |byte| (n * 37 + byte * 91 + 13) as u8);
    for damage in 0..DAMAGED {
        let page = damage * pages / DAMAGED;
        let mut damaged = whole.clone();
        let at = page * PAGE + if page == 0 { 100 } else { 0 };
        damaged.splice(at..at + 8, noise(damage));
        std::fs::write(&path, &damaged).unwrap();
        let said = complaint(&path).await;
        assert!(said.contains("damaged") && said.contains("restore a copy"), "page {page}: {said}");
        assert!(std::fs::read(&path).unwrap() == damaged, "page {page}: the file was changed");
    }
    std::fs::write(&path, &whole).unwrap();
    Lab::start(&path, &[]).await;
}

#[tokio::test]
async fn a_file_that_was_cut_is_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let (whole, _) = database(directory.path()).await;
    let path = directory.path().join("chat.db");
    for length in [whole.len() - PAGE, whole.len() / 2, 10 * PAGE + 7, PAGE, 700, 0] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let said = complaint(&path).await;
        assert!(said.contains("damaged") && said.contains("restore a copy"), "{length} bytes: {said}");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), length as u64, "the file was changed");
    }
    // Without the watermark beside it, an empty file is a new database.
    std::fs::remove_file(directory.path().join("chat.db.watermark")).unwrap();
    Lab::start(&path, &[]).await;
}

/// Overwrites the first page of a table or an index.
fn damage(path: &Path, name: &str) {
    let conn = Connection::open(path).unwrap();
    let root = conn.query_row("SELECT rootpage FROM sqlite_schema WHERE name = ?1", [name], |row| row.get(0));
    let root: usize = root.unwrap();
    conn.close().unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    let at = (root - 1) * PAGE;
    bytes[at..at + 8].fill(0xa5);
    std::fs::write(path, bytes).unwrap();
}

fn assert_damaged(answer: &Answer) {
    let body = answer.json();
    let refusal = if body["type"] == "reply" { &body["refusal"] } else { &body };
    assert_eq!((answer.status, &refusal["code"]), (503, &"storage_damaged".into()), "{answer:?}");
    assert_eq!(refusal["retry_after_ms"], json!(null));
    assert_eq!(answer.header("retry-after"), None, "damage does not go away by itself");
}

async fn health_is_damaged(lab: &Lab) {
    let looking = async {
        loop {
            let health = get(lab.page, "/healthz", "").await;
            if health.status == 503 {
                return assert_damaged(&health);
            }
            assert_eq!(health.json()["status"], "ok");
            sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    timeout(support::PATIENCE, looking).await.expect("the damage is found");
}

#[tokio::test]
async fn a_long_database_is_looked_through_while_it_is_served() {
    let directory = tempfile::tempdir().unwrap();
    let (_, ann) = database(directory.path()).await;
    let path = directory.path().join("chat.db");
    damage(&path, "messages_by_cid");
    let mut command = lab(&["--check-first-bytes", "0", "--database", path.to_str().unwrap()]);
    command.env("CHAT_LOG", "warn").stderr(std::fs::File::create(directory.path().join("log")).unwrap());
    let lab = Lab::run(command).await;
    health_is_damaged(&lab).await;
    // Nothing is stored in it any more, and nothing is read from it.
    let command = json!({"type": "create_group", "name": "rust", "cid": "g"});
    assert_damaged(&ann.command(lab.longpoll, command).await);
    assert_damaged(&ann.get(lab.page, "/api/users").await);
    let credentials = json!({"name": "Cid", "password": PASSWORD});
    assert_damaged(&post(lab.page, "/api/register", "", &credentials).await);
    let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains("restore a copy"), "{log}");
    lab.signal("TERM").await;
    assert!(lab.ended().await.0.success());
}

#[tokio::test]
async fn damage_under_a_running_server_is_found_when_it_is_met() {
    let directory = tempfile::tempdir().unwrap();
    let (whole, ann) = database(directory.path()).await;
    let path = directory.path().join("chat.db");
    let lab = Lab::start(&path, &[]).await;
    assert_eq!(ann.get(lab.page, "/api/users").await.status, 200);
    // Everything but the first page, which the server has read already.
    let mut damaged = whole.clone();
    damaged[PAGE..].fill(0xa5);
    std::fs::write(&path, damaged).unwrap();
    assert_damaged(&ann.get(lab.page, "/api/conversations/c1/messages").await);
    health_is_damaged(&lab).await;
    let command = json!({"type": "create_group", "name": "rust", "cid": "g"});
    assert_damaged(&ann.command(lab.page, command).await);
    let metrics = String::from_utf8(get(lab.page, "/metrics", "").await.body).unwrap();
    assert!(metrics.contains("chat_storage_errors_total{kind=\"damaged\"} "), "{metrics}");
}

#[tokio::test]
async fn accepted_damage_is_read_and_never_written_to() {
    let directory = tempfile::tempdir().unwrap();
    let (_, ann) = database(directory.path()).await;
    let path = directory.path().join("chat.db");
    damage(&path, "messages_by_cid");
    let before = std::fs::read(&path).unwrap();
    let lab = Lab::start(&path, &["--accept-damage"]).await;
    health_is_damaged(&lab).await;
    assert_eq!(ann.cids(lab.page, "c1").await.len(), 150);
    assert_eq!(ann.get(lab.page, "/api/snapshot").await.status, 200);
    let command = json!({"type": "create_group", "name": "rust", "cid": "g"});
    assert_damaged(&ann.command(lab.sse, command).await);
    lab.signal("TERM").await;
    assert!(lab.ended().await.0.success());
    // SQLite counts its openings in the first page; all others are as they were.
    assert!(std::fs::read(&path).unwrap()[PAGE..] == before[PAGE..], "the file was changed");

    // Reads of a damaged table are refused, and other reads go on.
    damage(&path, "messages");
    let lab = Lab::start(&path, &["--accept-damage"]).await;
    assert_damaged(&ann.get(lab.page, "/api/conversations/c1/messages").await);
    assert_eq!(ann.get(lab.page, "/api/users").await.status, 200);
    // With an undamaged database, the flag changes nothing.
    let fresh = directory.path().join("fresh.db");
    let lab = Lab::start(&fresh, &["--accept-damage"]).await;
    lab.register("Ann").await;
}
