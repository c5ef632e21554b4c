//! The launcher under SIGKILL: users write and read on every transport at once while the process is killed again and
//! again, at random moments.
//!
//! What a killed process gave to the operating system stays, so this test cannot tell `synchronous=FULL` from less.
//! It shows that no step between command, commit, publication and reply is in the wrong place.
//!
//! `SWITCHBOARD_KILLS=500` kills more often, `SWITCHBOARD_SEED=7` kills at the moments of an earlier run.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod clients;
#[path = "../cursor/mod.rs"]
mod cursor;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::timeout;

use clients::Clients;
use support::{Lab, lab};
use world::{World, addresses};

/// Kills in one run, unless `SWITCHBOARD_KILLS` says otherwise.
const KILLS: u64 = 60;

/// How long the clients may take to agree once the faults have stopped (invariant I14).
const CONVERGENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_keeps_every_acknowledged_message_once() {
    let (kills, seed) = (from_environment("SWITCHBOARD_KILLS").unwrap_or(KILLS), seed());
    println!("SWITCHBOARD_SEED={seed} SWITCHBOARD_KILLS={kills}");
    let mut moments = Moments(seed);
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("chat.db");
    let flags = ["--messages-per-second", "1000000", "--message-burst", "1000000"];
    let mut running = Lab::start(&database, &flags).await;
    let world = World::new(&running).await;

    let mut clients = Clients::start(&world);
    let killing = async {
        for kill in 0..kills {
            world.addresses.send_replace(Some(addresses(&running)));
            world.wait_for_acknowledgements(1 + moments.below(100)).await;
            tokio::time::sleep(Duration::from_micros(moments.below(20_000))).await;
            world.addresses.send_replace(None);
            running.kill().await;
            if kill % 3 == 2 {
                // Another kill in the middle of the start, perhaps while the server recovers the log.
                let mut command = lab(&flags);
                let mut child =
                    command.arg("--database").arg(&database).stdout(Stdio::null()).spawn().unwrap();
                tokio::time::sleep(Duration::from_micros(moments.below(30_000))).await;
                child.kill().await.unwrap();
            }
            running = Lab::start(&database, &flags).await;
        }
        world.addresses.send_replace(Some(addresses(&running)));
        running
    };
    let _running = tokio::select! {
        running = killing => running,
        () = clients.fail() => unreachable!("a client that ends before the end has failed"),
    };
    let streams = timeout(CONVERGENCE, clients.finish(&world)).await.expect("all clients converge in time");

    let unknown = world.tell_counts();
    assert!(unknown >= kills / 2, "the server was killed while nobody waited for it");
    let histories = world.histories().await;
    world.check_histories(&histories);
    for (user, transport, stream) in streams {
        world.check_stream(
            user,
            &stream,
            &histories,
            &format!("{} first on {transport:?}", world.users[user].id),
        );
    }
}

/// Random numbers that a seed repeats ([SplitMix64](https://prng.di.unimi.it/splitmix64.c)).
struct Moments(u64);

impl Moments {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    from_environment("SWITCHBOARD_SEED").unwrap_or(now.as_secs())
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}
