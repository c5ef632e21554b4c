//! The answer that a transport writes on a bare connection: at once, bit by bit, or none but an upgrade.

use std::io::{self, Write as _};
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;

use super::head::{Framing, Head};
use super::line::Line;
use crate::protocol::{Encoding, Frame};

/// What a chunk adds to its bytes, at most: a length, and two ends of lines.
const CHUNK_FRAMING_BYTES: usize = 20;

impl Line {
    /// Leaves HTTP: from here on, bytes are the transport's own.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn upgrade(&mut self) -> io::Result<()> {
        self.is_kept = false;
        self.write_head(Framing::None, &[]).await
    }

    /// Begins an answer that has no end in sight: its head and its first bytes, in one write.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn begin(&mut self, first: &str) -> io::Result<()> {
        self.is_chunked = self.head.as_ref().is_some_and(Head::knows_chunks);
        self.is_kept &= self.is_chunked;
        if self.is_chunked {
            self.write_head(Framing::Chunked, &chunk(&[first.as_bytes()])).await
        } else {
            self.write_head(Framing::None, first.as_bytes()).await
        }
    }

    /// Writes more of an answer that has begun, in one write.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn write_more(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let bytes = if self.is_chunked { chunk(parts) } else { parts.concat() };
        self.stream.write_all(&bytes).await
    }

    /// Writes frames into an answer that has begun, in one write; a frame alone is copied for nobody.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn write_frames<E: Encoding>(&mut self, frames: &[Arc<Frame>]) -> io::Result<()> {
        match frames {
            [frame] if self.is_chunked => self.stream.write_all(frame.encoded::<Chunk<E>>()).await,
            [frame] => self.stream.write_all(frame.encoded::<E>()).await,
            frames => {
                let frames: Vec<&[u8]> = frames.iter().map(|frame| frame.encoded::<E>().as_ref()).collect();
                self.write_more(&frames).await
            }
        }
    }

    /// Ends an answer that has begun.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn finish(&mut self) -> io::Result<()> {
        match self.is_chunked {
            true => self.stream.write_all(b"0\r\n\r\n").await,
            false => Ok(()),
        }
    }

    /// Gives the whole answer, in one write.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn answer(&mut self, body: &[u8]) -> io::Result<()> {
        self.write_head(Framing::Length(body.len()), body).await
    }

    /// Nothing may follow this answer.
    pub fn end_after(&mut self) {
        self.is_kept = false;
        self.head.iter_mut().for_each(Head::is_last);
    }

    async fn write_head(&mut self, framing: Framing, then: &[u8]) -> io::Result<()> {
        let head = self.head.take().ok_or(io::ErrorKind::InvalidInput)?;
        self.stream.write_all(&head.with(framing, then)).await
    }
}

/// What a wire writes, as a chunk of its own ([RFC 9112 §7.1]).
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
    let mut bytes = Vec::with_capacity(length + CHUNK_FRAMING_BYTES);
    write!(bytes, "{length:X}\r\n").expect("a vector takes every write");
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes.extend_from_slice(b"\r\n");
    bytes
}
