//! Delivery by WebSocket ([RFC 6455]): one connection is upgraded from HTTP and then carries frames both ways.
//!
//! [RFC 6455]: https://www.rfc-editor.org/rfc/rfc6455

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use chat_core::chat::Chat;
use chat_core::client::Server;
use chat_core::http::{Admission, Connection};
use chat_core::ids::Cursor;
use chat_core::inbox::Batch;
use chat_core::limits::Limits;
use chat_core::protocol::Frame;
use chat_core::refusal::Close;
use chat_core::transport::{Received, Transport};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::WsClient;
use crate::handshake::Handshake;
use crate::socket::{BinaryMessage, Socket, TextMessage, what_ended};

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

async fn connect(admission: Admission, handshake: Handshake, connection: Connection) -> Response {
    let limits = Arc::clone(admission.limits());
    let admitted = admission.enter(WsServer::NAME).await;
    let head = [
        (header::CONNECTION, "upgrade".to_owned()),
        (header::UPGRADE, "websocket".to_owned()),
        (header::SEC_WEBSOCKET_ACCEPT, handshake.accept),
    ];
    connection.hand_over((StatusCode::SWITCHING_PROTOCOLS, head), async move |mut line| {
        line.upgrade().await?;
        let mut transport = WsTransport::new(Socket::on(line).await, limits);
        // A client that has gone needs no word about it.
        let _ = admitted.serve(&mut transport).await;
        Ok(transport.socket.into_line())
    })
}

/// One WebSocket connection.
struct WsTransport {
    socket: Socket,
    limits: Arc<Limits>,
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
    fn new(socket: Socket, limits: Arc<Limits>) -> Self {
        let now = Instant::now();
        Self { socket, limits, heard: now, pinged: false, ticked: now, binary: VecDeque::new() }
    }

    /// A frame as a message; a reply is of the kind that its request was.
    fn message<'a>(&mut self, frame: &'a Frame) -> &'a [u8] {
        match frame.is_reply() && self.binary.pop_front().unwrap_or(false) {
            true => frame.encoded::<BinaryMessage>(),
            false => frame.encoded::<TextMessage>(),
        }
    }
}

impl Transport for WsTransport {
    type Error = Error;

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

    async fn deliver(&mut self, batch: &Batch) -> Result<ControlFlow<()>, Error> {
        if let [frame] = batch.frames.as_slice() {
            let message = self.message(frame);
            self.socket.write(&[message]).await?;
        } else {
            let messages: Vec<&[u8]> = batch.frames.iter().map(|frame| self.message(frame)).collect();
            self.socket.write(&messages).await?;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// A tick for the page, which cannot see Pings, and a Ping for the browser, which answers it by itself.
    async fn keep_alive(&mut self, cursor: &Cursor) -> Result<ControlFlow<Option<Close>>, Error> {
        if self.pinged {
            return Ok(ControlFlow::Break(Some(Close::NoPong)));
        }
        let ping = (self.heard.elapsed() >= self.limits.ping_after).then(|| Message::Ping(Bytes::new()));
        let tick = (self.ticked.elapsed() >= self.limits.ping_after).then(|| {
            let tick = Frame::tick(cursor);
            Message::Text(Utf8Bytes::try_from(tick.json().clone()).expect("JSON is UTF-8"))
        });
        self.pinged |= ping.is_some();
        if tick.is_some() {
            self.ticked = Instant::now();
        }
        self.socket.say(ping.into_iter().chain(tick)).await?;
        Ok(ControlFlow::Continue(()))
    }

    async fn receive(&mut self) -> Result<Received, Error> {
        loop {
            let message = self.socket.receive().await;
            (self.heard, self.pinged) = (Instant::now(), false);
            match message {
                Some(Ok(Message::Text(text))) => {
                    self.binary.push_back(false);
                    return Ok(Received::Request(text.into()));
                }
                Some(Ok(Message::Binary(json))) if std::str::from_utf8(&json).is_ok() => {
                    self.binary.push_back(true);
                    return Ok(Received::Request(json));
                }
                Some(Ok(Message::Binary(_))) => return Ok(Received::Broken(Close::UnusableData)),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_))) => {}
                Some(Err(error)) => return what_ended(error),
                None => return Ok(Received::Left),
            }
        }
    }

    async fn close(&mut self, why: Close, _: Option<&Cursor>) -> Result<(), Error> {
        self.socket.close(why.code(), why.name()).await
    }
}
