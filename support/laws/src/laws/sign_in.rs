//! Without a valid sign-in, no client gets in, and no client stays.

use std::time::{Duration, Instant};

use chat_client::ClientError;
use chat_core::auth::Token;
use chat_core::protocol::{Command, Done, Event, To};
use chat_core::refusal::{Close, Code};
use chat_core::text::Cid;
use chat_http::Server;

use crate::test_server::asks_once;
use crate::{Raw, TestServer, TestUser};

/// Tries to connect, and expects the refusal that this transport gives.
async fn expect_refused<S: Server>(member: &TestUser<S>) {
    let unauthenticated = Close::Unauthenticated.code();
    match member.try_resume(None).await {
        Err(ClientError::Refused(refusal)) => assert_eq!(refusal.code, Code::Unauthenticated),
        Err(error) => panic!("not refused, but {error}"),
        Ok(mut connection) => match connection.next().await {
            Event::Close { code, reconnect, .. } => assert_eq!((code, reconnect), (unauthenticated, false)),
            event => panic!("somebody without a sign-in was told {event:?}"),
        },
    }
    for refused in [
        member.target.snapshot(&member.token).await.map(drop),
        member.target.users(&member.token).await.map(drop),
        member.target.sign_out(&member.token).await,
    ] {
        let ClientError::Refused(refusal) = refused.expect_err("a refusal") else { panic!("not refused") };
        assert_eq!(refusal.code, Code::Unauthenticated);
    }
}

pub async fn refuses_an_unknown_token<S: Server>() {
    let server = TestServer::<S>::open().await;
    let mut ann = server.user("Ann").await;
    ann.token = Token::from("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    expect_refused(&ann).await;
    ann.token = Token::from("");
    expect_refused(&ann).await;
}

pub async fn refuses_an_expired_token<S: Server>() {
    let server = TestServer::<S>::open_with(|limits| limits.sign_in_lifetime = Duration::ZERO).await;
    expect_refused(&server.user("Ann").await).await;
}

/// A request that creates a group, as bytes.
const REQUEST: &[u8] = br#"{"command": {"type": "create_group", "name": "rust", "cid": "under-way"}}"#;

async fn finish(mut answer: chat_core::chat::Answer) -> chat_core::protocol::Reply {
    std::future::poll_fn(|cx| answer.poll(cx)).await
}

pub async fn refuses_a_revoked_token<S: Server>() {
    let server = TestServer::<S>::open().await;
    let ann = server.user("Ann").await;
    let still = server.sign_in(&ann.user).await;
    let signed_in = server.chat.authenticate(&ann.token).await.expect("signed in");
    ann.target.sign_out(&ann.token).await.expect("signed out");
    expect_refused(&ann).await;
    // Even a request that was under way when the sign-in ended is not written.
    let under_way = server.chat.submit(&signed_in, REQUEST).await.expect("a request");
    assert_eq!(finish(under_way).await.into_result().expect_err("a refusal").code, Code::Unauthenticated);
    // The other sign-in of the same user goes on.
    still.cursor().await;
}

pub async fn ends_a_revoked_sign_ins_streams_within_a_second<S: Server>() {
    let server = TestServer::<S>::open().await;
    let ann = server.user("Ann").await;
    let elsewhere = server.sign_in(&ann.user).await;
    let (mut ended, mut stays) = (ann.connect().await, elsewhere.connect().await);
    // A connection that is waiting for events.
    let listening = tokio::spawn(async move {
        loop {
            match ended.try_next().await {
                Ok(Event::Close { code, .. }) => return Some(code),
                Ok(_) => {}
                Err(ClientError::Refused(refusal)) => {
                    assert_eq!(refusal.code, Code::Unauthenticated);
                    return None;
                }
                Err(error) => panic!("not ended, but {error}"),
            }
        }
    });
    let listens = |server: &TestServer<S>| asks_once::<S>() || server.metric("chat_sessions", "") > 0;
    server.eventually("somebody listens", listens).await;
    let start = Instant::now();
    ann.target.sign_out(&ann.token).await.expect("signed out");
    let code = listening.await.expect("a listener");
    assert!(start.elapsed() < Duration::from_secs(1), "it took {:?}", start.elapsed());
    // If no poll was waiting at that moment, the next poll is refused instead.
    assert!(code.is_none_or(|code| code == Close::Revoked.code()), "{code:?}");
    let bob = server.user("Bob").await;
    bob.connect().await.send(To::User(ann.id()), "still there?").await;
    stays.until_text("still there?").await;
}

pub async fn ends_a_revoked_sign_ins_streams_though_the_client_does_not_read<S: Server>() {
    let server = TestServer::<S>::open_with(|limits| {
        limits.write_timeout = Duration::from_secs(3_600);
        limits.inbox_bytes = 8 * 1_048_576;
    })
    .await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let start = ann.cursor().await;
    super::pace::fill(&bob, ann.id()).await;
    let raw = Raw::fall_behind(&ann, start).await;
    let signed_out = Instant::now();
    ann.target.sign_out(&ann.token).await.expect("signed out");
    server.eventually("the session ends", |server| server.metric("chat_sessions", "") == 0).await;
    assert!(signed_out.elapsed() < Duration::from_secs(1), "it took {:?}", signed_out.elapsed());
    raw.ended().await;
}

pub async fn ends_a_stream_whose_sign_in_expires<S: Server>() {
    let server = TestServer::<S>::open_with(|limits| {
        limits.sign_in_lifetime = Duration::from_secs(2);
        limits.keep_alive = Duration::from_millis(100);
        limits.ping_after = Duration::from_millis(100);
    })
    .await;
    let mut connection = server.user("Ann").await.connect().await;
    loop {
        match connection.try_next().await {
            Ok(Event::Close { code, .. }) => break assert_eq!(code, Close::Unauthenticated.code()),
            Ok(_) => {}
            Err(ClientError::Refused(refusal)) => break assert_eq!(refusal.code, Code::Unauthenticated),
            Err(error) => panic!("not ended, but {error}"),
        }
    }
}

const PASSWORD: &str = "correct horse battery";

pub async fn takes_the_spellings_of_one_name_as_one<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (jose, _) = server.target.register("Jose\u{301} Luis", PASSWORD).await.expect("a free name");
    for spelling in [
        "José Luis",
        "JOSÉ LUIS",
        "\u{FF2A}osé Luis",
        "José  Luis",
        "José\u{A0}Luis",
        " José Luis ",
        "José\u{AD} Luis",
    ] {
        let (user, _) = server.target.sign_in(spelling, PASSWORD).await.expect("the same user");
        assert_eq!(user, jose, "{spelling:?}");
        // Some of these would be refused as new names anyway.
        let refused = server.target.register(spelling, PASSWORD).await.expect_err("a refusal");
        let ClientError::Refused(refusal) = refused else { panic!("not refused, but {refused}") };
        assert!(matches!(refusal.code, Code::NameTaken | Code::InvalidName), "{spelling:?}: {refusal}");
    }
    let (other, _) = server.target.register("Josè Luis", PASSWORD).await.expect("another name");
    assert_ne!(other.id, jose.id);
}

/// Changes the database to one that was written before the present rules for names.
fn give_old_names(database: &std::path::Path, user: &str, group: &str) {
    let old = rusqlite::Connection::open(database).expect("a database");
    old.execute("UPDATE users SET name = ?1, name_key = lower(?1) WHERE name = 'Ann'", [user])
        .expect("a user");
    old.execute("UPDATE conversations SET name = ?1 WHERE name = 'rust'", [group]).expect("a group");
    for (new, old_name) in [("Ann", user), ("rust", group)] {
        let (new, old_name) = (format!("\"{new}\""), format!("\"{old_name}\""));
        old.execute("UPDATE events SET body = replace(body, ?1, ?2)", [new, old_name]).expect("events");
    }
}

pub async fn reads_stored_names_as_they_are<S: Server>() {
    let (blank, filler) = ("ann\u{2800}", "\u{3164}");
    let server = TestServer::<S>::open().await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let start = bob.cursor().await;
    let (at_ann, at_bob) = (ann.connect().await, bob.connect().await);
    let request = |name: &str| Command::CreateGroup {
        name: serde_json::from_value(name.into()).expect("read as it is"),
        cid: Cid::try_from("the-group".to_owned()).expect("a cid"),
    };
    let founded = at_ann.ask(request("rust")).await.expect("a group");
    let Done::GroupCreated { conversation, .. } = founded else { panic!("not a group: {founded:?}") };
    at_bob.ask(Command::JoinGroup { conversation }).await.expect("joined");
    at_ann.send(To::Conversation(conversation), "hello").await;
    drop((at_ann, at_bob));
    let mut ann_user = ann.user.clone();
    let bob_user = bob.user.clone();
    drop((ann, bob));

    let server = server.restart_after(|database| give_old_names(&database, blank, filler)).await;
    ann_user.name = serde_json::from_value(blank.into()).expect("read as it is");
    let (ann, bob) = (server.sign_in(&ann_user).await, server.sign_in(&bob_user).await);
    assert_eq!(ann.user, ann_user);
    let snapshot = bob.target.snapshot(&bob.token).await.expect("a snapshot");
    assert_eq!((snapshot.users[0].name.as_str(), snapshot.groups[0].name.as_str()), (blank, filler));
    let events = bob.resume(Some(start)).await.until_text("hello").await;
    let names = events.iter().filter_map(|event| match event {
        Event::GroupCreated { name, .. } | Event::GroupJoined { name, .. } => Some(name.as_str()),
        _ => None,
    });
    assert!(names.eq([filler, filler]), "{events:?}");
    // Joining such a group is no new name either.
    let mut at_cid = server.user("Cid").await.connect().await;
    at_cid.ask(Command::JoinGroup { conversation }).await.expect("joined");
    let told = at_cid.next_logged().await;
    assert!(matches!(&told, Event::GroupJoined { name, .. } if name.as_str() == filler), "{told:?}");
    // A repeated request gets its old answer. A new name has to keep the rules.
    let again = ann.connect().await.ask(request(filler)).await.expect("the same group");
    assert!(matches!(again, Done::GroupCreated { duplicate: true, .. }), "{again:?}");
    let refusal = bob.connect().await.ask(request(filler)).await.expect_err("a refusal");
    assert_eq!(refusal.code, Code::InvalidName);
}

pub async fn takes_a_password_in_any_normal_form<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (composed, decomposed) = ("caf\u{E9} au lait", "cafe\u{301} au lait");
    for (name, first) in [("Ann", composed), ("Bob", decomposed)] {
        let (user, _) = server.target.register(name, first).await.expect("a free name");
        for typed in [composed, decomposed] {
            assert_eq!(
                server.target.sign_in(name, typed).await.expect("signed in").0,
                user,
                "{name} {typed:?}"
            );
        }
        let wrong = server.target.sign_in(name, "cafe au lait").await.expect_err("a refusal");
        assert!(matches!(wrong, ClientError::Refused(refusal) if refusal.code == Code::WrongCredentials));
    }
}
