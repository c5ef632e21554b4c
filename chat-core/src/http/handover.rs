//! Handing a connection over: once a request is routed and its answer has begun, a stream or a waiting poll has
//! no use for an HTTP library and its buffers.
//!
//! A handler leaves a future for the bare connection with the accept loop, and the head of its answer goes back
//! through the layers as always. The loop then takes the connection from under hyper, and runs the future.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};

use super::Problem;
use super::admission::Admission;
use super::head::{Asked, Head};
use super::line::Line;
use crate::ending::{Cut, End};
use crate::metrics::TransportMetrics;
use crate::refusal::{Code, Refusal};
use crate::transport::Session;

/// The connection that a request came over, as the accept loop knows it.
pub(crate) struct Peer {
    /// The address of the other end.
    pub(crate) address: IpAddr,
    /// Cuts the connection, and takes note of its end.
    pub(crate) cut: Cut,
    wire: Arc<TransportMetrics>,
    /// Guards what is to be done with the connection, once hyper has let go of it.
    next: Mutex<Next>,
}

/// Serves a connection, and gives it back in the end.
pub(crate) type Serving = Pin<Box<dyn Future<Output = io::Result<Line>> + Send>>;
type Serve = Box<dyn FnOnce(Line) -> Serving + Send>;

#[derive(Default)]
enum Next {
    /// More requests.
    #[default]
    Requests,
    /// A handler wants it, and the head of the answer is still on its way through the layers.
    Wanted(Serve),
    /// It goes to the handler's future.
    Handed(Live),
}

/// What a connection is served with.
pub(crate) struct Live {
    head: Head,
    serve: Serve,
}

impl Peer {
    pub(crate) fn new(address: IpAddr, cut: Cut, wire: Arc<TransportMetrics>) -> Self {
        Self { address, cut, wire, next: Mutex::default() }
    }

    /// Counts the end of the connection.
    pub(crate) fn ended(&self, why: End) {
        self.wire.ended(&self.cut, why);
    }

    fn replace(&self, next: Next) -> Next {
        std::mem::replace(&mut *self.next.lock().unwrap_or_else(PoisonError::into_inner), next)
    }

    /// Takes note of an answer. `None`: its connection is handed over instead of it.
    pub(crate) fn answered(&self, asked: Asked, method: &Method, answer: Response) -> Option<Response> {
        match self.replace(Next::Requests) {
            // Whoever asks for the head alone gets it, and nothing is served after it.
            Next::Wanted(serve) if *method == Method::GET => {
                let head = Head::new(asked, answer.into_parts().0);
                self.replace(Next::Handed(Live { head, serve }));
                None
            }
            Next::Requests | Next::Wanted(_) | Next::Handed(_) => Some(answer),
        }
    }

    /// What the connection is to be served with, if it is handed over.
    pub(crate) fn handed(&self) -> Option<Live> {
        match self.replace(Next::Requests) {
            Next::Handed(live) => Some(live),
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
    pub(crate) fn serve(self, line: Line, ahead: &[u8], asked: Option<&[u8]>) -> Serving {
        (self.serve)(line.answering(ahead, asked, self.head))
    }
}

/// The connection under a request, for a handler that wants it for itself.
pub struct Connection(Arc<Peer>);

impl Connection {
    /// Answers with this head, and serves the client over the bare connection.
    ///
    /// `serve` gives the connection back in the end; if its answer is whole, more requests may follow.
    pub fn hand_over<S, F>(self, head: impl IntoResponse, serve: S) -> Response
    where
        S: FnOnce(Line) -> F + Send + 'static,
        F: Future<Output = io::Result<Line>> + Send + 'static,
    {
        self.0.replace(Next::Wanted(Box::new(|line| Box::pin(serve(line)))));
        head.into_response()
    }
}

impl Connection {
    /// Answers a poll, and those that differ from it in nothing but their cursor: they are authenticated anew, and
    /// everything else that was decided about the first holds for them too.
    ///
    /// # Errors
    /// The client is refused.
    pub async fn answer_polls<S, F>(
        self,
        head: impl IntoResponse,
        admission: Admission,
        transport: &'static str,
        serve: S,
    ) -> Result<Response, Problem>
    where
        S: Fn(Line, Box<Session>) -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<Line>> + Send + 'static,
    {
        let next = admission.next();
        let session = admission.enter(transport).await.session()?;
        let serve = Arc::new(serve);
        Ok(self.hand_over(head, move |mut line| {
            if let Some(next) = next {
                let serve = Arc::clone(&serve);
                line.repeat_with(move |line, cursor| {
                    let (next, serve) = (next.clone(), Arc::clone(&serve));
                    Box::pin(async move {
                        match next.enter(cursor, transport).await {
                            Ok(session) => serve(line, session).await,
                            Err(_) => Ok(line.refuse_again(&cursor)),
                        }
                    })
                });
            }
            serve(line, session)
        }))
    }
}

impl<S: Sync> FromRequestParts<S> for Connection {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Its bytes would be taken for what comes after the request.
        let length = parts.headers.get(header::CONTENT_LENGTH);
        if length.is_some_and(|length| length != "0") || parts.headers.contains_key(header::TRANSFER_ENCODING)
        {
            return Err(Refusal::new(Code::BadRequest, "a request for events has no body").into());
        }
        let from = parts.extensions.get::<Arc<Peer>>();
        let unknown = || Refusal::new(Code::Internal, "this connection cannot be handed over");
        Ok(Self(Arc::clone(from.ok_or_else(unknown)?)))
    }
}
