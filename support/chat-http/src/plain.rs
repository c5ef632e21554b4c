//! The plain way: the HTTP library keeps the connection, and a transport writes into the body of its answer.
//!
//! This is how any axum program would do it. It works with every version of HTTP.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use async_stream::stream;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header, request, response};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chat_core::ending::End;
use chat_core::protocol::{Encoding, Frame};
use chat_core::refusal::{Code, Refusal};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::sync::{mpsc, oneshot};

use super::Problem;
use super::connection::{Connection, Source};
use super::endpoint::{Client, Endpoint};
use super::peer::Peer;
use super::wire::{Broken, Stream, Wire};

/// How many chunks of a body may wait for the HTTP library. With more, a slow client would take more memory.
const WAITING_CHUNKS: usize = 1;

/// Marks an answer that is not sent, because the client sends no more and there was nothing to answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoAnswer;

/// An answer that goes through an HTTP library.
pub(super) struct Pipe {
    /// Where the answer goes, and its head; `None` once the answer has begun.
    due: Option<(oneshot::Sender<Response>, response::Parts)>,
    /// Where the rest of the body goes.
    body: Option<mpsc::Sender<Bytes>>,
    peer: Arc<Peer>,
}

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
    let pipe = Pipe { due: Some((respond, head)), body: None, peer };
    tokio::spawn(client.serve(Connection(Source::Body(pipe))));
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

impl Pipe {
    pub(super) async fn begin(&mut self, first: &str) -> io::Result<()> {
        let (sender, mut chunks) = mpsc::channel(WAITING_CHUNKS);
        let body = stream! {
            while let Some(chunk) = chunks.recv().await {
                yield Ok::<Bytes, Infallible>(chunk);
            }
        };
        self.respond(Body::from_stream(body))?;
        self.body = Some(sender);
        self.write(Bytes::copy_from_slice(first.as_bytes())).await
    }

    pub(super) async fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        let body = self.body.as_ref().ok_or(io::ErrorKind::InvalidInput)?;
        body.send(bytes).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    pub(super) async fn write_frames<E: Encoding>(&mut self, frames: &[Arc<Frame>]) -> io::Result<()> {
        let bytes = match frames {
            [frame] => frame.encoded::<E>().clone(),
            frames => {
                frames.iter().map(|frame| frame.encoded::<E>().as_ref()).collect::<Vec<_>>().concat().into()
            }
        };
        self.write(bytes).await
    }

    pub(super) fn finish(&mut self) {
        self.body = None;
    }

    pub(super) fn answer(&mut self, body: Vec<u8>) -> io::Result<()> {
        self.respond(Body::from(body))
    }

    pub(super) fn end_after(&mut self) {
        if let Some((_, head)) = &mut self.due {
            head.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }

    /// Also ready when the connection has ended, because then nothing that is written arrives.
    pub(super) async fn half_closed(&mut self) -> io::Result<()> {
        let Self { due, body, peer } = self;
        let gone = async {
            match (due, body) {
                (Some((respond, _)), _) => respond.closed().await,
                (None, Some(body)) => body.closed().await,
                (None, None) => {}
            }
        };
        let half_closed = poll_fn(|cx| peer.half_closed.poll(cx));
        tokio::select! {
            () = gone => {}
            () = half_closed => {}
        }
        Ok(())
    }

    fn respond(&mut self, body: Body) -> io::Result<()> {
        let (respond, head) = self.due.take().ok_or(io::ErrorKind::InvalidInput)?;
        respond.send(Response::from_parts(head, body)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
