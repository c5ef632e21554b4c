//! One connection: requests through hyper, until one of them hands the connection over, and then again.

use std::future::{pending, poll_fn};
use std::io::{self, IoSlice};
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
use crate::ending::End;
use crate::http::{Asked, Line, Peer, Serving};
use crate::limits::Limits;
use crate::refusal::Close;

/// The server stops.
const SHUTDOWN: End = End::Closed(Close::Shutdown);

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
            Ok(_) => return peer.ended(if *stopping.borrow() { SHUTDOWN } else { End::Answered }),
            // The socket has counted it. A client that has gone needs no word about it.
            Err(_) => return,
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
    let ended = tokio::select! {
        arrived = timeout(limits.header_timeout, line.arrival()) => match arrived {
            Ok(Ok(true)) => None,
            Ok(Ok(false)) => Some(End::Left),
            Ok(Err(error)) => Some(End::of_error(&error)),
            Err(_) => Some(End::HeaderTimeout),
        },
        () = told(stopping) => Some(SHUTDOWN),
    };
    if let Some(why) = ended {
        peer.ended(why);
        return None;
    }
    peer.cut.goes_on();
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
    let watched = Arc::new(Mutex::new(Watched { line, is_unsent: false, is_reading: false }));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(Limits::HEAD_BYTES)
        // A client that has closed its sending side still gets its answers. hyper then no longer looks at the socket
        // while an answer is being made, so this function does.
        .half_close(true)
        .serve_connection(TokioIo::new(Observed(Arc::clone(&watched))), service);
    let is_stopping = &mut false;
    let mut stop = pin!(told(stopping));
    let mut live = poll_fn(|cx| {
        if !*is_stopping && stop.as_mut().poll(cx).is_ready() {
            *is_stopping = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        if let Poll::Ready(ended) = Pin::new(&mut connection).poll(cx) {
            peer.ended(match ended {
                Err(error) => why(&error),
                Ok(()) if *is_stopping => SHUTDOWN,
                Ok(()) if lock(&watched).line.is_half_closed() => End::Left,
                Ok(()) => End::Answered,
            });
            return Poll::Ready(None);
        }
        let mut watched = lock(&watched);
        if !watched.is_reading
            && let Poll::Ready(Err(error)) = watched.line.poll_ahead(cx)
        {
            peer.ended(End::of_error(&error));
            return Poll::Ready(None);
        }
        // Answers to earlier requests go first: what hyper still has to write would be lost with it.
        if watched.is_unsent {
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
    drop(parts.io);
    let watched = Arc::into_inner(watched).expect("hyper has given its share back");
    let Watched { line, .. } = watched.into_inner().unwrap_or_else(PoisonError::into_inner);
    Some(live.serve(line, &parts.read_buf, asked))
}

/// Why hyper ended a connection. The socket has counted what it saw itself.
fn why(error: &hyper::Error) -> End {
    tracing::debug!(%error, "a connection ended early");
    match error {
        error if error.is_timeout() => End::HeaderTimeout,
        error if error.is_parse() => End::BadRequest,
        _ => End::Left,
    }
}

/// A connection that hyper uses, and what it is doing with it.
struct Watched {
    line: Line,
    /// hyper flushes once its buffer is empty; until then a write of its may be waiting.
    is_unsent: bool,
    /// hyper waits for bytes, so it will notice the end of the connection.
    is_reading: bool,
}

/// hyper's share of the connection.
struct Observed(Arc<Mutex<Watched>>);

fn lock(watched: &Mutex<Watched>) -> MutexGuard<'_, Watched> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AsyncRead for Observed {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut watched = lock(&self.0);
        let read = Pin::new(&mut watched.line).poll_read(cx, into);
        watched.is_reading = read.is_pending();
        read
    }
}

impl AsyncWrite for Observed {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut watched = lock(&self.0);
        watched.is_unsent = true;
        Pin::new(&mut watched.line).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut watched = lock(&self.0);
        watched.is_unsent = true;
        Pin::new(&mut watched.line).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        lock(&self.0).line.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut watched = lock(&self.0);
        watched.is_unsent = false;
        Pin::new(&mut watched.line).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut lock(&self.0).line).poll_shutdown(cx)
    }
}
