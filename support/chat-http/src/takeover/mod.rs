//! The takeover: once a request is routed and its answer has begun, a stream or a waiting poll has no use for an
//! HTTP library and its buffers.
//!
//! A handler leaves a future for the bare connection with the accept loop. The head of its answer goes back
//! through the layers as always. The loop then takes the connection from under hyper, and runs the future.

mod answer;
mod head;
mod repeated_poll;

use std::io;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};

use axum::http::Method;
use axum::response::Response;

use self::head::Head;
use self::repeated_poll::RepeatedPoll;
use super::admission::{self, Admitted};
use super::connection::{Connection, Source};
use super::endpoint::{Client, Endpoint};
use super::peer::Peer;
use super::wire::Wire;

pub(crate) use self::answer::Taken;
pub(crate) use self::head::Asked;

/// Serves a connection, and gives it back in the end.
pub(crate) type Serving = Pin<Box<dyn Future<Output = io::Result<Taken>> + Send>>;
/// It is given its peer, and does not own one: a client whose connection breaks before it is served would never go.
type Serve = Box<dyn FnOnce(Taken, Option<RepeatedPoll>, Arc<Peer>) -> Serving + Send>;

/// What is to be done with a connection, once hyper has let go of it.
#[derive(Default)]
pub(super) enum Next {
    /// More requests.
    #[default]
    Requests,
    /// A handler wants it, and the head of the answer is still on its way through the layers.
    Wanted(Serve),
    /// It goes to the handler's future.
    Taken(Live),
}

/// What a connection is served with.
pub(crate) struct Live {
    head: Head,
    serve: Serve,
}

/// Leaves a client with the accept loop, which serves it once its connection is free.
///
/// A client that repeats its request after another cursor is authenticated anew. Everything else that was decided
/// about its first request holds for the next one too.
pub(super) fn serve<E: Endpoint>(client: Client<E>, next: Option<admission::Next>, peer: &Peer) {
    peer.replace(Next::Wanted(Box::new(|taken, asked, peer| {
        let repeats = next.zip(asked);
        Box::pin(serve_all(taken, client, repeats, peer))
    })));
}

/// Serves a client, and then the same request again as often as it comes.
async fn serve_all<E: Endpoint>(
    mut taken: Taken,
    client: Client<E>,
    repeats: Option<(admission::Next, RepeatedPoll)>,
    peer: Arc<Peer>,
) -> io::Result<Taken> {
    let Client { ask, limits, mut admitted } = client;
    let repeats = repeats.and_then(|repeats| Some((repeats, taken.head.clone()?)));
    loop {
        let client = Client::<E> { ask: ask.clone(), limits: Arc::clone(&limits), admitted };
        let connection = client.serve(Connection(Source::Taken(taken))).await?;
        taken = connection.into_taken().ok_or(io::ErrorKind::InvalidData)?;
        let Some(((next, asked), head)) = &repeats else { return Ok(taken) };
        if !taken.is_kept() || peer.is_stopping() {
            return Ok(taken);
        }
        if !peer.has_request(&mut taken.wire).await {
            taken.is_kept = false;
            return Ok(taken);
        }
        let Some((cursor, length)) = asked.cursor(taken.wire.ahead()) else { return Ok(taken) };
        match next.clone().enter(cursor, E::name(&ask)).await {
            Ok(session) => admitted = Admitted::from(session),
            // It goes the way of all other requests, which has words for the reason.
            Err(_) => return Ok(taken),
        }
        taken.wire.advance(length);
        taken.head = Some(head.clone());
    }
}

impl Peer {
    fn replace(&self, next: Next) -> Next {
        std::mem::replace(&mut *self.next.lock().unwrap_or_else(PoisonError::into_inner), next)
    }

    /// Takes note of an answer. `None`: its connection is taken over instead of it.
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
    /// No more requests may follow.
    pub(crate) fn is_last(&mut self) {
        self.head.is_last();
    }

    /// Serves a connection of which hyper has read `ahead` too much, after a request with the head `asked`.
    pub(crate) fn serve(
        self,
        mut wire: Wire,
        ahead: &[u8],
        asked: Option<&[u8]>,
        peer: &Arc<Peer>,
    ) -> Serving {
        wire.put_back(ahead);
        (self.serve)(Taken::new(wire, self.head), asked.and_then(RepeatedPoll::of), Arc::clone(peer))
    }
}
