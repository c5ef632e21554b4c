//! The route to a transport: a request is admitted, and its connection goes the plain way or is taken over.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chat_core::chat::Chat;
use chat_core::refusal::{Code, Refusal};

use super::admission::Admission;
use super::endpoint::{Client, Endpoint, Refuses};
use super::peer::{Peer, Way};
use super::takeover::Slot;
use super::{Problem, plain};

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
    // A stream is not repeated, so nothing is kept for it.
    let next = if E::REPEATS { admission.next() } else { None };
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
            let slot = request.extensions.get::<Arc<Slot>>().ok_or_else(|| unknown().into_response())?;
            slot.serve(client, next, peer);
            Ok(head)
        }
        Way::Plain => Ok(plain::serve(&mut request, head, client, peer).await),
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
