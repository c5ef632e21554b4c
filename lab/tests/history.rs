//! Databases that go back to an earlier state while clients are connected: every client gets a reset, on
//! every transport, however far the log has grown since.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use chat_client::any::AnyEvents;
use chat_client::{Events, Target};
use chat_core::auth::Token;
use chat_core::ids::Cursor;
use chat_core::protocol::{Event, ResetReason};
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::time::timeout;
use transports::Transport;

use support::{Lab, PATIENCE, User, post};

/// Messages before the copy was made, after it, and once it is back: the log grows past every lost cursor.
const BEFORE: usize = 100;
const LOST: usize = 50;
const AFTER: usize = 80;

const FLAGS: [&str; 4] = ["--messages-per-second", "100000", "--message-burst", "100000"];

/// How a database loses events that clients have seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A copy of the whole folder, made while no server ran.
    Folder,
    /// The database alone; the watermark of the lost history stays.
    Database,
    /// The database alone, and the watermark was deleted.
    WatermarkDeleted,
    /// The database alone, and the watermark was emptied.
    WatermarkEmptied,
    /// The write-ahead log is lost in a crash.
    LostLog,
    /// A copy that was served elsewhere meanwhile, and grew there.
    Fork,
    /// A copy that SQLite made while the server ran.
    OnlineBackup,
}

/// The places of the files.
struct Files {
    directory: tempfile::TempDir,
}

impl Files {
    fn database(&self) -> PathBuf {
        self.directory.path().join("chat.db")
    }

    fn watermark(&self) -> PathBuf {
        self.directory.path().join("chat.db.watermark")
    }

    fn copy(&self) -> PathBuf {
        self.directory.path().join("copy")
    }

    /// Copies every file of the database into a directory beside it.
    fn copy_all(&self) {
        std::fs::create_dir(self.copy()).unwrap();
        for_each_file(self.directory.path(), |path| {
            std::fs::copy(path, self.copy().join(path.file_name().unwrap()))
        });
    }

    /// Puts every file of the copy in place of those of the database.
    fn put_all_back(&self) {
        for_each_file(self.directory.path(), |path| std::fs::remove_file(path));
        for_each_file(&self.copy(), |path| {
            std::fs::copy(path, self.directory.path().join(path.file_name().unwrap()))
        });
    }
}

fn for_each_file<T>(directory: &Path, act: impl Fn(&Path) -> std::io::Result<T>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            act(&path).unwrap();
        }
    }
}

/// Bob's client on one transport.
struct Reader {
    transport: Transport,
    listener: AnyEvents,
}

async fn connect(lab: &Lab, transport: Transport, user: &User, after: Cursor) -> Reader {
    let target = Target::new(&format!("http://{}", lab.at(transport)));
    let (_, listener) = (transport.connect)(&target, &Token::from(&*user.token), Some(after)).await.unwrap();
    Reader { transport, listener }
}

impl Reader {
    async fn next(&mut self) -> Event {
        timeout(PATIENCE, self.listener.next()).await.expect("something comes").unwrap()
    }

    /// The texts of the messages up to this one.
    async fn texts_until(&mut self, last: &str) -> Vec<String> {
        let mut texts = Vec::new();
        loop {
            match self.next().await {
                Event::Message(message) => texts.push(message.text.as_str().to_owned()),
                Event::Reset { reason } => panic!("{:?}: reset, {reason:?}", self.transport),
                _ => {}
            }
            if texts.last().is_some_and(|text| text == last) {
                return texts;
            }
        }
    }
}

fn texts(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{name}-{number}")).collect()
}

/// Sends messages in their order, many to a request; each text is its own cid.
async fn send(lab: &Lab, from: &User, to: &User, name: &str, count: usize) {
    for texts in texts(name, count).chunks(64) {
        let command =
            |text| json!({"command": {"type": "send", "to": {"user": to.id}, "cid": text, "text": text}});
        let requests: Vec<Value> = texts.iter().map(command).collect();
        let answer = post(lab.page, "/api/commands", &from.bearer(), &requests.into()).await.json();
        assert!(answer.as_array().unwrap().iter().all(|reply| reply["ok"]["duplicate"] == false), "{answer}");
    }
}

async fn cursor(lab: &Lab, user: &User) -> Cursor {
    serde_json::from_value(user.get(lab.page, "/api/snapshot").await.json()["cursor"].clone()).unwrap()
}

async fn stop(lab: Lab) {
    lab.signal("INT").await;
    let (status, _) = lab.ended().await;
    assert!(status.success(), "{status}");
}

async fn go_back(way: Way) {
    println!("{way:?}");
    let files = Files { directory: tempfile::tempdir().unwrap() };
    let database = files.database();
    let lab = Lab::start(&database, &FLAGS).await;
    let (ann, bob) = (lab.register("Ann").await, lab.register("Bob").await);
    send(&lab, &ann, &bob, "before", BEFORE).await;
    let common = cursor(&lab, &bob).await;
    let lab = if way == Way::OnlineBackup {
        std::fs::create_dir(files.copy()).unwrap();
        let copy = files.copy().join("chat.db");
        Connection::open(&database).unwrap().execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
        lab
    } else {
        stop(lab).await;
        files.copy_all();
        Lab::start(&database, &FLAGS).await
    };

    // Clients on every transport see what is going to be lost.
    let mut readers = Vec::new();
    for &transport in Transport::all() {
        readers.push(connect(&lab, transport, &bob, common).await);
    }
    send(&lab, &ann, &bob, "lost", LOST).await;
    for reader in &mut readers {
        assert_eq!(reader.texts_until(&format!("lost-{}", LOST - 1)).await, texts("lost", LOST));
    }
    let lost: Vec<Cursor> = readers.iter().map(|reader| reader.listener.cursor().unwrap()).collect();

    let mut after = Vec::new();
    match way {
        Way::LostLog => {
            lab.kill().await;
            std::fs::remove_file(files.directory.path().join("chat.db-wal")).unwrap();
            std::fs::remove_file(files.directory.path().join("chat.db-shm")).unwrap();
        }
        Way::Fork => {
            stop(lab).await;
            let elsewhere = Lab::start(&files.copy().join("chat.db"), &FLAGS).await;
            send(&elsewhere, &ann, &bob, "elsewhere", AFTER).await;
            stop(elsewhere).await;
            files.put_all_back();
            after = texts("elsewhere", AFTER);
        }
        Way::Folder | Way::OnlineBackup => {
            stop(lab).await;
            files.put_all_back();
        }
        Way::Database | Way::WatermarkDeleted | Way::WatermarkEmptied => {
            stop(lab).await;
            std::fs::copy(files.copy().join("chat.db"), &database).unwrap();
            match way {
                Way::WatermarkDeleted => std::fs::remove_file(files.watermark()).unwrap(),
                Way::WatermarkEmptied => std::fs::write(files.watermark(), "").unwrap(),
                _ => assert!(files.watermark().exists()),
            }
        }
    }

    let lab = Lab::start(&database, &FLAGS).await;
    for grown in [false, true] {
        if grown {
            send(&lab, &ann, &bob, "after", AFTER).await;
            after.extend(texts("after", AFTER));
        }
        for (reader, lost) in readers.iter().zip(&lost) {
            // With the cursor of its last event, which is in no log any more.
            let mut again = connect(&lab, reader.transport, &bob, *lost).await;
            let first = again.next().await;
            assert_eq!(
                first,
                Event::Reset { reason: ResetReason::Unknown },
                "{way:?}, {:?}",
                reader.transport
            );
        }
    }
    for &transport in Transport::all() {
        // A cursor from before the copy belongs to both histories.
        let mut line = connect(&lab, transport, &bob, common).await;
        assert_eq!(line.texts_until(after.last().unwrap()).await, after, "{way:?}, {transport:?}");
    }
    let expected = [texts("before", BEFORE), after].concat();
    assert_eq!(bob.cids(lab.page, "c1").await, expected, "{way:?}");
}

#[tokio::test]
async fn clients_are_reset_after_a_folder_was_put_back() {
    go_back(Way::Folder).await;
}

#[tokio::test]
async fn clients_are_reset_after_a_database_was_put_back() {
    go_back(Way::Database).await;
}

#[tokio::test]
async fn clients_are_reset_though_the_watermark_was_deleted() {
    go_back(Way::WatermarkDeleted).await;
}

#[tokio::test]
async fn clients_are_reset_though_the_watermark_was_emptied() {
    go_back(Way::WatermarkEmptied).await;
}

#[tokio::test]
async fn clients_are_reset_after_the_write_ahead_log_was_lost() {
    go_back(Way::LostLog).await;
}

#[tokio::test]
async fn clients_are_reset_after_a_copy_that_grew_elsewhere_took_the_place() {
    go_back(Way::Fork).await;
}

#[tokio::test]
async fn clients_are_reset_after_an_online_backup_was_put_back() {
    go_back(Way::OnlineBackup).await;
}

/// What a start says on stderr about a database that went back.
#[tokio::test]
async fn a_start_says_how_many_events_are_missing() {
    let files = Files { directory: tempfile::tempdir().unwrap() };
    let database = files.database();
    let lab = Lab::start(&database, &FLAGS).await;
    let (ann, bob) = (lab.register("Ann").await, lab.register("Bob").await);
    send(&lab, &ann, &bob, "before", BEFORE).await;
    stop(lab).await;
    files.copy_all();
    let lab = Lab::start(&database, &FLAGS).await;
    send(&lab, &ann, &bob, "lost", LOST).await;
    stop(lab).await;
    std::fs::copy(files.copy().join("chat.db"), &database).unwrap();

    for (start, is_said) in [("first", true), ("second", false)] {
        let path = files.directory.path().join("stderr");
        let mut command = support::lab(&FLAGS);
        command.arg("--database").arg(&database).env("CHAT_LOG", "warn");
        command.stderr(Stdio::from(std::fs::File::create(&path).unwrap()));
        stop(Lab::run(command).await).await;
        let said = std::fs::read_to_string(&path).unwrap();
        let expected = format!("at least {LOST} acknowledged events are missing");
        assert_eq!(said.contains(&expected), is_said, "{start}: {said}");
    }
}

/// Clients are served as before if the watermark can be neither read nor written.
#[tokio::test]
async fn an_unusable_watermark_changes_nothing_for_clients() {
    let files = Files { directory: tempfile::tempdir().unwrap() };
    let database = files.database();
    let lab = Lab::start(&database, &FLAGS).await;
    let (ann, bob) = (lab.register("Ann").await, lab.register("Bob").await);
    let start = cursor(&lab, &bob).await;
    send(&lab, &ann, &bob, "before", 3).await;
    stop(lab).await;
    std::fs::remove_file(files.watermark()).unwrap();
    // A directory cannot be read as a file, nor be replaced by one.
    std::fs::create_dir(files.watermark()).unwrap();
    let lab = Lab::start(&database, &FLAGS).await;
    send(&lab, &ann, &bob, "after", 3).await;
    let mut line = connect(&lab, Transport::all()[0], &bob, start).await;
    assert_eq!(line.texts_until("after-2").await, [texts("before", 3), texts("after", 3)].concat());
    stop(lab).await;
}
