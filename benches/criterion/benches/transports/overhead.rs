//! What a message costs beside the network and the disk: encoding, framing, parsing.
//!
//! `encode`, `frame` and `parse` are single steps. An event is encoded once for all transports, and framed once for
//! each transport. Only a poll's response, the array around its events, is made for each client. These steps leave out
//! the heads and chunks of HTTP.
//!
//! `read_on` is the whole way of 960 messages that a client has missed, from the server's memory to the client's
//! parser, with heads, chunks and system calls. It includes opening the connection, which `connect` measures alone.
//! In this bench `memory` is not the floor. Like WebSocket's client, its client passes each event from one task to
//! another; the other clients have one task.

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use chat_core::protocol::{Encoding, Event, Frame, Request};
use chat_http::Server;
use criterion::{BenchmarkId, Criterion, Throughput};
use serde_json::json;
use sse_server::EventStream;
use tokio_tungstenite::tungstenite::protocol::frame::Frame as WsFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::connect::Missed;
use crate::{Group, row};

/// Lengths of texts, in bytes: a typical message, a paragraph, the longest.
const TEXTS: [usize; 3] = [32, 1_024, 8_192];

/// Messages that a client has missed; fewer than an inbox holds.
const MISSED: usize = 960;

/// The single steps. They belong to no single transport, so the laws do not apply to them.
pub(crate) fn steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("overhead");
    group.sample_size(50).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(1));
    group.nresamples(10_000);
    for length in TEXTS {
        let text = "x".repeat(length);
        let event = json!({
            "type": "message", "id": "0000beef.4711", "conversation": "c9", "seq": 13, "from": "u1",
            "cid": "0b1e1f3a-6f0f-4ad4-a7f8-3a2d5f0f9c11", "text": text, "at": "2026-01-02T03:04:05.678Z",
        });
        let event: Event = serde_json::from_value(event).expect("an event as the contract writes it");
        let frame = Frame::of_event(&event);
        let request = json!({
            "request_id": "r1",
            "command": {
                "type": "send", "to": {"user": "u2"}, "cid": "0b1e1f3a-6f0f-4ad4-a7f8-3a2d5f0f9c11", "text": text,
            },
        });
        let request = request.to_string();

        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function(BenchmarkId::new("encode", length), |bencher| {
            bencher.iter(|| Frame::of_event(black_box(&event)));
        });
        group.bench_function(BenchmarkId::new("frame/websocket", length), |bencher| {
            bencher.iter(|| websocket(black_box(&frame)));
        });
        group.bench_function(BenchmarkId::new("frame/sse", length), |bencher| {
            bencher.iter(|| EventStream::encode(black_box(&frame)));
        });
        group.bench_function(BenchmarkId::new("frame/longpoll", length), |bencher| {
            bencher.iter(|| longpoll(black_box(&frame)));
        });
        group.bench_function(BenchmarkId::new("parse/request", length), |bencher| {
            bencher.iter(|| Request::parse(black_box(request.as_bytes())));
        });
        group.bench_function(BenchmarkId::new("parse/event", length), |bencher| {
            bencher.iter(|| serde_json::from_slice::<Event>(black_box(frame.json())));
        });
    }
}

/// A text frame from a server: two to ten bytes of head, and no mask.
fn websocket(frame: &Frame) -> Bytes {
    let text = WsFrame::message(frame.json().clone(), OpCode::Data(Data::Text), true);
    let mut bytes = Vec::with_capacity(text.len());
    text.format(&mut bytes).expect("memory takes everything");
    bytes.into()
}

/// The response to a poll that found one event: exactly the bytes that `longpoll-server/tests/wire.rs` expects.
fn longpoll(frame: &Frame) -> Bytes {
    let cursor = frame.id().expect("a logged event has one");
    let rest = format!("],\"cursor\":\"{cursor}\",\"more\":false}}");
    [b"{\"events\":[", frame.json().as_ref(), rest.as_bytes()].concat().into()
}

/// Everything together, over a transport.
pub(crate) fn read_on<S: Server>(group: &mut Group<'_>) {
    group.throughput(Throughput::Elements(MISSED as u64));
    row(group, BenchmarkId::from_parameter(S::NAME), || Missed::<S>::new(MISSED), Missed::play);
}
