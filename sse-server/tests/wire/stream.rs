//! An event stream that knows only chunks, and the server that it comes from.

use std::time::Duration;

use chat_core::limits::Limits;
use laws::{PATIENCE, TestServer, TestUser};
use serde_json::{Value, json};
use sse_server::SseServer;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The first thing on every stream.
pub(crate) const RETRY: &str = "retry: 2000\n\n";

/// A connection that knows chunks ([RFC 9112 §7.1]) and nothing above them.
///
/// [RFC 9112 §7.1]: https://www.rfc-editor.org/rfc/rfc9112#section-7.1
pub(crate) struct Wire {
    pub(crate) stream: BufReader<TcpStream>,
    /// The content of chunks that were read and not used yet.
    pub(crate) text: String,
}

impl Wire {
    /// A connection over which a GET with these lines of headers was sent, and the head of its answer.
    pub(crate) async fn ask(
        server: &TestServer<SseServer>,
        path: &str,
        headers: &str,
    ) -> (Self, Vec<String>) {
        let address = server.target.base().trim_start_matches("http://");
        let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut wire = Self { stream, text: String::new() };
        let mut head = Vec::new();
        loop {
            match wire.line().await {
                empty if empty.is_empty() => return (wire, head),
                line => head.push(line),
            }
        }
    }

    /// A stream that has begun.
    pub(crate) async fn open(
        server: &TestServer<SseServer>,
        token: &str,
        query: &str,
        headers: &str,
    ) -> Self {
        let headers = format!("Authorization: Bearer {token}\r\n{headers}");
        let (mut wire, head) = Self::ask(server, &format!("/events{query}"), &headers).await;
        assert_eq!(head[0], "HTTP/1.1 200 OK");
        assert_eq!(wire.chunk().await.as_deref(), Some(RETRY));
        wire
    }

    /// One line of HTTP, which ends with CR LF.
    pub(crate) async fn line(&mut self) -> String {
        let mut line = String::new();
        timeout(PATIENCE, self.stream.read_line(&mut line)).await.expect("a line comes in time").unwrap();
        line.strip_suffix("\r\n").expect("a whole line").to_owned()
    }

    /// The next chunk; `None`: it was the last one, and the body is whole.
    pub(crate) async fn chunk(&mut self) -> Option<String> {
        let length = usize::from_str_radix(&self.line().await, 16).unwrap();
        let mut chunk = vec![0; length];
        timeout(PATIENCE, self.stream.read_exact(&mut chunk)).await.expect("a chunk comes in time").unwrap();
        assert_eq!(self.line().await, "");
        (length > 0).then(|| String::from_utf8(chunk).unwrap())
    }

    /// Everything up to the next empty line, that one included: one event.
    pub(crate) async fn event(&mut self) -> String {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                return self.text.drain(..end + 2).collect();
            }
            let chunk = self.chunk().await.expect("the stream goes on");
            self.text.push_str(&chunk);
        }
    }

    /// The value that the next event carries.
    pub(crate) async fn json(&mut self) -> Value {
        let event = self.event().await;
        let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
        serde_json::from_str(data).unwrap()
    }

    /// The close event, the end of the body, and nothing after it.
    pub(crate) async fn closed(&mut self) -> String {
        let event = self.event().await;
        assert_eq!(self.chunk().await, None);
        assert_eq!(self.text, "");
        event
    }

    /// The end of the connection.
    pub(crate) async fn end(mut self) {
        let read = timeout(PATIENCE, self.stream.read_u8()).await.expect("the server hangs up in time");
        assert!(read.is_err(), "a byte after the body: {read:?}");
    }
}

/// A server whose streams carry only events that the test causes.
pub(crate) async fn quiet_server(change: impl FnOnce(&mut Limits)) -> TestServer<SseServer> {
    TestServer::open_with(|limits| {
        limits.presence_interval = Duration::from_secs(3_600);
        change(limits);
    })
    .await
}

/// The last event of a stream.
pub(crate) fn close(code: u16, name: &str, reconnect: bool) -> String {
    format!("data: {{\"type\":\"close\",\"code\":{code},\"name\":\"{name}\",\"reconnect\":{reconnect}}}\n\n")
}

/// Sends a direct message, and returns the reply.
pub(crate) async fn send(
    from: &TestUser<SseServer>,
    to: &TestUser<SseServer>,
    cid: &str,
    text: &str,
) -> Value {
    use chat_client::{PostSender, Sender};
    let request = json!({"command": {"type": "send", "to": {"user": to.id()}, "cid": cid, "text": text}});
    let reply =
        PostSender::new(&from.target, &from.token).send(serde_json::from_value(request).unwrap()).await;
    serde_json::to_value(reply.unwrap()).unwrap()["ok"].clone()
}
