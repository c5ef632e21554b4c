//! The transports side by side: latency, fan-out, sending, connecting, and what a message costs on each transport.
//!
//! First the laws: a transport that breaks one gets no row, and the program ends with 1. Then each bench on one
//! transport after the other, `memory` last: a transport without a network, the floor of all the others.
//!
//! Closed loop: whatever comes next waits until what came before is done, so queues never form, and the figures
//! are the best case, not what people see under load. The server and all its clients share one process and its
//! cores, and the kernel's loopback stands for the network. The commit to the disk is in each message sent.
//!
//! `cargo bench --bench transports -- 'fanout/sse'` makes only the rows whose names contain that.

mod connect;
mod fanout;
mod gate;
mod latency;
mod overhead;
mod send;

use std::process::ExitCode;
use std::time::Duration;

use benches::{group, limits, open, register, serve};
use chat_core::auth::Token;
use chat_core::client::{Events, Server, Target};
use chat_core::conformance::{Law, every_law};
use chat_core::ids::UserId;
use chat_core::memory::MemoryServer;
use chat_core::protocol::{Event, To};
use chat_core::server::Running;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode};
use longpoll_server::{LongPollServer, ShortPollServer};
use sse_server::SseServer;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use ws_server::WsServer;

/// How long a bench waits for what must come; only a server that has lost something lets it wait so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Rows that are shown together.
type Group<'a> = BenchmarkGroup<'a, WallTime>;

/// What one transport has to show in a group.
type Rows = fn(&mut Group<'_>);

/// The laws and the benches for one kind of server.
struct Transport {
    name: &'static str,
    laws: Vec<Law>,
    latency: Rows,
    fanout: Rows,
    send: Rows,
    connect: Rows,
    read_on: Rows,
}

impl Transport {
    fn of<S: Server>() -> Self {
        Self {
            name: S::NAME,
            laws: every_law::<S>(),
            latency: latency::rows::<S>,
            fanout: fanout::rows::<S>,
            send: send::rows::<S>,
            connect: connect::rows::<S>,
            read_on: overhead::read_on::<S>,
        }
    }
}

fn main() -> ExitCode {
    let all = [
        Transport::of::<WsServer>(),
        Transport::of::<SseServer>(),
        Transport::of::<LongPollServer>(),
        Transport::of::<ShortPollServer>(),
        Transport::of::<MemoryServer>(),
    ];
    let expected = all.len();
    // A list of names measures nothing.
    let lists = std::env::args().any(|argument| argument == "--list");
    let transports = if lists { all.into() } else { gate::lawful(all) };

    let mut criterion = Criterion::default().configure_from_args();
    let mut bench = |name, rows: fn(&Transport) -> Rows| {
        let mut group = criterion.benchmark_group(name);
        // Flat: what takes long is done as often in each sample, not ever more often.
        group.sampling_mode(SamplingMode::Flat).sample_size(20);
        group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
        // From so few samples, more resamples take time and tell nothing more.
        group.nresamples(10_000);
        for transport in &transports {
            rows(transport)(&mut group);
        }
    };
    bench("latency", |transport| transport.latency);
    bench("fanout", |transport| transport.fanout);
    bench("send", |transport| transport.send);
    bench("connect", |transport| transport.connect);
    bench("overhead/read_on", |transport| transport.read_on);
    overhead::steps(&mut criterion);
    criterion.final_summary();
    if transports.len() < expected { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Adds a row. What it needs is prepared at the first turn, since Criterion's filter may let none come.
fn row<T>(
    group: &mut Group<'_>,
    id: BenchmarkId,
    prepare: impl Fn() -> T,
    play: impl Fn(&mut T, u64) -> Duration,
) {
    let mut prepared = None;
    group.bench_function(id, |bencher| {
        let prepared = prepared.get_or_insert_with(&prepare);
        bencher.iter_custom(|rounds| play(prepared, rounds));
    });
}

/// One server and people around it, all of them in one group.
struct Setting {
    /// The server's and the clients' threads; every task and every socket goes with them.
    runtime: Runtime,
    target: Target,
    people: Vec<(UserId, Token)>,
    group: To,
    _running: Running,
    _directory: TempDir,
}

impl Setting {
    fn new<S: Server>(people: usize) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let (running, target, people, group, directory) = runtime.block_on(async {
            let (chat, directory) = open(env!("CARGO_TARGET_TMPDIR"), limits()).expect("a database");
            let people = register(&chat, people).await.expect("users");
            let group = To::Conversation(group(&chat, &people).await.expect("a group"));
            let (running, target) = serve::<S>(&chat).await.expect("a server");
            (running, target, people, group, directory)
        });
        Self { runtime, target, people, group, _running: running, _directory: directory }
    }
}

/// Tells of each message that comes, for as long as the connection and the bench last.
async fn tell_of(mut events: impl Events, arrivals: mpsc::Sender<()>) {
    while let Ok(event) = events.next().await {
        if matches!(event, Event::Message(_)) && arrivals.send(()).await.is_err() {
            return;
        }
    }
}
