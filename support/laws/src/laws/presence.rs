//! Who is here and who is typing: sent once, only to the users it concerns, and never logged.

use std::time::Duration;

use chat_client::Events;
use chat_core::ids::UserId;
use chat_core::limits::Limits;
use chat_core::protocol::{Command, Event, To};
use chat_http::Server;

use crate::test_server::polls;
use crate::{Raw, TestConnection, TestServer};

fn quick(limits: &mut Limits) {
    limits.presence_interval = Duration::from_millis(50);
    limits.grace = Duration::from_millis(500);
}

/// What an event says about a user's presence; `None`: nothing.
fn said_of(user: UserId, event: &Event) -> Option<bool> {
    let Event::Presence { online, offline, .. } = event else { return None };
    let lists = |list: &Option<Vec<UserId>>| list.as_ref().is_some_and(|list| list.contains(&user));
    if lists(online) {
        return Some(true);
    }
    lists(offline).then_some(false)
}

/// Waits until an event says that a user is here, or is gone.
async fn until_said<S: Server>(connection: &mut TestConnection<S>, user: UserId, here: bool) {
    while said_of(user, &connection.next().await) != Some(here) {}
}

/// All events up to the message with this text, the unlogged ones included.
async fn all_until<S: Server>(connection: &mut TestConnection<S>, text: &str) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        let event = connection.next().await;
        let found = matches!(&event, Event::Message(message) if message.text.as_str() == text);
        events.push(event);
        if found {
            return events;
        }
    }
}

pub async fn tells_presence_once<S: Server>() {
    let server = TestServer::<S>::open_with(quick).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let mut at_ann = ann.connect().await;
    until_said(&mut at_ann, ann.id(), true).await;
    let first = bob.connect().await;
    until_said(&mut at_ann, bob.id(), true).await;
    // A second connection of the same user, and the end of the first, change nothing.
    let second = bob.connect().await;
    drop(first);
    second.send(To::User(ann.id()), "hi").await;
    let between = all_until(&mut at_ann, "hi").await;
    assert!(between.iter().all(|event| said_of(bob.id(), event).is_none()), "{between:?}");
    drop(second);
    until_said(&mut at_ann, bob.id(), false).await;
    let users = ann.target.users(&ann.token).await.expect("users");
    assert!(users.iter().map(|person| (person.id, person.online)).eq([(ann.id(), true), (bob.id(), false)]));
}

pub async fn tells_typing_to_members_only<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (ann, bob, cid) = (server.user("Ann").await, server.user("Bob").await, server.user("Cid").await);
    let (mut at_ann, mut at_bob, mut at_cid) =
        (ann.connect().await, bob.connect().await, cid.connect().await);
    let group = at_ann.create_group("rust").await;
    at_bob.ask(Command::JoinGroup { conversation: group }).await.expect("joined");
    at_bob.ask(Command::Typing { conversation: group }).await.expect("told");
    let typing = Event::Typing { conversation: group, user: bob.id() };
    while at_ann.next().await != typing {}
    at_cid.ask(Command::Typing { conversation: group }).await.expect_err("not a member");
    at_ann.send(To::User(cid.id()), "end").await;
    at_ann.send(To::User(bob.id()), "end").await;
    for connection in [&mut at_cid, &mut at_bob] {
        let events = all_until(connection, "end").await;
        assert!(!events.iter().any(|event| matches!(event, Event::Typing { .. })), "{events:?}");
    }
    // A client that resumes before a typing notice and the message after it gets only the message.
    let cursor = ann.cursor().await;
    at_bob.ask(Command::Typing { conversation: group }).await.expect("told");
    at_bob.send(To::Conversation(group), "typed").await;
    let mut late = ann.resume(Some(cursor)).await;
    let mut events = all_until(&mut late, "typed").await;
    at_bob.send(To::Conversation(group), "end").await;
    events.extend(all_until(&mut late, "end").await);
    assert!(!events.iter().any(|event| matches!(event, Event::Typing { .. })), "{events:?}");
}

pub async fn does_not_repeat_what_is_not_logged<S: Server>() {
    let server = TestServer::<S>::open_with(quick).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let mut at_ann = ann.connect().await;
    let at_bob = bob.connect().await;
    until_said(&mut at_ann, bob.id(), true).await;
    let conversation = match at_bob.send(To::User(ann.id()), "hi").await {
        chat_core::protocol::Done::Sent { conversation, .. } => conversation,
        other => panic!("{other:?}"),
    };
    at_ann.until_text("hi").await;
    at_bob.ask(Command::Typing { conversation }).await.expect("told");
    while !matches!(at_ann.next().await, Event::Typing { .. }) {}
    // A client that resumes after its last cursor gets nothing again, over polls or over a stream.
    let cursor = at_ann.events.cursor();
    drop(at_ann);
    let mut at_ann = ann.resume(cursor).await;
    at_bob.send(To::User(ann.id()), "end").await;
    let told = all_until(&mut at_ann, "end").await;
    if polls::<S>() {
        assert_eq!(told.len(), 1, "told again: {told:?}");
    }
    let typings = told.iter().filter(|event| matches!(event, Event::Typing { .. }));
    assert_eq!(typings.count(), 0, "told again: {told:?}");
}

pub async fn tells_presence_after_a_restart_once<S: Server>() {
    let server = TestServer::<S>::open_with(quick).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    // A snapshot's cursor marks which presence events were sent, in this run of the server.
    let cursor = ann.cursor().await;
    let (ann_user, bob_id) = (ann.user.clone(), bob.id());
    drop((ann, bob));
    let server = server.restart_after(drop).await;
    let ann = server.sign_in(&ann_user).await;
    let mut connection = ann.resume(Some(cursor)).await;
    until_said(&mut connection, bob_id, false).await;
    connection.send(To::User(bob_id), "end").await;
    let told = all_until(&mut connection, "end").await;
    assert!(told.iter().all(|event| said_of(bob_id, event).is_none()), "told again: {told:?}");
}

pub async fn notices_a_client_that_vanished<S: Server>() {
    let server = TestServer::<S>::open_with(quick).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let mut at_ann = ann.connect().await;
    let bob_here = Raw::open(&bob, None).await;
    until_said(&mut at_ann, bob.id(), true).await;
    bob_here.vanish();
    until_said(&mut at_ann, bob.id(), false).await;
}
