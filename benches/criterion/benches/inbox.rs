//! Inboxes (a user's newest events): fan-out of one event to many, and resuming after a cursor, from memory and from
//! the disk.
//!
//! The inbox is not a public type, so both benches use the memory transport. The figures include more than an inbox:
//! `fan_out` includes a commit (usually one for 64 messages), and every reader decodes the JSON. So compare how the
//! figures grow from one number of members to the next.

use std::time::{Duration, Instant};

use benches::{group, limits, message, open, register, serve};
use chat_client::duplex::DuplexEvents;
use chat_client::{Client, Events, Sender, Target};
use chat_core::auth::Token;
use chat_core::ids::Cursor;
use chat_core::limits::Limits;
use chat_core::protocol::{Done, Event, To};
use chat_http::memory::{MemoryClient, MemoryServer};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::{join_all, try_join_all};
use tokio::runtime::Runtime;

/// How many members the group has.
const MEMBERS: [usize; 3] = [1, 10, 100];

/// Messages sent at once: as many requests as one connection may have in flight.
const AT_ONCE: usize = Limits::REQUESTS_IN_FLIGHT;

/// Events that a client reads after it resumes; fewer than an inbox holds.
const MISSED: usize = 15 * AT_ONCE;

fn fan_out(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = criterion.benchmark_group("inbox");
    group.sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    for members in MEMBERS {
        let (_alive, target, to, people) = runtime.block_on(setting(members, limits()));
        let mut clients =
            runtime.block_on(join_all(people.iter().map(|token| connect(&target, token, None))));
        group.throughput(Throughput::Elements((AT_ONCE * members) as u64));
        group.bench_function(BenchmarkId::new("fan_out", members), |bencher| {
            bencher.iter_custom(|rounds| {
                runtime.block_on(async {
                    let begun = Instant::now();
                    for _ in 0..rounds {
                        let sender = clients[0].0.clone();
                        let sending = try_join_all((0..AT_ONCE).map(|_| sender.send(message(to))));
                        let reading = join_all(clients.iter_mut().map(|(_, events)| read(events, AT_ONCE)));
                        let (sent, _) = tokio::join!(sending, reading);
                        sent.expect("the connection lasts");
                    }
                    begun.elapsed()
                })
            });
        });
    }
}

fn resume(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = criterion.benchmark_group("inbox");
    group.sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    group.throughput(Throughput::Elements(MISSED as u64));
    for (from, inbox_events) in [("memory", Limits::default().inbox_events), ("disk", 1)] {
        let limits = Limits { inbox_events, ..limits() };
        let (_alive, target, to, people) = runtime.block_on(setting(1, limits));
        // One session stays open, so that the inbox stays in memory.
        let (sender, _events, cursor) = runtime.block_on(async {
            let (sender, mut events) = connect(&target, &people[0], None).await;
            let first = sender.send(message(to)).await.expect("the connection lasts").into_result();
            let Ok(Done::Sent { id, .. }) = first else { unreachable!("nothing refuses it: {first:?}") };
            read(&mut events, 1).await;
            for _ in 0..MISSED / AT_ONCE {
                try_join_all((0..AT_ONCE).map(|_| sender.send(message(to))))
                    .await
                    .expect("the connection lasts");
                read(&mut events, AT_ONCE).await;
            }
            (sender, events, id)
        });
        group.bench_function(BenchmarkId::new("resume_from", from), |bencher| {
            bencher.to_async(&runtime).iter(|| async {
                let (_sender, mut events) = connect(&target, &people[0], Some(cursor)).await;
                read(&mut events, MISSED).await;
            });
        });
        drop(sender);
    }
}

/// A chat with one group, and its members' tokens. The first value keeps the chat alive.
async fn setting(members: usize, limits: Limits) -> (impl Sized, Target, To, Vec<Token>) {
    let (chat, directory) = open(env!("CARGO_TARGET_TMPDIR"), limits).expect("a database");
    let people = register(&chat, members).await.expect("users");
    let to = To::Conversation(group(&chat, &people).await.expect("a group"));
    let (running, target) = serve::<MemoryServer>(&chat).await.expect("a server");
    ((directory, running), target, to, people.into_iter().map(|(_, token)| token).collect())
}

async fn connect(
    target: &Target,
    token: &Token,
    after: Option<Cursor>,
) -> (<MemoryClient as Client>::Sender, DuplexEvents) {
    MemoryClient::connect(target, token, after).await.expect("the chat is in this process")
}

/// Reads this number of messages.
async fn read(events: &mut DuplexEvents, mut messages: usize) {
    while messages > 0 {
        if let Event::Message(_) = events.next().await.expect("the connection lasts") {
            messages -= 1;
        }
    }
}

criterion_group!(benches, fan_out, resume);
criterion_main!(benches);
