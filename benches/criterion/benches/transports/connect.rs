//! Connecting: from nothing to the first event, which waits in the server's memory.
//!
//! Each turn opens a new TCP connection to the same server, as the same user. Closing the previous connection is not
//! timed, but it uses the same cores.

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use benches::message;
use chat_client::{Client, Events, Sender};
use chat_core::ids::Cursor;
use chat_core::protocol::{Event, To};
use chat_http::Server;
use criterion::BenchmarkId;
use futures_util::future::try_join_all;
use tokio::time::timeout;

use crate::{Group, PATIENCE, Setting, row};

/// Messages sent at once while the bench is prepared.
const AT_ONCE: usize = 32;

pub(crate) fn rows<S: Server>(group: &mut Group<'_>) {
    row(group, BenchmarkId::from_parameter(S::NAME), || Missed::<S>::new(1), Missed::play);
}

/// A user who reconnects in each turn, and has always missed the same messages.
pub(crate) struct Missed<S: Server> {
    setting: Setting,
    /// The cursor before the first missed message.
    after: Cursor,
    messages: usize,
    _server: PhantomData<fn() -> S>,
}

impl<S: Server> Missed<S> {
    pub(crate) fn new(messages: usize) -> Self {
        let setting = Setting::new::<S>(2);
        let [(_, anns), (bob, bobs)] = &setting.people[..] else { unreachable!("two were registered") };
        let after = setting.runtime.block_on(async {
            let apart = setting.target.apart();
            // This session stays open, so that the inbox stays in memory.
            let (_, mut here) = S::Client::connect(&apart, bobs, None).await.expect("connected");
            tokio::spawn(async move { while here.next().await.is_ok() {} });
            let after = setting.target.snapshot(bobs).await.expect("a snapshot").cursor;
            let (ann, _) = S::Client::connect(&setting.target, anns, None).await.expect("connected");
            for sent in (0..messages).step_by(AT_ONCE) {
                let some = sent..messages.min(sent + AT_ONCE);
                try_join_all(some.map(|_| ann.send(message(To::User(*bob))))).await.expect("sent");
            }
            after
        });
        Self { setting, after, messages, _server: PhantomData }
    }

    /// Connects, and reads the missed messages.
    pub(crate) fn play(&mut self, rounds: u64) -> Duration {
        let (_, token) = &self.setting.people[1];
        self.setting.runtime.block_on(async {
            let mut took = Duration::ZERO;
            for _ in 0..rounds {
                let target = self.setting.target.apart();
                let begun = Instant::now();
                let connecting = S::Client::connect(&target, token, Some(self.after));
                let (_sender, mut events) = connecting.await.expect("connected");
                let reading = timeout(PATIENCE, read(&mut events, self.messages));
                reading.await.expect("everything should have come by now");
                took += begun.elapsed();
            }
            took
        })
    }
}

/// Reads this number of messages.
async fn read(events: &mut impl Events, mut messages: usize) {
    while messages > 0 {
        if let Event::Message(_) = events.next().await.expect("the connection lasts") {
            messages -= 1;
        }
    }
}
