//! Delivery by polling ([RFC 6202 §2]): each request is held until there is news, or until it has waited enough.
//!
//! [RFC 6202 §2]: https://www.rfc-editor.org/rfc/rfc6202#section-2

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRequestParts, Query};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use chat_core::chat::Chat;
use chat_core::client::Server;
use chat_core::http::{Connection, Endpoint, Problem, Refuses, endpoint};
use chat_core::ids::Cursor;
use chat_core::inbox::Batch;
use chat_core::limits::Limits;
use chat_core::protocol::Frame;
use chat_core::refusal::{Close, Code, Refusal};
use chat_core::transport::{Received, Transport};
use serde::Deserialize;

use crate::{LongPollClient, ShortPollClient};

/// The longest wait that a poll may ask for.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// What an answer has around its events: room to begin with, not a limit.
const ENVELOPE_BYTES: usize = 128;

/// The chat over long polling.
pub struct LongPollServer;

impl Server for LongPollServer {
    const NAME: &'static str = PollTransport::NAME;
    const PATH: Option<&'static str> = Some(PollTransport::PATH);
    type Client = LongPollClient;

    fn routes() -> Router<Chat> {
        endpoint::<PollTransport>()
    }
}

/// The chat over short polling: the same route, asked with `wait=0`.
pub struct ShortPollServer;

impl Server for ShortPollServer {
    const NAME: &'static str = "shortpoll";
    const PATH: Option<&'static str> = Some("/poll?wait=0");
    type Client = ShortPollClient;

    fn routes() -> Router<Chat> {
        LongPollServer::routes()
    }
}

/// How long a poll waits for news.
#[derive(Clone)]
struct Wait(Duration);

impl FromRequestParts<Chat> for Wait {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, chat: &Chat) -> Result<Self, Problem> {
        #[derive(Deserialize)]
        struct Asked {
            wait: Option<u64>,
        }
        let asked = Query::<Asked>::try_from_uri(&parts.uri);
        let Query(Asked { wait }) =
            asked.map_err(|error| Refusal::new(Code::BadRequest, error.body_text()))?;
        let wait = wait.map_or(chat.limits().poll_wait, Duration::from_secs);
        if wait > MAX_WAIT {
            let what = format!("wait must be between 0 and {} seconds", MAX_WAIT.as_secs());
            return Err(Refusal::new(Code::BadRequest, what).into());
        }
        Ok(Self(wait.min(chat.limits().longest_poll)))
    }
}

/// One poll.
struct PollTransport {
    connection: Connection,
    wait: Duration,
}

impl Endpoint for PollTransport {
    const NAME: &'static str = "longpoll";
    const PATH: &'static str = "/poll";
    const REFUSES: Refuses = Refuses::ByStatus;
    type Ask = Wait;

    fn name(Wait(wait): &Wait) -> &'static str {
        if wait.is_zero() { ShortPollServer::NAME } else { Self::NAME }
    }

    fn head(_: &Wait) -> impl IntoResponse {
        [
            (header::CONTENT_TYPE, "application/json"),
            // The same address has another answer next time.
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

    /// The empty answer: the client asks again at once, and no proxy takes the silence for death.
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

/// `{"events": […], "cursor", "more"}`.
fn answer(events: &[&[u8]], cursor: Option<&Cursor>, more: bool) -> Vec<u8> {
    let length: usize = events.iter().map(|event| event.len() + 1).sum();
    let mut answer = Vec::with_capacity(length + ENVELOPE_BYTES);
    answer.extend_from_slice(b"{\"events\":[");
    for (number, event) in events.iter().enumerate() {
        answer.extend_from_slice(if number == 0 { b"" } else { b"," });
        answer.extend_from_slice(event);
    }
    match cursor {
        Some(cursor) => write!(answer, "],\"cursor\":\"{cursor}\",\"more\":{more}}}"),
        None => write!(answer, "],\"cursor\":null,\"more\":{more}}}"),
    }
    .expect("a vector takes every write");
    answer
}
