//! What a chat's own tasks do: sign-ins end, and users leave.

use std::net::{IpAddr, Ipv4Addr};

use tokio::time::{sleep, timeout};

use super::*;
use crate::refusal::Code;
use crate::text::Password;

/// A client whose sign-out has an unknown outcome may use its token until the disk answers, and no longer.
#[tokio::test]
async fn a_sign_out_happens_even_when_its_client_did_not_wait() {
    let limits = Limits { hash_memory: 8, storage_timeout: Duration::from_millis(500), ..Limits::default() };
    let chat = Chat::open(&Location::Temporary, limits).unwrap();
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let (_, token) = chat.register("Ann".to_owned(), Password::from("correct horse"), here).await.unwrap();
    let ann = chat.authenticate(&token).await.unwrap();
    let mut first = chat.hold_writer().await;
    first.begun().await;
    let leaving = tokio::spawn({
        let chat = chat.clone();
        async move { chat.sign_out(ann).await }
    });
    while !chat.metrics().render().contains("chat_queue_depth 1") {
        tokio::task::yield_now().await;
    }
    let mut second = chat.hold_writer().await;
    drop(first);
    second.begun().await;
    assert_eq!(leaving.await.unwrap().unwrap_err().code, Code::StorageUnavailable);
    assert!(chat.authenticate(&token).await.is_ok());
    drop(second);
    let ended = async {
        while chat.authenticate(&token).await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(10), ended).await.unwrap();
}

/// A user who has left takes no memory, even if presence is sent seldom.
#[tokio::test]
async fn a_user_goes_offline_after_the_grace_even_when_presence_is_sent_rarely() {
    let (seldom, soon) = (Duration::from_secs(3_600), Duration::from_millis(20));
    let limits = Limits { hash_memory: 8, presence_interval: seldom, grace: soon, ..Limits::default() };
    let chat = Chat::open(&Location::Temporary, limits).unwrap();
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let (_, token) = chat.register("Ann".to_owned(), Password::from("correct horse"), here).await.unwrap();
    let ann = chat.authenticate(&token).await.unwrap();
    let seat = chat.enter(&ann, None, None).await.unwrap();
    assert_eq!(chat.0.publisher.online().0.len(), 1);
    chat.leave(ann.user, seat.number);
    let gone = async {
        while !chat.0.publisher.online().0.is_empty() {
            sleep(soon).await;
        }
    };
    timeout(Duration::from_secs(10), gone).await.unwrap();
}
