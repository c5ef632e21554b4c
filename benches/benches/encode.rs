//! Encoding: an event to its JSON frame, a frame to what an event stream carries, a request from its JSON.
//!
//! Each is done once for each event or request, however many get it. What a wire adds for each receiver (frame
//! heads, chunk sizes, system calls) is not in here.

use std::hint::black_box;
use std::time::Duration;

use chat_core::protocol::{Event, Frame, Request};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;
use sse_server::EventStream;

/// Lengths of texts, in bytes: what people type, a paragraph, the longest.
const TEXTS: [usize; 3] = [32, 1_024, 8_192];

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    group.sample_size(50).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    for length in TEXTS {
        let text = "x".repeat(length);
        let event = json!({
            "type": "message", "id": "0000beef.4711", "conversation": "c9", "seq": 13, "from": "u1",
            "cid": "0b1e1f3a-6f0f-4ad4-a7f8-3a2d5f0f9c11", "text": text, "at": "2026-01-02T03:04:05.678Z",
        });
        let event: Event = serde_json::from_value(event).expect("an event as the contract writes it");
        let request = json!({
            "request_id": "r1",
            "command": {
                "type": "send", "to": {"user": "u2"}, "cid": "0b1e1f3a-6f0f-4ad4-a7f8-3a2d5f0f9c11", "text": text,
            },
        });
        let request = request.to_string();

        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function(BenchmarkId::new("event", length), |bencher| {
            bencher.iter(|| Frame::of_event(black_box(&event)));
        });
        group.bench_function(BenchmarkId::new("event_stream", length), |bencher| {
            // A frame keeps what was encoded once, so each round needs a new one.
            let new = || Frame::of_event(&event);
            bencher.iter_batched(new, |frame| frame.encoded::<EventStream>(), BatchSize::SmallInput);
        });
        group.bench_function(BenchmarkId::new("request", length), |bencher| {
            bencher.iter(|| Request::parse(black_box(request.as_bytes())));
        });
    }
}

criterion_group!(benches, encode);
criterion_main!(benches);
