//! The observers: what recorded conversations mean. It must never matter how a stream is cut.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

#[path = "support/conversation.rs"]
mod conversation;
#[path = "support/recording.rs"]
mod recording;

use conversation::{Turn, check, observe};
use recording::{read, write};
use wiretap::{Direction, Note, Observe, Observer, What};

/// Recordings of real servers, and conversations written by hand from the RFCs.
const RECORDINGS: [(&str, &str); 7] = [
    ("event-stream", include_str!("recordings/event-stream.txt")),
    ("http", include_str!("recordings/http.txt")),
    ("longpoll", include_str!("recordings/longpoll.txt")),
    ("opaque", include_str!("recordings/opaque.txt")),
    ("rfc6455", include_str!("recordings/rfc6455.txt")),
    ("sse", include_str!("recordings/sse.txt")),
    ("websocket", include_str!("recordings/websocket.txt")),
];

#[test]
fn recordings_mean_what_is_written_below_them() {
    for (name, recording) in RECORDINGS {
        let written: String =
            recording.lines().filter(|line| line.starts_with('=')).map(|line| format!("{line}\n")).collect();
        let seen = write(&observe(&read(recording), Observe::Events, || usize::MAX));
        assert!(seen == written, "{name} is seen as\n{seen}");
    }
}

#[test]
fn recordings_mean_the_same_cut_at_every_place() {
    for (name, recording) in RECORDINGS {
        let turns = read(recording);
        let longest = turns.iter().filter_map(|(_, bytes)| bytes.as_ref()).map(Vec::len).max().unwrap();
        assert!(longest > 10, "{name} is empty");
        for place in 1..=longest {
            // Once in two at this place, and once in pieces of this length.
            let mut pieces = [place, usize::MAX].into_iter().cycle();
            check(&turns, || pieces.next().unwrap());
            check(&turns, || place);
        }
    }
}

#[test]
fn secrets_are_not_in_what_is_shown() {
    let secrets = ["correct horse", "d37dcebff0", "b675b8d9ef", "hunter2", "a=b", "Authorization: secret"];
    for (name, recording) in RECORDINGS {
        for note in observe(&read(recording), Observe::Events, || usize::MAX).notes {
            let shown = String::from_utf8_lossy(&note.raw).into_owned();
            for secret in secrets {
                assert!(!shown.contains(secret), "{name}: {shown}");
            }
        }
    }
}

const UP: Direction = Direction::ToServer;
const DOWN: Direction = Direction::ToClient;

fn said(direction: Direction, bytes: impl AsRef<[u8]>) -> Turn {
    (direction, Some(bytes.as_ref().to_vec()))
}

fn whats(turns: &[Turn]) -> Vec<String> {
    let seen = check(turns, || 1);
    seen.notes.iter().map(|note| format!("{} {}", note.direction.arrow(), note.what)).collect()
}

/// An exchange after which both sides speak WebSocket.
fn handshake() -> Vec<Turn> {
    vec![
        said(UP, "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"),
        said(DOWN, "HTTP/1.1 101 \r\nUpgrade: websocket\r\n\r\n"),
    ]
}

#[test]
fn a_secret_in_a_masked_and_fragmented_message_is_hidden_under_its_mask() {
    let mut turns = handshake();
    let (one, two) = (br#"{"pass"#, br#"word":"hunter2"}"#);
    for (first, key, payload) in [(0x01, [1, 2, 3, 4], &one[..]), (0x80, [9, 8, 7, 6], &two[..])] {
        let mut frame = vec![first, 0x80 | payload.len() as u8];
        frame.extend(key);
        frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        turns.push(said(UP, frame));
    }
    let notes = check(&turns, || 1).notes;
    let unmasked: String = notes[2..]
        .iter()
        .flat_map(|Note { raw, .. }| {
            raw[6..].iter().zip(raw[2..6].iter().cycle()).map(|(byte, key)| byte ^ key)
        })
        .map(char::from)
        .collect();
    assert_eq!(unmasked, r#"{"password":"*******"}"#);
}

#[test]
fn a_tunnel_and_other_protocols_are_opaque_from_their_first_byte() {
    for (ask, answer) in [
        ("CONNECT a:1 HTTP/1.1\r\n\r\n", "HTTP/1.1 200 \r\n\r\n"),
        ("GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n", "HTTP/1.1 101 \r\nUpgrade: h2c\r\n\r\n"),
    ] {
        let turns = [said(UP, ask), said(DOWN, answer), said(UP, "GET /"), said(DOWN, "HTTP/")];
        let seen = check(&turns, || 1);
        assert_eq!((seen.to_server.layers.http_head, seen.to_server.layers.opaque), (ask.len() as u64, 5));
        assert_eq!((seen.to_client.layers.http_head, seen.to_client.layers.opaque), (answer.len() as u64, 5));
    }
}

#[test]
fn a_refused_upgrade_leaves_http() {
    let turns = [
        said(UP, "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"),
        said(DOWN, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"),
        said(UP, "GET / HTTP/1.1\r\n\r\n"),
        said(DOWN, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ];
    assert_eq!(
        whats(&turns),
        [
            "↑ GET /ws HTTP/1.1",
            "↓ HTTP/1.1 403 Forbidden",
            "↓ body 2 B",
            "↑ GET / HTTP/1.1",
            "↓ HTTP/1.1 200 OK"
        ]
    );
}

#[test]
fn bytes_ahead_of_the_switch_are_no_frames() {
    let mut turns = handshake();
    turns[0].1.as_mut().unwrap().extend(b"GET /");
    turns.push(said(UP, b"\x81\x80\0\0\0\0"));
    assert_eq!(
        whats(&turns)[1..],
        ["↓ HTTP/1.1 101", "↑ unfinished head", "↑ opaque from here: bytes ahead of the switch"]
    );
}

#[test]
fn what_cannot_be_framed_is_opaque_from_the_byte_that_shows_it() {
    let get = "GET / HTTP/1.1\r\n\r\n";
    let ok = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let frame = |bytes: &[u8]| [handshake(), vec![said(DOWN, bytes)]].concat();
    let answer = |text: String| vec![said(UP, get), said(DOWN, text)];
    for (turns, understood, why) in [
        (answer(format!("{ok}5\r\nhelloXY")), ok.len() + 8, "a malformed chunk"),
        (answer(format!("{ok}x")), ok.len(), "a malformed chunk"),
        (answer(format!("{ok};\r\n")), ok.len(), "a malformed chunk"),
        (answer(format!("{ok}{}1\r\n", "0".repeat(16))), ok.len() + 16, "a malformed chunk"),
        (answer("HTTP/2".into()), 5, "not HTTP/1"),
        (answer("HTTP/1.1 abc\r\n\r\n...".into()), 16, "a malformed head"),
        (answer("HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx".into()), 39, "a body of unknown length"),
        (answer("HTTP/1.1 200 OK\r\nContent-Length: 1,2\r\n\r\nx".into()), 40, "a body of unknown length"),
        (frame(&[0x81, 127, 0x80, 0, 0]), 39, "a malformed frame"),
    ] {
        let seen = check(&turns, || 1);
        let note = seen.notes.last().unwrap();
        assert_eq!(note.what.to_string(), format!("opaque from here: {why}"), "{turns:?}");
        assert_eq!(note.bytes, understood as u64..understood as u64, "{why}");
        assert_eq!(seen.to_client.layers.opaque, seen.to_client.bytes - understood as u64);
    }
}

#[test]
fn the_longest_chunk_and_the_longest_frame_are_only_long() {
    let turns = [
        said(UP, "GET / HTTP/1.1\r\n\r\n"),
        said(DOWN, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc"),
    ];
    assert_eq!(whats(&turns)[2], "↓ chunk 0xffffffffffffffff");
    let frame = b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xffabc";
    let seen = check(&[handshake(), vec![said(DOWN, frame)]].concat(), || 1);
    assert_eq!((seen.to_client.layers.payload, seen.to_client.layers.opaque), (3, 0));
}

#[test]
fn an_observer_remembers_no_more_than_it_has_to() {
    let event_stream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let get = || said(UP, "GET / HTTP/1.1\r\n\r\n");
    for (turns, endless) in [
        (vec![], said(UP, "GET / HTTP/1.1\r\nX: ")),
        (vec![], said(UP, "\r\n")),
        (vec![get()], said(DOWN, chunked.to_owned() + "1;")),
        (vec![get()], said(DOWN, chunked.to_owned() + "0\r\nX:")),
        (vec![get()], said(DOWN, event_stream.to_owned() + "id: ")),
        (vec![get()], said(DOWN, event_stream.to_owned() + "unknown")),
        (vec![get()], said(DOWN, event_stream.to_owned() + "data: ")),
        (vec![get()], said(DOWN, "HTTP/1.1 200 OK\r\n\r\n")),
        (handshake(), said(UP, b"\x81\xff\0\0\0\0\xff\xff\xff\xff\0\0\0\0")),
    ] {
        let mut observer = Observer::new(Observe::Events);
        let (direction, start) = endless.clone();
        for (direction, bytes) in turns.iter().chain([&endless]) {
            observer.feed(*direction, bytes.as_ref().unwrap());
        }
        let more: &[u8] = if start.unwrap() == b"\r\n" { b"\r\n" } else { b"x" };
        let more = more.repeat(1_000_000 / more.len());
        for _ in 0..3 {
            observer.feed(direction, &more);
        }
        // Its whole state, written out as text: about five letters for each byte of a buffer.
        let remembered = format!("{observer:?}").len();
        assert!(remembered < 64 * 1024 * 5 + 10_000, "{remembered} letters after {endless:?}");
        assert_eq!(observer.take_notes().filter(|note| note.raw.len() > wiretap::RAW_BYTES).count(), 0);
    }
}

#[test]
fn a_client_that_asks_and_asks_is_no_longer_followed() {
    let ask = "GET / HTTP/1.1\r\n\r\n";
    let answer = "HTTP/1.1 204 \r\n\r\n";
    let turns = [said(UP, ask.repeat(258)), said(DOWN, answer.repeat(257))];
    let seen = check(&turns, || 7);
    assert_eq!((seen.to_server.heads, seen.to_server.layers.opaque), (257, ask.len() as u64));
    // Only the answers to the requests that were followed are understood.
    assert_eq!((seen.to_client.heads, seen.to_client.layers.opaque), (256, answer.len() as u64));
}

#[test]
fn what_is_not_observed_is_opaque() {
    let turns = [said(UP, "GET / HTTP/1.1\r\n\r\n"), (UP, None)];
    let seen = observe(&turns, Observe::Bytes, || usize::MAX);
    assert_eq!((seen.to_server.layers.opaque, seen.to_server.heads, seen.notes.len()), (18, 0, 0));
}

#[test]
fn nothing_in_a_summary_moves_the_cursor_of_a_terminal() {
    let block = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nid: \x1b[2J\n\n";
    let seen = check(&[said(UP, "GET / HTTP/1.1\r\n\r\n"), said(DOWN, block)], || 1);
    let summary = seen.notes.last().unwrap().what.to_string();
    assert_eq!(summary, "id \u{FFFD}[2J");
    assert!(matches!(seen.notes[2].what, What::Block(_)));
}
