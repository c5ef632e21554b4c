//! One connection: requests through hyper, until one of them hands the connection over, and then again.

use std::future::{pending, poll_fn};
use std::io::{self, IoSlice};
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::timeout;
use tower::ServiceExt;

use super::told;
use crate::http::{Asked, Line, Peer, Serving};
use crate::limits::Limits;

/// Serves one connection until it ends.
///
/// Each part is a future in a box of its own: what hyper needs is given back while a transport has the connection.
pub(super) async fn serve(
    mut line: Line,
    router: Router,
    limits: Arc<Limits>,
    peer: Arc<Peer>,
    mut stopping: watch::Receiver<bool>,
) {
    loop {
        let next = Box::pin(next(line, &router, &limits, &peer, &mut stopping));
        let Some(serving) = next.await else { return };
        match serving.await {
            Ok(kept) if kept.is_kept() && !*stopping.borrow() => line = kept,
            // A client that has gone needs no word about it.
            Ok(_) | Err(_) => return,
        }
    }
}

/// Waits for requests, and answers those that can be answered at once.
async fn next(
    mut line: Line,
    router: &Router,
    limits: &Limits,
    peer: &Arc<Peer>,
    stopping: &mut watch::Receiver<bool>,
) -> Option<Serving> {
    // An unused connection costs no more than this wait.
    let arrived = tokio::select! {
        arrived = timeout(limits.header_timeout, line.arrival()) => arrived,
        () = told(stopping) => return None,
    };
    if !matches!(arrived, Ok(Ok(true))) {
        return None;
    }
    match line.again() {
        ControlFlow::Break(serving) => Some(serving),
        ControlFlow::Continue(line) => Box::pin(requests(line, router, limits, peer, stopping)).await,
    }
}

/// Serves requests over one connection until it ends, or until it is handed over.
async fn requests(
    line: Line,
    router: &Router,
    limits: &Limits,
    peer: &Arc<Peer>,
    stopping: &mut watch::Receiver<bool>,
) -> Option<Serving> {
    let first = line.arrived_head();
    let requests = AtomicUsize::new(0);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let peer = Arc::clone(peer);
        let (head, body) = request.into_parts();
        requests.fetch_add(1, Ordering::Relaxed);
        let (asked, method) = (Asked::by(&head), head.method.clone());
        let mut request = hyper::Request::from_parts(head, Body::new(body));
        request.extensions_mut().insert(Arc::clone(&peer));
        let answering = router.clone().oneshot(request);
        async move {
            let Ok(answer) = answering.await;
            match peer.answered(asked, &method, answer) {
                Some(answer) => Ok::<_, std::convert::Infallible>(answer),
                // The connection is taken from under this future.
                None => pending().await,
            }
        }
    });
    let unsent = Arc::new(AtomicBool::new(false));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(Limits::HEAD_BYTES)
        .serve_connection(TokioIo::new(Observed { line, unsent: Arc::clone(&unsent) }), service);
    let is_stopping = &mut false;
    let mut stop = pin!(told(stopping));
    let mut live = poll_fn(|cx| {
        if !*is_stopping && stop.as_mut().poll(cx).is_ready() {
            *is_stopping = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        if let Poll::Ready(ended) = Pin::new(&mut connection).poll(cx) {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
            return Poll::Ready(None);
        }
        // Answers to earlier requests go first: what hyper still has to write would be lost with it.
        if unsent.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        peer.handed().map_or(Poll::Pending, |live| Poll::Ready(Some(live)))
    })
    .await?;
    let parts = connection.into_parts();
    if *is_stopping {
        live.is_last();
    }
    let asked = first.as_deref().filter(|_| requests.load(Ordering::Relaxed) == 1);
    Some(live.serve(parts.io.into_inner().line, &parts.read_buf, asked))
}

/// A connection that tells whether hyper has written everything that it had to write.
struct Observed {
    line: Line,
    /// hyper flushes once its buffer is empty; until then a write of its may be waiting.
    unsent: Arc<AtomicBool>,
}

impl Observed {
    fn observe<T>(&self, written: Poll<T>) -> Poll<T> {
        self.unsent.store(true, Ordering::Relaxed);
        written
    }
}

impl AsyncRead for Observed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line).poll_read(cx, into)
    }
}

impl AsyncWrite for Observed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.line).poll_write(cx, bytes);
        self.observe(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.line).poll_write_vectored(cx, parts);
        self.observe(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.line.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.unsent.store(false, Ordering::Relaxed);
        Pin::new(&mut self.line).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line).poll_shutdown(cx)
    }
}
