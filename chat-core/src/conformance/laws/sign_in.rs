//! Nobody gets in, or stays, without a sign-in.

use std::time::{Duration, Instant};

use crate::auth::Token;
use crate::client::{ClientError, Server};
use crate::conformance::house::asks_once;
use crate::conformance::{House, Member, Raw};
use crate::protocol::{Event, To};
use crate::refusal::{Close, Code};

/// Tries to connect, and is refused in the way of this wire.
async fn expect_refused<S: Server>(member: &Member<S>) {
    let unauthenticated = Close::Unauthenticated.code();
    match member.try_resume(None).await {
        Err(ClientError::Refused(refusal)) => assert_eq!(refusal.code, Code::Unauthenticated),
        Err(error) => panic!("not refused, but {error}"),
        Ok(mut line) => match line.next().await {
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
    let house = House::<S>::open().await;
    let mut ann = house.user("Ann").await;
    ann.token = Token::from("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    expect_refused(&ann).await;
    ann.token = Token::from("");
    expect_refused(&ann).await;
}

pub async fn refuses_an_expired_token<S: Server>() {
    let house = House::<S>::open_with(|limits| limits.sign_in_lifetime = Duration::ZERO).await;
    expect_refused(&house.user("Ann").await).await;
}

/// A group founded by hand.
const REQUEST: &[u8] = br#"{"command": {"type": "create_group", "name": "rust", "cid": "under-way"}}"#;

async fn finish(mut answer: crate::chat::Answer) -> crate::protocol::Reply {
    std::future::poll_fn(|cx| answer.poll(cx)).await
}

pub async fn refuses_a_revoked_token<S: Server>() {
    let house = House::<S>::open().await;
    let ann = house.user("Ann").await;
    let still = house.sign_in(&ann.user).await;
    let signed_in = house.chat.authenticate(&ann.token).await.expect("signed in");
    ann.target.sign_out(&ann.token).await.expect("signed out");
    expect_refused(&ann).await;
    // Not even what was under way when the sign-in ended is written.
    let under_way = house.chat.submit(&signed_in, REQUEST).await.expect("a request");
    assert_eq!(finish(under_way).await.into_result().expect_err("a refusal").code, Code::Unauthenticated);
    // The other sign-in of the same user goes on.
    still.cursor().await;
}

pub async fn ends_a_revoked_sign_ins_streams_within_a_second<S: Server>() {
    let house = House::<S>::open().await;
    let ann = house.user("Ann").await;
    let elsewhere = house.sign_in(&ann.user).await;
    let (mut ended, mut stays) = (ann.connect().await, elsewhere.connect().await);
    // A listener that is in the middle of listening.
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
    let listens = |house: &House<S>| asks_once::<S>() || house.metric("chat_sessions", "") > 0;
    house.eventually("somebody listens", listens).await;
    let start = Instant::now();
    ann.target.sign_out(&ann.token).await.expect("signed out");
    let code = listening.await.expect("a listener");
    assert!(start.elapsed() < Duration::from_secs(1), "it took {:?}", start.elapsed());
    // A poll that was not held at that moment is refused at its next turn instead.
    assert!(code.is_none_or(|code| code == Close::Revoked.code()), "{code:?}");
    let bob = house.user("Bob").await;
    bob.connect().await.send(To::User(ann.id()), "still there?").await;
    stays.until_text("still there?").await;
}

pub async fn ends_a_revoked_sign_ins_streams_though_the_client_does_not_read<S: Server>() {
    let house = House::<S>::open_with(|limits| {
        limits.write_timeout = Duration::from_secs(3_600);
        limits.inbox_bytes = 8 * 1_048_576;
    })
    .await;
    let (ann, bob) = (house.user("Ann").await, house.user("Bob").await);
    let start = ann.cursor().await;
    super::pace::fill(&bob, ann.id()).await;
    let raw = Raw::fall_behind(&ann, start).await;
    let signed_out = Instant::now();
    ann.target.sign_out(&ann.token).await.expect("signed out");
    house.eventually("the session ends", |house| house.metric("chat_sessions", "") == 0).await;
    assert!(signed_out.elapsed() < Duration::from_secs(1), "it took {:?}", signed_out.elapsed());
    raw.ended().await;
}

pub async fn ends_a_stream_whose_sign_in_expires<S: Server>() {
    let house = House::<S>::open_with(|limits| {
        limits.sign_in_lifetime = Duration::from_secs(2);
        limits.keep_alive = Duration::from_millis(100);
        limits.ping_after = Duration::from_millis(100);
    })
    .await;
    let mut line = house.user("Ann").await.connect().await;
    loop {
        match line.try_next().await {
            Ok(Event::Close { code, .. }) => break assert_eq!(code, Close::Unauthenticated.code()),
            Ok(_) => {}
            Err(ClientError::Refused(refusal)) => break assert_eq!(refusal.code, Code::Unauthenticated),
            Err(error) => panic!("not ended, but {error}"),
        }
    }
}
