//! A WebSocket connection that knows only frames ([RFC 6455 §5]), and the server that it leads to.
//!
//! [RFC 6455 §5]: https://www.rfc-editor.org/rfc/rfc6455#section-5

use std::io;
use std::time::Duration;

use chat_core::limits::Limits;
use laws::{PATIENCE, TestServer, TestUser};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use ws_server::WsServer;

/// The first byte of a whole text message, a whole binary one, and so on ([RFC 6455 §5.2]).
///
/// [RFC 6455 §5.2]: https://www.rfc-editor.org/rfc/rfc6455#section-5.2
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8A;

/// The mask of the RFC's own example.
const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// The request of RFC 6455 §1.3, with what a browser adds to it, and as the user of a token.
pub(crate) fn handshake(query: &str, token: &str) -> String {
    format!(
        "GET /ws{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    )
}

/// A client's frame: masked, with its length in the shortest form.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..=125 => bytes.push(0x80 | short as u8),
        middle @ 126..=65_535 => {
            bytes.push(0x80 | 126);
            bytes.extend((middle as u16).to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// A connection that knows frames and nothing above them.
pub(crate) struct Wire(pub(crate) TcpStream);

/// A frame as the server sent it: everything before the payload, and the payload.
pub(crate) type Received = (Vec<u8>, Vec<u8>);

impl Wire {
    /// A connection over which `request` was sent, and the head of its answer.
    pub(crate) async fn ask(server: &TestServer<WsServer>, request: &str) -> (Self, String) {
        let address = server.target.base().trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap());
        }
        (Self(stream), String::from_utf8(head).unwrap())
    }

    pub(crate) async fn open(server: &TestServer<WsServer>, member: &TestUser<WsServer>) -> Self {
        Self::open_after(server, member.token.as_str(), "").await
    }

    pub(crate) async fn open_after(server: &TestServer<WsServer>, token: &str, query: &str) -> Self {
        let (wire, head) = Self::ask(server, &handshake(query, token)).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        wire
    }

    pub(crate) async fn send(&mut self, first: u8, payload: &[u8]) {
        self.0.write_all(&frame(first, payload)).await.unwrap();
    }

    pub(crate) async fn read(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        timeout(PATIENCE, self.0.read_exact(&mut bytes)).await.expect("bytes come in time").unwrap();
        bytes
    }

    pub(crate) async fn receive(&mut self) -> Received {
        let mut head = self.read(2).await;
        let more = match head[1] {
            127 => 8,
            126 => 2,
            _ => 0,
        };
        head.extend(self.read(more).await);
        let length = match more {
            0 => u64::from(head[1]),
            _ => head[2..].iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        let payload = self.read(usize::try_from(length).unwrap()).await;
        (head, payload)
    }

    /// The payload of the next frame, which must be a whole message of this kind.
    pub(crate) async fn payload(&mut self, first: u8) -> Vec<u8> {
        let (head, payload) = self.receive().await;
        assert_eq!(head[0], first, "{head:x?} {}", String::from_utf8_lossy(&payload));
        payload
    }

    pub(crate) async fn text(&mut self) -> String {
        String::from_utf8(self.payload(TEXT).await).unwrap()
    }

    pub(crate) async fn json(&mut self) -> Value {
        serde_json::from_str(&self.text().await).unwrap()
    }

    /// Reads the server's Close frame and answers it, as [RFC 6455 §5.5.1] wants, and waits for the end of TCP.
    ///
    /// [RFC 6455 §5.5.1]: https://www.rfc-editor.org/rfc/rfc6455#section-5.5.1
    pub(crate) async fn closed(mut self) -> (u16, String) {
        let payload = self.payload(CLOSE).await;
        let (code, reason) = payload.split_at(2);
        // The server may have closed the connection already. Then this end sees a reset.
        let _ = self.0.write_all(&frame(CLOSE, code)).await;
        let more = timeout(PATIENCE, self.0.read_u8()).await.expect("the server hangs up in time");
        assert!(more.is_err(), "a byte after the last frame: {more:?}");
        (u16::from_be_bytes([code[0], code[1]]), String::from_utf8(reason.to_vec()).unwrap())
    }

    /// Waits for the end of TCP, which must be an orderly one. No byte may come before it.
    pub(crate) async fn end(mut self) {
        let read = timeout(PATIENCE, self.0.read_u8()).await.expect("the server hangs up in time");
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}

/// A server whose streams carry only events that the test causes.
pub(crate) async fn quiet_server(change: impl FnOnce(&mut Limits)) -> TestServer<WsServer> {
    TestServer::open_with(|limits| {
        limits.presence_interval = Duration::from_secs(3_600);
        change(limits);
    })
    .await
}
