//! A `cid` stands for one thing, however often it is sent.

use chat_client::Sender;
use chat_core::protocol::{Command, Done, To};
use chat_core::refusal::Code;
use chat_core::text::{Cid, Name, Text};
use chat_http::Server;

use crate::test_server::{new_cid, texts, user_id};
use crate::{Ask, TestServer};

fn send(to: To, cid: &Cid, text: &str) -> Command {
    Command::Send { to, cid: cid.clone(), text: Text::try_from(text.to_owned()).expect("a text") }
}

/// The outcome without the flag that tells the first reply from the later ones.
fn without_duplicate(done: &Done) -> Done {
    match done.clone() {
        Done::Sent { conversation, seq, id, at, .. } => {
            Done::Sent { conversation, seq, id, at, duplicate: false }
        }
        Done::GroupCreated { conversation, id, .. } => {
            Done::GroupCreated { conversation, id, duplicate: false }
        }
        other => other,
    }
}

fn is_duplicate(done: &Done) -> bool {
    matches!(done, Done::Sent { duplicate: true, .. } | Done::GroupCreated { duplicate: true, .. })
}

pub async fn makes_one_message_of_one_cid<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let (at_ann, mut at_bob) = (ann.connect().await, bob.connect().await);
    let cid = new_cid();
    let first = at_ann.ask(send(To::User(bob.id()), &cid, "once")).await.expect("sent");
    let Done::Sent { conversation, .. } = first else { panic!("not sent") };
    // Again later, on a new connection, and also addressed in the other way.
    for to in [To::User(bob.id()), To::Conversation(conversation)] {
        let again = ann.connect().await.ask(send(to, &cid, "once")).await.expect("sent");
        assert!(is_duplicate(&again) && !is_duplicate(&first));
        assert_eq!(without_duplicate(&again), first);
    }
    // The same cid from another user makes another message.
    let bobs = at_bob.ask(send(To::User(ann.id()), &cid, "once")).await.expect("sent");
    assert!(!is_duplicate(&bobs));
    at_ann.send(To::User(bob.id()), "end").await;
    assert_eq!(texts(&at_bob.until_text("end").await), ["once", "once", "end"]);
}

pub async fn makes_one_message_of_one_cid_sent_many_times_at_once<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let mut at_bob = bob.connect().await;
    let cid = new_cid();
    let mut attempts = Vec::new();
    for _ in 0..8 {
        let (sender, command) = (ann.connect().await.sender, send(To::User(bob.id()), &cid, "once"));
        attempts.push(tokio::spawn(async move { sender.ask(command).await.expect("sent") }));
    }
    let mut replies = Vec::new();
    for attempt in attempts {
        replies.push(attempt.await.expect("an attempt"));
    }
    assert_eq!(replies.iter().filter(|done| !is_duplicate(done)).count(), 1, "{replies:?}");
    assert!(replies.windows(2).all(|pair| without_duplicate(&pair[0]) == without_duplicate(&pair[1])));
    ann.connect().await.send(To::User(bob.id()), "end").await;
    assert_eq!(texts(&at_bob.until_text("end").await), ["once", "end"]);
}

pub async fn makes_one_group_of_one_cid<S: Server>() {
    let server = TestServer::<S>::open().await;
    let ann = server.user("Ann").await;
    let at_ann = ann.connect().await;
    let cid = new_cid();
    let create = |name: &str| Command::CreateGroup {
        name: Name::try_from(name.to_owned()).expect("a name"),
        cid: cid.clone(),
    };
    let first = at_ann.ask(create("rust")).await.expect("founded");
    let again = at_ann.ask(create("rust")).await.expect("founded");
    assert!(is_duplicate(&again));
    assert_eq!(without_duplicate(&again), first);
    assert_eq!(at_ann.ask(create("go")).await.expect_err("a refusal").code, Code::KeyReuse);
    assert_eq!(ann.target.groups(&ann.token).await.expect("groups").len(), 1);
}

pub async fn refuses_other_content_under_the_same_cid<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (ann, bob, cid) = (server.user("Ann").await, server.user("Bob").await, server.user("Cid").await);
    let (at_ann, mut at_bob) = (ann.connect().await, bob.connect().await);
    let key = new_cid();
    at_ann.ask(send(To::User(bob.id()), &key, "this")).await.expect("sent");
    let reuse = async |command| refused(&at_ann.sender, command).await;
    assert_eq!(reuse(send(To::User(bob.id()), &key, "that")).await, Code::KeyReuse);
    assert_eq!(reuse(send(To::User(cid.id()), &key, "this")).await, Code::KeyReuse);
    assert_eq!(reuse(send(To::User(user_id(99)), &key, "this")).await, Code::KeyReuse);
    let group = Command::CreateGroup { name: Name::try_from("rust".to_owned()).expect("a name"), cid: key };
    assert_eq!(reuse(group).await, Code::KeyReuse);
    at_ann.send(To::User(bob.id()), "end").await;
    assert_eq!(texts(&at_bob.until_text("end").await), ["this", "end"]);
}

async fn refused(sender: &impl Sender, command: Command) -> Code {
    sender.ask(command).await.expect_err("should be refused").code
}
