//! A member sees what happens between joining and leaving, and nothing else.

use chat_core::protocol::{Command, Done, Event, To};
use chat_core::refusal::Code;
use chat_http::Server;

use crate::TestServer;
use crate::test_server::{message, texts, user_id};

/// A server whose inboxes hold one event, so that a client that resumes reads from disk.
async fn forgetful<S: Server>() -> TestServer<S> {
    TestServer::open_with(|limits| limits.inbox_events = 1).await
}

pub async fn shows_a_new_member_what_comes_after_joining<S: Server>() {
    let server = forgetful::<S>().await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let (at_ann, mut at_bob) = (ann.connect().await, bob.connect().await);
    let start = bob.cursor().await;
    let group = at_ann.create_group("rust").await;
    at_ann.send(To::Conversation(group), "before").await;
    let joined = at_bob.ask(Command::JoinGroup { conversation: group }).await.expect("joined");
    at_ann.send(To::Conversation(group), "after").await;

    // The events are the same, live and from the log.
    let mut resumed = bob.resume(Some(start)).await;
    for connection in [&mut at_bob, &mut resumed] {
        let events = connection.until_text("after").await;
        assert_eq!(texts(&events), ["after"]);
        let place = |wanted: fn(&Event) -> bool| events.iter().position(wanted).expect("announced");
        let (told, entered) = (
            place(|event| matches!(event, Event::GroupJoined { .. })),
            place(|event| matches!(event, Event::MemberJoined { .. })),
        );
        assert!(told < entered, "the group is introduced before its first event");
        let Event::GroupJoined { members, joined_seq, .. } = &events[told] else { panic!("not a group") };
        assert_eq!((&members[..], *joined_seq), (&[ann.id(), bob.id()][..], 1));
        assert_eq!(events[entered].id(), Some(id_of(&joined)));
    }
    let history = bob.target.history(&bob.token, group, None, 50).await.expect("a history");
    assert_eq!(history.messages.len(), 1);
    assert_eq!((history.messages[0].text.as_str(), history.messages[0].seq), ("after", 2));
}

fn id_of(done: &Done) -> chat_core::ids::Cursor {
    match done {
        Done::Sent { id, .. }
        | Done::GroupCreated { id, .. }
        | Done::Joined { id, .. }
        | Done::Left { id, .. } => *id,
        Done::Read | Done::Typing => panic!("{done:?} has no place in the log"),
    }
}

pub async fn gives_a_leaver_member_left_last<S: Server>() {
    let server = forgetful::<S>().await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let (mut at_ann, mut at_bob) = (ann.connect().await, bob.connect().await);
    let start = bob.cursor().await;
    let group = at_ann.create_group("rust").await;
    at_bob.ask(Command::JoinGroup { conversation: group }).await.expect("joined");
    let left = at_bob.ask(Command::LeaveGroup { conversation: group }).await.expect("left");
    at_ann.send(To::Conversation(group), "without Bob").await;
    at_ann.send(To::User(bob.id()), "to Bob").await;

    let mut resumed = bob.resume(Some(start)).await;
    for connection in [&mut at_bob, &mut resumed] {
        let events = connection.until_text("to Bob").await;
        assert_eq!(texts(&events), ["to Bob"]);
        let last = events.iter().rposition(|event| match event {
            Event::Message(message) => message.conversation == group,
            Event::MemberJoined { conversation, .. } | Event::MemberLeft { conversation, .. } => {
                *conversation == group
            }
            _ => false,
        });
        let last = &events[last.expect("something of the group")];
        assert!(matches!(last, Event::MemberLeft { user, .. } if *user == bob.id()), "{last:?}");
        assert_eq!(last.id(), Some(id_of(&left)));
    }
    let told = at_ann.until_text("to Bob").await;
    assert!(told.iter().any(|event| matches!(event, Event::MemberLeft { user, .. } if *user == bob.id())));
}

pub async fn refuses_a_leavers_message<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let (mut at_ann, at_bob) = (ann.connect().await, bob.connect().await);
    let group = at_ann.create_group("rust").await;
    let stranger = at_bob.ask(message(To::Conversation(group), "not in yet")).await.expect_err("a refusal");
    at_bob.ask(Command::JoinGroup { conversation: group }).await.expect("joined");
    at_bob.send(To::Conversation(group), "in").await;
    at_bob.ask(Command::LeaveGroup { conversation: group }).await.expect("left");
    let leaver = at_bob.ask(message(To::Conversation(group), "one more thing")).await.expect_err("a refusal");
    assert_eq!([stranger.code, leaver.code], [Code::NotAMember; 2]);
    at_ann.send(To::Conversation(group), "end").await;
    assert_eq!(texts(&at_ann.until_text("end").await), ["in", "end"]);
}

pub async fn leaves_out_what_lay_between_leaving_and_rejoining<S: Server>() {
    let server = forgetful::<S>().await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let (at_ann, mut at_bob) = (ann.connect().await, bob.connect().await);
    let start = bob.cursor().await;
    let group = at_ann.create_group("rust").await;
    for (text, command) in [
        ("while in", Command::LeaveGroup { conversation: group }),
        ("while out", Command::JoinGroup { conversation: group }),
    ] {
        if text == "while in" {
            at_bob.ask(Command::JoinGroup { conversation: group }).await.expect("joined");
        }
        at_ann.send(To::Conversation(group), text).await;
        at_bob.ask(command).await.expect("moved");
    }
    at_ann.send(To::Conversation(group), "back").await;
    let mut resumed = bob.resume(Some(start)).await;
    for connection in [&mut at_bob, &mut resumed] {
        assert_eq!(texts(&connection.until_text("back").await), ["while in", "back"]);
    }
    let history = bob.target.history(&bob.token, group, None, 50).await.expect("a history");
    assert!(history.messages.iter().map(|message| message.seq).eq([1, 3]));
}

pub async fn joins_leaves_and_reads_once<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let (mut at_ann, at_bob) = (ann.connect().await, bob.connect().await);
    let group = at_ann.create_group("rust").await;
    at_ann.send(To::Conversation(group), "one").await;
    for command in [
        Command::JoinGroup { conversation: group },
        Command::MarkRead { conversation: group, seq: 1 },
        Command::LeaveGroup { conversation: group },
    ] {
        let first = at_bob.ask(command.clone()).await.expect("done");
        assert_eq!(at_bob.ask(command).await.expect("done again"), first);
    }
    at_ann.send(To::Conversation(group), "end").await;
    // A user who has left cannot mark unseen messages as read. The mark would show how many were written.
    let unseen = at_bob.ask(Command::MarkRead { conversation: group, seq: 2 }).await.expect_err("a refusal");
    assert_eq!(unseen.code, Code::BadRequest);
    let moves = at_ann.until_text("end").await;
    let moves = moves.iter().filter(|e| matches!(e, Event::MemberJoined { .. } | Event::MemberLeft { .. }));
    assert_eq!(moves.count(), 2, "each of them happened once");

    let beyond = at_ann.ask(Command::MarkRead { conversation: group, seq: 9 }).await.expect_err("a refusal");
    assert_eq!(beyond.code, Code::BadRequest);
    at_ann.ask(Command::MarkRead { conversation: group, seq: 2 }).await.expect("read");
    // A mark never moves back.
    at_ann.ask(Command::MarkRead { conversation: group, seq: 1 }).await.expect("read");
    let snapshot = ann.target.snapshot(&ann.token).await.expect("a snapshot");
    assert_eq!(snapshot.conversations[0].read_seq, 2);
}

pub async fn hides_the_conversations_of_others<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (ann, bob, cid) = (server.user("Ann").await, server.user("Bob").await, server.user("Cid").await);
    let (at_ann, at_cid) = (ann.connect().await, cid.connect().await);
    let Done::Sent { conversation, .. } = at_ann.send(To::User(bob.id()), "between us").await else {
        panic!("not sent")
    };
    for command in [
        message(To::Conversation(conversation), "me too"),
        Command::MarkRead { conversation, seq: 1 },
        Command::Typing { conversation },
        Command::JoinGroup { conversation },
        Command::LeaveGroup { conversation },
    ] {
        assert_eq!(
            at_cid.ask(command.clone()).await.expect_err("a refusal").code,
            Code::UnknownConversation,
            "{command:?}"
        );
    }
    let refusal = cid.target.history(&cid.token, conversation, None, 50).await.expect_err("a refusal");
    let chat_client::ClientError::Refused(refusal) = refusal else { panic!("{refusal}") };
    assert_eq!(refusal.code, Code::UnknownConversation);
    let snapshot = cid.target.snapshot(&cid.token).await.expect("a snapshot");
    assert!(snapshot.conversations.is_empty());
    assert_eq!(
        at_ann.ask(message(To::User(ann.id()), "me")).await.expect_err("a refusal").code,
        Code::InvalidRecipient
    );
    let nobody = user_id(99);
    assert_eq!(
        at_ann.ask(message(To::User(nobody), "?")).await.expect_err("a refusal").code,
        Code::UnknownUser
    );
}

pub async fn counts_own_messages_as_read<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let (at_ann, at_bob, mut elsewhere) = (ann.connect().await, bob.connect().await, ann.connect().await);
    let mut place = None;
    for text in ["one", "two", "three"] {
        let Done::Sent { conversation, .. } = at_ann.send(To::User(bob.id()), text).await else {
            panic!("not sent")
        };
        place = Some(conversation);
    }
    let conversation = place.expect("a conversation");
    let read = async |member: &crate::TestUser<S>| {
        let snapshot = member.target.snapshot(&member.token).await.expect("a snapshot");
        (snapshot.conversations[0].read_seq, snapshot.conversations[0].last_seq)
    };
    assert_eq!((read(&ann).await, read(&bob).await), ((3, 3), (0, 3)));
    at_bob.send(To::User(ann.id()), "four").await;
    assert_eq!((read(&ann).await, read(&bob).await), ((3, 4), (4, 4)));
    // A mark on an older message changes nothing and sends no event. A mark on a newer message does both.
    at_ann.ask(Command::MarkRead { conversation, seq: 2 }).await.expect("read");
    assert_eq!(read(&ann).await, (3, 4));
    at_ann.ask(Command::MarkRead { conversation, seq: 4 }).await.expect("read");
    assert_eq!(read(&ann).await, (4, 4));
    at_bob.send(To::User(ann.id()), "end").await;
    let told = elsewhere.until_text("end").await;
    let marks = told.iter().filter_map(|event| match event {
        Event::Read { seq, .. } => Some(*seq),
        _ => None,
    });
    assert_eq!(marks.collect::<Vec<_>>(), [4]);
}

pub async fn shows_the_gap_to_a_user_who_rejoins<S: Server>() {
    let server = forgetful::<S>().await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let (at_ann, mut at_bob) = (ann.connect().await, bob.connect().await);
    let start = bob.cursor().await;
    let group = at_ann.create_group("rust").await;
    for (text, command) in [
        (None, Command::JoinGroup { conversation: group }),
        (Some("while in"), Command::LeaveGroup { conversation: group }),
        (Some("while out"), Command::JoinGroup { conversation: group }),
    ] {
        if let Some(text) = text {
            at_ann.send(To::Conversation(group), text).await;
        }
        at_bob.ask(command).await.expect("moved");
    }
    // No message was written since, and still a client that starts now can see that there is a gap.
    let snapshot = bob.target.snapshot(&bob.token).await.expect("a snapshot");
    let place = &snapshot.conversations[0];
    assert_eq!((place.last_seq, place.joined_seq), (1, 2));
    at_ann.send(To::Conversation(group), "back").await;
    let mut resumed = bob.resume(Some(start)).await;
    for connection in [&mut at_bob, &mut resumed] {
        let events = connection.until_text("back").await;
        let joined = events.iter().filter_map(|event| match event {
            Event::GroupJoined { joined_seq, .. } => Some(*joined_seq),
            _ => None,
        });
        assert_eq!(joined.collect::<Vec<_>>(), [0, 2]);
    }
}
