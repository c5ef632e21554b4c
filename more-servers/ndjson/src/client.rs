//! The client's end of a stream of lines: reads one endless response, and sends each request in a POST.

use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use chat_client::{Client, ClientError, Events, PostSender, Target, read};
use chat_core::auth::Token;
use chat_core::ids::Cursor;
use chat_core::protocol::Event;
use futures_util::{Stream, StreamExt};
use reqwest::Method;

/// One client of a stream of lines.
pub struct NdjsonClient;

impl Client for NdjsonClient {
    type Sender = PostSender;
    type Events = NdjsonEvents;

    async fn connect(
        target: &Target,
        token: &Token,
        after: Option<Cursor>,
    ) -> Result<(PostSender, NdjsonEvents), ClientError> {
        let query = after.map(|cursor| format!("?after={cursor}")).unwrap_or_default();
        let response = target.request(Method::GET, &format!("/ndjson{query}"), token).send().await?;
        if !response.status().is_success() {
            return Err(read::<()>(response).await.err().unwrap_or_else(ended));
        }
        let chunks = Box::pin(response.bytes_stream());
        let events = NdjsonEvents { chunks, unread: BytesMut::new(), cursor: after };
        Ok((PostSender::new(target, token), events))
    }
}

/// The half that receives events.
pub struct NdjsonEvents {
    chunks: Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>,
    /// The bytes received after the last whole line.
    unread: BytesMut,
    cursor: Option<Cursor>,
}

impl Events for NdjsonEvents {
    async fn next(&mut self) -> Result<Event, ClientError> {
        loop {
            match self.unread.iter().position(|&byte| byte == b'\n') {
                Some(0) => drop(self.unread.split_to(1)),
                Some(end) => {
                    let line = self.unread.split_to(end + 1);
                    let event: Event = serde_json::from_slice(&line[..end])?;
                    self.cursor = event.reached().or(self.cursor);
                    return Ok(event);
                }
                None => self.unread.extend_from_slice(&self.chunks.next().await.ok_or_else(ended)??),
            }
        }
    }

    fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }
}

fn ended() -> ClientError {
    ClientError::Disconnected("the stream ended".to_owned())
}
