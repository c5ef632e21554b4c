//! Delivery by polling ([RFC 6202 §2]): each request is held until there is news, or until it has waited enough.
//!
//! [RFC 6202 §2]: https://www.rfc-editor.org/rfc/rfc6202#section-2

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::time::Duration;

use axum::Router;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::header;
use axum::response::Response;
use axum::routing::get;
use chat_core::chat::Chat;
use chat_core::client::Server;
use chat_core::http::{Admission, Connection, Line, Problem};
use chat_core::ids::Cursor;
use chat_core::inbox::Batch;
use chat_core::protocol::Frame;
use chat_core::refusal::{Close, Code, Refusal};
use chat_core::transport::{Received, Session, Transport};
use serde::Deserialize;

use crate::{LongPollClient, ShortPollClient};

/// The longest wait that a poll may ask for.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// What an answer has around its events: room to begin with, not a limit.
const ENVELOPE_BYTES: usize = 128;

/// The chat over long polling.
pub struct LongPollServer;

impl Server for LongPollServer {
    const NAME: &'static str = "longpoll";
    const PATH: Option<&'static str> = Some("/poll");
    type Client = LongPollClient;

    fn routes() -> Router<Chat> {
        Router::new().route("/poll", get(connect))
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

#[derive(Deserialize)]
struct Wait {
    wait: Option<u64>,
}

async fn connect(
    wait: Result<Query<Wait>, QueryRejection>,
    connection: Connection,
    admission: Admission,
) -> Result<Response, Problem> {
    let Query(Wait { wait }) = wait.map_err(|error| Refusal::new(Code::BadRequest, error.body_text()))?;
    let wait = wait.map_or(admission.limits().poll_wait, Duration::from_secs);
    if wait > MAX_WAIT {
        return Err(Refusal::new(
            Code::BadRequest,
            format!("wait must be between 0 and {} seconds", MAX_WAIT.as_secs()),
        )
        .into());
    }
    let wait = wait.min(admission.limits().longest_poll);
    let name = if wait.is_zero() { ShortPollServer::NAME } else { LongPollServer::NAME };
    let head = [
        (header::CONTENT_TYPE, "application/json"),
        // The same address has another answer next time.
        (header::CACHE_CONTROL, "no-store"),
    ];
    let serve = move |line, session: Box<Session>| async move {
        let mut transport = PollTransport { line, wait };
        session.serve(&mut transport).await?;
        Ok(transport.line)
    };
    connection.answer_polls(head, admission, name, serve).await
}

/// One poll.
struct PollTransport {
    line: Line,
    wait: Duration,
}

impl Transport for PollTransport {
    type Error = io::Error;

    fn patience(&self) -> Duration {
        self.wait
    }

    async fn deliver(&mut self, batch: &Batch) -> io::Result<ControlFlow<()>> {
        let events: Vec<&[u8]> = batch.frames.iter().map(|frame| frame.json().as_ref()).collect();
        let answer = answer(&events, batch.cursor.as_ref(), batch.more);
        self.line.answer(&answer).await?;
        Ok(ControlFlow::Break(()))
    }

    /// The empty answer: the client asks again at once, and no proxy takes the silence for death.
    async fn keep_alive(&mut self, cursor: &Cursor) -> io::Result<ControlFlow<Option<Close>>> {
        self.line.answer(&answer(&[], Some(cursor), false)).await?;
        Ok(ControlFlow::Break(None))
    }

    async fn receive(&mut self) -> io::Result<Received> {
        self.line.half_closed().await?;
        Ok(Received::HalfClosed)
    }

    async fn close(&mut self, why: Close, cursor: Option<&Cursor>) -> io::Result<()> {
        self.line.end_after();
        self.line.answer(&answer(&[Frame::close(why).json()], cursor, false)).await
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
