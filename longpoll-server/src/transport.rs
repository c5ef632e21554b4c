//! Delivery by polling ([RFC 6202 §2]): each request is held until there is news, or until it has waited enough.
//!
//! [RFC 6202 §2]: https://www.rfc-editor.org/rfc/rfc6202#section-2

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header;
use axum::response::IntoResponse;
use chat_core::ids::Cursor;
use chat_core::inbox::Batch;
use chat_core::limits::Limits;
use chat_core::protocol::Frame;
use chat_core::refusal::Close;
use chat_core::transport::{Received, Transport};
use chat_http::{Connection, Endpoint, Refuses, Server};

use crate::ShortPollServer;
use crate::answer::answer;
use crate::wait::Wait;

/// One poll.
pub(crate) struct PollTransport {
    connection: Connection,
    wait: Duration,
}

impl Endpoint for PollTransport {
    const NAME: &'static str = "longpoll";
    const PATH: &'static str = "/poll";
    const REFUSES: Refuses = Refuses::ByStatus;
    const REPEATS: bool = true;
    type Ask = Wait;

    fn name(Wait(wait): &Wait) -> &'static str {
        if wait.is_zero() { ShortPollServer::NAME } else { Self::NAME }
    }

    fn head(_: &Wait) -> impl IntoResponse {
        [
            (header::CONTENT_TYPE, "application/json"),
            // The same URL has a different answer next time.
            (header::CACHE_CONTROL, "no-store"),
        ]
    }

    async fn begin(connection: Connection, Wait(wait): Wait, _: Arc<Limits>) -> io::Result<Self> {
        Ok(Self { connection, wait })
    }

    async fn finish(self) -> io::Result<Connection> {
        Ok(self.connection)
    }
}

impl Transport for PollTransport {
    type Error = io::Error;

    fn patience(&self) -> Duration {
        self.wait
    }

    async fn deliver(&mut self, batch: &Batch) -> io::Result<ControlFlow<()>> {
        let events: Vec<&[u8]> = batch.frames.iter().map(|frame| frame.json().as_ref()).collect();
        self.connection.answer(answer(&events, batch.cursor.as_ref(), batch.more)).await?;
        Ok(ControlFlow::Break(()))
    }

    /// Sends an empty answer. The client polls again at once, and no proxy closes the connection for being silent.
    async fn keep_alive(&mut self, cursor: &Cursor) -> io::Result<ControlFlow<Option<Close>>> {
        self.connection.answer(answer(&[], Some(cursor), false)).await?;
        Ok(ControlFlow::Break(None))
    }

    async fn receive(&mut self) -> io::Result<Received> {
        self.connection.half_closed().await?;
        Ok(Received::HalfClosed)
    }

    async fn close(&mut self, why: Close, cursor: Option<&Cursor>) -> io::Result<()> {
        self.connection.end_after();
        self.connection.answer(answer(&[Frame::close(why).json()], cursor, false)).await
    }
}
