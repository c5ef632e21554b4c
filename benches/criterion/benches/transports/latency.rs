//! Latency from end to end: from the sender's call to the event at the receiver, both over the same transport.
//!
//! The next message is sent after the one before has arrived and is acknowledged. At that moment a short-polling
//! client has always just polled. So the bench spreads the moments of sending over the client's pause.

use std::time::{Duration, Instant};

use benches::message;
use chat_client::{Client, Events, Sender};
use chat_core::protocol::To;
use chat_http::Server;
use criterion::BenchmarkId;
use longpoll_server::ShortPollServer;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::{Group, PATIENCE, Setting, row, tell_of};

/// The pause of the short-polling client after a response.
const PAUSE: Duration = Duration::from_millis(100);

/// The golden ratio: the fractional parts of its multiples are always spread evenly.
const SPREAD: f64 = 0.618_033_988_749_895;

pub(crate) fn rows<S: Server>(group: &mut Group<'_>) {
    row(group, BenchmarkId::from_parameter(S::NAME), Pair::<S>::new, Pair::play);
}

/// Ann, who writes, and Bob, who reads.
struct Pair<S: Server> {
    setting: Setting,
    ann: <S::Client as Client>::Sender,
    to: To,
    /// Receives one value for each message that Bob has received.
    arrivals: mpsc::Receiver<()>,
    /// Messages sent so far.
    sent: u32,
}

impl<S: Server> Pair<S> {
    fn new() -> Self {
        let setting = Setting::new::<S>(2);
        let [(_, anns), (bob, bobs)] = &setting.people[..] else { unreachable!("two were registered") };
        let (to, (tell, arrivals)) = (To::User(*bob), mpsc::channel(1));
        let ann = setting.runtime.block_on(async {
            let (ann, mut echo) = S::Client::connect(&setting.target, anns, None).await.expect("connected");
            // Ann receives her own messages, too: a task has to read them.
            tokio::spawn(async move { while echo.next().await.is_ok() {} });
            let apart = setting.target.apart();
            let (_, events) = S::Client::connect(&apart, bobs, None).await.expect("connected");
            tokio::spawn(tell_of(events, tell));
            ann
        });
        Self { setting, ann, to, arrivals, sent: 0 }
    }

    fn play(&mut self, rounds: u64) -> Duration {
        self.setting.runtime.block_on(async {
            let mut took = Duration::ZERO;
            for _ in 0..rounds {
                if S::NAME == ShortPollServer::NAME {
                    self.sent += 1;
                    sleep(PAUSE.mul_f64((f64::from(self.sent) * SPREAD).fract())).await;
                }
                let begun = Instant::now();
                let round = async { tokio::join!(self.ann.send(message(self.to)), self.arrivals.recv()) };
                let (reply, arrived) = timeout(PATIENCE, round).await.expect("it should have come by now");
                took += begun.elapsed();
                reply.expect("the connection lasts").into_result().expect("nothing refuses it");
                arrived.expect("Bob's connection lasts");
            }
            took
        })
    }
}
