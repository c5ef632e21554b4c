//! A disk that hangs: every answer comes in time, and a command of unknown outcome is sent again with the same `cid`.

use std::time::{Duration, Instant};

use chat_client::ClientError;
use chat_core::protocol::{Done, To};
use chat_core::refusal::{Code, Refusal};
use chat_http::Server;
use reqwest::Method;
use serde_json::Value;

use crate::test_server::{message, texts};
use crate::{TestServer, TestUser};

/// Longer than a working disk takes on a busy machine.
const STORAGE_TIMEOUT: Duration = Duration::from_secs(2);

/// How much later than the limit an answer may come on a busy machine.
const SLACK: Duration = Duration::from_secs(5);

async fn open<S: Server>() -> (TestServer<S>, TestUser<S>, TestUser<S>) {
    let server = TestServer::<S>::open_with(|limits| limits.storage_timeout = STORAGE_TIMEOUT).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    (server, ann, bob)
}

fn assert_unavailable(refusal: &Refusal, asked: Instant) {
    assert_eq!(refusal.code, Code::StorageUnavailable, "{refusal:?}");
    assert_eq!(refusal.retry_after_ms, Some(1_000));
    let took = asked.elapsed();
    assert!(took < STORAGE_TIMEOUT + SLACK, "answered after {took:?}");
}

/// Status and code of `/healthz`, which must not wait for the disk.
async fn health<S: Server>(server: &TestServer<S>, of: &TestUser<S>) -> (u16, Value) {
    let asked = Instant::now();
    let answer = server.target.request(Method::GET, "/healthz", &of.token).send().await.expect("an answer");
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.expect("a JSON answer");
    assert!(asked.elapsed() < STORAGE_TIMEOUT, "the health waited for the disk");
    (status, body["code"].clone())
}

pub async fn answers_in_time_though_the_disk_hangs<S: Server>() {
    let (server, ann, bob) = open::<S>().await;
    let (at_ann, mut at_bob) = (ann.connect().await, bob.connect().await);
    let mut disk = server.chat.hold_writer().await;
    disk.begun().await;

    let command = message(To::User(bob.id()), "late");
    let asked = Instant::now();
    assert_unavailable(&at_ann.ask(command.clone()).await.expect_err("the disk hangs"), asked);
    assert_eq!(health(&server, &ann).await, (503, "storage_unavailable".into()));

    drop(disk);
    // The first attempt had timed out when the disk answered, so it was not run. This attempt is the first to run.
    let done = at_ann.ask(command).await.expect("the disk works");
    assert!(matches!(done, Done::Sent { seq: 1, duplicate: false, .. }), "{done:?}");
    at_ann.send(To::User(bob.id()), "next").await;
    assert_eq!(texts(&at_bob.until_text("next").await), ["late", "next"]);
    server.eventually("the disk is found to work", |server| server.chat.trouble().is_none()).await;
    assert_eq!(health(&server, &ann).await.0, 200);
}

pub async fn stores_once_what_was_late_in_its_commit<S: Server>() {
    let (server, ann, bob) = open::<S>().await;
    let (at_ann, mut at_bob) = (ann.connect().await, bob.connect().await);
    let mut before = server.chat.hold_writer().await;
    before.begun().await;

    // The disk hangs in the commit that has the command in it.
    let command = message(To::User(bob.id()), "late");
    let asked = Instant::now();
    let hang = async {
        let waits =
            |server: &TestServer<S>| server.chat.metrics().render().contains("\nchat_queue_depth 1\n");
        server.eventually("the command waits for the writer", waits).await;
        let mut disk = server.chat.hold_writer().await;
        drop(before);
        disk.begun().await;
        disk
    };
    let (refused, disk) = tokio::join!(at_ann.ask(command.clone()), hang);
    assert_unavailable(&refused.expect_err("the disk hangs"), asked);
    server.eventually("the commit is late", |server| server.chat.trouble().is_some()).await;

    drop(disk);
    let done = at_ann.ask(command).await.expect("the disk works");
    assert!(matches!(done, Done::Sent { seq: 1, duplicate: true, .. }), "{done:?}");
    at_ann.send(To::User(bob.id()), "next").await;
    assert_eq!(texts(&at_bob.until_text("next").await), ["late", "next"]);
}

pub async fn serves_from_memory_what_needs_no_disk<S: Server>() {
    let (server, ann, bob) = open::<S>().await;
    let (at_ann, mut at_bob) = (ann.connect().await, bob.connect().await);
    let mut disk = server.chat.hold_readers();
    disk.begun().await;

    let asked = Instant::now();
    match ann.target.snapshot(&ann.token).await {
        Err(ClientError::Refused(refusal)) => assert_unavailable(&refusal, asked),
        other => panic!("nothing can be read: {other:?}"),
    }
    assert_eq!(health(&server, &ann).await, (503, "storage_unavailable".into()));
    at_ann.send(To::User(bob.id()), "from memory").await;
    assert_eq!(texts(&at_bob.until_text("from memory").await), ["from memory"]);

    drop(disk);
    server.eventually("the disk is found to work", |server| server.chat.trouble().is_none()).await;
    assert_eq!(health(&server, &ann).await.0, 200);
    assert_eq!(ann.target.snapshot(&ann.token).await.expect("a snapshot").conversations.len(), 1);
}
