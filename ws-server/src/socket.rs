//! A WebSocket on a bare connection. A library reads it; whole messages are written past the library.
//!
//! A message for many users is framed once and shared, while the library would copy it for each user. So both the
//! library and this file write to the connection. This file makes sure that neither writes into the other's frames.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use chat_core::limits::Limits;
use chat_core::protocol::{Encoding, Frame};
use chat_core::refusal::Close;
use chat_core::transport::Received;
use chat_http::Connection;
use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, frame};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

/// Every connection keeps a read buffer of this size for its whole life. Longer messages only take more reads.
const READ_BUFFER_BYTES: usize = 512;

/// How long the client may take to answer a Close frame ([RFC 6455 §7.1.1]).
///
/// [RFC 6455 §7.1.1]: https://www.rfc-editor.org/rfc/rfc6455#section-7.1.1
const CLOSING: Duration = Duration::from_secs(1);

/// What a client sends.
pub(crate) enum Heard {
    /// A request, as a text message or a binary one.
    Request { json: Bytes, is_binary: bool },
    /// A Ping, a Pong or a Close: the client is there.
    Sign,
    /// Nothing more comes.
    End(Received),
}

/// A WebSocket on a bare connection.
pub(crate) struct Socket {
    library: WebSocketStream<Connection>,
    /// The library has read everything that has arrived.
    is_drained: bool,
    /// The library has a frame to send: a Pong, or the answer to a Close.
    owes: bool,
    /// The client has sent a Close, so no message may be sent to it.
    is_closing: bool,
}

impl Socket {
    /// Wraps a connection that was just upgraded from HTTP.
    pub(crate) async fn on(connection: Connection) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .max_message_size(Some(Limits::FRAME_BYTES))
            .max_frame_size(Some(Limits::FRAME_BYTES));
        let library = WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await;
        Self { library, is_drained: false, owes: false, is_closing: false }
    }

    /// The connection under it.
    pub(crate) fn into_connection(self) -> Connection {
        self.library.into_inner()
    }

    /// Waits for what the client sends next. Earlier Pings and Closes are answered first.
    ///
    /// Cancel safe, and cheap to poll again.
    pub(crate) async fn receive(&mut self) -> io::Result<Heard> {
        self.settle().await.map_err(broken)?;
        let message = poll_fn(|cx| self.poll_message(cx)).await;
        Ok(match message {
            Some(Ok(Message::Text(text))) => Heard::Request { json: text.into(), is_binary: false },
            Some(Ok(Message::Binary(json))) if std::str::from_utf8(&json).is_ok() => {
                Heard::Request { json, is_binary: true }
            }
            Some(Ok(Message::Binary(_))) => Heard::End(Received::Broken(Close::UnusableData)),
            Some(Ok(Message::Ping(_))) => {
                self.owes = true;
                Heard::Sign
            }
            Some(Ok(Message::Close(_))) => {
                (self.owes, self.is_closing) = (true, true);
                Heard::Sign
            }
            Some(Ok(Message::Pong(_) | Message::Frame(_))) => Heard::Sign,
            Some(Err(error)) => Heard::End(what_ended(error)?),
            None => Heard::End(Received::Left),
        })
    }

    /// Polls the library only when there is something to read, because the library clears its buffer in each poll.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        loop {
            if self.is_drained
                && let Err(error) = ready!(self.library.get_mut().poll_sent(cx))
            {
                return Poll::Ready(Some(Err(error.into())));
            }
            let message = self.library.poll_next_unpin(cx);
            self.is_drained = message.is_pending();
            if !self.is_drained {
                return message;
            }
        }
    }

    /// Lets the library send its own frame first, so that it does not end up inside a message that is written past it.
    async fn settle(&mut self) -> Result<(), Error> {
        if self.owes {
            self.library.flush().await?;
            self.owes = false;
        }
        Ok(())
    }

    /// Writes messages that are already framed, in one write. A single message is written without copying.
    pub(crate) async fn write(&mut self, messages: &[&[u8]]) -> io::Result<()> {
        self.settle().await.map_err(broken)?;
        if self.is_closing {
            return Err(broken(Error::ConnectionClosed));
        }
        match messages {
            [message] => self.library.get_mut().write_all(message).await,
            messages => self.library.get_mut().write_all(&messages.concat()).await,
        }
    }

    /// Sends a Ping and a tick, in one write.
    pub(crate) async fn beat(&mut self, ping: bool, tick: Option<&Frame>) -> io::Result<()> {
        let ping = ping.then(|| Message::Ping(Bytes::new()));
        let text = |tick: &Frame| Utf8Bytes::try_from(tick.json().clone()).expect("JSON is UTF-8");
        for message in ping.into_iter().chain(tick.map(text).map(Message::Text)) {
            self.library.feed(message).await.map_err(broken)?;
        }
        self.library.flush().await.map_err(broken)
    }

    /// Closes the connection from this side ([RFC 6455 §7.4]), and waits for the client to answer.
    ///
    /// [RFC 6455 §7.4]: https://www.rfc-editor.org/rfc/rfc6455#section-7.4
    pub(crate) async fn close(&mut self, code: u16, reason: &'static str) -> io::Result<()> {
        let close = CloseFrame { code: code.into(), reason: reason.into() };
        self.library.send(Message::Close(Some(close))).await.map_err(broken)?;
        // The client answers with its own Close. If the server closed the socket before, the client might not get to
        // read the server's Close.
        let answered = async { while let Some(Ok(_)) = self.library.next().await {} };
        let _ = timeout(CLOSING, answered).await;
        Ok(())
    }
}

/// Why nothing more comes from a client: a broken rule of the protocol ([RFC 6455 §7.4.1]), or a half-closed TCP
/// connection without a Close frame. Every other error is one of the connection itself.
///
/// [RFC 6455 §7.4.1]: https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1
fn what_ended(error: Error) -> io::Result<Received> {
    match error {
        Error::Capacity(_) => Ok(Received::Broken(Close::MessageTooBig)),
        Error::Utf8(_) => Ok(Received::Broken(Close::InvalidUtf8)),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Ok(Received::HalfClosed),
        Error::Protocol(_) => Ok(Received::Broken(Close::BrokenFrame)),
        error => Err(broken(error)),
    }
}

/// An error of the connection under the library.
fn broken(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        // The client has sent a Close.
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::UnexpectedEof.into(),
        error => io::Error::other(error),
    }
}

/// A frame as a text message in one piece, unmasked ([RFC 6455 §5.2]).
///
/// [RFC 6455 §5.2]: https://www.rfc-editor.org/rfc/rfc6455#section-5.2
pub(crate) struct TextMessage;

impl Encoding for TextMessage {
    fn encode(frame: &Frame) -> Bytes {
        in_one_piece(Data::Text, frame)
    }
}

/// The same as a binary message.
pub(crate) struct BinaryMessage;

impl Encoding for BinaryMessage {
    fn encode(frame: &Frame) -> Bytes {
        in_one_piece(Data::Binary, frame)
    }
}

fn in_one_piece(kind: Data, frame: &Frame) -> Bytes {
    let message = frame::Frame::message(frame.json().clone(), OpCode::Data(kind), true);
    let mut bytes = Vec::with_capacity(message.len());
    message.format(&mut bytes).expect("a vector takes every write");
    bytes.into()
}
