//! An accepted socket that disconnects a client that does not read, under every kind of response.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use chat_core::ending::{Cut, End};
use chat_core::refusal::Close;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::connections::Open;
use super::kernel_patience;
use super::tcp_info::TcpInfo;
use crate::{Broken, Stream};

/// How long, and for how many bytes, the server still reads after it has written its last bytes.
///
/// If a socket is closed while received bytes are unread, the kernel sends a reset. The reset can delete the server's
/// last bytes in the client's buffers before the client reads them ([RFC 9112 §9.6]).
///
/// [RFC 9112 §9.6]: https://www.rfc-editor.org/rfc/rfc9112#section-9.6
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 8 * 1_024 * 1_024;

/// How often the kernel is asked, within the limit for writing, whether the client has taken something.
const CHECKS: u32 = 4;

/// A client's socket with a limit for writing.
///
/// The limit cannot be in a response body, because the body is not polled any more once the peer stops reading.
pub(super) struct Socket {
    /// Taken only when the socket is dropped.
    stream: Option<TcpStream>,
    write_timeout: Duration,
    /// Set while something waits to be written.
    stall: Option<Box<Stall>>,
    cut: Cut,
    /// The peer has closed its side, or the connection is broken.
    ended: bool,
    /// Also taken only when the socket is dropped.
    open: Option<Open>,
}

/// A client that may have stopped reading.
///
/// The socket becomes writable only after the client has taken a good part of what waits in the kernel. A client that
/// takes little would look like one that takes nothing, so the kernel is asked how much was acknowledged.
struct Stall {
    check: Pin<Box<Sleep>>,
    /// When the client last took something.
    since: Instant,
    acknowledged: u64,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, write_timeout: Duration, cut: Cut, open: Open) -> Self {
        Self { stream: Some(stream), write_timeout, stall: None, cut, ended: false, open: Some(open) }
    }

    fn stream(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(self.stream.as_mut().expect("it is there until the socket is dropped"))
    }

    /// Counts the end of the connection, with its reason.
    fn ended(&mut self, why: End) {
        self.ended = true;
        if let Some(open) = &self.open {
            open.ended(why);
        }
    }

    /// Counts an end that an error caused. A timeout alone does not say whether the client stopped reading or vanished.
    fn failed(&mut self, error: &io::Error) {
        let why = match error.kind() {
            io::ErrorKind::TimedOut => self.why_silent(),
            _ => End::of_error(error),
        };
        self.ended(why);
    }

    /// Whether a silent client has stopped reading or has vanished. If it has stopped reading, its window is closed,
    /// and its system still answers probes of the window.
    fn why_silent(&self) -> End {
        let limit = kernel_patience(self.write_timeout);
        match self.info() {
            Some(info) if info.window == 0 && info.heard < limit => End::Closed(Close::Slow),
            _ => End::Gone,
        }
    }

    fn info(&self) -> Option<TcpInfo> {
        self.stream.as_ref().and_then(TcpInfo::of)
    }

    /// An error once the connection is to be cut.
    fn check_cut(&mut self) -> io::Result<()> {
        match self.cut.given() {
            Some(why) => {
                self.ended(End::Closed(why));
                Err(io::Error::new(io::ErrorKind::ConnectionAborted, why.name()))
            }
            None => Ok(()),
        }
    }

    /// The same for a task that waits now: it is woken once the connection is to be cut.
    fn wait_for_cut(&mut self, cx: &Context<'_>) -> io::Result<()> {
        match self.cut.poll(cx) {
            Poll::Ready(_) => self.check_cut(),
            Poll::Pending => Ok(()),
        }
    }

    /// Passes on the result of a write, unless the peer has taken nothing for too long.
    fn watch(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(result) = &written {
            self.stall = None;
            if let Err(error) = result {
                self.failed(error);
            }
            return written;
        }
        self.wait_for_cut(cx)?;
        let limit = self.write_timeout;
        let pause = (limit / CHECKS).max(Duration::from_millis(1));
        let info = self.stall.is_none().then(|| self.info()).flatten();
        let stall = self.stall.get_or_insert_with(|| {
            let acknowledged = info.map_or(0, |info| info.acknowledged);
            Box::new(Stall { check: Box::pin(sleep(pause)), since: Instant::now(), acknowledged })
        });
        while stall.check.as_mut().poll(cx).is_ready() {
            let (now, info) = (Instant::now(), self.stream.as_ref().and_then(TcpInfo::of));
            match info {
                Some(info) if info.acknowledged > stall.acknowledged => {
                    (stall.since, stall.acknowledged) = (now, info.acknowledged);
                }
                _ if now - stall.since >= limit => return Poll::Ready(Err(self.give_up())),
                _ => {}
            }
            stall.check.as_mut().reset(now + pause);
        }
        Poll::Pending
    }

    /// Ends the connection to a client that has taken nothing for too long.
    fn give_up(&mut self) -> io::Error {
        // If the kernel says nothing, the client counts as slow, because it was this limit that ended the connection.
        let why = self.info().map_or(End::Closed(Close::Slow), |_| self.why_silent());
        self.ended(why);
        // Other tasks that use this connection need not wait either.
        self.cut.give(Close::Slow);
        io::Error::new(io::ErrorKind::TimedOut, why.name())
    }
}

impl Stream for Socket {
    fn broken(&mut self) -> Broken<'_> {
        Box::pin(async move {
            let stream = self.stream.as_ref().expect("it is there until the socket is dropped");
            let error = match stream.ready(Interest::ERROR).await {
                Ok(_) => stream.take_error().ok().flatten(),
                Err(error) => Some(error),
            };
            let error = error.unwrap_or_else(|| io::ErrorKind::ConnectionReset.into());
            self.failed(&error);
            error
        })
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
            Poll::Ready(Ok(())) => self.ended |= into.filled().len() == before,
            Poll::Ready(Err(error)) => self.failed(error),
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
    /// Gives a client that is still there time to read the last bytes.
    fn drop(&mut self) {
        if let (false, Some(stream), Some(open), Ok(runtime)) =
            (self.ended, self.stream.take(), self.open.take(), Handle::try_current())
        {
            runtime.spawn(linger(stream, open));
        }
    }
}

/// Closes the sending side, and reads what the client still had on its way.
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
    // The connection is over, so an error changes nothing.
    let _ = timeout(LINGER, reading).await;
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use socket2::{SockFilter, SockRef};
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;
    use crate::server::connections::Connections;
    use chat_core::heap::Crowd;
    use chat_core::metrics::Metrics;

    /// How long the kernel waits for a client here.
    const KERNEL_PATIENCE: Duration = Duration::from_secs(1);

    /// A client, and the socket that serves it.
    struct Pair {
        client: TcpStream,
        socket: Socket,
        metrics: Metrics,
    }

    impl Pair {
        async fn open() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let client = TcpSocket::new_v4().unwrap();
            client.set_recv_buffer_size(4_096).unwrap();
            let client = client.connect(listener.local_addr().unwrap()).await.unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            SockRef::from(&stream).set_tcp_user_timeout(Some(KERNEL_PATIENCE)).unwrap();
            let metrics = Metrics::default();
            let connections =
                Arc::new(Connections::new(metrics.transport("test"), Arc::new(Crowd::default())));
            let (cut, open) = connections.add(1).unwrap();
            let hour = Duration::from_secs(3_600);
            Self { client, socket: Socket::new(stream, hour, cut, open), metrics }
        }

        /// Waits until the kernel gives the connection up, and says how that was counted.
        async fn given_up(mut self) -> Vec<String> {
            let reading = self.socket.read_u8();
            let error = timeout(Duration::from_secs(30), reading).await.expect("an end").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            drop(self.socket);
            let text = self.metrics.render();
            let ends =
                text.lines().filter(|line| line.starts_with("chat_closed_total") && !line.ends_with(" 0"));
            ends.map(str::to_owned).collect()
        }
    }

    fn counted(reason: &str) -> Vec<String> {
        vec![format!("chat_closed_total{{reason=\"{reason}\",transport=\"test\"}} 1")]
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_slow_though_the_kernel_ends_it() {
        let mut pair = Pair::open().await;
        // The kernel has taken all of it, so no write waits here and the limit for writing does not apply.
        pair.socket.write_all(&[b'x'; 65_536]).await.unwrap();
        assert_eq!(pair.given_up().await, counted("slow"));
    }

    #[tokio::test]
    async fn a_client_that_vanished_is_disconnected() {
        let mut pair = Pair::open().await;
        // Drops every packet to the client.
        SockRef::from(&pair.client).attach_filter(&[SockFilter::new(0x06, 0, 0, 0)]).unwrap();
        pair.socket.write_all(b"x").await.unwrap();
        assert_eq!(pair.given_up().await, counted("gone"));
    }

    #[tokio::test]
    async fn a_reset_is_noticed_without_reading() {
        let mut pair = Pair::open().await;
        pair.client.write_all(b"unread").await.unwrap();
        SockRef::from(&pair.client).set_linger(Some(Duration::ZERO)).unwrap();
        drop(pair.client);
        let error = timeout(Duration::from_secs(30), pair.socket.broken()).await.expect("an end");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        drop(pair.socket);
        assert!(pair.metrics.render().contains(&counted("aborted")[0]));
    }
}
