//! One connection: two pumps, one observer, and an end that is handed on as it came.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::conditions::Conditions;
use crate::counts::Direction;
use crate::event::{Note, WireEvent};
use crate::observe::{Observe, Observer};
use crate::pump::{Ending, Pump};
use crate::segments::Watched;
use crate::tap::Shared;
use crate::what::What;

/// How long the server may take to accept.
const CONNECT: Duration = Duration::from_secs(5);

/// How long the last words of a broken connection are offered to a peer that does not take them.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long a silent peer is believed to be there before the kernel asks. It ends what nobody else would end, and
/// is long, so that it adds nothing to what idle connections cost.
const KEEPALIVE: Duration = Duration::from_secs(600);

/// Carries one connection until it ends.
pub(crate) async fn carry(client: TcpStream, number: u64, shared: Arc<Shared>) {
    let mut ledger = Ledger::new(number, Arc::clone(&shared));
    let mut server = match timeout(CONNECT, TcpStream::connect(shared.upstream)).await {
        Ok(Ok(server)) => server,
        Ok(Err(error)) => return ledger.refused(&client, error.to_string()),
        Err(_) => return ledger.refused(&client, "no answer in time".to_owned()),
    };
    let mut client = client;
    let prepared = prepare(&client).and_then(|()| prepare(&server));
    if let Err(error) = prepared {
        return ledger.refused(&client, error.to_string());
    }
    shared.lock_counts().connections += 1;
    ledger.tell(Direction::ToServer, What::Opened);
    ledger.watched = Some(shared.kernel.watch(number, &client, &server));
    let conditions = shared.conditions.subscribe();
    let orderly = relay(&mut client, &mut server, conditions, &mut ledger).await;
    if !orderly {
        reset(&client);
        reset(&server);
    }
    ledger.watched = None;
    shared.lock_counts().ended += 1;
}

/// Small writes leave at once: a relay must not add Nagle's delay to what it measures.
fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    socket2::SockRef::from(stream).set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(KEEPALIVE))
}

/// Closing this socket will send a reset.
pub(crate) fn reset(stream: &TcpStream) {
    // A socket that is broken already needs no breaking.
    let _ = stream.set_zero_linger();
}

/// Pumps both ways until both ends have finished (true), or one of them broke off.
async fn relay(
    client: &mut TcpStream,
    server: &mut TcpStream,
    mut conditions: watch::Receiver<Conditions>,
    ledger: &mut Ledger,
) -> bool {
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    // Each direction has jitter of its own, and the same at every run.
    let mut up = Pump::new(Direction::ToServer, from_client, to_server, ledger.number * 2);
    let mut down = Pump::new(Direction::ToClient, from_server, to_client, ledger.number * 2 + 1);
    let mut endings = [None; 2];
    let mut patience = None;
    loop {
        let now = *conditions.borrow_and_update();
        up.set(&now);
        down.set(&now);
        let pumping = poll_fn(|cx| {
            for (ending, pump) in endings.iter_mut().zip([&mut up, &mut down]) {
                if ending.is_none()
                    && let Poll::Ready(ended) = pump.poll(cx, ledger)
                {
                    *ending = Some(ended);
                }
            }
            let over = endings.contains(&Some(Ending::Reset)) || !endings.contains(&None);
            let newly_doomed = patience.is_none() && (up.is_doomed() || down.is_doomed());
            if over || newly_doomed { Poll::Ready(over) } else { Poll::Pending }
        });
        tokio::select! {
            biased;
            over = pumping => {
                if over {
                    return endings == [Some(Ending::Finished); 2];
                }
            }
            // The tap outlives its connections.
            _ = conditions.changed() => {}
            () = sleep_until(patience.unwrap_or_else(Instant::now)), if patience.is_some() => return false,
        }
        if patience.is_none() && (up.is_doomed() || down.is_doomed()) {
            patience = Some(Instant::now() + up.longest_hold().max(down.longest_hold()) + LAST_WORDS);
        }
    }
}

/// What one connection writes into the books of its tap.
pub(crate) struct Ledger {
    number: u64,
    shared: Arc<Shared>,
    observer: Observer,
    /// Where its segments are counted.
    watched: Option<Watched>,
}

impl Ledger {
    fn new(number: u64, shared: Arc<Shared>) -> Self {
        let observer = Observer::new(shared.observe);
        Self { number, shared, observer, watched: None }
    }

    /// Bytes were read.
    pub(crate) fn saw(&mut self, direction: Direction, bytes: &[u8]) {
        let flow = self.observer.feed(direction, bytes);
        *self.shared.lock_counts().flow_mut(direction) += flow;
        self.tell_notes();
    }

    /// A sender has come to its end.
    pub(crate) fn ended(&mut self, direction: Direction, how: What) {
        if let Some(watched) = &self.watched {
            // Once both directions are closed the kernel forgets the socket, and its count with it.
            self.shared.kernel.look(watched);
        }
        self.observer.end(direction);
        self.tell_notes();
        self.tell(direction, how);
    }

    fn refused(&mut self, client: &TcpStream, why: String) {
        self.shared.lock_counts().refused += 1;
        self.tell(Direction::ToClient, What::Refused(why));
        reset(client);
    }

    fn tell_notes(&mut self) {
        for note in self.observer.take_notes() {
            self.shared.publish(self.number, note);
        }
    }

    fn tell(&mut self, direction: Direction, what: What) {
        self.shared.tell(self.number, direction, what);
    }
}

impl Shared {
    /// Tells of something that has no bytes.
    pub(crate) fn tell(&self, connection: u64, direction: Direction, what: What) {
        if self.observe == Observe::Events {
            let note = Note { direction, bytes: 0..0, layers: Default::default(), what, raw: Vec::new() };
            self.publish(connection, note);
        }
    }

    fn publish(&self, connection: u64, note: Note) {
        // Without viewers nobody is told, which is no failure.
        let _ = self.events.send(Arc::new(WireEvent { connection, at: self.began.elapsed(), note }));
    }
}
