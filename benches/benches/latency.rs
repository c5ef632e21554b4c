//! Latency from end to end: from the sender's call to the event at the receiver, both on the same kind of wire.
//!
//! Closed loop: the next message is sent when the one before has arrived, so queues never form and this is the best
//! case, not what people see under load. The commit to the disk is in it; `memory` is the same without a wire, the
//! floor. Short polling waits for its client's next question, which comes every 100 ms.

use std::time::{Duration, Instant};

use benches::{limits, message, open, register, serve};
use chat_core::client::{Client, Events, Sender, Server};
use chat_core::memory::MemoryServer;
use chat_core::protocol::{Command, Event, To};
use criterion::{Criterion, criterion_group, criterion_main};
use longpoll_server::{LongPollServer, ShortPollServer};
use sse_server::SseServer;
use tokio::runtime::Runtime;
use ws_server::WsServer;

fn latency(criterion: &mut Criterion) {
    wire::<WsServer>(criterion);
    wire::<SseServer>(criterion);
    wire::<LongPollServer>(criterion);
    wire::<ShortPollServer>(criterion);
    wire::<MemoryServer>(criterion);
}

fn wire<S: Server>(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let (directory, mut ends, to) = runtime.block_on(async {
        let (chat, directory) = open(env!("CARGO_TARGET_TMPDIR"), limits()).expect("a database");
        let people = register(&chat, 2).await.expect("users");
        let (running, target) = serve::<S>(&chat).await.expect("a server");
        let [(_, ann), (bob, bobs)] = &people[..] else { unreachable!("two were registered") };
        let (sender, mut echo) = S::Client::connect(&target, ann, None).await.expect("a connection");
        // The sender is told of what it sent, too; somebody has to read it.
        tokio::spawn(async move { while echo.next().await.is_ok() {} });
        let (receiver, events) = S::Client::connect(&target.apart(), bobs, None).await.expect("a connection");
        ((directory, running), (sender, receiver, events), To::User(*bob))
    });
    let mut group = criterion.benchmark_group("latency");
    group.sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    group.bench_function(format!("{} (closed loop)", S::NAME), |bencher| {
        bencher.iter_custom(|rounds| {
            let (sender, _, events) = &mut ends;
            runtime.block_on(async {
                let begun = Instant::now();
                for _ in 0..rounds {
                    round(sender, events, to).await;
                }
                begun.elapsed()
            })
        });
    });
    drop((ends, directory));
}

/// Sends one message and waits until it has arrived and is acknowledged.
async fn round(sender: &impl Sender, events: &mut impl Events, to: To) {
    let request = message(to);
    let Command::Send { cid, .. } = &request.command else { unreachable!("a message is sent") };
    let sent = cid.clone();
    let arriving = async {
        loop {
            match events.next().await.expect("the connection lasts") {
                Event::Message(message) if message.cid == sent => return,
                _ => {}
            }
        }
    };
    let (reply, ()) = tokio::join!(sender.send(request), arriving);
    reply.expect("the connection lasts").into_result().expect("nothing refuses it");
}

criterion_group!(benches, latency);
criterion_main!(benches);
