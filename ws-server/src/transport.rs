//! Delivery by WebSocket ([RFC 6455]): one connection is upgraded from HTTP and then carries frames both ways.
//!
//! [RFC 6455]: https://www.rfc-editor.org/rfc/rfc6455

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use chat_core::ids::Cursor;
use chat_core::inbox::Batch;
use chat_core::limits::Limits;
use chat_core::protocol::Frame;
use chat_core::refusal::Close;
use chat_core::transport::{Received, Transport};
use chat_http::{Connection, Endpoint, Refuses};

use crate::handshake::Handshake;
use crate::heartbeat::Heartbeat;
use crate::socket::{BinaryMessage, Heard, Socket, TextMessage};

/// One WebSocket connection.
pub(crate) struct WsTransport {
    socket: Socket,
    heartbeat: Heartbeat,
    /// One entry for each request that waits for its reply, in order: whether it came as a binary message.
    binary: VecDeque<bool>,
}

impl Endpoint for WsTransport {
    const NAME: &'static str = "websocket";
    const PATH: &'static str = "/ws";
    const REFUSES: Refuses = Refuses::ByClose;
    type Ask = Handshake;

    fn head(handshake: &Handshake) -> impl IntoResponse {
        let head = [
            (header::CONNECTION, "upgrade".to_owned()),
            (header::UPGRADE, "websocket".to_owned()),
            (header::SEC_WEBSOCKET_ACCEPT, handshake.accept.clone()),
        ];
        (StatusCode::SWITCHING_PROTOCOLS, head)
    }

    async fn begin(mut connection: Connection, _: Handshake, limits: Arc<Limits>) -> io::Result<Self> {
        connection.upgrade().await?;
        let (socket, heartbeat) = (Socket::on(connection).await, Heartbeat::new(limits));
        Ok(Self { socket, heartbeat, binary: VecDeque::new() })
    }

    async fn finish(self) -> io::Result<Connection> {
        Ok(self.socket.into_connection())
    }
}

impl Transport for WsTransport {
    type Error = io::Error;

    fn patience(&self) -> Duration {
        self.heartbeat.patience()
    }

    async fn deliver(&mut self, batch: &Batch) -> io::Result<ControlFlow<()>> {
        if let [frame] = batch.frames.as_slice() {
            let message = self.message(frame);
            self.socket.write(&[message]).await?;
        } else {
            let messages: Vec<&[u8]> = batch.frames.iter().map(|frame| self.message(frame)).collect();
            self.socket.write(&messages).await?;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Sends a tick (an event with only the cursor) to the page, which cannot see Pings, and a Ping to the browser,
    /// which answers it by itself.
    async fn keep_alive(&mut self, cursor: &Cursor) -> io::Result<ControlFlow<Option<Close>>> {
        let Some(due) = self.heartbeat.due() else { return Ok(ControlFlow::Break(Some(Close::NoPong))) };
        let tick = due.tick.then(|| Frame::tick(cursor));
        self.socket.beat(due.ping, tick.as_deref()).await?;
        Ok(ControlFlow::Continue(()))
    }

    async fn receive(&mut self) -> io::Result<Received> {
        loop {
            let heard = self.socket.receive().await?;
            self.heartbeat.heard();
            match heard {
                Heard::Request { json, is_binary } => {
                    self.binary.push_back(is_binary);
                    return Ok(Received::Request(json));
                }
                Heard::Sign => {}
                Heard::End(received) => return Ok(received),
            }
        }
    }

    async fn close(&mut self, why: Close, _: Option<&Cursor>) -> io::Result<()> {
        self.socket.close(why.code(), why.name()).await
    }
}

impl WsTransport {
    /// Encodes a frame as a message. A reply is text or binary, as its request was.
    fn message<'a>(&mut self, frame: &'a Frame) -> &'a [u8] {
        match frame.is_reply() && self.binary.pop_front().unwrap_or(false) {
            true => frame.encoded::<BinaryMessage>(),
            false => frame.encoded::<TextMessage>(),
        }
    }
}
