//! Delivery by JSON lines ([NDJSON]): one response that is never finished carries one frame a line.
//!
//! [NDJSON]: https://github.com/ndjson/ndjson-spec

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

/// One stream of lines.
pub(crate) struct NdjsonTransport {
    connection: Connection,
    limits: Arc<Limits>,
}

impl Endpoint for NdjsonTransport {
    const NAME: &'static str = "ndjson";
    const PATH: &'static str = "/ndjson";
    const REFUSES: Refuses = Refuses::ByClose;
    type Ask = ();

    fn head((): &()) -> impl IntoResponse {
        [(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-cache, no-transform")]
    }

    async fn begin(mut connection: Connection, (): (), limits: Arc<Limits>) -> io::Result<Self> {
        // An empty line, which readers skip: it brings the head to the client at once.
        connection.begin("\n").await?;
        Ok(Self { connection, limits })
    }

    async fn finish(mut self) -> io::Result<Connection> {
        self.connection.finish().await?;
        Ok(self.connection)
    }
}

impl Transport for NdjsonTransport {
    type Error = io::Error;

    fn patience(&self) -> Duration {
        self.limits.keep_alive
    }

    async fn deliver(&mut self, batch: &Batch) -> io::Result<ControlFlow<()>> {
        self.connection.write_frames::<Line>(&batch.frames).await?;
        Ok(ControlFlow::Continue(()))
    }

    async fn keep_alive(&mut self, cursor: &Cursor) -> io::Result<ControlFlow<Option<Close>>> {
        self.connection.write_frames::<Line>(&[Frame::tick(cursor)]).await?;
        Ok(ControlFlow::Continue(()))
    }

    async fn receive(&mut self) -> io::Result<Received> {
        self.connection.half_closed().await?;
        Ok(Received::HalfClosed)
    }

    async fn close(&mut self, why: Close, _: Option<&Cursor>) -> io::Result<()> {
        self.connection.write_frames::<Line>(&[Frame::close(why)]).await
    }
}

/// A frame and a line break. The server's JSON has no line breaks of its own.
struct Line;

impl Encoding for Line {
    fn encode(frame: &Frame) -> Bytes {
        [frame.json(), b"\n".as_slice()].concat().into()
    }
}
