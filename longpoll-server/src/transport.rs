//! Delivery by polling ([RFC 6202 §2]): each request is held until there is news, or until it has waited enough.
//!
//! [RFC 6202 §2]: https://www.rfc-editor.org/rfc/rfc6202#section-2

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::time::Duration;

use axum::Router;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use chat_core::chat::Chat;
use chat_core::client::Server;
use chat_core::http::{Admission, Problem};
use chat_core::ids::Cursor;
use chat_core::inbox::Batch;
use chat_core::protocol::Frame;
use chat_core::refusal::{Close, Code, Refusal};
use chat_core::transport::Transport;
use serde::Deserialize;

use crate::{LongPollClient, ShortPollClient};

/// The longest wait that a poll may ask for.
const MAX_WAIT: Duration = Duration::from_secs(60);

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
    let name = if wait.is_zero() { ShortPollServer::NAME } else { LongPollServer::NAME };
    let session = admission.enter(name).await.session()?;
    let mut transport = PollTransport { wait, answer: Bytes::new() };
    let Ok(()) = session.serve(&mut transport).await;
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        // The same address has another answer next time.
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, transport.answer).into_response())
}

/// One poll.
struct PollTransport {
    wait: Duration,
    answer: Bytes,
}

impl Transport for PollTransport {
    type Error = Infallible;

    fn patience(&self) -> Duration {
        self.wait
    }

    async fn deliver(&mut self, batch: &Batch) -> Result<ControlFlow<()>, Infallible> {
        let events: Vec<&[u8]> = batch.frames.iter().map(|frame| frame.json().as_ref()).collect();
        self.answer = answer(&events.join(&b","[..]), batch.cursor.as_ref(), batch.more);
        Ok(ControlFlow::Break(()))
    }

    /// The empty answer: the client asks again at once, and no proxy takes the silence for death.
    async fn keep_alive(&mut self, cursor: &Cursor) -> Result<ControlFlow<()>, Infallible> {
        self.answer = answer(&[], Some(cursor), false);
        Ok(ControlFlow::Break(()))
    }

    async fn close(&mut self, why: Close, cursor: Option<&Cursor>) -> Result<(), Infallible> {
        self.answer = answer(Frame::close(why).json(), cursor, false);
        Ok(())
    }
}

/// `{"events": […], "cursor", "more"}`.
fn answer(events: &[u8], cursor: Option<&Cursor>, more: bool) -> Bytes {
    let cursor = cursor.map_or_else(|| "null".to_owned(), |cursor| format!("\"{cursor}\""));
    let rest = format!("],\"cursor\":{cursor},\"more\":{more}}}");
    [b"{\"events\":[", events, rest.as_bytes()].concat().into()
}
