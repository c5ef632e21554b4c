//! Delivery by WebSocket ([RFC 6455]): one connection is upgraded from HTTP and then carries frames both ways.
//!
//! [RFC 6455]: https://www.rfc-editor.org/rfc/rfc6455

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use chat_core::chat::Chat;
use chat_core::client::Server;
use chat_core::http::{Admission, Problem};
use chat_core::ids::Cursor;
use chat_core::inbox::Batch;
use chat_core::limits::Limits;
use chat_core::protocol::Frame;
use chat_core::refusal::{Close, Code, Refusal};
use chat_core::transport::Transport;
use futures_util::SinkExt;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite;

use crate::WsClient;

/// Every poll of an idle connection clears the read buffer: 4 KiB are cheap, tungstenite's own 128 KiB are not.
const READ_BUFFER_BYTES: usize = 4_096;

/// How long the client may take to answer a Close frame ([RFC 6455 §7.1.1]).
///
/// [RFC 6455 §7.1.1]: https://www.rfc-editor.org/rfc/rfc6455#section-7.1.1
const CLOSING: Duration = Duration::from_secs(1);

/// The chat over WebSocket.
pub struct WsServer;

impl Server for WsServer {
    const NAME: &'static str = "websocket";
    const PATH: Option<&'static str> = Some("/ws");
    type Client = WsClient;

    fn routes() -> Router<Chat> {
        Router::new().route("/ws", get(connect))
    }
}

async fn connect(
    admission: Admission,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => {
            // The version is what we speak, for a client that speaks another ([RFC 6455 §4.4]).
            //
            // [RFC 6455 §4.4]: https://www.rfc-editor.org/rfc/rfc6455#section-4.4
            let problem = Problem(Refusal::new(Code::BadRequest, rejection.body_text()));
            return ([(header::SEC_WEBSOCKET_VERSION, "13")], problem).into_response();
        }
    };
    let limits = admission.limits().clone();
    let admitted = admission.enter(WsServer::NAME).await;
    let upgrade = upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(Limits::FRAME_BYTES)
        .max_frame_size(Limits::FRAME_BYTES);
    upgrade.on_upgrade(async move |socket| {
        // A client that has gone needs no word about it.
        let _ = admitted.serve(&mut WsTransport::new(socket, limits)).await;
    })
}

/// One WebSocket connection.
struct WsTransport {
    socket: WebSocket,
    limits: Limits,
    /// When the client was last heard.
    heard: Instant,
    /// A Ping is out, and nothing was heard since.
    pinged: bool,
    /// When the client was last told its cursor.
    ticked: Instant,
    /// For each request whose reply is due, in order: did it come as a binary message?
    binary: VecDeque<bool>,
}

impl WsTransport {
    fn new(socket: WebSocket, limits: Limits) -> Self {
        let now = Instant::now();
        Self { socket, limits, heard: now, pinged: false, ticked: now, binary: VecDeque::new() }
    }

    /// A frame as a message; a reply is of the kind that its request was.
    fn message(&mut self, frame: &Frame) -> Message {
        let json = frame.json().clone();
        let in_kind = frame.is_reply() && self.binary.pop_front().unwrap_or(false);
        match in_kind {
            true => Message::Binary(json),
            false => Message::Text(Utf8Bytes::try_from(json).expect("JSON is UTF-8")),
        }
    }

    /// Closes a connection whose client broke the rules of the wire ([RFC 6455 §7.4.1]).
    ///
    /// [RFC 6455 §7.4.1]: https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1
    async fn end(&mut self, code: u16, reason: &'static str) -> Result<(), axum::Error> {
        self.socket.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await?;
        // The client answers with a Close of its own; leaving earlier could tear ours from the wire.
        let answered = async { while let Some(Ok(_)) = self.socket.recv().await {} };
        let _ = timeout(CLOSING, answered).await;
        Ok(())
    }
}

impl Transport for WsTransport {
    type Error = axum::Error;

    /// Until a Ping counts as not answered; or else until the next Ping or tick is due.
    fn patience(&self) -> Duration {
        match self.pinged {
            true => self.limits.pong_timeout,
            // Never zero: that would be a client that asks once.
            false => {
                let quiet = self.heard.min(self.ticked).elapsed();
                self.limits.ping_after.saturating_sub(quiet).max(Duration::from_millis(1))
            }
        }
    }

    async fn deliver(&mut self, batch: &Batch) -> Result<ControlFlow<()>, axum::Error> {
        for frame in &batch.frames {
            let message = self.message(frame);
            self.socket.feed(message).await?;
        }
        self.socket.flush().await?;
        Ok(ControlFlow::Continue(()))
    }

    /// A tick for the page, which cannot see Pings, and a Ping for the browser, which answers it by itself.
    async fn keep_alive(&mut self, cursor: &Cursor) -> Result<ControlFlow<()>, axum::Error> {
        if self.pinged {
            self.close(Close::NoPong, Some(cursor)).await?;
            return Ok(ControlFlow::Break(()));
        }
        if self.heard.elapsed() >= self.limits.ping_after {
            self.socket.feed(Message::Ping(Bytes::new())).await?;
            self.pinged = true;
        }
        if self.ticked.elapsed() >= self.limits.ping_after {
            let tick = self.message(&Frame::tick(cursor));
            self.socket.feed(tick).await?;
            self.ticked = Instant::now();
        }
        self.socket.flush().await?;
        Ok(ControlFlow::Continue(()))
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, axum::Error> {
        loop {
            let message = self.socket.recv().await;
            (self.heard, self.pinged) = (Instant::now(), false);
            match message {
                Some(Ok(Message::Text(text))) => {
                    self.binary.push_back(false);
                    return Ok(Some(text.into()));
                }
                Some(Ok(Message::Binary(json))) if std::str::from_utf8(&json).is_ok() => {
                    self.binary.push_back(true);
                    return Ok(Some(json));
                }
                Some(Ok(Message::Binary(_))) => {
                    self.close(Close::UnusableData, None).await?;
                    return Ok(None);
                }
                // Pings and Closes are answered by the library at the next turn.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_))) => {}
                Some(Err(error)) => {
                    let Some((code, reason)) = broken_rule(&error) else { return Err(error) };
                    self.end(code, reason).await?;
                    return Ok(None);
                }
                None => return Ok(None),
            }
        }
    }

    async fn close(&mut self, why: Close, _: Option<&Cursor>) -> Result<(), axum::Error> {
        self.end(why.code(), why.name()).await
    }
}

/// The code for what a client did wrong on the wire; `None`: it is just gone.
fn broken_rule(error: &axum::Error) -> Option<(u16, &'static str)> {
    let cause = std::error::Error::source(error)?.downcast_ref::<tungstenite::Error>()?;
    match cause {
        tungstenite::Error::Capacity(_) => Some((1009, "message_too_big")),
        tungstenite::Error::Utf8(_) => Some((1007, "invalid_utf8")),
        tungstenite::Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => None,
        tungstenite::Error::Protocol(_) => Some((1002, "protocol_error")),
        _ => None,
    }
}
