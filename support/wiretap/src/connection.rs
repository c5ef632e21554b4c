//! One connection: two pumps, one observer, and an end (FIN or reset) that is passed on as it came.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::conditions::Conditions;
use crate::counts::Direction;
use crate::ledger::Ledger;
use crate::pump::{Ending, Pump};
use crate::shared::Shared;

/// How long the server may take to accept.
const CONNECT: Duration = Duration::from_secs(5);

/// How long the tap tries to write the last bytes of a broken connection to a peer that does not take them.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// After how much silence the kernel asks whether a peer is still there. It ends connections that nothing else would
/// end. It is long, so that it adds nothing to the cost of idle connections.
const KEEPALIVE: Duration = Duration::from_secs(600);

/// Carries one connection until it ends.
pub(crate) async fn carry(client: TcpStream, number: u64, shared: Arc<Shared>) {
    let mut ledger = Ledger::new(number, Arc::clone(&shared));
    let mut server = match timeout(CONNECT, TcpStream::connect(shared.upstream)).await {
        Ok(Ok(server)) => server,
        Ok(Err(error)) => return refuse(&client, &mut ledger, error.to_string()),
        Err(_) => return refuse(&client, &mut ledger, "no answer in time".to_owned()),
    };
    let mut client = client;
    let prepared = prepare(&client).and_then(|()| prepare(&server));
    if let Err(error) = prepared {
        return refuse(&client, &mut ledger, error.to_string());
    }
    ledger.opened(shared.kernel.watch(number, &client, &server));
    let conditions = shared.conditions.subscribe();
    let orderly = relay(&mut client, &mut server, conditions, &mut ledger).await;
    if !orderly {
        reset(&client);
        reset(&server);
    }
    ledger.closed();
}

fn refuse(client: &TcpStream, ledger: &mut Ledger, why: String) {
    ledger.refused(why);
    reset(client);
}

/// Small writes leave at once: a relay must not add Nagle's delay to what it measures.
fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    socket2::SockRef::from(stream).set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(KEEPALIVE))
}

/// Makes this socket send a reset when it is closed.
pub(crate) fn reset(stream: &TcpStream) {
    // An error says that the socket is broken already.
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
    // Each direction has jitter of its own, which is the same in every run.
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
            // This never fails, because the tap outlives its connections.
            _ = conditions.changed() => {}
            () = sleep_until(patience.unwrap_or_else(Instant::now)), if patience.is_some() => return false,
        }
        if patience.is_none() && (up.is_doomed() || down.is_doomed()) {
            patience = Some(Instant::now() + up.longest_hold().max(down.longest_hold()) + LAST_WORDS);
        }
    }
}
