//! The transports side by side: latency, fan-out, sending, connecting, and what a message costs on each transport.
//!
//! The laws run first: a transport that breaks one is not measured, and the program ends with exit code 1. Then each
//! bench runs on one transport after the other. `memory` is last: a transport without a network, the floor.
//!
//! The loop is closed: each step waits for the step before, so queues never form. The figures are the best case, not
//! what people see under load. The server and all its clients share one process and its cores, and the network is the
//! kernel's loopback interface. Each message that is sent includes its commit to the disk.
//!
//! `cargo bench --bench transports -- 'fanout/sse'` runs only the rows whose names contain this text.

mod connect;
mod fanout;
mod gate;
mod latency;
mod overhead;
mod send;

use std::process::ExitCode;
use std::time::Duration;

use benches::{group, limits, open, register, serve};
use chat_client::{Events, Target};
use chat_core::auth::Token;
use chat_core::ids::UserId;
use chat_core::protocol::{Event, To};
use chat_http::Server;
use chat_http::memory::MemoryServer;
use chat_http::server::Running;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode};
use laws::{Law, every_law};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use transports::Visit;

/// How long a bench waits for a message; only a lost message takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A group of rows.
type Group<'a> = BenchmarkGroup<'a, WallTime>;

/// The rows of one transport in a group.
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

/// Makes the rows of each transport.
struct EachOne;

impl Visit for EachOne {
    type Outcome = Transport;

    fn visit<S: Server>(&self) -> Transport {
        Transport::of::<S>()
    }
}

fn main() -> ExitCode {
    let mut all = transports::visit(&EachOne);
    all.push(Transport::of::<MemoryServer>());
    let expected = all.len();
    // `--list` prints names and measures nothing.
    let lists = std::env::args().any(|argument| argument == "--list");
    let transports = if lists { all } else { gate::lawful(all) };

    let mut criterion = Criterion::default().configure_from_args();
    let mut bench = |name, rows: fn(&Transport) -> Rows| {
        let mut group = criterion.benchmark_group(name);
        // Flat sampling: a slow bench runs equally often in each sample.
        group.sampling_mode(SamplingMode::Flat).sample_size(20);
        group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
        // With few samples, more resamples take time without a better result.
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

/// Adds a row. It is prepared in its first turn, because Criterion's filter may leave it out.
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

/// One server and its users, all in one group.
struct Setting {
    /// The threads of server and clients. Dropping it ends every task and closes every socket.
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

/// Reports each message that arrives, until the connection or the bench ends.
async fn tell_of(mut events: impl Events, arrivals: mpsc::Sender<()>) {
    while let Ok(event) = events.next().await {
        if matches!(event, Event::Message(_)) && arrivals.send(()).await.is_err() {
            return;
        }
    }
}
