//! Delivery by Server-Sent Events ([the HTML standard]): one response that is never finished carries events down.
//!
//! [the HTML standard]: https://html.spec.whatwg.org/multipage/server-sent-events.html

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::pin::pin;
use std::time::Duration;

use async_stream::stream;
use axum::Router;
use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use chat_core::chat::Chat;
use chat_core::client::Server;
use chat_core::http::Admission;
use chat_core::ids::Cursor;
use chat_core::inbox::Batch;
use chat_core::limits::Limits;
use chat_core::protocol::{Encoding, Frame};
use chat_core::refusal::Close;
use chat_core::transport::Transport;
use tokio::sync::mpsc;

use crate::SseClient;

/// What a browser's `EventSource` waits before it connects again by itself, in milliseconds.
const RETRY: &str = "retry: 2000\n\n";

/// The chat over Server-Sent Events.
pub struct SseServer;

impl Server for SseServer {
    const NAME: &'static str = "sse";
    const PATH: Option<&'static str> = Some("/events");
    type Client = SseClient;

    fn routes() -> Router<Chat> {
        Router::new().route("/events", get(connect))
    }
}

async fn connect(admission: Admission) -> Response {
    let limits = admission.limits().clone();
    let admitted = admission.enter(SseServer::NAME).await;
    // The loop that serves the session runs inside the response's body: when the client leaves, the body is
    // dropped, and the session with it.
    let events = stream! {
        let (chunks, mut next) = mpsc::channel(1);
        let mut transport = SseTransport { chunks, limits };
        yield Ok::<_, Infallible>(Bytes::from_static(RETRY.as_bytes()));
        {
            let mut serving = pin!(admitted.serve(&mut transport));
            loop {
                tokio::select! {
                    biased;
                    Some(chunk) = next.recv() => yield Ok(chunk),
                    _ = &mut serving => break,
                }
            }
        }
        while let Ok(chunk) = next.try_recv() {
            yield Ok(chunk);
        }
    };
    let headers = [
        (header::CONTENT_TYPE.as_str(), "text/event-stream"),
        // Nobody between here and the client may keep, pack or change it.
        (header::CACHE_CONTROL.as_str(), "no-cache, no-transform"),
        // nginx collects a response before it passes it on, unless it is told not to.
        ("x-accel-buffering", "no"),
    ];
    (headers, Body::from_stream(events)).into_response()
}

/// One event stream.
struct SseTransport {
    chunks: mpsc::Sender<Bytes>,
    limits: Limits,
}

/// The client has left.
#[derive(Debug, thiserror::Error)]
#[error("the response's body is gone")]
struct Gone;

impl SseTransport {
    async fn write(&mut self, chunk: Bytes) -> Result<ControlFlow<()>, Gone> {
        self.chunks.send(chunk).await.map_err(|_| Gone)?;
        Ok(ControlFlow::Continue(()))
    }
}

impl Transport for SseTransport {
    type Error = Gone;

    fn patience(&self) -> Duration {
        self.limits.keep_alive
    }

    async fn deliver(&mut self, batch: &Batch) -> Result<ControlFlow<()>, Gone> {
        let chunk = match batch.frames.as_slice() {
            [frame] => frame.encoded::<EventStream>(),
            frames => {
                let encoded: Vec<Bytes> = frames.iter().map(|frame| frame.encoded::<EventStream>()).collect();
                encoded.concat().into()
            }
        };
        self.write(chunk).await
    }

    /// A comment for proxies, which cut what is silent, and a tick for the page, which cannot see comments.
    async fn keep_alive(&mut self, cursor: &Cursor) -> Result<ControlFlow<()>, Gone> {
        let tick = Frame::tick(cursor).encoded::<EventStream>();
        self.write([b": keep-alive\n", tick.as_ref()].concat().into()).await
    }

    async fn close(&mut self, why: Close, _: Option<&Cursor>) -> Result<(), Gone> {
        self.write(Frame::close(why).encoded::<EventStream>()).await.map(drop)
    }
}

/// `id` and `data` fields and the empty line that ends an event ([the event stream format]).
///
/// JSON as we write it has no line break, so one `data` field always holds it.
///
/// [the event stream format]: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
pub struct EventStream;

impl Encoding for EventStream {
    fn encode(frame: &Frame) -> Bytes {
        let id = frame.id().map(|id| format!("id: {id}\n")).unwrap_or_default();
        [id.as_bytes(), b"data: ", frame.json(), b"\n\n"].concat().into()
    }
}
