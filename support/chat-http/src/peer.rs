//! The other end of a connection, as the accept loop knows it: where it is, how it is served, how it ends.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chat_core::ending::{Cut, End};
use chat_core::limits::Limits;
use chat_core::metrics::TransportMetrics;
use chat_core::refusal::Close;
use chat_core::signal::Signal;
use tokio::sync::watch;
use tokio::time::timeout;

use super::wire::Wire;

/// How a transport gets its connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Way {
    /// The HTTP library keeps it, and the transport writes the body of an answer.
    Plain,
    /// The transport takes the socket over from the HTTP library: HTTP/1 only, with less memory and processor time.
    #[default]
    Takeover,
}

/// The other end of a connection.
pub(crate) struct Peer {
    /// Its address.
    pub(crate) address: IpAddr,
    /// The address of this machine that it has reached.
    pub(crate) reached: IpAddr,
    /// Cuts the connection, and takes note of its end.
    pub(crate) cut: Cut,
    pub(crate) way: Way,
    /// A signal that is given once the client sends no more.
    pub(crate) half_closed: Signal<()>,
    is_upgraded: AtomicBool,
    limits: Arc<Limits>,
    metrics: Arc<TransportMetrics>,
    stopping: watch::Receiver<bool>,
}

impl Peer {
    pub(crate) fn new(
        (address, reached): (IpAddr, IpAddr),
        cut: Cut,
        way: Way,
        limits: Arc<Limits>,
        metrics: Arc<TransportMetrics>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self {
            address,
            reached: reached.to_canonical(),
            cut,
            way,
            half_closed: Signal::default(),
            is_upgraded: AtomicBool::new(false),
            limits,
            metrics,
            stopping,
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether the server is stopping.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Waits until the server is to stop, or has ended.
    pub(crate) async fn stopping(&self) {
        drop(self.stopping.clone().wait_for(|stop| *stop).await);
    }

    /// Waits for the first bytes of the next request. `false`: the connection has ended, and is counted.
    pub(crate) async fn has_request(&self, wire: &mut Wire) -> bool {
        // While a connection is unused, only this wait takes memory.
        let ended = tokio::select! {
            arrived = timeout(self.limits.header_timeout, wire.arrival()) => match arrived {
                Ok(Ok(true)) => None,
                Ok(Ok(false)) => Some(End::Left),
                Ok(Err(error)) => Some(End::of_error(&error)),
                Err(_) => Some(End::HeaderTimeout),
            },
            () = self.stopping() => Some(End::Closed(Close::Shutdown)),
        };
        match ended {
            Some(why) => self.ended(why),
            None => self.cut.goes_on(),
        }
        ended.is_none()
    }

    /// Notes that the connection leaves HTTP, so that the end of its requests is not counted as its end.
    pub(super) fn upgrades(&self) {
        self.is_upgraded.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_upgraded(&self) -> bool {
        self.is_upgraded.load(Ordering::Relaxed)
    }

    /// Counts the end of the connection.
    pub(crate) fn ended(&self, why: End) {
        self.metrics.ended(&self.cut, why);
    }

    /// Counts the end of the connection after every answer that was due was sent.
    pub(crate) fn answered(&self) {
        self.ended(if self.is_stopping() { End::Closed(Close::Shutdown) } else { End::Answered });
    }

    /// Counts the end of the connection that an error caused.
    pub(crate) fn failed(&self, error: &io::Error) {
        self.ended(End::of_error(error));
    }
}
