//! Fan-out: from one message into a group until its last member has it, each member on a connection of its own.
//!
//! The next message is sent at once, before all clients have polled again, so the figure includes a client's next
//! poll. Among many short-polling clients, one has always just polled, so a message reaches all only after their whole
//! pause of 100 ms. A thousand of them poll ten thousand times a second, which keeps two cores busy without any
//! message. A thousand members need about 2,100 open files (`ulimit -n`).

use std::time::{Duration, Instant};

use benches::message;
use chat_client::{Client, Sender};
use chat_http::Server;
use criterion::{BenchmarkId, Throughput};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::{Group, PATIENCE, Setting, row, tell_of};

/// Members of the group, the sender included.
const MEMBERS: [usize; 3] = [10, 100, 1_000];

pub(crate) fn rows<S: Server>(group: &mut Group<'_>) {
    for members in MEMBERS {
        group.throughput(Throughput::Elements(members as u64));
        row(group, BenchmarkId::new(S::NAME, members), || Crowd::<S>::new(members), Crowd::play);
    }
}

/// Members that all read; one of them writes.
struct Crowd<S: Server> {
    setting: Setting,
    sender: <S::Client as Client>::Sender,
    /// Receives one value for each message that a member has received.
    arrivals: mpsc::Receiver<()>,
}

impl<S: Server> Crowd<S> {
    fn new(members: usize) -> Self {
        let setting = Setting::new::<S>(members);
        let (tell, arrivals) = mpsc::channel(members);
        let mut senders = setting.runtime.block_on(async {
            let mut senders = Vec::with_capacity(members);
            for (_, token) in &setting.people {
                let (sender, events) =
                    S::Client::connect(&setting.target.apart(), token, None).await.expect("connected");
                tokio::spawn(tell_of(events, tell.clone()));
                senders.push(sender);
            }
            senders
        });
        Self { setting, sender: senders.swap_remove(0), arrivals }
    }

    fn play(&mut self, rounds: u64) -> Duration {
        self.setting.runtime.block_on(async {
            let begun = Instant::now();
            for _ in 0..rounds {
                let sending = self.sender.send(message(self.setting.group));
                let arriving = async {
                    for _ in &self.setting.people {
                        self.arrivals.recv().await.expect("every member's connection lasts");
                    }
                };
                let round = async { tokio::join!(sending, arriving) };
                let (reply, ()) = timeout(PATIENCE, round).await.expect("everybody should have it by now");
                reply.expect("the connection lasts").into_result().expect("nothing refuses it");
            }
            begun.elapsed()
        })
    }
}
