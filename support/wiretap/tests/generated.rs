//! The observers on generated conversations: what was put in is what is counted, however it is cut. Random bytes cause
//! no panic.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

#[path = "support/conversation.rs"]
mod conversation;
#[path = "support/noise.rs"]
mod noise;

use std::ops::Range;

use conversation::{Turn, check};
use proptest::collection::vec;
use proptest::prelude::*;
use wiretap::{Direction, Flow};

const UP: Direction = Direction::ToServer;
const DOWN: Direction = Direction::ToClient;

/// Bytes that are sent, and the counts that they have to give.
#[derive(Debug, Clone, Default)]
struct Sent {
    bytes: Vec<u8>,
    flow: Flow,
}

impl Sent {
    fn head(mut self, text: &str) -> Self {
        self.bytes.extend(text.as_bytes());
        self.flow.layers.http_head += text.len() as u64;
        self.flow.heads += 1;
        self
    }

    fn framing(&mut self, bytes: impl AsRef<[u8]>) {
        self.bytes.extend(bytes.as_ref());
        self.flow.layers.framing += bytes.as_ref().len() as u64;
    }

    fn payload(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.flow.layers.payload += bytes.len() as u64;
    }

    fn turn(&self, direction: Direction) -> Turn {
        (direction, Some(self.bytes.clone()))
    }
}

/// A message with this start line, its body by length or in chunks of these sizes.
fn message(start: &str, body: &[u8], chunks: Option<Vec<usize>>) -> Sent {
    let Some(sizes) = chunks else {
        let mut sent = Sent::default().head(&format!("{start}\r\nContent-Length: {}\r\n\r\n", body.len()));
        sent.payload(body);
        return sent;
    };
    let mut sent = Sent::default().head(&format!("{start}\r\nTransfer-Encoding: chunked\r\n\r\n"));
    for chunk in pieces(body.len(), &sizes) {
        sent.framing(format!("{:x}\r\n", chunk.len()));
        sent.payload(&body[chunk]);
        sent.framing("\r\n");
        sent.flow.chunks += 1;
    }
    sent.framing("0\r\n\r\n");
    sent.flow.chunks += 1;
    sent
}

/// Ranges of these sizes, again and again, up to the end.
fn pieces(length: usize, sizes: &[usize]) -> Vec<Range<usize>> {
    let (mut from, mut ranges) = (0, Vec::new());
    for size in sizes.iter().cycle() {
        if from == length {
            break;
        }
        let to = length.min(from + size);
        ranges.push(from..to);
        from = to;
    }
    ranges
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..120)
}

fn chunks() -> impl Strategy<Value = Option<Vec<usize>>> {
    prop::option::of(vec(1..40_usize, 1..4))
}

/// A request and its response.
fn exchange() -> impl Strategy<Value = (Sent, Sent)> {
    let methods = prop::sample::select(vec!["GET", "POST", "HEAD"]);
    let statuses = prop::sample::select(vec![200, 204, 304, 404]);
    (methods, statuses, body(), chunks(), body(), chunks()).prop_map(
        |(method, status, asked, asked_chunks, answered, answered_chunks)| {
            let request = message(&format!("{method} /path HTTP/1.1"), &asked, asked_chunks);
            let start = format!("HTTP/1.1 {status} Reason");
            let response = if method == "HEAD" || matches!(status, 204 | 304) {
                Sent::default().head(&format!("{start}\r\nContent-Length: 1000\r\n\r\n"))
            } else {
                message(&start, &answered, answered_chunks)
            };
            (request, response)
        },
    )
}

/// A line of an event stream: which part of it is payload, if any, and whether it is a comment.
fn line() -> impl Strategy<Value = (String, Option<Range<usize>>, bool)> {
    let value = "[a-z:{}\" é]{0,12}";
    prop_oneof![
        value.prop_map(|value| {
            // One space after the colon is no part of the value.
            let spaced = usize::from(value.starts_with(' '));
            let line = format!("data:{value}");
            (line.clone(), Some(5 + spaced..line.len()), false)
        }),
        Just(("data".to_owned(), Some(4..4), false)),
        value.prop_map(|value| (format!(":{value}"), None, true)),
        value.prop_map(|value| (format!("id: {value}"), None, false)),
        value.prop_map(|value| (format!("dataset: {value}"), None, false)),
        Just(("retry: 1".to_owned(), None, false)),
    ]
}

/// A stream of blocks. Each line ends in one of three ways, and chunks are cut anywhere.
fn event_stream() -> impl Strategy<Value = Sent> {
    let end = prop::sample::select(vec!["\n", "\r\n", "\r"]);
    (vec(vec((line(), end.clone()), 0..4), 1..5), end, vec(1..40_usize, 1..4)).prop_map(
        |(blocks, end, sizes)| {
            let mut content = Sent::default();
            for block in blocks {
                content.flow.events += u64::from(block.iter().any(|((_, data, _), _)| data.is_some()));
                for ((line, data, is_comment), end) in block {
                    content.flow.comments += u64::from(is_comment);
                    let data = data.unwrap_or(line.len()..line.len());
                    content.framing(&line[..data.start]);
                    content.payload(&line.as_bytes()[data]);
                    content.framing(end);
                    // This keeps a line end from being taken for the second half of the one before.
                    content.framing(": \n");
                    content.flow.comments += 1;
                }
                content.framing(end);
                content.framing(":\n");
                content.flow.comments += 1;
            }
            let start = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream";
            let mut sent = message(start, &content.bytes, Some(sizes));
            let chunked = sent.flow.layers.framing;
            sent.flow.layers = content.flow.layers;
            sent.flow.layers.http_head = sent.bytes.len() as u64 - chunked - content.bytes.len() as u64;
            sent.flow.layers.framing += chunked;
            (sent.flow.events, sent.flow.comments) = (content.flow.events, content.flow.comments);
            sent
        },
    )
}

/// A frame with any opcode, any flags, any form of length that fits, masked or not.
fn frame() -> impl Strategy<Value = Sent> {
    let length = prop_oneof![0..10_usize, 120..130_usize, 250..300_usize];
    (any::<u8>(), any::<Option<[u8; 4]>>(), 0..3_usize, length).prop_map(|(first, mask, form, length)| {
        let mut sent = Sent::default();
        let masked = if mask.is_some() { 0x80 } else { 0 };
        sent.framing([first]);
        match form {
            0 if length < 126 => sent.framing([masked | length as u8]),
            0 | 1 => {
                sent.framing([masked | 126]);
                sent.framing((length as u16).to_be_bytes());
            }
            _ => {
                sent.framing([masked | 127]);
                sent.framing((length as u64).to_be_bytes());
            }
        }
        sent.framing(mask.unwrap_or_default().get(..mask.map_or(0, |key| key.len())).unwrap());
        let payload = vec![b'x'; length];
        let frames = &mut sent.flow.frames;
        *match first & 0xF {
            0 => &mut frames.continuation,
            1 => &mut frames.text,
            2 => &mut frames.binary,
            8 => &mut frames.close,
            9 => &mut frames.ping,
            10 => &mut frames.pong,
            _ => &mut frames.reserved,
        } += 1;
        if first & 0xF < 8 {
            sent.payload(&payload)
        } else {
            sent.framing(&payload)
        }
        sent
    })
}

/// The whole life of a connection, and what has to be counted each way.
fn conversation() -> impl Strategy<Value = (Vec<Turn>, Flow, Flow)> {
    let frames = || vec(frame(), 0..6);
    let streams = prop::option::of(event_stream());
    let switch = prop::option::of((frames(), frames()));
    (vec(exchange(), 0..5), any::<bool>(), streams, switch).prop_map(
        |(mut exchanges, pipelined, stream, switch)| {
            if let Some(stream) = stream {
                exchanges.push((Sent::default().head("GET /events HTTP/1.1\r\n\r\n"), stream));
            }
            let mut switched = Vec::new();
            if let Some((up, down)) = switch {
                let request = Sent::default().head("GET /ws HTTP/1.1\r\nUpgrade: WebSocket\r\n\r\n");
                let response = Sent::default().head("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n");
                exchanges.push((request, response));
                switched.extend(up.into_iter().map(|frame| (UP, frame)));
                switched.extend(down.into_iter().map(|frame| (DOWN, frame)));
            }
            let (asked, answered): (Vec<_>, Vec<_>) =
                exchanges.into_iter().map(|(request, response)| ((UP, request), (DOWN, response))).unzip();
            let mut sent: Vec<(Direction, Sent)> = match pipelined {
                true => asked.into_iter().chain(answered).collect(),
                false => asked.into_iter().zip(answered).flat_map(|(one, other)| [one, other]).collect(),
            };
            sent.extend(switched);
            let (mut turns, mut to_server, mut to_client) = (Vec::new(), Flow::default(), Flow::default());
            for (direction, mut sent) in sent {
                turns.push(sent.turn(direction));
                sent.flow.bytes = sent.bytes.len() as u64;
                *(if direction == UP { &mut to_server } else { &mut to_client }) += sent.flow;
            }
            turns.extend([(UP, None), (DOWN, None)]);
            (turns, to_server, to_client)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_was_put_in_is_what_is_counted(
        (turns, to_server, to_client) in conversation(),
        sizes in vec(1..50_usize, 1..6),
    ) {
        let mut sizes = sizes.into_iter().cycle();
        let seen = check(&turns, || sizes.next().unwrap());
        prop_assert_eq!(seen.to_server, to_server);
        prop_assert_eq!(seen.to_client, to_client);
    }

    #[test]
    fn a_conversation_with_bytes_changed_is_survived(
        (mut turns, ..) in conversation(),
        changes in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..8),
        size in 1..9_usize,
    ) {
        for (turn, place, byte) in changes {
            let turn = turn.index(turns.len());
            if let Some(bytes) = turns[turn].1.as_mut().filter(|bytes| !bytes.is_empty()) {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
        }
        check(&turns, || size);
    }

    #[test]
    fn noise_is_survived(noise in vec(any::<u8>(), 2..600)) {
        let (turns, piece) = noise::from_noise(&noise).unwrap();
        check(&turns, || piece);
    }
}
