//! People who talk on the command line: over every transport, in groups, across disconnects, each message once.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod support;

use serde_json::Value;

use support::{World, transports};

#[tokio::test]
async fn two_people_talk_over_every_transport() {
    let world = World::open().await;
    for transport in transports() {
        let over = |arguments: &[&'static str]| [arguments, &["--transport", transport]].concat();
        let (ann, bob) = (format!("Ann {transport}"), format!("Bob {transport}"));
        let registered = world.run(&[&["register", &ann][..], &over(&[])].concat()).await;
        assert!(registered.succeeded().starts_with(&format!("signed in as {ann} (u")));
        world.run(&["register", &bob]).await.succeeded();
        world.run(&[&["login", &bob][..], &over(&[])].concat()).await.succeeded();

        let mut tail = world.tail(&[&["--as", &bob, "--count", "2"][..], &over(&[])].concat()).await;
        world
            .run(&[&["--as", &ann, "send", &bob, "hello,", "Bob"][..], &over(&[])].concat())
            .await
            .succeeded();
        // A user's own messages come too, so that a script sees the whole conversation.
        world.run(&[&["--as", &bob, "send", &ann, "hello, Ann"][..], &over(&[])].concat()).await.succeeded();
        let (first, second) = (tail.message().await, tail.message().await);
        for (line, said) in [(first, format!("{ann}: hello, Bob")), (second, format!("{bob}: hello, Ann"))] {
            let columns: Vec<&str> = line.split("  ").filter(|column| !column.is_empty()).collect();
            let [time, conversation, what] = columns[..] else { panic!("{line}") };
            assert!(time.len() == 20 && time.starts_with("20") && time.ends_with('Z'), "{line}");
            assert_eq!((conversation, what.trim()), (&*format!("@{ann}"), &*said));
        }
        assert_eq!(tail.ended().await.0, Some(0));
    }
}

#[tokio::test]
async fn a_tail_goes_on_where_the_last_one_ended() {
    let world = World::open().await.with_ann_and_bob().await;
    for transport in transports() {
        let count = ["--count", "1", "--transport", transport];
        let mut tail = world.tail(&count).await;
        for text in ["one", "two"] {
            world.run(&["--as", "ann", "send", "bob", text]).await.succeeded();
        }
        assert!(tail.message().await.ends_with("Ann: one"));
        let (_, said) = tail.ended().await;
        let cursor = said.trim().strip_prefix("To go on from here: cargo chat tail --after ").unwrap();
        let mut tail = world.tail(&[&["--after", cursor][..], &count].concat()).await;
        assert!(tail.message().await.ends_with("Ann: two"), "{transport}");
    }
}

#[tokio::test]
async fn a_message_is_stored_once_though_its_first_reply_is_lost() {
    for transport in transports() {
        let world = World::cut_at(r#""type":"reply""#).await.with_ann_and_bob().await;
        let sent = world.run(&["--json", "--transport", transport, "send", "Ann", "once"]).await;
        assert_eq!(sent.json()[0]["ok"]["duplicate"], true, "{transport}: {}", sent.stdout());
        assert!(sent.stderr().contains("asking again, with the same ids"), "{}", sent.stderr());
        assert_eq!(world.run(&["history", "Ann"]).await.succeeded().lines().count(), 1, "{transport}");
        assert!(world.cuts() > 0);
    }
}

#[tokio::test]
async fn a_tail_that_is_cut_comes_back_and_prints_everything_once() {
    for transport in transports() {
        let world = World::cut_at(r#""text":"two""#).await.with_ann_and_bob().await;
        let mut tail = world.tail(&["--json", "--count", "3", "--transport", transport]).await;
        for text in ["one", "two", "three"] {
            // Over a WebSocket, Ann would also receive her own message, and this connection would be cut.
            world.run(&["--as", "ann", "send", "bob", text, "--transport", "sse"]).await.succeeded();
        }
        let mut texts = Vec::new();
        while texts.len() < 3 {
            let event: Value = serde_json::from_str(&tail.line().await).unwrap();
            if event["type"] == "message" {
                texts.push(event["text"].as_str().unwrap().to_owned());
            }
        }
        assert_eq!(texts, ["one", "two", "three"], "{transport}");
        let (code, said) = tail.ended().await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("coming back in"), "{transport} was not cut: {said}");
    }
}

#[tokio::test]
async fn a_cursor_that_is_of_no_use_leads_to_the_present() {
    let world = World::open().await.with_ann_and_bob().await;
    for transport in transports() {
        let tail = ["--after", "00000000.1", "--count", "1", "--json", "--transport", transport];
        let mut tail = world.tail(&tail).await;
        assert_eq!(tail.line().await, r#"{"type":"reset","reason":"unknown"}"#, "{transport}");
        tail.complains("reading on from now").await;
        world.run(&["--as", "ann", "send", "bob", "hi"]).await.succeeded();
        assert_eq!(tail.ended().await.0, Some(0));
    }
}

#[tokio::test]
async fn groups_are_founded_joined_written_to_and_left() {
    let world = World::open().await.with_ann_and_bob().await;
    assert_eq!(world.run(&["--as", "Ann", "groups", "create", "rust"]).await.succeeded(), "founded: c1\n");
    let refused = world.run(&["send", "#rust", "hi"]).await;
    assert!(refused.failed(1).starts_with("error: refused (not_a_member): "), "{}", refused.stderr());
    assert!(refused.stderr().contains("cargo chat groups join"), "{}", refused.stderr());

    assert_eq!(world.run(&["groups", "join", "#Rust"]).await.succeeded(), "joined c1\n");
    assert_eq!(
        world.run(&["groups"]).await.succeeded().split_whitespace().collect::<Vec<_>>(),
        ["c1", "#rust", "2", "members", "joined"]
    );
    // The group is given by its name, with and without `#`, and by its id.
    for to in ["#rust", "rust", "c1"] {
        world.run(&["send", to, "hi"]).await.succeeded();
    }
    let history = world.run(&["--as", "Ann", "history", "rust", "--limit", "2"]).await;
    let lines: Vec<&str> = history.succeeded().lines().collect();
    assert!(lines.len() == 2 && lines[1].ends_with("#rust       Bob: hi"), "{lines:?}");
    assert_eq!(history.stderr(), "there are older ones: --before 2\n");

    assert_eq!(world.run(&["groups", "leave", "rust"]).await.succeeded(), "left c1\n");
    world.run(&["send", "rust", "hi"]).await.failed(1);
}

#[tokio::test]
async fn a_name_that_could_mean_two_things_is_not_guessed() {
    let world = World::open().await.with_ann_and_bob().await;
    for group in ["ann", "twice", "twice"] {
        world.run(&["groups", "create", group]).await.succeeded();
    }
    assert!(world.run(&["send", "Ann", "hi"]).await.failed(1).contains("'@Ann' or '#Ann'"));
    assert!(world.run(&["send", "#twice", "hi"]).await.failed(1).contains("c2, c3"));
    world.run(&["send", "@Ann", "hi"]).await.succeeded();
    // A user whose name looks like the id of a conversation gets no message that was meant for it.
    world.run(&["register", "c1"]).await.succeeded();
    assert!(world.run(&["--as", "Bob", "send", "c1", "hi"]).await.succeeded().contains("in c1 "));
    assert_eq!(world.run(&["--as", "Bob", "history", "c1"]).await.succeeded().lines().count(), 1);
    assert!(world.run(&["--as", "Bob", "history", "@c1"]).await.succeeded().is_empty());
}

#[tokio::test]
async fn lines_of_stdin_become_messages_in_their_order() {
    let world = World::open().await.with_ann_and_bob().await;
    // These are more messages than the server accepts at once from one user, so some are refused at first.
    let lines: Vec<String> = (1..=55).map(|number| format!("line {number}")).collect();
    for transport in ["websocket", "longpoll"] {
        let arguments = ["--transport", transport, "send", "Ann", "-"];
        world.run_with(&arguments, format!("{}\r\n\nlast", lines.join("\n"))).await.succeeded();
        let history = world.run(&["--json", "history", "Ann", "--limit", "56"]).await.json();
        let texts: Vec<&str> = history.iter().map(|message| message["text"].as_str().unwrap()).collect();
        assert_eq!(texts, lines.iter().map(String::as_str).chain(["last"]).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_server_alone_offers_what_it_has() {
    let world = World::alone(&sse_server::PROGRAM).await.with_ann_and_bob().await;
    let tail = world.tail(&["--count", "1"]).await;
    world.run(&["send", "ann", "hi"]).await.succeeded();
    assert_eq!(tail.ended().await.0, Some(0));
    let refused = world.run(&["--transport", "websocket", "people"]).await;
    assert!(refused.failed(2).contains("serves no websocket, but: sse."), "{}", refused.stderr());
}
