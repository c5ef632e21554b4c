//! A database that an earlier version wrote: users, groups, cursors and ids stay what they were.
//!
//! [fixtures/version-1](fixtures/version-1/README.md) says how it was made.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod support;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use support::{Lab, User, post};

const FLAGS: [&str; 6] =
    ["--sign-ins-per-minute", "1000", "--messages-per-second", "10000", "--message-burst", "10000"];

/// The answers of the program that wrote the database.
struct Fixture(Value);

impl Fixture {
    fn read() -> Self {
        Self(serde_json::from_slice(&std::fs::read(fixture("expected.json")).unwrap()).unwrap())
    }

    fn list(&self, name: &str) -> &[Value] {
        self.0[name].as_array().unwrap()
    }

    /// A user, signed in with the token that they had.
    fn user(&self, id: &Value) -> User {
        let user = self.list("users").iter().find(|user| user["id"] == *id).unwrap();
        signed_in(user["id"].as_str().unwrap(), user["token"].as_str().unwrap())
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/version-1").join(name)
}

fn signed_in(id: &str, token: &str) -> User {
    User { id: id.to_owned(), token: token.to_owned(), cookie: String::new() }
}

/// The term and the position of a cursor. The rest counts unlogged frames in one run of a process.
fn place(cursor: &Value) -> String {
    cursor.as_str().unwrap().split('.').take(2).collect::<Vec<_>>().join(".")
}

/// Fails unless everything that was there still is. A newer version may add fields.
fn assert_kept(now: &Value, then: &Value, what: &str) {
    match (now, then) {
        (Value::Object(now), Value::Object(then)) => {
            for (name, then) in then {
                let now = now.get(name).unwrap_or_else(|| panic!("{what}: {name} is missing"));
                match name.as_str() {
                    "cursor" => assert_eq!(place(now), place(then), "{what}"),
                    // One's own messages may count as read.
                    "read_seq" => assert!(now.as_u64() >= then.as_u64(), "{what}: {now} after {then}"),
                    _ => assert_kept(now, then, what),
                }
            }
        }
        (Value::Array(now), Value::Array(then)) => {
            assert_eq!(now.len(), then.len(), "{what}: {now:?}");
            now.iter().zip(then).for_each(|(now, then)| assert_kept(now, then, what));
        }
        _ => assert_eq!(now, then, "{what}"),
    }
}

/// The logged events after a cursor, or the reset.
async fn events_after(lab: &Lab, user: &User, cursor: &Value) -> Vec<Value> {
    let (mut cursor, mut events) = (cursor.clone(), Vec::new());
    loop {
        let path = format!("/poll?wait=0&after={}", cursor.as_str().unwrap());
        let answer = user.get(lab.longpoll, &path).await.json();
        let is_kept = |event: &&Value| event.get("id").is_some() || event["type"] == "reset";
        events.extend(answer["events"].as_array().unwrap().iter().filter(is_kept).cloned());
        if answer["more"] == false {
            return events;
        }
        cursor = answer["cursor"].clone();
    }
}

/// Checks everything that only reads.
async fn check_reads(lab: &Lab, expected: &Fixture) {
    for cursor in expected.list("cursors") {
        let (user, then) = (expected.user(&cursor["user"]), cursor["events"].as_array().unwrap());
        let now = events_after(lab, &user, &cursor["cursor"]).await;
        assert!(now.len() >= then.len(), "after {}: {now:?}", cursor["cursor"]);
        for (now, then) in now.iter().zip(then) {
            assert_kept(now, then, &format!("after {} for {}", cursor["cursor"], user.id));
        }
    }
    for cursor in expected.list("unusable") {
        let now = events_after(lab, &expected.user(&cursor["user"]), &cursor["cursor"]).await;
        assert_eq!(now, [json!({"type": "reset", "reason": cursor["reason"]})], "{cursor}");
    }
    for history in expected.list("histories") {
        let user = expected.user(&history["user"]);
        let conversation = history["conversation"].as_str().unwrap();
        let last = history["messages"].as_array().unwrap().last().unwrap()["seq"].as_u64().unwrap();
        let before = last + 1;
        let path = format!("/api/conversations/{conversation}/messages?limit=200&before={before}");
        let now = user.get(lab.page, &path).await.json();
        assert_kept(&now["messages"], &history["messages"], &format!("{conversation} for {}", user.id));
    }
}

/// Asking again gives the replies that the first attempts got.
async fn check_repeats(lab: &Lab, expected: &Fixture) {
    for repeat in expected.list("repeats") {
        let user = expected.user(&repeat["user"]);
        let answer = user.command(lab.page, repeat["command"].clone()).await;
        assert_kept(&answer.json()["ok"], &repeat["reply"], &repeat["command"].to_string());
    }
}

async fn check_people(lab: &Lab, expected: &Fixture) {
    for user in expected.list("users") {
        let name = user["name"].as_str().unwrap();
        let me = expected.user(&user["id"]);
        let snapshot = me.get(lab.page, "/api/snapshot").await.json();
        assert_kept(&snapshot, &user["snapshot"], &format!("the snapshot of {name:?}"));
        assert_kept(&snapshot["users"], &expected.0["people"], "the users");
        let credentials = json!({"name": name, "password": user["password"]});
        let answer = post(lab.page, "/api/login", "", &credentials).await;
        assert_eq!((answer.status, &answer.json()["user"]["id"]), (200, &user["id"]), "{name:?}");
        if let Some(token) = user["second_token"].as_str() {
            assert_eq!(signed_in(&me.id, token).get(lab.page, "/api/users").await.status, 200);
        }
    }
    let revoked = signed_in("", expected.0["revoked_token"].as_str().unwrap());
    assert_eq!(revoked.get(lab.page, "/api/users").await.status, 401);
}

#[tokio::test]
async fn an_existing_database_keeps_its_users_groups_cursors_and_ids() {
    let expected = Fixture::read();
    for watermark in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("chat.db");
        std::fs::copy(fixture("chat.sqlite"), &database).unwrap();
        if watermark {
            std::fs::copy(fixture("chat.watermark"), directory.path().join("chat.db.watermark")).unwrap();
        }
        let lab = Lab::start(&database, &FLAGS).await;
        check_people(&lab, &expected).await;
        check_reads(&lab, &expected).await;
        check_repeats(&lab, &expected).await;
        // What is written now comes after what was there, in this run and in the next one.
        let (ann, bob) = (expected.user(&json!("u1")), expected.user(&json!("u2")));
        let here = ann.get(lab.page, "/api/snapshot").await.json()["cursor"].clone();
        assert_eq!(ann.send(lab.page, &bob, "new", "new").await.status, 200);
        check_reads(&lab, &expected).await;
        lab.signal("INT").await;
        lab.ended().await;
        let lab = Lab::start(&database, &FLAGS).await;
        check_reads(&lab, &expected).await;
        check_repeats(&lab, &expected).await;
        let events = events_after(&lab, &ann, &here).await;
        assert_eq!(events.iter().map(|event| &event["cid"]).collect::<Vec<_>>(), ["new"]);
    }
}
