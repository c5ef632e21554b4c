//! A connection in a transport's own hands: the bytes under HTTP, and the answer that is still to be written.

use std::io;
use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::handover::Serving;
use super::head::Head;
use super::repeated_poll::{RepeatedPoll, head_length};
use crate::ids::Cursor;
use crate::limits::Limits;

/// Read at once from a client that has little to say.
const READ_BYTES: usize = 512;

/// Resolves with the error that broke a connection.
pub(crate) type Broken<'a> = Pin<Box<dyn Future<Output = io::Error> + Send + 'a>>;

/// The bytes of a connection, in both directions.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// Waits until the connection is broken, without reading from it. Cancel safe.
    fn broken(&mut self) -> Broken<'_>;
}

/// A connection in a transport's own hands.
///
/// It begins with [`upgrade`](Self::upgrade), [`begin`](Self::begin) or [`answer`](Self::answer), which write the
/// head that came with it. While it lives, nothing of an HTTP library is kept for it, and what is written
/// goes to the socket at once.
pub struct Line {
    pub(super) stream: Box<dyn Stream>,
    /// What the client sent and nobody has read yet.
    ahead: BytesMut,
    /// The client sends no more.
    is_half_closed: bool,
    /// The head of the answer, until it is written.
    pub(super) head: Option<Head>,
    /// Whether the answer's body goes out in chunks.
    pub(super) is_chunked: bool,
    /// Whether the next request may follow.
    pub(super) is_kept: bool,
    /// The request that is being answered, if it may come again.
    asked: Option<RepeatedPoll>,
    /// How the same request is served when it comes again.
    repeat: Option<Arc<Repeat>>,
}

/// How a request is served that is the same as the one before it but for its cursor.
struct Repeat {
    asked: RepeatedPoll,
    head: Head,
    serve: Box<dyn Fn(Line, Cursor) -> Serving + Send + Sync>,
}

impl Line {
    pub(crate) fn new(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            ahead: BytesMut::new(),
            is_half_closed: false,
            head: None,
            is_chunked: false,
            is_kept: false,
            asked: None,
            repeat: None,
        }
    }

    /// The same connection, after a request of which `ahead` was read too much, with an answer to be written.
    ///
    /// `asked` are the bytes of the request's head, if they are known.
    pub(super) fn answering(mut self, ahead: &[u8], asked: Option<&[u8]>, head: Head) -> Self {
        self.put_back(ahead);
        self.asked = asked.and_then(RepeatedPoll::of);
        self.is_kept = head.keeps_alive();
        self.head = Some(head);
        self
    }

    /// Puts bytes that were read before those that are ahead.
    fn put_back(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            // Copied, or a few bytes would keep all of a large buffer.
            self.ahead = [bytes, &self.ahead].concat().as_slice().into();
        }
    }

    /// Remembers how this very request is served when it comes again, after another cursor.
    pub(super) fn repeat_with(&mut self, serve: impl Fn(Self, Cursor) -> Serving + Send + Sync + 'static) {
        if let (Some(asked), Some(head)) = (self.asked.take(), &self.head) {
            self.repeat = Some(Arc::new(Repeat { asked, head: head.clone(), serve: Box::new(serve) }));
        }
    }

    /// Serves what has arrived without HTTP, if it is the last request again; or else gives the connection back.
    pub(crate) fn again(mut self) -> ControlFlow<Serving, Self> {
        let Some(repeat) = self.repeat.take() else { return ControlFlow::Continue(self) };
        let Some((cursor, length)) = repeat.asked.cursor(&self.ahead) else {
            return ControlFlow::Continue(self);
        };
        self.ahead.advance(length);
        if self.ahead.is_empty() {
            self.ahead = BytesMut::new();
        }
        self.head = Some(repeat.head.clone());
        self.repeat = Some(Arc::clone(&repeat));
        ControlFlow::Break((repeat.serve)(self, cursor))
    }

    /// Lets a request that could not be served again go the way of all others, which has words for the reason.
    pub(super) fn refuse_again(mut self, cursor: &Cursor) -> Self {
        if let Some(repeat) = self.repeat.take() {
            self.put_back(&repeat.asked.after(cursor));
        }
        self.head = None;
        self
    }

    /// The bytes of the request's head that has arrived, if it is whole.
    pub(crate) fn arrived_head(&self) -> Option<Vec<u8>> {
        head_length(&self.ahead).map(|length| self.ahead[..length].to_vec())
    }

    /// Whether the answer is whole and the next request may follow.
    pub(crate) fn is_kept(&self) -> bool {
        self.is_kept && self.head.is_none()
    }

    /// Waits for the first bytes of the next request. `false`: the client has left.
    ///
    /// # Errors
    /// The connection is broken.
    pub(crate) async fn arrival(&mut self) -> io::Result<bool> {
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

    /// Waits until the client has sent something, or has left, and keeps it for whoever reads next.
    ///
    /// Cancel safe, and cheaper to poll again than a reader with a buffer of its own.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.poll_fill(cx).map_ok(drop)
    }

    /// Whether the client sends no more.
    pub(crate) fn is_half_closed(&self) -> bool {
        self.is_half_closed
    }

    /// Waits until the client sends no more. What it sends meanwhile is kept for whoever reads next.
    ///
    /// Cancel safe, and cheap to poll again.
    ///
    /// # Errors
    /// The connection is broken.
    pub async fn half_closed(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_ahead(cx)).await?;
        match self.is_half_closed {
            true => Ok(()),
            // What was asked ahead hides the end of what is sent, but not a reset.
            false => Err(self.stream.broken().await),
        }
    }

    /// Reads ahead until the client sends no more, or has asked far enough ahead. It is read further only when it is
    /// the turn of what it asked.
    pub(crate) fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.is_half_closed && self.ahead.len() < Limits::HEAD_BYTES {
            ready!(self.poll_fill(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads a little more ahead; how much it was.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut bytes = [MaybeUninit::uninit(); READ_BYTES];
        let mut read = ReadBuf::uninit(&mut bytes);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
        self.is_half_closed |= read.filled().is_empty();
        self.ahead.extend_from_slice(read.filled());
        Poll::Ready(Ok(read.filled().len()))
    }
}

impl AsyncRead for Line {
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
        self.ahead.advance(some);
        if self.ahead.is_empty() {
            self.ahead = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Line {
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
