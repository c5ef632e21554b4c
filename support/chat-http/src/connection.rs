//! The connection to one client: every transport writes its answer (an HTTP response) to it.
//!
//! There are two ways to get a connection. In the [`plain`](super::plain) way the HTTP library keeps the socket. In the
//! [`takeover`](super::takeover) the transport takes the socket from the library. A transport cannot tell which it has.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use chat_core::protocol::{Encoding, Frame};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pipe::Pipe;
use super::taken::Taken;
use super::wire::Wire;

/// One client's connection, on which an answer is due.
///
/// A transport first calls [`upgrade`](Self::upgrade), [`begin`](Self::begin) or [`answer`](Self::answer). What it
/// writes after that goes out at once. Only an upgraded connection can be read and written as bytes.
pub struct Connection(pub(super) Source);

/// Where the bytes of a connection go.
///
/// What belongs to the plain way alone is in boxes, so that it takes no room in a connection that is taken over.
pub(super) enum Source {
    /// To the socket, without an HTTP library.
    Taken(Taken),
    /// Through an HTTP library, as the body of its answer.
    Body(Box<Pipe>),
    /// To a connection that an HTTP library has upgraded.
    Upgraded(Wire),
}

impl Connection {
    /// Leaves HTTP. From here on, the transport decides what the bytes mean.
    ///
    /// # Errors
    /// The connection is closed or broken, or the request did not ask for an upgrade.
    pub async fn upgrade(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Source::Taken(taken) => taken.upgrade().await,
            Source::Body(_) => Err(io::ErrorKind::InvalidInput.into()),
            Source::Upgraded(_) => Ok(()),
        }
    }

    /// Begins an endless answer: writes its head and its first bytes, in one write.
    ///
    /// # Errors
    /// The connection is closed or broken.
    pub async fn begin(&mut self, first: &str) -> io::Result<()> {
        match &mut self.0 {
            Source::Taken(taken) => taken.begin(first).await,
            Source::Body(pipe) => Box::pin(pipe.begin(first)).await,
            Source::Upgraded(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Writes more of an answer that has begun, in one write.
    ///
    /// # Errors
    /// The connection is closed or broken.
    pub async fn write_more(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        match &mut self.0 {
            Source::Taken(taken) => taken.write_more(parts).await,
            Source::Body(pipe) => Box::pin(pipe.write(parts.concat().into())).await,
            Source::Upgraded(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Writes frames into an answer that has begun, in one write. A single frame is written without copying.
    ///
    /// # Errors
    /// The connection is closed or broken.
    pub async fn write_frames<E: Encoding>(&mut self, frames: &[Arc<Frame>]) -> io::Result<()> {
        match &mut self.0 {
            Source::Taken(taken) => taken.write_frames::<E>(frames).await,
            Source::Body(pipe) => Box::pin(pipe.write_frames::<E>(frames)).await,
            Source::Upgraded(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Ends an answer that has begun.
    ///
    /// # Errors
    /// The connection is closed or broken.
    pub async fn finish(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Source::Taken(taken) => taken.finish().await,
            Source::Body(pipe) => {
                pipe.finish();
                Ok(())
            }
            Source::Upgraded(_) => Ok(()),
        }
    }

    /// Writes the whole answer, in one write.
    ///
    /// # Errors
    /// The connection is closed or broken.
    pub async fn answer(&mut self, body: Vec<u8>) -> io::Result<()> {
        match &mut self.0 {
            Source::Taken(taken) => taken.answer(&body).await,
            Source::Body(pipe) => pipe.answer(body),
            Source::Upgraded(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Makes this the last answer: the connection is closed after it.
    pub fn end_after(&mut self) {
        match &mut self.0 {
            Source::Taken(taken) => taken.end_after(),
            Source::Body(pipe) => pipe.end_after(),
            Source::Upgraded(_) => {}
        }
    }

    /// Waits until the client sends no more. What it sends meanwhile is kept for the next request.
    ///
    /// Cancel safe, and cheap to poll again.
    ///
    /// # Errors
    /// The connection is broken.
    pub async fn half_closed(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Source::Taken(taken) => taken.wire.half_closed().await,
            Source::Body(pipe) => Box::pin(pipe.half_closed()).await,
            Source::Upgraded(wire) => wire.half_closed().await,
        }
    }

    /// Ready once the client has sent something, or has left. What it sent is kept for the next reader.
    ///
    /// Cancel safe, and cheaper to poll again than a reader with its own buffer.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.wire() {
            Some(wire) => wire.poll_sent(cx),
            None => not_upgraded(),
        }
    }

    /// The bytes under an upgraded connection.
    fn wire(&mut self) -> Option<&mut Wire> {
        match &mut self.0 {
            Source::Taken(taken) => Some(&mut taken.wire),
            Source::Body(_) => None,
            Source::Upgraded(wire) => Some(wire),
        }
    }

    /// The connection, if it was taken over.
    pub(super) fn into_taken(self) -> Option<Taken> {
        match self.0 {
            Source::Taken(taken) => Some(taken),
            Source::Body(_) | Source::Upgraded(_) => None,
        }
    }
}

fn not_upgraded<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::InvalidInput.into()))
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.wire().map_or_else(not_upgraded, |wire| Pin::new(wire).poll_read(cx, into))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.wire().map_or_else(not_upgraded, |wire| Pin::new(wire).poll_write(cx, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire().map_or_else(not_upgraded, |wire| Pin::new(wire).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire().map_or_else(not_upgraded, |wire| Pin::new(wire).poll_shutdown(cx))
    }
}
