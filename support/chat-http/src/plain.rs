//! The plain way: the HTTP library keeps the connection, and a transport writes into the body of its answer.
//!
//! This is how any axum program would do it. It works with every version of HTTP.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{StatusCode, request};
use axum::response::{IntoResponse, Response};
use chat_core::ending::End;
use chat_core::refusal::{Code, Refusal};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;

use super::Problem;
use super::connection::{Connection, Source};
use super::endpoint::{Client, Endpoint};
use super::peer::Peer;
use super::pipe::Pipe;
use super::wire::{Broken, Stream, Wire};

/// Marks an answer that is not sent, because the client sends no more and there was nothing to answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoAnswer;

/// Serves a client in its own task. What the transport writes there becomes the answer.
pub(super) async fn serve<E: Endpoint>(
    request: &mut request::Parts,
    head: Response,
    client: Client<E>,
    peer: Arc<Peer>,
) -> Response {
    let (head, _) = head.into_parts();
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        let Some(upgrade) = request.extensions.remove::<OnUpgrade>() else {
            return Problem(Refusal::new(Code::Internal, "this connection cannot be upgraded"))
                .into_response();
        };
        peer.upgrades();
        tokio::spawn(upgraded(upgrade, client, peer));
        return Response::from_parts(head, Body::empty());
    }
    let (respond, response) = oneshot::channel();
    let pipe = Pipe::new(respond, head, peer);
    tokio::spawn(client.serve(Connection(Source::Body(Box::new(pipe)))));
    response.await.unwrap_or_else(|_| {
        let mut none = StatusCode::NO_CONTENT.into_response();
        none.extensions_mut().insert(NoAnswer);
        none
    })
}

/// Serves a client once its connection is upgraded.
async fn upgraded<E: Endpoint>(upgrade: OnUpgrade, client: Client<E>, peer: Arc<Peer>) {
    // If the upgrade fails, the client has left already.
    let Ok(upgraded) = upgrade.await else { return peer.ended(End::Left) };
    let wire = Wire::new(TokioIo::new(upgraded));
    match client.serve(Connection(Source::Upgraded(wire))).await {
        Ok(_) => peer.answered(),
        Err(error) => peer.failed(&error),
    }
}

impl Stream for TokioIo<Upgraded> {
    fn broken(&mut self) -> Broken<'_> {
        // Not needed here: the next read or write reports that the connection is broken.
        Box::pin(std::future::pending())
    }
}
