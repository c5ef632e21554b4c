//! How a request becomes a transport: the part of a transport that knows HTTP, and the route to it.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chat_core::chat::Chat;
use chat_core::limits::Limits;
use chat_core::refusal::{Code, Refusal};
use chat_core::transport::Transport;

use super::admission::{Admission, Admitted};
use super::connection::Connection;
use super::peer::{Peer, Way};
use super::{Problem, plain, takeover};

/// A transport that begins with an HTTP request.
pub trait Endpoint: Transport<Error = io::Error> + Sized + 'static {
    /// Its name in URLs, metrics, benchmarks and tables.
    const NAME: &'static str;
    /// The path at which a client opens it.
    const PATH: &'static str;
    /// How a refusal reaches the client.
    const REFUSES: Refuses;
    /// What a request asks for, besides its user and its cursor.
    type Ask: FromRequestParts<Chat, Rejection: IntoResponse> + Clone + Send + Sync;

    /// The name under which a request is counted.
    fn name(_ask: &Self::Ask) -> &'static str {
        Self::NAME
    }

    /// The head of the answer.
    fn head(ask: &Self::Ask) -> impl IntoResponse;

    /// Begins to serve a client.
    ///
    /// # Errors
    /// The connection is closed or broken.
    fn begin(
        connection: Connection,
        ask: Self::Ask,
        limits: Arc<Limits>,
    ) -> impl Future<Output = io::Result<Self>> + Send;

    /// Ends the answer, and gives the connection back.
    ///
    /// # Errors
    /// The connection is closed or broken.
    fn finish(self) -> impl Future<Output = io::Result<Connection>> + Send;
}

/// How a refusal reaches the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refuses {
    /// By the HTTP status of the answer.
    ByStatus,
    /// By the transport's close code, because browsers do not show the status to the page.
    ByClose,
}

/// The route to a transport.
pub fn endpoint<E: Endpoint>() -> Router<Chat> {
    Router::new().route(E::PATH, get(open::<E>))
}

async fn open<E: Endpoint>(State(chat): State<Chat>, request: Request) -> Result<Response, Response> {
    let (mut request, _) = request.into_parts();
    no_body(&request.headers).map_err(IntoResponse::into_response)?;
    let ask = E::Ask::from_request_parts(&mut request, &chat).await.map_err(IntoResponse::into_response)?;
    let admission = Admission::from_request_parts(&mut request, &chat).await;
    let admission = admission.map_err(IntoResponse::into_response)?;
    let next = admission.next();
    let admitted = admission.enter(E::name(&ask)).await;
    let admitted = match E::REFUSES {
        Refuses::ByStatus => admitted.or_problem().map_err(IntoResponse::into_response)?,
        Refuses::ByClose => admitted,
    };
    let head = E::head(&ask).into_response();
    // A HEAD request asks for the head only.
    if request.method != Method::GET {
        return Ok(head);
    }
    let unknown =
        || Problem::from(Refusal::new(Code::Internal, "this connection has no accept loop of ours"));
    let peer = request.extensions.get::<Arc<Peer>>().cloned();
    let peer = peer.ok_or_else(|| unknown().into_response())?;
    let client = Client::<E> { ask, limits: Arc::clone(chat.limits()), admitted };
    match peer.way {
        Way::Takeover => {
            takeover::serve(client, next, &peer);
            Ok(head)
        }
        Way::Plain => Ok(plain::serve(&mut request, head, client, peer).await),
    }
}

/// A client that is to be served.
pub(super) struct Client<E: Endpoint> {
    pub(super) ask: E::Ask,
    pub(super) limits: Arc<Limits>,
    pub(super) admitted: Admitted,
}

impl<E: Endpoint> Client<E> {
    /// Serves the client over its connection, and gives the connection back in the end.
    pub(super) async fn serve(self, connection: Connection) -> io::Result<Connection> {
        let mut transport = E::begin(connection, self.ask, self.limits).await?;
        self.admitted.serve(&mut transport).await?;
        transport.finish().await
    }
}

/// Refuses a request that has a body, because the body would be read as what comes after the request.
fn no_body(headers: &HeaderMap) -> Result<(), Problem> {
    let length = headers.get(header::CONTENT_LENGTH);
    if length.is_some_and(|length| length != "0") || headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Refusal::new(Code::BadRequest, "a request for events has no body").into());
    }
    Ok(())
}
