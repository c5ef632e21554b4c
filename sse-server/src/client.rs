//! The client's end of an event stream: reads one endless response, and sends each request in a POST.

use std::collections::VecDeque;
use std::pin::Pin;

use bytes::Bytes;
use chat_client::{Client, ClientError, Events, PostSender, Target, read};
use chat_core::auth::Token;
use chat_core::ids::Cursor;
use chat_core::protocol::Event;
use futures_util::{Stream, StreamExt};
use reqwest::{Method, header};

/// One client of an event stream.
pub struct SseClient;

impl Client for SseClient {
    type Sender = PostSender;
    type Events = SseEvents;

    async fn connect(
        target: &Target,
        token: &Token,
        after: Option<Cursor>,
    ) -> Result<(PostSender, SseEvents), ClientError> {
        let mut request =
            target.request(Method::GET, "/events", token).header(header::ACCEPT, "text/event-stream");
        if let Some(cursor) = after {
            request = request.header("last-event-id", cursor.to_string());
        }
        let response = request.send().await?;
        if !response.status().is_success() {
            return Err(read::<()>(response).await.err().unwrap_or_else(ended));
        }
        let chunks = Box::pin(response.bytes_stream());
        let events = SseEvents { chunks, parser: Parser::default(), ready: VecDeque::new(), cursor: after };
        Ok((PostSender::new(target, token), events))
    }
}

/// The half that receives events.
pub struct SseEvents {
    chunks: Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>,
    parser: Parser,
    ready: VecDeque<String>,
    cursor: Option<Cursor>,
}

impl Events for SseEvents {
    async fn next(&mut self) -> Result<Event, ClientError> {
        while self.ready.is_empty() {
            let chunk = self.chunks.next().await.ok_or_else(ended)??;
            self.ready.extend(self.parser.push(&chunk));
        }
        let data = self.ready.pop_front().ok_or_else(ended)?;
        let event: Event = serde_json::from_str(&data)?;
        self.cursor = event.reached().or(self.cursor);
        Ok(event)
    }

    fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }
}

fn ended() -> ClientError {
    ClientError::Disconnected("the stream ended".to_owned())
}

/// Finds events in chunks that may be cut anywhere, even inside a character ([the event stream format]).
///
/// Only `data` fields matter here: the chat's events carry their ids themselves.
///
/// [the event stream format]: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
#[derive(Default)]
struct Parser {
    line: Vec<u8>,
    data: Option<String>,
    after_cr: bool,
}

impl Parser {
    fn push(&mut self, chunk: &[u8]) -> Vec<String> {
        let mut events = Vec::new();
        for &byte in chunk {
            // CR, LF and CR LF each end a line.
            let second_half = std::mem::replace(&mut self.after_cr, byte == b'\r') && byte == b'\n';
            match byte {
                b'\n' if second_half => {}
                b'\r' | b'\n' => events.extend(self.end_line()),
                byte => self.line.push(byte),
            }
        }
        events
    }

    /// An empty line ends an event; other lines are fields or comments.
    fn end_line(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return self.data.take();
        }
        let line = String::from_utf8_lossy(&line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        if field == "data" {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match &mut self.data {
                Some(data) => *data = format!("{data}\n{value}"),
                None => self.data = Some(value.to_owned()),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_wherever_the_stream_is_cut() {
        let stream =
            "retry: 2000\n\n: hello\nid: 1\ndata: {\"a\":\"é\"}\r\n\r\ndata:x\rdata: y\r\r\n\nid: 2\n\n"
                .as_bytes();
        for cut in 0..=stream.len() {
            let mut parser = Parser::default();
            let mut events = parser.push(&stream[..cut]);
            events.extend(parser.push(&stream[cut..]));
            assert_eq!(events, ["{\"a\":\"é\"}", "x\ny"], "cut at {cut}");
        }
    }
}
