//! A bare client: a socket that sends the request of its transport, and parses only what it must.
//!
//! It is one task with one buffer. A client library would need more of the processor, which client and server share.
//! The library would delay polls, so that the server wakes up for each of them, and it would evict the server's memory
//! from the processor's caches. A bare client answers no pings, so it stays connected for some seconds only.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::bail;
use chat_client::{ClientError, Events};
use chat_core::auth::Token;
use chat_core::ids::Cursor;
use chat_core::protocol::Event;
use chat_http::{Framing, Reads};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use crate::floor::gone;
use crate::process::Process;
use crate::subject::Subject;

/// The most bytes in one read.
const READ_BYTES: usize = 16_384;

/// The end of a response's head.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// One bare client.
pub(crate) struct Bare {
    stream: TcpStream,
    /// The path of its requests.
    path: &'static str,
    /// The head of its requests, from the end of the query on.
    headers: String,
    incoming: Incoming,
    cursor: Option<Cursor>,
}

impl Bare {
    /// Connects, to read the events after a cursor, or from now on. Without a cursor, the first poll is complete on
    /// return, and a long-polling client already waits in its second poll.
    pub(crate) async fn open(
        process: &Process,
        subject: Subject,
        token: &Token,
        after: Option<Cursor>,
    ) -> anyhow::Result<Self> {
        const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                               Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let path = match subject {
            Subject::Transport(transport) => transport.path.split('?').next().unwrap_or_default(),
            // The broadcast expects no request.
            Subject::Tcp => "",
            Subject::Server => bail!("the servers themselves are not a transport"),
        };
        let upgrade = if subject.reads() == Reads::Stream(Framing::WebSocket) { UPGRADE } else { "" };
        let address = process.address(subject);
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let token = token.as_str();
        let headers = format!(
            " HTTP/1.1\r\nAuthorization: Bearer {token}\r\n{upgrade}Accept: */*\r\nHost: {address}\r\n\r\n"
        );
        let mut client = Self { stream, path, headers, incoming: Incoming::of(subject), cursor: after };
        match (subject.reads(), after) {
            (Reads::LongPolls | Reads::ShortPolls, Some(cursor)) => {
                client.incoming.again = Some((Instant::now(), cursor));
                return Ok(client);
            }
            (Reads::LongPolls | Reads::ShortPolls, None) => client.ask("wait=0").await?,
            (Reads::Stream(_), _) if path.is_empty() => {}
            (Reads::Stream(_), Some(cursor)) => client.ask(&format!("after={cursor}")).await?,
            (Reads::Stream(_), None) => client.ask("").await?,
        }
        while !client.incoming.has_begun()? {
            client.fill().await?;
        }
        if subject.reads() == Reads::LongPolls {
            client.poll_again().await?;
        }
        Ok(client)
    }

    async fn ask(&mut self, query: &str) -> Result<(), ClientError> {
        let (path, mark, headers) = (self.path, if query.is_empty() { "" } else { "?" }, &self.headers);
        self.stream.write_all(format!("GET {path}{mark}{query}{headers}").as_bytes()).await.map_err(gone)
    }

    /// Sends the next poll when it is due. Does nothing while a poll is under way.
    async fn poll_again(&mut self) -> Result<(), ClientError> {
        let Some((due, cursor)) = self.incoming.again.take() else { return Ok(()) };
        if due > Instant::now() {
            sleep_until(due).await;
        }
        let wait = if self.incoming.subject.polls_at_intervals() { "&wait=0" } else { "" };
        self.ask(&format!("after={cursor}{wait}")).await
    }

    async fn fill(&mut self) -> Result<(), ClientError> {
        self.incoming.bytes.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.incoming.bytes).await.map_err(gone)? {
            0 => Err(ClientError::Disconnected("the server closed the connection".to_owned())),
            _ => Ok(()),
        }
    }
}

impl Events for Bare {
    async fn next(&mut self) -> Result<Event, ClientError> {
        loop {
            self.incoming.take()?;
            if let Some(event) = self.incoming.ready.pop_front() {
                self.cursor = event.reached().or(self.cursor);
                return Ok(event);
            }
            self.poll_again().await?;
            self.fill().await?;
        }
    }

    fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }
}

/// The bytes that a bare client has read, and the events in them.
struct Incoming {
    subject: Subject,
    /// Bytes of an event that is not complete yet.
    bytes: Vec<u8>,
    ready: VecDeque<Event>,
    /// When to poll again, and after which cursor.
    again: Option<(Instant, Cursor)>,
}

impl Incoming {
    fn of(subject: Subject) -> Self {
        Self { subject, bytes: Vec::new(), ready: VecDeque::new(), again: None }
    }

    /// Whether the first response has arrived: its head for a stream, all of it for a poll.
    fn has_begun(&mut self) -> Result<bool, ClientError> {
        if self.subject == Subject::Tcp {
            return Ok(true);
        }
        if matches!(self.subject.reads(), Reads::LongPolls | Reads::ShortPolls) {
            self.take()?;
            return Ok(self.again.is_some());
        }
        let head = head_length(&self.bytes)?;
        self.bytes.drain(..head.unwrap_or(0));
        Ok(head.is_some())
    }

    /// Takes the complete events.
    fn take(&mut self) -> Result<(), ClientError> {
        let next = match self.subject.reads() {
            Reads::Stream(Framing::WebSocket) => frame,
            Reads::Stream(Framing::EventStream) => field,
            Reads::Stream(Framing::Lines) => json_line,
            Reads::LongPolls | Reads::ShortPolls => return self.take_answer(),
        };
        let mut taken = 0;
        while let Some((json, length)) = next(&self.bytes[taken..]) {
            if let Some(json) = json {
                self.ready.push_back(serde_json::from_slice(json)?);
            }
            taken += length;
        }
        self.bytes.drain(..taken);
        Ok(())
    }

    /// Takes the response to a poll, if it is complete.
    fn take_answer(&mut self) -> Result<(), ClientError> {
        #[derive(Deserialize)]
        struct PollBody {
            events: Vec<Event>,
            cursor: Option<Cursor>,
            more: bool,
        }
        let Some(length) = head_length(&self.bytes)? else { return Ok(()) };
        let (head, body) = self.bytes.split_at(length);
        if body.len() < content_length(head)? {
            return Ok(());
        }
        let PollBody { events, cursor, more } = serde_json::from_slice(body)?;
        self.bytes.clear();
        self.ready.extend(events);
        let pause = if more { Duration::ZERO } else { self.subject.pause() };
        self.again = cursor.map(|cursor| (Instant::now() + pause, cursor));
        Ok(())
    }
}

/// The length of a response's head; `None` until it is complete.
fn head_length(bytes: &[u8]) -> Result<Option<usize>, ClientError> {
    let end = bytes.windows(HEAD_END.len()).position(|window| window == HEAD_END);
    let head = String::from_utf8_lossy(&bytes[..end.unwrap_or(0)]);
    match end.is_none() || head.starts_with("HTTP/1.1 101 ") || head.starts_with("HTTP/1.1 200 ") {
        true => Ok(end.map(|end| end + HEAD_END.len())),
        false => Err(ClientError::Disconnected(format!("the server answered {head}"))),
    }
}

/// The length of the body that follows a head.
fn content_length(head: &[u8]) -> Result<usize, ClientError> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    length.ok_or_else(|| ClientError::Disconnected(format!("a response without a length: {head}")))
}

/// The JSON of an event, if this piece carries one, and the length of the piece.
type Piece<'a> = (Option<&'a [u8]>, usize);

/// The first WebSocket frame ([RFC 6455 §5.2](https://www.rfc-editor.org/rfc/rfc6455#section-5.2)), if it is complete.
fn frame(bytes: &[u8]) -> Option<Piece<'_>> {
    const TEXT: u8 = 0x81;
    let (&[first, short], rest) = bytes.split_first_chunk()?;
    let (header, length) = match short {
        126 => (4, u64::from(u16::from_be_bytes(*rest.first_chunk()?))),
        127 => (10, u64::from_be_bytes(*rest.first_chunk()?)),
        short => (2, u64::from(short)),
    };
    let end = header + usize::try_from(length).ok()?;
    let payload = bytes.get(header..end)?;
    Some(((first == TEXT).then_some(payload), end))
}

/// The first line of an event stream, once it is complete. The lines around chunks carry no event.
fn field(bytes: &[u8]) -> Option<Piece<'_>> {
    let (line, length) = line(bytes)?;
    Some((line.and_then(|line| line.strip_prefix(b"data:")), length))
}

/// The first line of a stream of JSON lines, once it is complete. The lines around chunks carry no event.
fn json_line(bytes: &[u8]) -> Option<Piece<'_>> {
    let (line, length) = line(bytes)?;
    Some((line.filter(|line| line.starts_with(b"{")), length))
}

/// The first line, once it is complete.
fn line(bytes: &[u8]) -> Option<Piece<'_>> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    Some((Some(&bytes[..end]), end + 1))
}

#[cfg(test)]
mod tests {
    use transports::Transport;

    use super::*;

    fn message(seq: usize) -> String {
        serde_json::json!({
            "type": "message", "id": format!("00000000.{seq}"), "conversation": "c1", "seq": seq, "from": "u1",
            "cid": "a", "text": "x".repeat(seq), "at": "2026-01-01T00:00:00.000Z",
        })
        .to_string()
    }

    /// The numbers of the messages in bytes that arrive in two parts.
    fn brought(subject: Subject, parts: [&[u8]; 2]) -> Vec<u64> {
        let mut incoming = Incoming::of(subject);
        let mut has_begun = false;
        for part in parts {
            incoming.bytes.extend_from_slice(part);
            has_begun = has_begun || incoming.has_begun().unwrap();
            if has_begun {
                incoming.take().unwrap();
            }
        }
        assert!(has_begun && incoming.bytes.is_empty(), "{subject}");
        incoming
            .ready
            .iter()
            .filter_map(|event| if let Event::Message(message) = event { Some(message.seq) } else { None })
            .collect()
    }

    #[test]
    fn every_transport_brings_its_messages_wherever_the_bytes_are_cut() {
        let (tick, one, two) = (r#"{"type":"tick","cursor":"00000000.1"}"#, message(1), message(200));
        let (ok, long) = ("HTTP/1.1 200 OK\r\n\r\n", u16::try_from(two.len()).unwrap().to_be_bytes());
        let short =
            |text: &str| [&[0x81, 126, 0, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        let frames = [
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
            &[0x81, u8::try_from(tick.len()).unwrap()][..],
            tick.as_bytes(),
            &short(&one),
            &[0x89, 2, 0x81, 0x7d],
            &[&[0x81, 126], &long[..], two.as_bytes()].concat(),
        ];
        let event = |json: &str| format!("id: 00000000.1\ndata: {json}\n\n");
        let chunk = |events: String| format!("{:x}\r\n{events}\r\n", events.len());
        let stream = format!("{ok}{}{}", chunk(event(tick)), chunk(event(&one) + ": \n\n" + &event(&two)));
        let body = format!(r#"{{"events":[{tick},{one},{two}],"cursor":"00000000.2","more":false}}"#);
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let lines = format!("{ok}{}{}", chunk(format!("\n{tick}\n")), chunk(format!("{one}\n{two}\n")));
        let bytes = |reads| match reads {
            Reads::Stream(Framing::WebSocket) => frames.concat(),
            Reads::Stream(Framing::EventStream) => stream.clone().into_bytes(),
            Reads::Stream(Framing::Lines) => lines.clone().into_bytes(),
            Reads::LongPolls | Reads::ShortPolls => answer.clone().into_bytes(),
        };
        let transports = Transport::all().iter().map(|one| (Subject::Transport(*one), bytes(one.reads)));
        for (subject, bytes) in transports.chain([(Subject::Tcp, format!("{one}\n{two}\n").into_bytes())]) {
            for at in 0..=bytes.len() {
                let (first, second) = bytes.split_at(at);
                assert_eq!(brought(subject, [first, second]), [1, 200], "{subject}, cut at {at}");
            }
        }
    }

    #[test]
    fn a_length_of_eight_bytes_is_read() {
        let bytes = [&[0x81, 127][..], &65_536_u64.to_be_bytes(), &[b'x'; 65_536]].concat();
        assert_eq!(
            frame(&bytes).map(|(json, length)| (json.map(<[u8]>::len), length)),
            Some((Some(65_536), 65_546))
        );
        assert_eq!(frame(&bytes[..65_545]), None);
    }

    #[test]
    fn a_refusal_is_reported() {
        let mut incoming = Incoming::of(Subject::named("sse").unwrap());
        incoming.bytes.extend_from_slice(b"HTTP/1.1 401 Unauthorized\r\n\r\n");
        assert!(incoming.has_begun().unwrap_err().to_string().contains("401 Unauthorized"));
    }
}
