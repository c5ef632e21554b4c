//! The body of an answer that goes through an HTTP library, as a transport writes it.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use async_stream::stream;
use axum::body::Body;
use axum::http::{HeaderValue, header, response};
use axum::response::Response;
use bytes::Bytes;
use chat_core::protocol::{Encoding, Frame};
use tokio::sync::{mpsc, oneshot};

use super::peer::Peer;

/// How many chunks of a body may wait for the HTTP library. With more, a slow client would take more memory.
const WAITING_CHUNKS: usize = 1;

/// An answer that goes through an HTTP library.
pub(super) struct Pipe {
    /// Where the answer goes, and its head; `None` once the answer has begun.
    due: Option<(oneshot::Sender<Response>, response::Parts)>,
    /// Where the rest of the body goes.
    body: Option<mpsc::Sender<Bytes>>,
    peer: Arc<Peer>,
}

impl Pipe {
    /// An answer with this head, which goes to `respond`.
    pub(super) fn new(respond: oneshot::Sender<Response>, head: response::Parts, peer: Arc<Peer>) -> Self {
        Self { due: Some((respond, head)), body: None, peer }
    }

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
