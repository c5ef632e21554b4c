//! A cursor means "I have seen everything up to here", on every transport and at any time.

use std::collections::BTreeMap;

use chat_core::ids::Cursor;
use chat_core::model::{Conversation, Kind, Snapshot};
use chat_core::protocol::{Command, Event, ResetReason, To};
use chat_core::refusal::Close;
use chat_http::Server;
use chat_http::memory::MemoryServer;

use crate::test_server::{texts, user_id};
use crate::{Ask, TestServer, TestUser};

pub async fn resumes_after_the_cursor<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let at_ann = ann.connect().await;
    let mut at_bob = bob.connect().await;
    for number in 0..10 {
        at_ann.send(To::User(bob.id()), &number.to_string()).await;
    }
    let seen = at_bob.until_text("9").await;
    // After each event, a new connection gets exactly the events that followed it.
    for (place, event) in seen.iter().enumerate().take(seen.len() - 1) {
        let mut again = bob.resume(event.id()).await;
        assert_eq!(again.until_text("9").await, seen[place + 1..], "after {event:?}");
    }
}

pub async fn delivers_from_memory_what_came_while_away<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let at_ann = ann.connect().await;
    let mut at_bob = bob.connect().await;
    at_ann.send(To::User(bob.id()), "before").await;
    at_bob.until_text("before").await;
    let cursor = chat_client::Events::cursor(&at_bob.events);
    drop(at_bob);
    at_ann.send(To::User(bob.id()), "while away").await;
    let mut at_bob = bob.resume(cursor).await;
    assert_eq!(texts(&at_bob.until_text("while away").await), ["while away"]);
}

pub async fn delivers_from_disk_what_came_while_away<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let at_ann = ann.connect().await;
    let mut at_bob = bob.connect().await;
    at_ann.send(To::User(bob.id()), "before").await;
    at_bob.until_text("before").await;
    let cursor = chat_client::Events::cursor(&at_bob.events);
    drop((at_ann, at_bob));
    // A restart leaves nothing in memory.
    let server = server.restart_after(drop).await;
    let (ann, bob) = (server.sign_in(&ann.user).await, server.sign_in(&bob.user).await);
    ann.connect().await.send(To::User(bob.id()), "while away").await;
    let mut at_bob = bob.resume(cursor).await;
    assert_eq!(texts(&at_bob.until_text("while away").await), ["while away"]);
}

pub async fn loses_nothing_between_replay_and_live<S: Server>() {
    const MESSAGES: usize = 600;
    const READERS: usize = 8;
    // A small inbox, so that readers change between disk and memory all the time.
    let server = TestServer::<S>::open_with(|limits| limits.inbox_events = 16).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let start = bob.cursor().await;
    let sender = ann.connect().await.sender;
    let sending = tokio::spawn(async move {
        for number in 0..MESSAGES {
            sender.say(To::User(bob.id()), &number.to_string()).await;
        }
        bob
    });
    let expected: Vec<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
    let bob = server.sign_in(&sign_in_name("Bob")).await;
    let readers = (0..READERS).map(|_| {
        let (bob, expected) = (bob.clone(), expected.clone());
        tokio::spawn(async move {
            let mut connection = bob.resume(Some(start)).await;
            assert_eq!(texts(&connection.until_text(&expected[MESSAGES - 1]).await), expected);
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        reader.await.expect("a reader that misses nothing");
    }
    sending.await.expect("a sender");
}

/// A user with the right name, which is enough to sign in again.
fn sign_in_name(name: &str) -> chat_core::model::User {
    let name = chat_core::text::Name::try_from(name.to_owned()).expect("a name");
    chat_core::model::User { id: user_id(0), name }
}

/// Connects with an unusable cursor, and expects one `reset` and then the end.
async fn expect_reset<S: Server>(bob: &TestUser<S>, cursor: Cursor, reason: ResetReason, close: Close) {
    let mut connection = bob.resume(Some(cursor)).await;
    assert_eq!(connection.next().await, Event::Reset { reason });
    // A stream says why it ends. A poll has ended with its answer, and the next poll gets the same event again.
    match connection.next().await {
        Event::Close { code, .. } => assert_eq!(code, close.code()),
        event => assert_eq!(event, Event::Reset { reason }),
    }
    // As at start-up, the client continues with the cursor of a snapshot.
    let fresh = bob.cursor().await;
    let mut connection = bob.resume(Some(fresh)).await;
    connection.send(To::User(user_id(1)), "here again").await;
    connection.until_text("here again").await;
}

pub async fn resets_an_expired_cursor<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let old = bob.cursor().await;
    ann.connect().await.send(To::User(bob.id()), "forgotten").await;
    server.chat.trim().await.expect("forgotten");
    expect_reset(&bob, old, ResetReason::Expired, Close::CursorExpired).await;
    // Only the log is trimmed; the message history is still there.
    let conversation = bob.target.snapshot(&bob.token).await.expect("a snapshot").conversations[0].id;
    let history = bob.target.history(&bob.token, conversation, None, 50).await.expect("a history");
    assert_eq!(history.messages[0].text.as_str(), "forgotten");
}

pub async fn resets_a_foreign_cursor<S: Server>() {
    let (server, other) = (TestServer::<S>::open().await, TestServer::<S>::open().await);
    let (_ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let foreign = other.user("Bob").await.cursor().await;
    expect_reset(&bob, foreign, ResetReason::Unknown, Close::CursorUnknown).await;
}

pub async fn resets_a_cursor_ahead_of_the_log<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (_ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let now = bob.cursor().await.to_string();
    let mut parts: Vec<_> = now.split('.').map(str::to_owned).collect();
    let position: u64 = parts[1].parse().expect("a position");
    parts[1] = (position + 1).to_string();
    let ahead = parts.join(".").parse().expect("a cursor");
    expect_reset(&bob, ahead, ResetReason::Unknown, Close::CursorUnknown).await;
}

pub async fn refuses_a_malformed_cursor<S: Server>() {
    let server = TestServer::<S>::open().await;
    let ann = server.user("Ann").await;
    let Some(path) = S::PATH else { return };
    let joint = if path.contains('?') { '&' } else { '?' };
    for wrong in ["x", "7", "0000000g.1", "00000000.1.", "", "00000000.-1"] {
        let request =
            ann.target.request(reqwest::Method::GET, &format!("{path}{joint}after={wrong}"), &ann.token);
        let answer = request
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let answer = answer.send().await.expect("an answer");
        assert_eq!(answer.status(), 400, "{wrong:?}");
        let refusal = chat_client::read::<()>(answer).await.expect_err("a refusal");
        assert!(refusal.to_string().contains("cursor"), "{wrong:?}: {refusal}");
    }
}

pub async fn continues_with_a_cursor_of_another_transport<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let at_ann = ann.connect().await;
    let mut cursor = Some(bob.cursor().await);
    // Bob changes the transport with every message, and gets each message exactly once.
    for round in 0..3 {
        let (first, second) = (format!("{round} here"), format!("{round} there"));
        at_ann.send(To::User(bob.id()), &first).await;
        let mut here = bob.resume(cursor).await;
        assert_eq!(texts(&here.until_text(&first).await), [first.as_str()]);
        cursor = chat_client::Events::cursor(&here.events);
        at_ann.send(To::User(bob.id()), &second).await;
        let (_, mut there) = <<MemoryServer as Server>::Client as chat_client::Client>::connect(
            &bob.target,
            &bob.token,
            cursor,
        )
        .await
        .expect("a connection");
        let text = loop {
            let event = chat_client::Events::next(&mut there).await.expect("an event");
            if let Event::Message(message) = event {
                break message.text;
            }
        };
        assert_eq!(text.as_str(), second);
        cursor = chat_client::Events::cursor(&there);
    }
}

pub async fn shows_an_acknowledged_event_to_every_older_cursor<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let at_ann = ann.connect().await;
    let older = ann.cursor().await;
    for number in 0..20 {
        let text = number.to_string();
        at_ann.send(To::User(bob.id()), &text).await;
        // Right after the reply, the message is in the snapshot, and comes after every older cursor.
        let snapshot = ann.target.snapshot(&ann.token).await.expect("a snapshot");
        assert_eq!(snapshot.conversations[0].last_seq, number + 1);
        ann.resume(Some(older)).await.until_text(&text).await;
    }
}

pub async fn resets_after_the_log_lost_something<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let (ann_user, bob_user) = (ann.user.clone(), bob.user.clone());
    let mut copy = None;
    let server = server
        .restart_after(|database| copy = Some((std::fs::read(&database).expect("a database"), database)))
        .await;
    let bob = server.sign_in(&bob_user).await;
    let ann = server.sign_in(&ann_user).await;
    ann.connect().await.send(To::User(bob.id()), "lost").await;
    let future = bob.cursor().await;
    drop((ann, bob));
    let (bytes, database) = copy.expect("a copy");
    // The older copy is put back, as from a backup. It lacks the message, and the cursor points beyond its log.
    let server = server.restart_after(|_| std::fs::write(&database, &bytes).expect("put back")).await;
    let (ann, bob) = (server.sign_in(&ann_user).await, server.sign_in(&bob_user).await);
    for number in 0..5 {
        ann.connect().await.send(To::User(bob.id()), &format!("new {number}")).await;
    }
    let mut connection = bob.resume(Some(future)).await;
    assert_eq!(connection.next().await, Event::Reset { reason: ResetReason::Unknown });
}

pub async fn makes_the_later_snapshot_of_snapshot_and_events<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (ann, bob, cid) = (server.user("Ann").await, server.user("Bob").await, server.user("Cid").await);
    let (at_ann, at_bob, at_cid) = (ann.connect().await, bob.connect().await, cid.connect().await);
    let early = at_ann.create_group("early").await;
    at_cid.send(To::User(bob.id()), "before the snapshot").await;

    let mut state = bob.target.snapshot(&bob.token).await.expect("a snapshot");
    let mut connection = bob.resume(Some(state.cursor)).await;

    let late = at_cid.create_group("late").await;
    for connection in [&at_bob, &at_cid] {
        connection.ask(Command::JoinGroup { conversation: early }).await.expect("joined");
    }
    at_ann.send(To::Conversation(early), "hello both").await;
    at_bob.ask(Command::MarkRead { conversation: early, seq: 1 }).await.expect("read");
    at_bob.ask(Command::JoinGroup { conversation: late }).await.expect("joined");
    at_bob.ask(Command::LeaveGroup { conversation: early }).await.expect("left");
    at_ann.send(To::Conversation(early), "not for Bob").await;
    at_ann.ask(Command::JoinGroup { conversation: late }).await.expect("joined");
    at_cid.ask(Command::LeaveGroup { conversation: late }).await.expect("left");
    server.user("Dora").await;
    at_bob.ask(Command::JoinGroup { conversation: early }).await.expect("joined");
    let gone = at_ann.create_group("gone").await;
    for connection in [&at_cid, &at_bob] {
        connection.ask(Command::JoinGroup { conversation: gone }).await.expect("joined");
    }
    at_bob.ask(Command::LeaveGroup { conversation: gone }).await.expect("left for good");
    at_bob.send(To::User(ann.id()), "the end").await;

    for event in connection.until_text("the end").await {
        apply(&mut state, &event);
    }
    let later = bob.target.snapshot(&bob.token).await.expect("a snapshot");
    assert_eq!(names(&state), names(&later));
    assert_eq!(by_id(&state), by_id(&later));
    let groups = |snapshot: &Snapshot| -> Vec<_> {
        snapshot.groups.iter().map(|group| (group.conversation, group.name.clone(), group.joined)).collect()
    };
    assert_eq!(groups(&state), groups(&later));
}

fn names(snapshot: &Snapshot) -> Vec<(chat_core::ids::UserId, chat_core::text::Name)> {
    snapshot.users.iter().map(|person| (person.id, person.name.clone())).collect()
}

fn by_id(snapshot: &Snapshot) -> BTreeMap<chat_core::ids::ConversationId, Conversation> {
    snapshot.conversations.iter().map(|conversation| (conversation.id, conversation.clone())).collect()
}

/// Applies an event to a snapshot, as a client does.
fn apply(state: &mut Snapshot, event: &Event) {
    let me = state.me.id;
    let add = |state: &mut Snapshot, id, kind, mut members: Vec<_>, joined_seq| {
        members.sort_unstable();
        let joined = true;
        match state.conversations.iter_mut().find(|known| known.id == id) {
            Some(known) => {
                (known.members, known.joined, known.joined_seq) = (members, joined, joined_seq);
            }
            None => {
                let (last_seq, read_seq) = (0, 0);
                let conversation = Conversation { id, kind, members, last_seq, read_seq, joined, joined_seq };
                state.conversations.push(conversation);
            }
        }
    };
    match event {
        Event::UserRegistered { user, .. } => {
            state.users.push(chat_core::model::Person { id: user.id, name: user.name.clone(), online: false })
        }
        Event::DirectStarted { conversation, members, .. } => {
            let with = members.iter().copied().find(|&member| member != me).expect("somebody else");
            add(state, *conversation, Kind::Direct { with }, members.clone(), 0);
        }
        Event::GroupCreated { conversation, name, by, .. } => {
            let joined = *by == me;
            state.groups.push(chat_core::model::Group {
                conversation: *conversation,
                name: name.clone(),
                members: 1,
                joined,
            });
            if joined {
                add(state, *conversation, Kind::Group { name: name.clone() }, vec![me], 0);
            }
        }
        Event::GroupJoined { conversation, name, members, joined_seq, .. } => {
            add(state, *conversation, Kind::Group { name: name.clone() }, members.clone(), *joined_seq);
            let groups = state.groups.iter_mut().filter(|group| group.conversation == *conversation);
            groups.for_each(|group| group.joined = true);
        }
        Event::MemberJoined { conversation, user, .. } => {
            let known = known(state, *conversation);
            if !known.members.contains(user) {
                known.members.push(*user);
                known.members.sort_unstable();
            }
        }
        Event::MemberLeft { conversation, user, .. } => {
            let conversation = *conversation;
            let known = known(state, conversation);
            known.members.retain(|member| member != user);
            if *user == me {
                known.joined = false;
                let groups = state.groups.iter_mut().filter(|group| group.conversation == conversation);
                groups.for_each(|group| group.joined = false);
            }
        }
        Event::Message(message) => {
            let known = known(state, message.conversation);
            known.last_seq = message.seq;
            if message.from == me {
                known.read_seq = message.seq;
            }
        }
        Event::Read { conversation, seq, .. } => known(state, *conversation).read_seq = *seq,
        other => panic!("{other:?} is not in the log"),
    }
}

fn known(state: &mut Snapshot, id: chat_core::ids::ConversationId) -> &mut Conversation {
    state.conversations.iter_mut().find(|known| known.id == id).expect("a conversation that was announced")
}
