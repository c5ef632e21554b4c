//! Delivery by Server-Sent Events ([the HTML standard]): one response that is never finished carries events down.
//!
//! [the HTML standard]: https://html.spec.whatwg.org/multipage/server-sent-events.html

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use chat_core::chat::Chat;
use chat_core::client::Server;
use chat_core::http::{Admission, Connection, Line};
use chat_core::ids::Cursor;
use chat_core::inbox::Batch;
use chat_core::limits::Limits;
use chat_core::protocol::{Encoding, Frame};
use chat_core::refusal::Close;
use chat_core::transport::{Received, Transport};

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

async fn connect(connection: Connection, admission: Admission) -> Response {
    let limits = Arc::clone(admission.limits());
    let admitted = admission.enter(SseServer::NAME).await;
    let head = [
        (header::CONTENT_TYPE.as_str(), "text/event-stream"),
        // Nobody between here and the client may keep, pack or change it.
        (header::CACHE_CONTROL.as_str(), "no-cache, no-transform"),
        // nginx collects a response before it passes it on, unless it is told not to.
        ("x-accel-buffering", "no"),
    ];
    connection.hand_over(head, async move |mut line| {
        line.begin(RETRY).await?;
        let mut transport = SseTransport { line, limits };
        admitted.serve(&mut transport).await?;
        transport.line.finish().await?;
        Ok(transport.line)
    })
}

/// One event stream.
struct SseTransport {
    line: Line,
    limits: Arc<Limits>,
}

impl Transport for SseTransport {
    type Error = io::Error;

    fn patience(&self) -> Duration {
        self.limits.keep_alive
    }

    async fn deliver(&mut self, batch: &Batch) -> io::Result<ControlFlow<()>> {
        self.line.write_frames::<EventStream>(&batch.frames).await?;
        Ok(ControlFlow::Continue(()))
    }

    /// A comment for proxies, which cut what is silent, and a tick for the page, which cannot see comments.
    async fn keep_alive(&mut self, cursor: &Cursor) -> io::Result<ControlFlow<Option<Close>>> {
        let tick = EventStream::encode(&Frame::tick(cursor));
        self.line.write_more(&[b": keep-alive\n", &tick]).await?;
        Ok(ControlFlow::Continue(()))
    }

    async fn receive(&mut self) -> io::Result<Received> {
        self.line.half_closed().await?;
        Ok(Received::HalfClosed)
    }

    async fn close(&mut self, why: Close, _: Option<&Cursor>) -> io::Result<()> {
        self.line.write_frames::<EventStream>(&[Frame::close(why)]).await
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
