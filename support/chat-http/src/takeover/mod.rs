//! The takeover: a transport takes the connection over from hyper, the HTTP library.
//!
//! Once a request is routed, a stream or a waiting poll does not need hyper and its buffers any more. So the connection
//! changes hands, in three steps:
//!
//! 1. A handler gives the accept loop a future that can serve the bare connection.
//! 2. The head of the handler's answer goes back through the layers as always.
//! 3. The accept loop takes the connection from hyper, and runs the future.

mod repeated_poll;

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::Method;
use axum::response::Response;
use futures_util::FutureExt;

use self::repeated_poll::RepeatedPoll;
use super::admission::{self, Admitted};
use super::connection::{Connection, Source};
use super::endpoint::{Client, Endpoint};
use super::peer::Peer;
use super::taken::{Asked, Head, Taken};
use super::wire::Wire;

/// Serves a connection, and gives it back in the end.
pub(crate) type Serving = Pin<Box<dyn Future<Output = io::Result<Taken>> + Send>>;
/// Makes that future.
type Serve = Box<dyn FnOnce(Taken, Option<&[u8]>) -> Serving + Send>;

/// What happens with a connection once hyper has given it up. The handler and the accept loop share it.
#[derive(Default)]
pub(crate) struct Slot(Mutex<Next>);

#[derive(Default)]
enum Next {
    /// It carries more requests.
    #[default]
    Requests,
    /// A handler wants it, and the head of the answer is still on its way through the layers.
    Wanted(Serve),
    /// It goes to the handler's future.
    Taken(Live),
}

/// What serves a connection that is taken over: the head of the answer, and the handler's future.
pub(crate) struct Live {
    head: Head,
    serve: Serve,
}

/// Serves a client once.
fn serve_once<E: Endpoint>(
    taken: Taken,
    client: Client<E>,
) -> impl Future<Output = io::Result<Taken>> + Send {
    let served = client.serve(Connection(Source::Taken(taken)));
    served.map(|connection| connection?.into_taken().ok_or_else(|| io::ErrorKind::InvalidData.into()))
}

/// Serves a client, and then the same request as often as the client repeats it.
///
/// Each step is in a box of its own, so that a poll that waits keeps no room for the other steps.
async fn serve_all<E: Endpoint>(
    mut taken: Taken,
    client: Client<E>,
    repeats: Box<(admission::Next, RepeatedPoll)>,
    peer: Arc<Peer>,
) -> io::Result<Taken> {
    let Client { ask, limits, mut admitted } = client;
    let (head, (next, asked)) = (taken.head.clone(), &*repeats);
    loop {
        let client = Client::<E> { ask: ask.clone(), limits: Arc::clone(&limits), admitted };
        taken = Box::pin(serve_once(taken, client)).await?;
        if !taken.is_kept() || peer.is_stopping() {
            return Ok(taken);
        }
        if !Box::pin(peer.has_request(&mut taken.wire)).await {
            taken.is_kept = false;
            return Ok(taken);
        }
        let Some((cursor, length)) = asked.cursor(taken.wire.ahead()) else { return Ok(taken) };
        match Box::pin(next.clone().enter(cursor, E::name(&ask))).await {
            Ok(session) => admitted = Admitted::from(session),
            // The request goes through the router like any other, and is answered there with the reason.
            Err(_) => return Ok(taken),
        }
        taken.wire.advance(length);
        taken.head.clone_from(&head);
    }
}

impl Slot {
    fn replace(&self, next: Next) -> Next {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), next)
    }

    /// Gives a client to the accept loop, which serves it once hyper has given its connection up.
    ///
    /// If the client repeats its request with another cursor, it is authenticated again. Everything else that was
    /// decided about its first request holds for the next one too.
    pub(super) fn serve<E: Endpoint>(
        &self,
        client: Client<E>,
        next: Option<admission::Next>,
        peer: Arc<Peer>,
    ) {
        self.replace(Next::Wanted(Box::new(|taken, asked| {
            match next.and_then(|next| Some((next, RepeatedPoll::of(asked?)?))) {
                Some(repeats) => Box::pin(serve_all(taken, client, Box::new(repeats), peer)),
                None => Box::pin(serve_once(taken, client)),
            }
        })));
    }

    /// Looks at an answer before hyper gets it. `None`: the connection is taken over, and hyper does not answer.
    pub(crate) fn answer(&self, asked: Asked, method: &Method, answer: Response) -> Option<Response> {
        match self.replace(Next::Requests) {
            Next::Wanted(serve) if *method == Method::GET => {
                let head = Head::new(asked, answer.into_parts().0);
                self.replace(Next::Taken(Live { head, serve }));
                None
            }
            Next::Requests | Next::Wanted(_) | Next::Taken(_) => Some(answer),
        }
    }

    /// What the connection is to be served with, if it is taken over.
    pub(crate) fn taken(&self) -> Option<Live> {
        match self.replace(Next::Requests) {
            Next::Taken(live) => Some(live),
            other => {
                self.replace(other);
                None
            }
        }
    }
}

impl Live {
    /// Notes that no more requests may follow.
    pub(crate) fn is_last(&mut self) {
        self.head.is_last();
    }

    /// Serves a connection after a request with the head `asked`. hyper has read the bytes `ahead` beyond that request.
    pub(crate) fn serve(self, mut wire: Wire, ahead: &[u8], asked: Option<&[u8]>) -> Serving {
        wire.put_back(ahead);
        (self.serve)(Taken::new(wire, self.head), asked)
    }
}
