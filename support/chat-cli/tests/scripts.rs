//! What scripts rely on: exit codes, only JSON on stdout, and an end without a panic.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod support;

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use support::{Tail, World, end, transports};

#[tokio::test]
async fn json_is_alone_on_stdout() {
    let world = World::open().await;
    let user = world.run(&["--json", "register", "Ann"]).await.json();
    assert_eq!(user, [serde_json::json!({"id": "u1", "name": "Ann"})]);
    world.run(&["register", "Bob"]).await.succeeded();
    world.run(&["groups", "create", "rust"]).await.succeeded();
    world.run(&["send", "rust", "hi"]).await.succeeded();
    // Each command, with the lines that it prints and a field of the last one.
    for (arguments, lines, field) in [
        (&["people"][..], 2, "online"),
        (&["groups"], 1, "joined"),
        (&["history", "#rust"], 1, "seq"),
        (&["send", "rust", "hi"], 1, "ok"),
        (&["groups", "join", "rust"], 1, "ok"),
        (&["--hex", "send", "rust", "hi"], 1, "ok"),
    ] {
        let printed = world.run(&[arguments, &["--json"]].concat()).await.json();
        assert_eq!(printed.len(), lines, "{arguments:?}");
        assert!(printed.last().unwrap().get(field).is_some(), "{arguments:?}: {printed:?}");
    }
    let refused = world.run(&["--json", "groups", "leave", "c9"]).await;
    refused.failed(1);
    let reply: Value = serde_json::from_str(refused.stdout()).unwrap();
    assert_eq!(reply["refusal"]["code"], "unknown_conversation");
}

#[tokio::test]
async fn what_a_terminal_would_obey_is_printed_and_not_obeyed() {
    let world = World::open().await.with_ann_and_bob().await;
    let text = "\u{1b}]0;owned\u{7}\u{9b}2Jx\u{7f}\n2026-01-01 00:00:00Z  @Ann  Ann: forged\u{202e}";
    let mut tails = [world.tail(&["--count", "1"]).await, world.tail(&["--count", "1", "--json"]).await];
    world.run(&["--as", "Ann", "send", "Bob", text]).await.succeeded();
    let line = tails[0].message().await;
    let shown = r"\u{1b}]0;owned\u{7}\u{9b}2Jx\u{7f}\n2026-01-01 00:00:00Z  @Ann  Ann: forged\u{202e}";
    assert!(line.ends_with(shown), "{line:?}");
    let event = loop {
        let line = tails[1].line().await;
        assert!(!line.contains(['\u{1b}', '\u{9b}', '\u{7f}', '\u{202e}']), "{line:?}");
        let event: Value = serde_json::from_str(&line).unwrap();
        if event["type"] == "message" {
            break event;
        }
    };
    assert_eq!(event["text"], text);
    let shown = world.run(&["history", "Ann"]).await.succeeded().to_owned();
    assert_eq!(shown.chars().filter(|c| c.is_control()).count(), 1, "{shown:?}");
    // An error message repeats what was typed, which may have been pasted.
    let complaint = world.run(&["send", "\u{1b}[2J", "hi"]).await;
    assert!(complaint.failed(1).contains(r"\u{1b}[2J"), "{}", complaint.stderr());
}

#[tokio::test]
async fn raw_requests_are_sent_as_they_are_and_refusals_are_failures() {
    let world = World::open().await.with_ann_and_bob().await;
    let good = r#"{"request_id":"a","command":{"type":"send","to":{"user":"u1"},"cid":"1","text":"hi"}}"#;
    let bad = r#"{"request_id":"b","command":{"type":"dance"}}"#;
    for transport in transports() {
        let raw = ["raw", "--transport", transport];
        let replies = world.run(&[&raw[..], &[good]].concat()).await.json();
        assert_eq!((&replies[0]["request_id"], &replies[0]["ok"]["type"]), (&"a".into(), &"sent".into()));
        // Without arguments, requests come from stdin. Requests after a refusal are sent too.
        let lines = if transport == "sse" { &raw[..] } else { &[&raw[..], &["-"]].concat() };
        let refused = world.run_with(lines, format!("{bad}\n{good}\n")).await;
        assert_eq!(refused.failed(1), "error: 1 of 2 requests refused\n");
        let lines: Vec<Value> =
            refused.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            (&lines[0]["request_id"], &lines[0]["refusal"]["code"]),
            (&"b".into(), &"bad_request".into())
        );
        assert_eq!((&lines[1]["request_id"], &lines[1]["ok"]["duplicate"]), (&"a".into(), &true.into()));
        // This is not JSON. A POST answers with a refusal; a WebSocket is closed.
        let broken = world.run(&[&raw[..], &["{"]].concat()).await;
        match transport {
            "websocket" => assert!(broken.failed(1).contains("4500 protocol_error")),
            _ => assert!(broken.failed(1).contains("1 of 1") && broken.stdout().contains("bad_request")),
        }
    }
}

#[tokio::test]
async fn a_text_of_another_program_is_sent_without_its_mark_and_its_line_ends() {
    let world = World::open().await.with_ann_and_bob().await;
    world.run_with(&["send", "Ann", "-"], "\u{FEFF}one\r\ntwo\r\n").await.succeeded();
    let history = world.run(&["history", "Ann", "--json"]).await.json();
    let texts: Vec<_> = history.iter().map(|message| message["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["one", "two"]);
    let request = r#"{"command":{"type":"send","to":{"user":"u1"},"cid":"1","text":"three"}}"#;
    for transport in transports() {
        let raw = ["raw", "--transport", transport];
        world.run_with(&raw, format!("\u{FEFF}{request}\r\n")).await.succeeded();
    }
    let wide: Vec<u8> = "\u{FEFF}four\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for arguments in [&["send", "Ann", "-"][..], &["raw"]] {
        let refused = world.run_with(arguments, &wide).await;
        let said = refused.failed(1);
        assert!(said.contains("stdin is UTF-16") && said.contains("iconv -f UTF-16 -t UTF-8"), "{said}");
    }
    assert_eq!(world.run(&["history", "Ann", "--json"]).await.json().len(), 3);
}

#[tokio::test]
async fn an_event_on_the_same_socket_is_not_taken_for_a_reply() {
    let world = World::open().await.with_ann_and_bob().await;
    let mut command = world.chat(&["raw", "--transport", "websocket"]);
    command.stdin(Stdio::piped());
    let mut raw = Tail::start(command);
    let mut stdin = raw.child.stdin.take().unwrap();
    for id in ["a", "b"] {
        let request = format!("{{\"request_id\":\"{id}\",\"command\":{{\"type\":\"dance\"}}}}\n");
        stdin.write_all(request.as_bytes()).await.unwrap();
        assert!(raw.line().await.starts_with(&format!(r#"{{"type":"reply","request_id":"{id}""#)));
        // Once Ann has the reply, Bob's event is on its way.
        world.run(&["--as", "Ann", "send", "Bob", "hi"]).await.succeeded();
    }
    drop(stdin);
    assert_eq!(raw.ended().await.0, Some(1));
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_named_with_the_remedy() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut world = World::open().await;
    world.address = listener.local_addr().unwrap();
    drop(listener);
    for arguments in [&["people"][..], &["tail"], &["login", "Ann"], &["raw", "{}"]] {
        let complaint = world.run(arguments).await;
        let said = complaint.failed(1);
        assert!(said.contains(&format!("nothing answers at http://{}", world.address)), "{said}");
        assert!(said.contains("refused") && said.contains("cargo run --release"), "{said}");
    }
}

#[tokio::test]
async fn another_program_at_the_other_end_is_not_taken_for_ours() {
    let mut world = World::open().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut request = [0; 1_024];
        assert_ne!(client.read(&mut request).await.unwrap(), 0);
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n<html>hello</html>";
        client.write_all(answer.as_bytes()).await.unwrap();
    });
    let complaint = world.run(&["people"]).await;
    assert!(complaint.failed(1).contains("is not Switchboard"), "{}", complaint.stderr());
}

#[tokio::test]
async fn wrong_use_and_failure_have_different_exit_codes() {
    let world = World::open().await.with_ann_and_bob().await;
    for wrong in [
        &["send", "Ann"][..],
        &["tail", "--after", "nonsense"],
        &["tail", "--count", "0"],
        &["people", "--server", "https://127.0.0.1:4000"],
        &["people", "--transport", "pigeon"],
        &["send", "Ann", "-", "--cid", "1"],
        &["dance"],
        &[],
    ] {
        world.run(wrong).await.failed(2);
    }
    let late = world.run(&["tail", "--count", "1", "--for", "100ms"]).await;
    assert!(late.failed(1).contains("not all of the messages came in time; 1 were to come"));
    world.run(&["tail", "--for", "100ms"]).await.succeeded();
}

#[tokio::test]
async fn an_interrupted_tail_says_where_to_go_on() {
    let world = World::open().await.with_ann_and_bob().await;
    for transport in transports() {
        let tail = world.tail(&["--transport", transport]).await;
        tail.signal("INT").await;
        let (code, said) = tail.ended().await;
        assert_eq!(code, Some(130), "{said}");
        assert!(said.starts_with("To go on from here: cargo chat tail --after "), "{said}");
    }
}

#[tokio::test]
async fn ctrl_c_ends_what_waits_for_its_reader_or_its_writer() {
    let world = World::open().await.with_ann_and_bob().await;
    // These messages are more than a pipe holds.
    let long = "x".repeat(8_000);
    for _ in 0..12 {
        world.run(&["send", "Ann", &long]).await.succeeded();
    }
    let mut history = Tail::start(world.chat(&["history", "Ann"]));
    history.line().await;
    history.signal("INT").await;
    assert_eq!(history.ended().await.0, Some(130));

    let mut command = world.chat(&["send", "Ann", "-", "--json"]);
    command.stdin(Stdio::piped());
    let mut sending = Tail::start(command);
    let stdin = sending.child.stdin.as_mut().unwrap();
    stdin.write_all(b"hi\n").await.unwrap();
    // The reply shows that the program reads stdin. It goes on reading.
    sending.line().await;
    sending.signal("INT").await;
    let stdin = sending.child.stdin.take();
    assert_eq!(sending.ended().await.0, Some(130));
    drop(stdin);
}

#[tokio::test]
async fn a_reader_that_closes_its_pipe_ends_the_program_quietly() {
    let world = World::open().await.with_ann_and_bob().await;
    let long = "x".repeat(8_000);
    for _ in 0..12 {
        // The message is sent by POST, so that Bob does not count as here yet.
        world.run(&["send", "Ann", &long, "--transport", "sse"]).await.succeeded();
    }
    let mut history = Tail::start(world.chat(&["history", "Ann"]));
    history.line().await;
    history.stdout = None;
    assert_eq!(history.ended().await, (Some(0), String::new()));
    // This also works in a quiet chat, where no write would fail.
    let mut tail = world.tail(&[]).await;
    assert!(tail.line().await.ends_with("here: Bob"));
    tail.stdout = None;
    let (code, said) = tail.ended().await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("To go on from here") && said.lines().count() == 1, "{said}");
    // A completion script is not always read to its end either.
    let mut completions = world.chat(&["completions", "bash"]);
    completions.stdout(Stdio::null());
    end(completions).await.succeeded();
    assert!(world.run(&["completions", "zsh"]).await.succeeded().starts_with("#compdef chat"));
}
