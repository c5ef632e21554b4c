//! A cursor belongs to one history of one log, and is valid in it for as long as the log reaches back.

use std::path::Path;

use chat_client::Sender;
use chat_core::ids::Cursor;
use chat_core::protocol::{Command, Done, Event, Request, ResetReason, To};
use chat_core::refusal::Close;
use chat_http::Server;
use rusqlite::Connection;
use tokio::time::timeout;

use crate::test_server::{message, position, texts};
use crate::{PATIENCE, TestServer, TestUser};

/// What happens to the file that remembers how long the log was: it is kept, removed or emptied. No cursor may depend
/// on it.
const WATERMARKS: [fn(&Path); 3] = [
    |_kept| {},
    |watermark| std::fs::remove_file(watermark).expect("a watermark"),
    |watermark| std::fs::write(watermark, "").expect("a watermark"),
];

pub async fn resets_a_cursor_of_another_history<S: Server>() {
    for spoil in WATERMARKS {
        let server = TestServer::<S>::open().await;
        let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
        let (ann_user, bob_user) = (ann.user.clone(), bob.user.clone());
        ann.connect().await.send(To::User(bob.id()), "kept").await;
        let common = bob.cursor().await;
        let mut copy = None;
        let server = server.restart_after(|database| copy = Some(read(&database))).await;
        let (ann, bob) = (server.sign_in(&ann_user).await, server.sign_in(&bob_user).await);
        let at_ann = ann.connect().await;
        let mut lost = Vec::new();
        for number in 0..5 {
            lost.extend(id(&at_ann.send(To::User(bob.id()), &format!("lost {number}")).await));
        }
        lost.push(bob.cursor().await);
        drop(at_ann);

        // The copy is put back, and the log grows past every lost position.
        let server = server
            .restart_after(|database| {
                std::fs::write(&database, copy.expect("a copy")).expect("put back");
                spoil(&database.with_extension("db.watermark"));
            })
            .await;
        let (ann, bob) = (server.sign_in(&ann_user).await, server.sign_in(&bob_user).await);
        reset(&bob, &lost).await;
        let at_ann = ann.connect().await;
        let mut expected = Vec::new();
        for number in 0..10 {
            let text = format!("new {number}");
            at_ann.send(To::User(bob.id()), &text).await;
            expected.push(text);
            reset(&bob, &lost).await;
        }
        // A cursor from the part that both histories share is still valid.
        let mut connection = bob.resume(Some(common)).await;
        assert_eq!(texts(&connection.until_text("new 9").await), expected);
    }
}

fn read(database: &Path) -> Vec<u8> {
    std::fs::read(database).expect("a database")
}

/// The cursor that a reply gives.
fn id(done: &Done) -> Option<Cursor> {
    match done {
        Done::Sent { id, .. } => Some(*id),
        _ => None,
    }
}

/// Fails unless each of these cursors is reset.
async fn reset<S: Server>(member: &TestUser<S>, cursors: &[Cursor]) {
    for cursor in cursors {
        let mut connection = member.resume(Some(*cursor)).await;
        assert_eq!(connection.next().await, Event::Reset { reason: ResetReason::Unknown }, "{cursor}");
    }
}

pub async fn keeps_cursors_and_ids_over_restarts<S: Server>() {
    let mut server = TestServer::<S>::open().await;
    let (ann_user, bob_user) = (server.user("Ann").await.user, server.user("Bob").await.user);
    let start = server.sign_in(&bob_user).await.cursor().await;
    let (mut asked, mut seen): (Vec<(Command, Cursor)>, Vec<Event>) = (Vec::new(), Vec::new());
    for run in 0..4 {
        let (ann, bob) = (server.sign_in(&ann_user).await, server.sign_in(&bob_user).await);
        // The last run writes nothing, so all its cursors are from earlier runs.
        if run < 3 {
            let at_ann = ann.connect().await;
            for number in 0..3 {
                let command = message(To::User(bob.id()), &format!("{run}.{number}"));
                let done = at_ann.ask(command.clone()).await.expect("a message that may be sent");
                asked.push((command, id(&done).expect("an id")));
            }
            let mut connection = bob.resume(seen.last().map_or(Some(start), Event::id)).await;
            seen.extend(connection.until_text(&format!("{run}.2")).await);
        }
        check(&bob, start, &seen).await;
        let conversation = bob.target.snapshot(&bob.token).await.expect("a snapshot").conversations[0].id;
        let history = bob.target.history(&bob.token, conversation, None, 50).await.expect("a history");
        let ids: Vec<Cursor> = history.messages.iter().map(|message| message.id).collect();
        assert_eq!(ids, asked.iter().map(|(_, id)| *id).collect::<Vec<_>>(), "in the history of run {run}");
        let at_ann = ann.connect().await;
        for (command, first) in &asked {
            let again = at_ann.ask(command.clone()).await.expect("a repeated message");
            assert_eq!(id(&again), Some(*first), "to {command:?} in run {run}");
        }
        drop((ann, bob, at_ann));
        server = server.restart_after(drop).await;
    }
}

/// Checks that a new connection after each event gets exactly the events that followed it.
async fn check<S: Server>(bob: &TestUser<S>, start: Cursor, seen: &[Event]) {
    let cursors = std::iter::once(start).chain(seen.iter().filter_map(Event::id));
    let last = bob.cursor().await;
    for (place, cursor) in cursors.enumerate().take(seen.len()) {
        let mut connection = bob.resume(Some(cursor)).await;
        for event in &seen[place..] {
            assert_eq!(connection.next_logged().await, *event, "after {cursor}");
        }
    }
    assert_eq!(Some(position(last)), seen.last().and_then(Event::id).map(position));
}

pub async fn ends_every_session_when_another_process_writes<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let (mut at_ann, mut at_bob) = (ann.connect().await, bob.connect().await);
    at_ann.send(To::User(bob.id()), "before").await;
    at_bob.until_text("before").await;

    // Another program, which takes no lock and ignores the server's.
    let other = Connection::open(server.database()).expect("the database");
    other.execute("INSERT INTO events (audience, body) VALUES (0, '{}')", []).expect("a foreign event");
    // The request may be refused or stay without a reply, but it must not be acknowledged.
    let request = Request { request_id: None, command: message(To::User(bob.id()), "after") };
    if let Ok(reply) = at_ann.sender.send(request).await {
        assert!(reply.into_result().is_err(), "a second writer's event was written over");
    }
    for connection in [&mut at_ann, &mut at_bob] {
        assert_eq!(soon(connection.end()).await, Close::ServerError.code());
    }
    soon(server.chat.failed()).await;
    let stored: i64 = other
        .query_row("SELECT count(*) FROM messages", [], |row| row.get(0))
        .expect("the database can be read");
    assert_eq!(stored, 1);
    // A client that connects afterwards gets the same code.
    if let Ok(mut connection) = bob.try_resume(None).await {
        assert_eq!(soon(connection.end()).await, Close::ServerError.code());
    }
}

/// Waits no longer than [`PATIENCE`] in all. Each event alone has that limit too, but ticks could come for ever.
async fn soon<T>(waiting: impl Future<Output = T>) -> T {
    timeout(PATIENCE, waiting).await.expect("the server ends what it cannot go on with")
}
