//! The answer on a connection that was taken over: a whole one, an endless one, or an upgrade.

mod head;

use std::io::{self, Write as _};
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use chat_core::protocol::{Encoding, Frame};
use tokio::io::AsyncWriteExt;

use self::head::Framing;
use crate::wire::Wire;

pub(crate) use self::head::{Asked, Head};

/// The most that a chunk adds to its bytes: a length, and two line breaks.
const CHUNK_FRAMING_BYTES: usize = 20;

/// A connection without an HTTP library, and the head of the answer that is due.
///
/// It begins with [`upgrade`](Self::upgrade), [`begin`](Self::begin) or [`answer`](Self::answer), which write the head.
pub(crate) struct Taken {
    pub(crate) wire: Wire,
    /// The head of the answer, until it is written.
    pub(super) head: Option<Head>,
    /// Whether the answer's body goes out in chunks.
    is_chunked: bool,
    /// Whether the next request may follow.
    pub(super) is_kept: bool,
}

impl Taken {
    /// A connection on which an answer with this head is due.
    pub(super) fn new(wire: Wire, head: Head) -> Self {
        Self { wire, is_chunked: false, is_kept: head.keeps_alive(), head: Some(head) }
    }

    /// Whether the answer is whole and the next request may follow.
    pub(crate) fn is_kept(&self) -> bool {
        self.is_kept && self.head.is_none()
    }

    pub(crate) async fn upgrade(&mut self) -> io::Result<()> {
        self.is_kept = false;
        self.write_head(Framing::None, &[]).await
    }

    pub(crate) async fn begin(&mut self, first: &str) -> io::Result<()> {
        self.is_chunked = self.head.as_ref().is_some_and(Head::knows_chunks);
        self.is_kept &= self.is_chunked;
        if self.is_chunked {
            self.write_head(Framing::Chunked, &chunk(&[first.as_bytes()])).await
        } else {
            self.write_head(Framing::None, first.as_bytes()).await
        }
    }

    pub(crate) async fn write_more(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let bytes = if self.is_chunked { chunk(parts) } else { parts.concat() };
        self.wire.write_all(&bytes).await
    }

    /// A single frame is written without copying.
    pub(crate) async fn write_frames<E: Encoding>(&mut self, frames: &[Arc<Frame>]) -> io::Result<()> {
        match frames {
            [frame] if self.is_chunked => self.wire.write_all(frame.encoded::<Chunk<E>>()).await,
            [frame] => self.wire.write_all(frame.encoded::<E>()).await,
            frames => {
                let frames: Vec<&[u8]> = frames.iter().map(|frame| frame.encoded::<E>().as_ref()).collect();
                self.write_more(&frames).await
            }
        }
    }

    pub(crate) async fn finish(&mut self) -> io::Result<()> {
        match self.is_chunked {
            true => self.wire.write_all(b"0\r\n\r\n").await,
            false => Ok(()),
        }
    }

    pub(crate) async fn answer(&mut self, body: &[u8]) -> io::Result<()> {
        self.write_head(Framing::Length(body.len()), body).await
    }

    pub(crate) fn end_after(&mut self) {
        self.is_kept = false;
        self.head.iter_mut().for_each(Head::is_last);
    }

    async fn write_head(&mut self, framing: Framing, then: &[u8]) -> io::Result<()> {
        let head = self.head.take().ok_or(io::ErrorKind::InvalidInput)?;
        self.wire.write_all(&head.with(framing, then)).await
    }
}

/// The bytes of a frame, as a chunk of their own ([RFC 9112 §7.1]).
///
/// [RFC 9112 §7.1]: https://www.rfc-editor.org/rfc/rfc9112#section-7.1
struct Chunk<E>(PhantomData<E>);

impl<E: Encoding> Encoding for Chunk<E> {
    fn encode(frame: &Frame) -> Bytes {
        chunk(&[&E::encode(frame)]).into()
    }
}

fn chunk(parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    // A chunk of no bytes is the end of the answer.
    if length == 0 {
        return Vec::new();
    }
    let mut bytes = Vec::with_capacity(length + CHUNK_FRAMING_BYTES);
    write!(bytes, "{length:X}\r\n").expect("a vector takes every write");
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes.extend_from_slice(b"\r\n");
    bytes
}
