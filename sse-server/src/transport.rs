//! Delivery by Server-Sent Events ([the HTML standard]): one response that is never finished carries events down.
//!
//! [the HTML standard]: https://html.spec.whatwg.org/multipage/server-sent-events.html

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header;
use axum::response::IntoResponse;
use bytes::Bytes;
use chat_core::ids::Cursor;
use chat_core::inbox::Batch;
use chat_core::limits::Limits;
use chat_core::protocol::{Encoding, Frame};
use chat_core::refusal::Close;
use chat_core::transport::{Received, Transport};
use chat_http::{Connection, Endpoint, Refuses};

/// How long a browser's `EventSource` waits before it reconnects by itself, in milliseconds.
const RETRY: &str = "retry: 2000\n\n";

/// One event stream.
pub(crate) struct SseTransport {
    connection: Connection,
    limits: Arc<Limits>,
}

impl Endpoint for SseTransport {
    const NAME: &'static str = "sse";
    const PATH: &'static str = "/events";
    const REFUSES: Refuses = Refuses::ByClose;
    type Ask = ();

    fn head((): &()) -> impl IntoResponse {
        [
            (header::CONTENT_TYPE.as_str(), "text/event-stream"),
            // No proxy may cache, compress or change the stream.
            (header::CACHE_CONTROL.as_str(), "no-cache, no-transform"),
            // nginx buffers a response before it passes it on, unless this header forbids it.
            ("x-accel-buffering", "no"),
        ]
    }

    async fn begin(mut connection: Connection, (): (), limits: Arc<Limits>) -> io::Result<Self> {
        connection.begin(RETRY).await?;
        Ok(Self { connection, limits })
    }

    async fn finish(mut self) -> io::Result<Connection> {
        self.connection.finish().await?;
        Ok(self.connection)
    }
}

impl Transport for SseTransport {
    type Error = io::Error;

    fn patience(&self) -> Duration {
        self.limits.keep_alive
    }

    async fn deliver(&mut self, batch: &Batch) -> io::Result<ControlFlow<()>> {
        self.connection.write_frames::<EventStream>(&batch.frames).await?;
        Ok(ControlFlow::Continue(()))
    }

    /// Sends a comment for proxies, which close silent connections, and a tick (an event with only the cursor) for the
    /// page, which cannot see comments.
    async fn keep_alive(&mut self, cursor: &Cursor) -> io::Result<ControlFlow<Option<Close>>> {
        let tick = EventStream::encode(&Frame::tick(cursor));
        self.connection.write_more(&[b": keep-alive\n", &tick]).await?;
        Ok(ControlFlow::Continue(()))
    }

    async fn receive(&mut self) -> io::Result<Received> {
        self.connection.half_closed().await?;
        Ok(Received::HalfClosed)
    }

    async fn close(&mut self, why: Close, _: Option<&Cursor>) -> io::Result<()> {
        self.connection.write_frames::<EventStream>(&[Frame::close(why)]).await
    }
}

/// `id` and `data` fields and the empty line that ends an event ([the event stream format]).
///
/// The server's JSON has no line breaks, so one `data` field always holds it.
///
/// [the event stream format]: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
pub struct EventStream;

impl Encoding for EventStream {
    fn encode(frame: &Frame) -> Bytes {
        let id = frame.id().map(|id| format!("id: {id}\n")).unwrap_or_default();
        [id.as_bytes(), b"data: ", frame.json(), b"\n\n"].concat().into()
    }
}
