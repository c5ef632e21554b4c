//! A slow client delays no other client, and a client that sends too fast is refused.

use std::time::{Duration, Instant};

use chat_client::ClientError;
use chat_core::ids::UserId;
use chat_core::limits::Limits;
use chat_core::protocol::{Command, Event, Request, To};
use chat_core::refusal::{Close, Code};
use chat_core::text::Text;
use chat_core::transport::Session;
use chat_http::Server;

use crate::test_server::{message, texts};
use crate::{Ask, Raw, TestServer, TestUser};

/// Messages of the longest text: some megabytes.
const FILLING: usize = 600;

/// Sends more than all buffers between a server and a client that does not read can hold.
pub(super) async fn fill<S: Server>(from: &TestUser<S>, to: UserId) {
    let text = "x".repeat(Text::MAX_BYTES);
    let commands: Vec<Command> = (0..FILLING).map(|_| message(To::User(to), &text)).collect();
    // Seven of the longest fit into one body.
    for part in commands.chunks(7) {
        let requests: Vec<Request> =
            part.iter().map(|command| Request { request_id: None, command: command.clone() }).collect();
        let post = from.target.request(reqwest::Method::POST, "/api/commands", &from.token);
        let answer = post.json(&requests).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
    }
}

pub async fn is_not_delayed_by_a_client_that_does_not_read<S: Server>() {
    let server = TestServer::<S>::open_with(|limits| limits.write_timeout = Duration::from_secs(3_600)).await;
    let (ann, bob, cid) = (server.user("Ann").await, server.user("Bob").await, server.user("Cid").await);
    let at_ann = ann.connect().await;
    let group = at_ann.create_group("rust").await;
    let at_ann = at_ann.into_sender();
    for member in [&bob, &cid] {
        member.connect().await.ask(Command::JoinGroup { conversation: group }).await.expect("joined");
    }
    let start = bob.cursor().await;
    fill(&ann, bob.id()).await;
    let _stuck = Raw::fall_behind(&bob, start).await;
    let mut at_cid = cid.connect().await;
    // The stuck client is in the same group, and the other members still get their messages in time.
    let asked = Instant::now();
    for number in 0..50 {
        at_ann.say(To::Conversation(group), &number.to_string()).await;
    }
    assert_eq!(texts(&at_cid.until_text("49").await).len(), 50);
    assert!(asked.elapsed() < Duration::from_secs(10), "it took {:?}", asked.elapsed());
}

pub async fn ends_a_client_that_does_not_read<S: Server>() {
    let server = TestServer::<S>::open_with(|limits| limits.write_timeout = Duration::from_millis(300)).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let start = bob.cursor().await;
    fill(&ann, bob.id()).await;
    let stuck = Raw::fall_behind(&bob, start).await;
    server.eventually("the client counts as slow", |server| server.closed("slow") == 1).await;
    server.eventually("its session ends", |server| server.metric("chat_sessions", "") == 0).await;
    stuck.ended().await;
    // The client lost nothing: it resumes after its cursor.
    ann.connect().await.send(To::User(bob.id()), "end").await;
    assert_eq!(texts(&bob.resume(Some(start)).await.until_text("end").await).len(), FILLING + 1);
}

pub async fn serves_a_client_that_reads_slowly<S: Server>() {
    const LIMIT: Duration = Duration::from_secs(1);
    const AT_ONCE: usize = 2_048;
    let server = TestServer::<S>::open_with(|limits| limits.write_timeout = LIMIT).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let start = bob.cursor().await;
    fill(&ann, bob.id()).await;
    // In each interval it reads far less than makes a socket writable again, and it does so for many times the limit.
    let mut raw = Raw::fall_behind(&bob, start).await;
    let began = Instant::now();
    raw.read_slowly(25 * AT_ONCE, AT_ONCE, LIMIT / 5).await;
    assert!(began.elapsed() > 4 * LIMIT, "it was no slow reader: {:?}", began.elapsed());
    assert_eq!(server.closed("slow"), 0);
    // Once it reads nothing at all, it is disconnected.
    server.eventually("the client counts as slow", |server| server.closed("slow") == 1).await;
    raw.ended().await;
}

pub async fn refuses_haste_and_says_when_to_come_back<S: Server>() {
    let server = TestServer::<S>::open_with(|limits| {
        (limits.messages_per_second, limits.message_burst) = (5, 3);
    })
    .await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let (at_ann, mut at_bob) = (ann.connect().await, bob.connect().await);
    for text in ["1", "2", "3"] {
        at_ann.send(To::User(bob.id()), text).await;
    }
    let hasty = message(To::User(bob.id()), "4");
    let refusal = at_ann.ask(hasty.clone()).await.expect_err("a refusal");
    assert_eq!(refusal.code, Code::RateLimited);
    let wait = Duration::from_millis(refusal.retry_after_ms.expect("when to come back"));
    assert!(wait <= Duration::from_millis(200), "one in 200 ms, not in {wait:?}");
    // After that time, the same message is accepted.
    tokio::time::sleep(wait).await;
    at_ann.ask(hasty).await.expect("sent after the wait");
    assert_eq!(texts(&at_bob.until_text("4").await), ["1", "2", "3", "4"]);
}

pub async fn limits_the_connections_of_one_user<S: Server>() {
    let server = TestServer::<S>::open_with(|limits| limits.connections_per_user = 2).await;
    let ann = server.user("Ann").await;
    let held = hold(&server, &ann, 2).await;
    match one_more(&ann).await {
        Err(ClientError::Refused(refusal)) => {
            assert_eq!(refusal.code, Code::TooManyConnections);
            assert!(refusal.retry_after_ms.is_some());
        }
        Err(error) => panic!("not refused, but {error}"),
        Ok(Event::Close { code, .. }) => assert_eq!(code, Close::TooManyConnections.code()),
        Ok(event) => panic!("a third connection was told {event:?}"),
    }
    drop(held);
    server.eventually("the two have left", |server| server.metric("chat_sessions", "") == 0).await;
    ann.connect().await;
}

/// The first event on one more connection.
async fn one_more<S: Server>(ann: &TestUser<S>) -> Result<Event, ClientError> {
    ann.try_resume(None).await?.try_next().await
}

/// Sessions that stay open. They have no connection, because a short poll would end at once.
async fn hold<S: Server>(server: &TestServer<S>, ann: &TestUser<S>, number: u64) -> Vec<Box<Session>> {
    let sign_in = server.chat.authenticate(&ann.token).await.expect("signed in");
    let mut held = Vec::new();
    for _ in 0..number {
        let metrics = server.chat.metrics().transport(S::NAME);
        held.push(Session::open(&server.chat, sign_in, None, metrics, None).await.expect("a seat"));
    }
    held
}

pub async fn catches_up_beyond_what_memory_holds<S: Server>() {
    const MESSAGES: usize = 4 * Limits::BATCH_FRAMES + 7;
    let server = TestServer::<S>::open_with(|limits| limits.inbox_events = 32).await;
    let (ann, bob, cid) = (server.user("Ann").await, server.user("Bob").await, server.user("Cid").await);
    // Bob is here all the time, so his inbox is there from the start and overflows.
    let _here = bob.connect().await;
    let start = bob.cursor().await;
    // Events for other users come in between, so that only some rows of each page are for Bob.
    for part in 0..MESSAGES.div_ceil(50) {
        let numbers = part * 50..(part * 50 + 50).min(MESSAGES);
        let mut requests: Vec<Request> = numbers
            .map(|number| message(To::User(bob.id()), &number.to_string()))
            .map(|command| Request { request_id: None, command })
            .collect();
        requests.push(Request { request_id: None, command: message(To::User(cid.id()), "not for Bob") });
        let post = ann.target.request(reqwest::Method::POST, "/api/commands", &ann.token);
        assert_eq!(post.json(&requests).send().await.expect("an answer").status(), 200);
    }
    let mut connection = bob.resume(Some(start)).await;
    let expected: Vec<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
    assert_eq!(texts(&connection.until_text(&expected[MESSAGES - 1]).await), expected);
}
