//! A connection without a client, for what no well-behaved client does.

use std::net::SocketAddr;
use std::time::Duration;

use chat_client::Target;
use chat_core::ids::Cursor;
use chat_core::limits::Limits;
use chat_core::text::Text;
use chat_http::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{interval, timeout};

use super::test_server::{PATIENCE, TestConnection, TestUser, polls};

/// The receive buffer of the client's system. It is small, so that a client that does not read is noticed soon.
const RECEIVE_BYTES: u32 = 4_096;

/// How many polls a client sends without reading an answer: more than all buffers in between hold.
const POLLS_AHEAD: usize = 2_000;

/// The headers that a request for a WebSocket needs. Every other transport ignores them.
pub(super) const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
/// How many polls an unreachable client sends. They fit into one window, but their answers are more than the server can
/// write to a connection that acknowledges nothing.
#[cfg(target_os = "linux")]
const POLLS_UNANSWERED: usize = 50;

/// A client that has opened a connection of the transport and then does nothing more.
pub enum Raw<S: Server> {
    /// Its socket.
    Socket(TcpStream),
    /// A client of the memory transport, which has no socket. It is not polled.
    Memory(TestConnection<S>),
}

impl<S: Server> Raw<S> {
    /// Opens a connection of the transport as `member`, and reads nothing.
    pub async fn open(member: &TestUser<S>, after: Option<Cursor>) -> Self {
        let Some(path) = S::PATH else { return Self::Memory(member.resume(after).await) };
        let mut stream = connect(member).await;
        stream.write_all(request(path, member, after).as_bytes()).await.expect("a request");
        Self::Socket(stream)
    }

    /// Opens a connection of the transport as `member`, with a cursor after which there is much to read. It reads no
    /// more than the first head.
    ///
    /// A polling client sends many more polls without waiting, so that it too can fall behind.
    pub async fn fall_behind(member: &TestUser<S>, after: Cursor) -> Self {
        let mut raw = Self::open(member, Some(after)).await;
        if let (Self::Socket(stream), Some(path)) = (&mut raw, S::PATH) {
            let head = read_head(stream).await;
            if head.starts_with("HTTP/1.1 200") && polls::<S>() {
                let request = request(path, member, Some(after));
                for _ in 0..POLLS_AHEAD {
                    // Once the server no longer reads, all buffers are full.
                    let writing = stream.write_all(request.as_bytes());
                    if !matches!(timeout(Duration::from_millis(200), writing).await, Ok(Ok(()))) {
                        break;
                    }
                }
            }
        }
        raw
    }

    /// Asks for far more than it could read, and never acknowledges a byte, as if its system had vanished.
    #[cfg(target_os = "linux")]
    pub async fn unreachable(member: &TestUser<S>, after: Cursor) -> Option<TcpStream> {
        let path = S::PATH?;
        let mut stream = connect(member).await;
        // The filter drops every packet to the client. It is attached first, because later the window might be closed.
        const DROP: u16 = 0x06;
        let filter = [socket2::SockFilter::new(DROP, 0, 0, 0)];
        socket2::SockRef::from(&stream).attach_filter(&filter).expect("a filter");
        let polls = if path.starts_with("/poll") { POLLS_UNANSWERED } else { 1 };
        let requests = request(path, member, Some(after)).repeat(polls);
        stream.write_all(requests.as_bytes()).await.expect("requests that the system takes");
        Some(stream)
    }

    /// Reads `at_once` bytes at a time, with a pause after each, until `bytes` were read.
    pub async fn read_slowly(&mut self, bytes: usize, at_once: usize, pause: Duration) {
        let mut pauses = interval(pause);
        let reading = async {
            let (mut read, mut into) = (0, vec![0; at_once]);
            while read < bytes {
                pauses.tick().await;
                match self {
                    Self::Socket(stream) => {
                        let some = stream.read(&mut into).await.expect("a connection that goes on");
                        assert!(some > 0, "the server ended the connection after {read} bytes");
                        read += some;
                    }
                    // The memory transport passes on a whole batch at a time.
                    Self::Memory(line) => {
                        for _ in 0..Limits::BATCH_BYTES / Text::MAX_BYTES {
                            line.try_next().await.expect("a connection that goes on");
                        }
                        read += at_once;
                    }
                }
            }
        };
        timeout(PATIENCE, reading).await.expect("bytes should have come by now");
    }

    /// Waits until the server has ended the connection, and throws away what it sends before.
    pub async fn ended(self) {
        let drain = async {
            match self {
                Self::Socket(mut stream) => {
                    let mut into = vec![0; 65_536];
                    while stream.read(&mut into).await.is_ok_and(|read| read > 0) {}
                }
                Self::Memory(mut line) => while line.try_next().await.is_ok() {},
            }
        };
        timeout(PATIENCE, drain).await.expect("the server should have ended the connection by now");
    }

    /// Resets the connection without a goodbye, as the system of a killed process does.
    pub fn vanish(self) {
        if let Self::Socket(stream) = &self {
            socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).expect("a live socket");
        }
    }
}

/// Sends whole requests, closes the sending side, and reads the answers until the server ends the connection.
pub(super) async fn half_closed<S: Server>(member: &TestUser<S>, requests: &str) -> String {
    let mut stream = connect(member).await;
    let asking = async {
        stream.write_all(requests.as_bytes()).await.expect("requests");
        stream.shutdown().await.expect("an open connection");
        let mut answers = Vec::new();
        stream.read_to_end(&mut answers).await.expect("an orderly end");
        String::from_utf8_lossy(&answers).into_owned()
    };
    timeout(PATIENCE, asking).await.expect("the server should have ended the connection by now")
}

/// A connection with a small receive buffer at the client.
async fn connect<S: Server>(member: &TestUser<S>) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(RECEIVE_BYTES).expect("a smaller buffer");
    socket.connect(address(member)).await.expect("a connection")
}

fn address<S: Server>(member: &TestUser<S>) -> SocketAddr {
    member.target.base().trim_start_matches("http://").parse().expect("an address")
}

/// The request that opens a connection of any transport.
pub(super) fn request<S: Server>(path: &str, member: &TestUser<S>, after: Option<Cursor>) -> String {
    let joint = if path.contains('?') { '&' } else { '?' };
    let after = after.map(|cursor| format!("{joint}after={cursor}")).unwrap_or_default();
    format!(
        "GET {path}{after} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
         {UPGRADE}\r\n",
        address(member),
        member.token.as_str()
    )
}

/// Reads the head of an answer, byte by byte, so that nothing after it is read.
async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let read = async {
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("the head of an answer"));
        }
    };
    timeout(PATIENCE, read).await.expect("an answer should have come by now");
    String::from_utf8(head).expect("a head is ASCII")
}

/// The answer to bytes that are sent unchanged, on a connection of their own.
pub(super) struct Answer {
    /// Its status.
    pub(super) status: u16,
    /// Its status line and headers.
    pub(super) head: String,
    stream: TcpStream,
}

impl Answer {
    /// Sends bytes to a server, and reads the head of its answer.
    pub(super) async fn to(target: &Target, request: &[u8]) -> Self {
        let address = target.base().trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(request).await.expect("a request");
        let head = read_head(&mut stream).await;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Self { status, head, stream }
    }

    /// The value of a header, by its name in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find_map(|(known, value)| (known == name).then_some(value))
    }

    /// The code and the text of the problem document that this answer must be.
    pub(super) async fn problem(mut self) -> (String, String) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.head);
        let length = self.header("content-length").expect("a length").parse().expect("a number");
        let mut body = vec![0; length];
        let read = timeout(PATIENCE, self.stream.read_exact(&mut body)).await;
        read.expect("a body should have come by now").expect("a body");
        let problem: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(problem["status"], self.status, "{problem}");
        let text = |field: &str| problem[field].as_str().expect("a text").to_owned();
        (text("code"), text("detail"))
    }

    /// Reads until one of some words comes, and returns that word.
    pub(super) async fn first_of<'a>(mut self, words: &[&'a str]) -> &'a str {
        let mut said = self.head.clone().into_bytes();
        let reading = async {
            loop {
                let text = String::from_utf8_lossy(&said);
                let places = words.iter().filter_map(|word| Some((text.find(word)?, *word)));
                if let Some((_, word)) = places.min() {
                    return word;
                }
                assert!(!text.contains("unauthenticated"), "the sign-in was not found: {text}");
                let mut bytes = [0; 4_096];
                let read = self.stream.read(&mut bytes).await.expect("a live connection");
                assert!(read > 0, "the connection ended after {text}");
                said.extend_from_slice(&bytes[..read]);
            }
        };
        timeout(PATIENCE, reading).await.expect("one of the words should have come by now")
    }

    /// Waits until the server has ended the connection.
    pub(super) async fn ended(mut self) {
        let mut into = [0; 4_096];
        let drain = async { while self.stream.read(&mut into).await.is_ok_and(|read| read > 0) {} };
        timeout(PATIENCE, drain).await.expect("the server should have ended the connection by now");
    }
}
