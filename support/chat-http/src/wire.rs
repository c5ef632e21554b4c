//! The bytes of a connection in both directions, and those that were read ahead.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use chat_core::limits::Limits;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much is read at once. Clients send little.
const READ_BYTES: usize = 512;

/// Resolves with the error that broke a connection.
pub(crate) type Broken<'a> = Pin<Box<dyn Future<Output = io::Error> + Send + 'a>>;

/// What the bytes of a connection are read from and written to.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// Waits until the connection is broken, without reading from it. Cancel safe.
    fn broken(&mut self) -> Broken<'_>;
}

/// The bytes of a connection. What is written goes to the stream at once.
pub(crate) struct Wire {
    stream: Box<dyn Stream>,
    /// Bytes that were read and not used yet.
    ahead: BytesMut,
    /// The client sends no more.
    is_half_closed: bool,
}

impl Wire {
    pub(crate) fn new(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), ahead: BytesMut::new(), is_half_closed: false }
    }

    /// Bytes that were read and not used yet.
    pub(super) fn ahead(&self) -> &[u8] {
        &self.ahead
    }

    /// The bytes of the request's head that has arrived, if it is whole.
    pub(crate) fn arrived_head(&self) -> Option<Vec<u8>> {
        let end = self.ahead.windows(4).position(|window| window == b"\r\n\r\n")?;
        Some(self.ahead[..end + 4].to_vec())
    }

    /// Uses some of the bytes ahead.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.ahead.advance(bytes);
        if self.ahead.is_empty() {
            // An idle connection keeps no buffer.
            self.ahead = BytesMut::new();
        }
    }

    /// Puts bytes back that were read too early. They come before those that are ahead.
    pub(super) fn put_back(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            // Copied, because a few bytes would otherwise keep a whole large buffer in memory.
            self.ahead = [bytes, &self.ahead].concat().as_slice().into();
        }
    }

    /// Waits for the first bytes of the next request. `false`: the client has left.
    ///
    /// # Errors
    /// The connection is broken.
    pub(super) async fn arrival(&mut self) -> io::Result<bool> {
        std::future::poll_fn(|cx| {
            while self.ahead.len().is_multiple_of(READ_BYTES) {
                match self.poll_fill(cx)? {
                    Poll::Ready(0) => break,
                    Poll::Ready(_) => {}
                    Poll::Pending if self.ahead.is_empty() => return Poll::Pending,
                    Poll::Pending => break,
                }
            }
            Poll::Ready(Ok(!self.ahead.is_empty()))
        })
        .await
    }

    /// Ready once the client has sent something, or has left. What it sent is kept for the next reader.
    pub(super) fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.poll_fill(cx).map_ok(drop)
    }

    /// Whether the client sends no more.
    pub(crate) fn is_half_closed(&self) -> bool {
        self.is_half_closed
    }

    /// Waits until the client sends no more. What it sends meanwhile is kept for the next reader.
    pub(super) async fn half_closed(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_ahead(cx)).await?;
        match self.is_half_closed {
            true => Ok(()),
            // No more is read ahead, so it does not see when the client stops sending. It still sees a reset.
            false => Err(self.stream.broken().await),
        }
    }

    /// Reads ahead until the client sends no more, or until `Limits::HEAD_BYTES` wait to be used. More is read only
    /// once the requests among them are served.
    pub(crate) fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.is_half_closed && self.ahead.len() < Limits::HEAD_BYTES {
            ready!(self.poll_fill(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads a little more ahead, and returns how much.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut bytes = [MaybeUninit::uninit(); READ_BYTES];
        let mut read = ReadBuf::uninit(&mut bytes);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
        self.is_half_closed |= read.filled().is_empty();
        self.ahead.extend_from_slice(read.filled());
        Poll::Ready(Ok(read.filled().len()))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            let before = into.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(cx, into))?;
            self.is_half_closed |= into.filled().len() == before;
            return Poll::Ready(Ok(()));
        }
        let some = self.ahead.len().min(into.remaining());
        into.put_slice(&self.ahead[..some]);
        self.advance(some);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
