//! One connection: requests through hyper, until a transport takes the connection over, and then again.

use std::future::{pending, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use chat_core::ending::End;
use chat_core::limits::Limits;
use chat_core::refusal::Close;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower::ServiceExt;

use crate::{Asked, Live, NoAnswer, Peer, Serving, Slot, Way, Wire};

/// Serves one connection until it ends.
///
/// Each part is a future in a box of its own, so that hyper's memory is free while a transport has the connection.
pub(super) async fn serve(mut wire: Wire, router: Router, peer: Arc<Peer>) {
    while peer.has_request(&mut wire).await {
        let Some(serving) = Box::pin(requests(wire, &router, &peer)).await else { return };
        match serving.await {
            Ok(taken) if taken.is_kept() && !peer.is_stopping() => wire = taken.wire,
            Ok(_) => return peer.answered(),
            // The socket has counted the end already, unless the transport noticed it first. The client has left, so
            // nothing is sent to it.
            Err(error) => return peer.failed(&error),
        }
    }
}

/// Serves requests over one connection until it ends, or until a transport takes it over.
async fn requests(wire: Wire, router: &Router, peer: &Arc<Peer>) -> Option<Serving> {
    let first = wire.arrived_head();
    let (requests, slot) = (AtomicUsize::new(0), Arc::new(Slot::default()));
    let service = service_fn(|request: hyper::Request<Incoming>| {
        requests.fetch_add(1, Ordering::Relaxed);
        answer(request, router.clone(), Arc::clone(peer), Arc::clone(&slot))
    });
    let watched = Arc::new(Mutex::new(Watched { wire, is_unsent: false, is_reading: false }));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(peer.limits().header_timeout)
        .max_buf_size(Limits::HEAD_BYTES)
        // A client that has closed its sending side still gets its answers. With this option hyper does not watch the
        // socket while an answer is being made, so `drive` does.
        .half_close(true)
        .serve_connection(TokioIo::new(Observed(Arc::clone(&watched))), service);
    if peer.way == Way::Plain {
        let mut connection = connection.with_upgrades();
        drive(&mut connection, |connection| connection.graceful_shutdown(), &watched, peer, &slot).await;
        return None;
    }
    let stop = |connection: Pin<&mut _>| http1::Connection::graceful_shutdown(connection);
    let mut live = drive(&mut connection, stop, &watched, peer, &slot).await?;
    let parts = connection.into_parts();
    if peer.is_stopping() {
        live.is_last();
    }
    let asked = first.as_deref().filter(|_| requests.load(Ordering::Relaxed) == 1);
    drop(parts.io);
    let watched = Arc::into_inner(watched).expect("hyper has given its share back");
    let Watched { wire, .. } = watched.into_inner().unwrap_or_else(PoisonError::into_inner);
    Some(live.serve(wire, &parts.read_buf, asked))
}

/// Answers one request.
async fn answer(
    request: hyper::Request<Incoming>,
    router: Router,
    peer: Arc<Peer>,
    slot: Arc<Slot>,
) -> Result<Response, Unanswered> {
    peer.cut.goes_on();
    let (head, body) = request.into_parts();
    let (asked, method) = (Asked::by(&head), head.method.clone());
    let mut request = hyper::Request::from_parts(head, Body::new(body));
    request.extensions_mut().insert(peer);
    request.extensions_mut().insert(Arc::clone(&slot));
    let Ok(answer) = router.oneshot(request).await;
    if answer.extensions().get::<NoAnswer>().is_some() {
        return Err(Unanswered);
    }
    match slot.answer(asked, &method, answer) {
        Some(answer) => Ok(answer),
        // The connection is taken over, and this future is dropped.
        None => pending().await,
    }
}

/// The client sends no more and there was nothing to answer, so its connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("there was nothing to answer")]
struct Unanswered;

/// Drives hyper's connection until it ends, or until a transport is to take it over.
async fn drive<C: Future<Output = hyper::Result<()>> + Unpin>(
    connection: &mut C,
    stop: impl Fn(Pin<&mut C>),
    watched: &Mutex<Watched>,
    peer: &Peer,
    slot: &Slot,
) -> Option<Live> {
    let mut is_stopping = false;
    let mut stopping = pin!(peer.stopping());
    poll_fn(|cx| {
        if !is_stopping && stopping.as_mut().poll(cx).is_ready() {
            is_stopping = true;
            stop(Pin::new(&mut *connection));
        }
        if let Poll::Ready(ended) = Pin::new(&mut *connection).poll(cx) {
            match ended {
                // After an upgrade, the transport counts the end of the connection.
                Ok(()) if peer.is_upgraded() => {}
                Err(error) => peer.ended(why(&error)),
                Ok(()) if is_stopping => peer.ended(End::Closed(Close::Shutdown)),
                Ok(()) if lock(watched).wire.is_half_closed() => peer.ended(End::Left),
                Ok(()) => peer.ended(End::Answered),
            }
            return Poll::Ready(None);
        }
        let mut watched = lock(watched);
        if !watched.is_reading
            && let Poll::Ready(Err(error)) = watched.wire.poll_ahead(cx)
        {
            peer.failed(&error);
            return Poll::Ready(None);
        }
        if watched.wire.is_half_closed() {
            peer.half_closed.give(());
        }
        // Answers to earlier requests are written first. With the takeover hyper is dropped, and what it still had to
        // write would be lost.
        if watched.is_unsent {
            return Poll::Pending;
        }
        slot.taken().map_or(Poll::Pending, |live| Poll::Ready(Some(live)))
    })
    .await
}

/// Why hyper ended a connection. An end that the socket noticed itself is counted already.
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
    wire: Wire,
    /// hyper has written and not flushed since. It flushes once its buffer is empty, so more may still be in it.
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
        let read = Pin::new(&mut watched.wire).poll_read(cx, into);
        watched.is_reading = read.is_pending();
        read
    }
}

impl AsyncWrite for Observed {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut watched = lock(&self.0);
        watched.is_unsent = true;
        Pin::new(&mut watched.wire).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut watched = lock(&self.0);
        watched.is_unsent = true;
        Pin::new(&mut watched.wire).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        lock(&self.0).wire.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut watched = lock(&self.0);
        watched.is_unsent = false;
        Pin::new(&mut watched.wire).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut lock(&self.0).wire).poll_shutdown(cx)
    }
}
