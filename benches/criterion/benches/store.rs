//! Acknowledged sends: a command is done once its commit is on the disk (`synchronous=FULL`), on a real file.
//!
//! One client waits for each commit; the commands of 64 clients share commits. No client is connected, so the bench
//! measures the store and the chat around it. Messages of one group are side by side in the tables. Each direct message
//! changes pages of its own, which are written too. The speed depends on the disk, so compare on one machine only. The
//! gain of the shared commit is measured separately, in turns, because a disk is not always equally fast.

use std::time::{Duration, Instant};

use benches::{group, limits, message, open, register};
use chat_core::chat::Chat;
use chat_core::ids::{ConversationId, UserId};
use chat_core::protocol::To;
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use futures_util::future::try_join_all;
use tokio::runtime::Runtime;

/// How many clients share commits.
const CLIENTS: usize = 64;

/// How many turns one client and all clients take, and how many messages each client sends in a turn.
const TURNS: usize = 9;
const ALONE: u64 = 400;
const TOGETHER: u64 = 100;

fn store(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    for place in ["group", "direct"] {
        // Each bench has a new database.
        let _inside = runtime.enter();
        let (chat, _directory) = open(env!("CARGO_TARGET_TMPDIR"), limits()).expect("a database");
        let people = runtime.block_on(register(&chat, CLIENTS)).expect("users");
        let all = runtime.block_on(group(&chat, &people)).expect("a group");
        let users = people.into_iter().map(|(user, _)| user).collect();
        let crowd = Crowd { chat, users, group: (place == "group").then_some(all) };
        tell_gain(&runtime, &crowd, place);

        let mut group = criterion.benchmark_group(format!("store/{place}"));
        group.throughput(Throughput::Elements(1));
        // Flat sampling: every sample is long enough to fill commits.
        group.sampling_mode(SamplingMode::Flat);
        group.sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
        for clients in [1, CLIENTS] {
            group.bench_function(BenchmarkId::new("acknowledged_sends", clients), |bencher| {
                bencher.iter_custom(|wanted| {
                    let each = wanted.div_ceil(clients as u64);
                    let took = runtime.block_on(crowd.send(clients, each));
                    took.mul_f64(wanted as f64 / (each * clients as u64) as f64)
                });
            });
        }
        group.finish();
        runtime.block_on(crowd.chat.close());
    }
}

/// Prints the gain of the shared commit: how many times as many messages 64 clients get acknowledged as one client.
///
/// It prints the median of all turns and the spread.
fn tell_gain(runtime: &Runtime, crowd: &Crowd, place: &str) {
    let rate = |clients: usize, each: u64| {
        (each * clients as u64) as f64 / runtime.block_on(crowd.send(clients, each)).as_secs_f64()
    };
    let mut turns: Vec<_> = (0..TURNS).map(|_| (rate(1, ALONE), rate(CLIENTS, TOGETHER))).collect();
    turns.sort_by(|(a, b), (c, d)| (b / a).total_cmp(&(d / c)));
    let gain = |turn: usize| turns[turn].1 / turns[turn].0;
    let (one, many) = turns[TURNS / 2];
    println!(
        "store/{place}: {one:.0}/s by one client, {many:.0}/s by {CLIENTS}: {:.1} times as many ({:.1}–{:.1}, n = {TURNS})",
        gain(TURNS / 2),
        gain(0),
        gain(TURNS - 1),
    );
}

/// People who send.
struct Crowd {
    chat: Chat,
    users: Vec<UserId>,
    /// The group in which all write; `None`: each writes to the next user.
    group: Option<ConversationId>,
}

impl Crowd {
    /// Each client sends one message after the other, and waits for each acknowledgement.
    async fn send(&self, clients: usize, each: u64) -> Duration {
        let begun = Instant::now();
        let sending = (0..clients).map(|client| {
            let (chat, me, next) = (self.chat.clone(), self.users[client], (client + 1) % self.users.len());
            let to = self.group.map_or(To::User(self.users[next]), To::Conversation);
            tokio::spawn(async move {
                for _ in 0..each {
                    chat.execute(me, message(to)).await.into_result().expect("nothing refuses it");
                }
            })
        });
        try_join_all(sending).await.expect("no client fails");
        begun.elapsed()
    }
}

criterion_group!(benches, store);
criterion_main!(benches);
