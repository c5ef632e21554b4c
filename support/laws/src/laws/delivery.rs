//! Who gets which events, and in which order.

use chat_client::{Client, Sender};
use chat_core::limits::Limits;
use chat_core::protocol::{Done, Event, To};
use chat_core::refusal::Code;
use chat_core::text::Text;
use chat_http::Server;

use crate::test_server::{message, texts};
use crate::{Ask, TestServer};

pub async fn delivers_a_direct_message_to_both_ends<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let (mut at_ann, mut at_bob) = (ann.connect().await, bob.connect().await);

    let Done::Sent { conversation, seq, id, at, duplicate } = at_ann.send(To::User(bob.id()), "hi").await
    else {
        panic!("not sent")
    };
    assert_eq!((seq, duplicate), (1, false));

    for line in [&mut at_ann, &mut at_bob] {
        let Event::DirectStarted { conversation: started, members, .. } = line.next_logged().await else {
            panic!("the conversation should be announced before its first message")
        };
        assert_eq!((started, members), (conversation, vec![ann.id(), bob.id()]));
        let got = line.next_message().await;
        assert_eq!((got.conversation, got.seq, got.id, got.at), (conversation, seq, id, at));
        assert_eq!((got.from, got.text.as_str()), (ann.id(), "hi"));
    }
}

pub async fn delivers_a_group_message_to_every_member_and_to_nobody_else<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (ann, bob, cid) = (server.user("Ann").await, server.user("Bob").await, server.user("Cid").await);
    let (mut at_ann, mut at_bob, mut at_cid) =
        (ann.connect().await, bob.connect().await, cid.connect().await);
    let group = at_ann.create_group("rust").await;
    at_bob.ask(chat_core::protocol::Command::JoinGroup { conversation: group }).await.expect("joined");

    at_bob.send(To::Conversation(group), "for members").await;
    // A message for Cid comes last. Anything that was sent to him before would arrive before it.
    at_ann.send(To::User(cid.id()), "for Cid").await;

    assert_eq!(texts(&at_ann.until_text("for Cid").await), ["for members", "for Cid"]);
    assert_eq!(at_bob.next_message().await.text.as_str(), "for members");
    let seen_by_cid = at_cid.until_text("for Cid").await;
    assert_eq!(texts(&seen_by_cid), ["for Cid"]);
    let joined = |event: &Event| matches!(event, Event::MemberJoined { .. } | Event::GroupJoined { .. });
    assert!(!seen_by_cid.iter().any(joined), "Cid was told who joined a group that he is not in");
}

pub async fn gives_the_sender_their_own_message_with_its_cid<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let mut at_ann = ann.connect().await;
    let command = message(To::User(bob.id()), "hi");
    let chat_core::protocol::Command::Send { cid, .. } = &command else { panic!("not a send") };
    let cid = cid.clone();
    at_ann.ask(command).await.expect("sent");
    assert_eq!(at_ann.next_message().await.cid, cid);
}

pub async fn keeps_one_order_for_many_senders_at_once<S: Server>() {
    const SENDERS: usize = 4;
    const EACH: usize = 25;
    let server = TestServer::<S>::open().await;
    let ann = server.user("Ann").await;
    let at_ann = ann.connect().await;
    let group = at_ann.create_group("rust").await;
    let mut lines = Vec::new();
    for number in 0..SENDERS {
        let line = server.user(&format!("User {number}")).await.connect().await;
        line.ask(chat_core::protocol::Command::JoinGroup { conversation: group }).await.expect("joined");
        lines.push(line);
    }
    let sending: Vec<_> = lines
        .iter()
        .enumerate()
        .map(|(number, line)| {
            let sender = line.sender.clone();
            tokio::spawn(async move {
                for count in 0..EACH {
                    sender.say(To::Conversation(group), &format!("{number}:{count}")).await;
                }
            })
        })
        .collect();
    lines.push(at_ann);
    // All connections read while all of them send.
    let reading = lines.iter_mut().map(async |line| {
        let mut order = Vec::new();
        for seq in 1..=(SENDERS * EACH) as u64 {
            let message = line.next_message().await;
            assert_eq!(message.seq, seq, "seqs are dense and rise");
            order.push((message.id, message.from, message.text, message.at));
        }
        order
    });
    let orders = futures_util::future::join_all(reading).await;
    for sent in sending {
        sent.await.expect("a sender");
    }
    assert!(orders.windows(2).all(|pair| pair[0] == pair[1]), "two members saw different orders");
    for number in 0..SENDERS {
        let own = |text: &&Text| text.as_str().starts_with(&format!("{number}:"));
        let counts: Vec<&Text> = orders[0].iter().map(|(_, _, text, _)| text).filter(own).collect();
        let expected: Vec<String> = (0..EACH).map(|count| format!("{number}:{count}")).collect();
        assert!(counts.iter().map(|text| text.as_str()).eq(expected.iter().map(String::as_str)));
    }
}

pub async fn keeps_the_order_in_which_one_client_asked<S: Server>() {
    const MESSAGES: usize = 2 * Limits::REQUESTS_IN_FLIGHT;
    let server = TestServer::<S>::open().await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let (at_ann, mut at_bob) = (ann.connect().await.sender, bob.connect().await);
    // Over POST, only the requests in one array keep their order.
    if <<S::Client as Client>::Sender as Sender>::IN_ORDER {
        // How many requests are under way at once. They are started one after another.
        const AT_ONCE: usize = 16;
        for part in 0..MESSAGES / AT_ONCE {
            let numbers = part * AT_ONCE..(part + 1) * AT_ONCE;
            let all = numbers.map(|number| at_ann.ask(message(To::User(bob.id()), &number.to_string())));
            futures_util::future::join_all(all).await;
        }
    } else {
        for part in 0..MESSAGES / Limits::REQUESTS_IN_FLIGHT {
            let numbers = part * Limits::REQUESTS_IN_FLIGHT..(part + 1) * Limits::REQUESTS_IN_FLIGHT;
            let requests: Vec<_> = numbers
                .map(|number| message(To::User(bob.id()), &number.to_string()))
                .map(|command| chat_core::protocol::Request { request_id: None, command })
                .collect();
            let post = ann.target.request(reqwest::Method::POST, "/api/commands", &ann.token);
            let answer = post.json(&requests).send().await.expect("an answer");
            let replies: Vec<chat_core::protocol::Reply> = chat_client::read(answer).await.expect("replies");
            assert_eq!(replies.len(), requests.len());
        }
    }
    for number in 0..MESSAGES {
        assert_eq!(at_bob.next_message().await.text.as_str(), number.to_string());
    }
}

pub async fn carries_any_text_unchanged<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let (at_ann, mut at_bob) = (ann.connect().await, bob.connect().await);
    let longest = "\0".repeat(Text::MAX_BYTES);
    let texts = [
        "two\nlines",
        "a\r\nb\rc",
        "\0",
        "👩‍👩‍👧 emoji",
        "data: x\n\nid: 7\nevent: y",
        "\u{2028}\u{2029}\u{85}",
        "\u{FEFF}bom",
        "\"quotes\" \\ and </script>",
        " ",
        "\u{10FFFF}",
        "]}{[",
        longest.as_str(),
    ];
    for text in texts {
        at_ann.send(To::User(bob.id()), text).await;
        assert_eq!(at_bob.next_message().await.text.as_str(), text);
    }
    let conversation = bob.target.snapshot(&bob.token).await.expect("a snapshot").conversations[0].id;
    let history = bob.target.history(&bob.token, conversation, None, 50).await.expect("a history");
    assert!(history.messages.iter().map(|message| message.text.as_str()).eq(texts));
}

pub async fn serves_several_sessions_of_one_user<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let bob_again = server.sign_in(&bob.user).await;
    let (at_ann, mut first, mut second) =
        (ann.connect().await, bob.connect().await, bob_again.connect().await);
    at_ann.send(To::User(bob.id()), "to both").await;
    first.until_text("to both").await;
    second.until_text("to both").await;
    // What one session sends, the other one receives.
    first.send(To::User(ann.id()), "from the first").await;
    second.until_text("from the first").await;
    // And each session goes on when the other one has ended.
    drop(first);
    at_ann.send(To::User(bob.id()), "to the second").await;
    second.until_text("to the second").await;
}

pub async fn tells_only_the_sender_of_a_refusal<S: Server>() {
    let server = TestServer::<S>::open().await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let (mut at_ann, mut at_bob) = (ann.connect().await, bob.connect().await);
    let group = at_ann.create_group("rust").await;
    let refusal = at_bob.ask(message(To::Conversation(group), "let me in")).await.expect_err("a refusal");
    assert_eq!(refusal.code, Code::NotAMember);
    at_bob.send(To::User(ann.id()), "why?").await;
    assert_eq!(texts(&at_ann.until_text("why?").await), ["why?"]);
    assert_eq!(texts(&at_bob.until_text("why?").await), ["why?"]);
}
