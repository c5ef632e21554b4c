//! An accepted socket that watches over its client's pace, under every kind of response.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::connections::Open;
use crate::publisher::Cut;
use crate::refusal::Close;

/// A client's socket that watches over its pace.
///
/// A limit for writing cannot live in a response body: once the peer stops reading, nobody polls the body.
pub(super) struct Socket {
    stream: TcpStream,
    write_timeout: Duration,
    /// Runs while the peer takes nothing.
    stall: Option<Pin<Box<Sleep>>>,
    cut: Cut,
    open: Open,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, write_timeout: Duration, cut: Cut, open: Open) -> Self {
        Self { stream, write_timeout, stall: None, cut, open }
    }

    /// An error once the connection is to be cut.
    fn poll_cut(&self, cx: &Context<'_>) -> io::Result<()> {
        match self.cut.poll(cx) {
            Poll::Ready(why) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, why.name())),
            Poll::Pending => Ok(()),
        }
    }

    /// Passes on what came of a write, unless the peer has taken nothing for too long.
    fn watch(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stall = None;
            return written;
        }
        let limit = self.write_timeout;
        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        if stall.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.open.connections.wire.closed(Close::Slow);
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
        self.poll_cut(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_cut(cx)?;
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_cut(cx)?;
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.watch(cx, written)
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
