//! An accepted socket that watches over its client's pace, under every kind of response.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::{Sleep, timeout};

use super::connections::Open;
use crate::publisher::Cut;
use crate::refusal::Close;

/// How long, and for how many bytes, a client that is still sending is read after the last word to it.
///
/// A socket that is closed with bytes unread makes the kernel send a reset, and the reset takes the last word
/// from the client's buffers before it is read ([RFC 9112 §9.6]).
///
/// [RFC 9112 §9.6]: https://www.rfc-editor.org/rfc/rfc9112#section-9.6
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 8 * 1_024 * 1_024;

/// A client's socket that watches over its pace.
///
/// A limit for writing cannot live in a response body: once the peer stops reading, nobody polls the body.
pub(super) struct Socket {
    /// Taken only when the socket is dropped.
    stream: Option<TcpStream>,
    write_timeout: Duration,
    /// Runs while the peer takes nothing.
    stall: Option<Pin<Box<Sleep>>>,
    cut: Cut,
    /// The peer has closed its side, or the connection is broken.
    ended: bool,
    /// Also taken only when the socket is dropped.
    open: Option<Open>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, write_timeout: Duration, cut: Cut, open: Open) -> Self {
        Self { stream: Some(stream), write_timeout, stall: None, cut, ended: false, open: Some(open) }
    }

    fn stream(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(self.stream.as_mut().expect("it is there until the socket is dropped"))
    }

    /// An error once the connection is to be cut.
    fn check_cut(&mut self) -> io::Result<()> {
        match self.cut.given() {
            Some(why) => {
                self.ended = true;
                Err(io::Error::new(io::ErrorKind::ConnectionAborted, why.name()))
            }
            None => Ok(()),
        }
    }

    /// The same, for a task that waits now and is to be woken for it.
    fn wait_for_cut(&mut self, cx: &Context<'_>) -> io::Result<()> {
        match self.cut.poll(cx) {
            Poll::Ready(_) => self.check_cut(),
            Poll::Pending => Ok(()),
        }
    }

    /// Passes on what came of a write, unless the peer has taken nothing for too long.
    fn watch(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(result) = &written {
            self.stall = None;
            self.ended |= result.is_err();
            return written;
        }
        self.wait_for_cut(cx)?;
        let limit = self.write_timeout;
        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        if stall.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.ended = true;
        if let Some(open) = &self.open {
            open.connections.wire.closed(Close::Slow);
        }
        // Whoever else holds on to this connection need not wait either.
        self.cut.give(Close::Slow);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, Close::Slow.name())))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_cut()?;
        let before = into.filled().len();
        let read = self.stream().poll_read(cx, into);
        match &read {
            Poll::Ready(result) => self.ended |= result.is_err() || into.filled().len() == before,
            Poll::Pending => self.wait_for_cut(cx)?,
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check_cut()?;
        let written = self.stream().poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_cut()?;
        let written = self.stream().poll_write_vectored(cx, parts);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}

impl Drop for Socket {
    /// Lets a client that is still there read the last word.
    fn drop(&mut self) {
        if let (false, Some(stream), Some(open), Ok(runtime)) =
            (self.ended, self.stream.take(), self.open.take(), Handle::try_current())
        {
            runtime.spawn(linger(stream, open));
        }
    }
}

/// Says that nothing more will come, and reads what the client still had on its way.
async fn linger(mut stream: TcpStream, _open: Open) {
    let reading = async {
        stream.shutdown().await?;
        let (mut into, mut discarded) = (vec![0; 16_384], 0);
        while discarded < LINGER_BYTES {
            match stream.read(&mut into).await? {
                0 => break,
                read => discarded += read,
            }
        }
        Ok::<_, io::Error>(())
    };
    // Whatever goes wrong now, there is nobody left to tell.
    let _ = timeout(LINGER, reading).await;
}
