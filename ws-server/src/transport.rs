//! Delivery by WebSocket ([RFC 6455]): one connection is upgraded from HTTP and then carries frames both ways.
//!
//! [RFC 6455]: https://www.rfc-editor.org/rfc/rfc6455

use std::collections::VecDeque;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use chat_core::chat::Chat;
use chat_core::client::Server;
use chat_core::http::{Admission, Connection, Line, Problem};
use chat_core::ids::Cursor;
use chat_core::inbox::Batch;
use chat_core::limits::Limits;
use chat_core::protocol::{Encoding, Frame};
use chat_core::refusal::{Close, Code, Refusal};
use chat_core::transport::Transport;
use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};

use crate::WsClient;

/// Every poll of an idle connection clears the read buffer, and every connection has one.
const READ_BUFFER_BYTES: usize = 512;

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
    connection: Connection,
    headers: HeaderMap,
) -> Response {
    let key = match upgrade {
        Ok(_) => headers.get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).unwrap_or_default(),
        Err(rejection) => {
            // The version is what we speak, for a client that speaks another ([RFC 6455 §4.4]).
            //
            // [RFC 6455 §4.4]: https://www.rfc-editor.org/rfc/rfc6455#section-4.4
            let problem = Problem(Refusal::new(Code::BadRequest, rejection.body_text()));
            return ([(header::SEC_WEBSOCKET_VERSION, "13")], problem).into_response();
        }
    };
    let limits = Arc::clone(admission.limits());
    let admitted = admission.enter(WsServer::NAME).await;
    let head = [
        (header::CONNECTION, "upgrade".to_owned()),
        (header::UPGRADE, "websocket".to_owned()),
        (header::SEC_WEBSOCKET_ACCEPT, derive_accept_key(key)),
    ];
    connection.hand_over((StatusCode::SWITCHING_PROTOCOLS, head), async move |mut line| {
        line.upgrade().await?;
        let mut transport = WsTransport::new(line, limits).await;
        // A client that has gone needs no word about it.
        let _ = admitted.serve(&mut transport).await;
        Ok(transport.socket.into_inner())
    })
}

/// One WebSocket connection.
struct WsTransport {
    socket: WebSocketStream<Line>,
    limits: Arc<Limits>,
    /// When the client was last heard.
    heard: Instant,
    /// A Ping is out, and nothing was heard since.
    pinged: bool,
    /// The library has read all that there was to read.
    drained: bool,
    /// The library may have something to say: a Pong, or the answer to a Close.
    owes: bool,
    /// The client has said that it leaves; nothing may follow.
    closing: bool,
    /// When the client was last told its cursor.
    ticked: Instant,
    /// For each request whose reply is due, in order: did it come as a binary message?
    binary: VecDeque<bool>,
}

impl WsTransport {
    async fn new(line: Line, limits: Arc<Limits>) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .max_message_size(Some(Limits::FRAME_BYTES))
            .max_frame_size(Some(Limits::FRAME_BYTES));
        let socket = WebSocketStream::from_raw_socket(line, Role::Server, Some(config)).await;
        let now = Instant::now();
        Self {
            socket,
            limits,
            heard: now,
            pinged: false,
            drained: false,
            owes: false,
            closing: false,
            ticked: now,
            binary: VecDeque::new(),
        }
    }

    /// Says what the library has to say, which must not end up inside a message that goes past it.
    async fn settle(&mut self) -> Result<(), tungstenite::Error> {
        if self.owes {
            self.socket.flush().await?;
            self.owes = false;
        }
        Ok(())
    }

    /// The next message. The library is asked only when there is something to read: it clears its buffer each time.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, tungstenite::Error>>> {
        loop {
            if self.drained
                && let Err(error) = ready!(self.socket.get_mut().poll_sent(cx))
            {
                return Poll::Ready(Some(Err(error.into())));
            }
            let message = self.socket.poll_next_unpin(cx);
            self.drained = message.is_pending();
            if !self.drained {
                return message;
            }
        }
    }

    /// A frame as a message; a reply is of the kind that its request was.
    fn message<'a>(&mut self, frame: &'a Frame) -> &'a [u8] {
        match frame.is_reply() && self.binary.pop_front().unwrap_or(false) {
            true => frame.encoded::<BinaryMessage>(),
            false => frame.encoded::<TextMessage>(),
        }
    }

    /// Closes a connection whose client broke the rules of the wire ([RFC 6455 §7.4.1]).
    ///
    /// [RFC 6455 §7.4.1]: https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1
    async fn end(&mut self, code: u16, reason: &'static str) -> Result<(), tungstenite::Error> {
        let close = CloseFrame { code: code.into(), reason: reason.into() };
        self.socket.send(Message::Close(Some(close))).await?;
        // The client answers with a Close of its own; leaving earlier could tear ours from the wire.
        let answered = async { while let Some(Ok(_)) = self.socket.next().await {} };
        let _ = timeout(CLOSING, answered).await;
        Ok(())
    }
}

impl Transport for WsTransport {
    type Error = tungstenite::Error;

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

    /// Whole messages, made once for all who get them, go past the library to the socket.
    async fn deliver(&mut self, batch: &Batch) -> Result<ControlFlow<()>, tungstenite::Error> {
        self.settle().await?;
        if self.closing {
            return Ok(ControlFlow::Break(()));
        }
        if let [frame] = batch.frames.as_slice() {
            let message = self.message(frame);
            self.socket.get_mut().write_all(message).await?;
        } else {
            let messages: Vec<&[u8]> = batch.frames.iter().map(|frame| self.message(frame)).collect();
            self.socket.get_mut().write_all(&messages.concat()).await?;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// A tick for the page, which cannot see Pings, and a Ping for the browser, which answers it by itself.
    async fn keep_alive(&mut self, cursor: &Cursor) -> Result<ControlFlow<()>, tungstenite::Error> {
        if self.pinged {
            self.close(Close::NoPong, Some(cursor)).await?;
            return Ok(ControlFlow::Break(()));
        }
        if self.heard.elapsed() >= self.limits.ping_after {
            self.socket.feed(Message::Ping(Bytes::new())).await?;
            self.pinged = true;
        }
        if self.ticked.elapsed() >= self.limits.ping_after {
            let tick = Utf8Bytes::try_from(Frame::tick(cursor).json().clone()).expect("JSON is UTF-8");
            self.socket.feed(Message::Text(tick)).await?;
            self.ticked = Instant::now();
        }
        self.socket.flush().await?;
        Ok(ControlFlow::Continue(()))
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, tungstenite::Error> {
        loop {
            self.settle().await?;
            let message = poll_fn(|cx| self.poll_message(cx)).await;
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
                Some(Ok(Message::Ping(_))) => self.owes = true,
                Some(Ok(Message::Close(_))) => (self.owes, self.closing) = (true, true),
                Some(Ok(Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(error)) => {
                    let Some((code, reason)) = broken_rule(&error) else { return Err(error) };
                    self.end(code, reason).await?;
                    return Ok(None);
                }
                None => return Ok(None),
            }
        }
    }

    async fn close(&mut self, why: Close, _: Option<&Cursor>) -> Result<(), tungstenite::Error> {
        self.end(why.code(), why.name()).await
    }
}

/// A frame as an unmasked text message in one piece ([RFC 6455 §5.2]).
///
/// [RFC 6455 §5.2]: https://www.rfc-editor.org/rfc/rfc6455#section-5.2
struct TextMessage;

impl Encoding for TextMessage {
    fn encode(frame: &Frame) -> Bytes {
        whole(OpCode::Data(Data::Text), frame)
    }
}

/// The same as a binary message.
struct BinaryMessage;

impl Encoding for BinaryMessage {
    fn encode(frame: &Frame) -> Bytes {
        whole(OpCode::Data(Data::Binary), frame)
    }
}

fn whole(opcode: OpCode, frame: &Frame) -> Bytes {
    let message = tungstenite::protocol::frame::Frame::message(frame.json().clone(), opcode, true);
    let mut bytes = Vec::with_capacity(message.len());
    message.format(&mut bytes).expect("a vector takes every write");
    bytes.into()
}

/// The code for what a client did wrong on the wire; `None`: it is just gone.
fn broken_rule(error: &tungstenite::Error) -> Option<(u16, &'static str)> {
    match error {
        tungstenite::Error::Capacity(_) => Some((1009, "message_too_big")),
        tungstenite::Error::Utf8(_) => Some((1007, "invalid_utf8")),
        tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        tungstenite::Error::Protocol(_) => Some((1002, "protocol_error")),
        _ => None,
    }
}
