//! Sending: a command's round trip, from the call to the reply that the message is on the disk.
//!
//! No client reads events, not even the sender, which would receive its own message. A WebSocket sends the command as
//! a frame. The other transports use the same POST, so they differ by chance only.

use std::time::{Duration, Instant};

use benches::message;
use chat_client::{Client, Sender};
use chat_core::protocol::To;
use chat_http::Server;
use criterion::BenchmarkId;
use tokio::time::timeout;

use crate::{Group, PATIENCE, Setting, row};

pub(crate) fn rows<S: Server>(group: &mut Group<'_>) {
    row(group, BenchmarkId::from_parameter(S::NAME), Writer::<S>::new, Writer::play);
}

/// A user who writes to a user who is not connected.
struct Writer<S: Server> {
    setting: Setting,
    sender: <S::Client as Client>::Sender,
    to: To,
}

impl<S: Server> Writer<S> {
    fn new() -> Self {
        let setting = Setting::new::<S>(2);
        let [(_, anns), (bob, _)] = &setting.people[..] else { unreachable!("two were registered") };
        let to = To::User(*bob);
        let connecting = S::Client::connect(&setting.target, anns, None);
        let (sender, _) = setting.runtime.block_on(connecting).expect("connected");
        Self { setting, sender, to }
    }

    fn play(&mut self, rounds: u64) -> Duration {
        self.setting.runtime.block_on(async {
            let begun = Instant::now();
            for _ in 0..rounds {
                let sending = timeout(PATIENCE, self.sender.send(message(self.to)));
                let reply = sending.await.expect("a reply should have come by now");
                reply.expect("the connection lasts").into_result().expect("nothing refuses it");
            }
            begun.elapsed()
        })
    }
}
