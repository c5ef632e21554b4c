//! A server: a listener, an accept loop with limits, and an orderly end.
//!
//! `axum::serve` would be enough for a page, but it waits without a limit for the head of a request. Here every wait
//! has a limit. The limit for writing is in the accepted socket, under every kind of response.

mod connections;
mod kind;
mod requests;
mod socket;
mod tcp_info;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub use self::kind::{Plain, Server};

use self::connections::Connections;
use self::socket::Socket;
use crate::{Peer, Site, Way, Wire, metrics_router, router};
use chat_core::chat::Chat;
use chat_core::ending::{End, Ending};
use chat_core::limits::Limits;
use chat_core::metrics::TransportMetrics;
use chat_core::refusal::{Close, Code};

/// How long sent bytes may stay unacknowledged before the kernel ends the connection ([RFC 5482]). A peer that vanished
/// has to be found within 30 s, so this is less.
///
/// [RFC 5482]: https://www.rfc-editor.org/rfc/rfc5482
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(12);

/// How much longer the kernel waits than the limit for writing, so that the limit comes first.
const WRITE_TIMEOUT_FIRST: Duration = Duration::from_secs(2);

/// The label under which the connections of [`start_metrics`] are counted.
const METRICS: &str = "metrics";

/// How long a connection is without traffic before the kernel asks whether the peer is there.
const TCP_KEEPALIVE: Duration = Duration::from_secs(15);

/// Connections that the system holds until they are accepted. When all clients reconnect at once, the usual 128 are
/// too few. A client that finds no room tries again only after a second ([RFC 6298 §2.1]).
///
/// [RFC 6298 §2.1]: https://www.rfc-editor.org/rfc/rfc6298#section-2
const BACKLOG: i32 = 4_096;

/// The pause after the system had no file descriptor left for a connection. Trying again at once would only use
/// processor time.
const OUT_OF_FILES: Duration = Duration::from_millis(50);

/// A running server.
pub struct Running {
    address: SocketAddr,
    stopping: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    connections: Arc<Connections>,
    patience: Duration,
}

/// Starts to serve a chat over one transport, and pages for people beside it.
///
/// # Errors
/// The listener no longer works.
pub fn start<S: Server>(
    listener: TcpListener,
    chat: &Chat,
    site: Site,
    pages: Router<Chat>,
) -> io::Result<Running> {
    let metrics = chat.metrics().transport(S::NAME);
    let listens = listener.local_addr()?.ip();
    let router = router(chat, site, listens, Arc::clone(&metrics), S::routes(), pages);
    serve(listener, chat, S::WAY, metrics, router)
}

/// Starts a server whose transports get their connections in the given way.
///
/// # Errors
/// See [`start`].
pub fn start_by<S: Server>(
    way: Way,
    listener: TcpListener,
    chat: &Chat,
    site: Site,
    pages: Router<Chat>,
) -> io::Result<Running> {
    match way {
        Way::Takeover => start::<S>(listener, chat, site, pages),
        Way::Plain => start::<Plain<S>>(listener, chat, site, pages),
    }
}

/// Starts to serve only the metrics of a chat, for operators, at an address of their own.
///
/// # Errors
/// The listener no longer works.
pub fn start_metrics(listener: TcpListener, chat: &Chat) -> io::Result<Running> {
    let metrics = chat.metrics().transport(METRICS);
    let router = metrics_router(chat, &metrics);
    serve(listener, chat, Way::Plain, metrics, router)
}

fn serve(
    listener: TcpListener,
    chat: &Chat,
    way: Way,
    metrics: Arc<TransportMetrics>,
    router: Router,
) -> io::Result<Running> {
    let address = listener.local_addr()?;
    // It listens already; this makes its queue longer.
    SockRef::from(&listener).listen(BACKLOG)?;
    let (stopping, stopped) = watch::channel(false);
    let connections = Arc::new(Connections::new(metrics, Arc::clone(chat.crowd())));
    let limits = Arc::clone(chat.limits());
    let patience = limits.shutdown_timeout;
    let accepting = tokio::spawn(accept(listener, router, way, limits, Arc::clone(&connections), stopped));
    Ok(Running { address, stopping, accepting, connections, patience })
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts no more connections, waits until those that are open end, and cuts those that do not end in time.
    ///
    /// End the chat's sessions first. Otherwise streams go on until they are cut.
    pub async fn stop(self) {
        // This fails only if the accept loop has ended already.
        let _ = self.stopping.send(true);
        if timeout(self.patience, self.connections.wait_for_none()).await.is_err() {
            self.connections.cut_all(Close::Shutdown);
            // Cut sockets are dropped as soon as their tasks run, so this wait should be short. It has a limit anyway.
            let _ = timeout(self.patience, self.connections.wait_for_none()).await;
        }
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    router: Router,
    way: Way,
    limits: Arc<Limits>,
    connections: Arc<Connections>,
    mut stopping: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = told(&mut stopping) => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(OUT_OF_FILES).await;
                continue;
            }
        };
        let Some((cut, open)) = connections.add(limits.connections) else {
            turn_away(&stream);
            connections.metrics.refused(Code::Busy);
            connections.metrics.ended(&Ending::default(), End::Busy);
            continue;
        };
        let reached = match prepare(&stream, &limits).and_then(|()| stream.local_addr()) {
            Ok(reached) => reached,
            Err(error) => {
                tracing::debug!(%error, "a connection ended before it began");
                open.ended(End::of_error(&error));
                continue;
            }
        };
        let socket = Socket::new(stream, limits.write_timeout, Arc::clone(&cut), open);
        let (limits, metrics) = (Arc::clone(&limits), Arc::clone(&connections.metrics));
        let peer = Peer::new((peer.ip(), reached.ip()), cut, way, limits, metrics, stopping.clone());
        tokio::spawn(requests::serve(Wire::new(socket), router.clone(), Arc::new(peer)));
    }
}

/// Waits until the server is to stop, or has ended.
async fn told(stopping: &mut watch::Receiver<bool>) {
    drop(stopping.wait_for(|stop| *stop).await);
}

/// How long the kernel waits for a client that acknowledges nothing. The kernel also disconnects a client that does not
/// read, so it must wait longer than the limit for writing.
fn kernel_patience(write_timeout: Duration) -> Duration {
    TCP_USER_TIMEOUT.max(write_timeout.saturating_add(WRITE_TIMEOUT_FIRST))
}

/// Sets the socket's options: small frames are sent without delay, a limited number of bytes waits in the kernel, and a
/// peer that vanished is noticed.
fn prepare(stream: &TcpStream, limits: &Limits) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(TCP_KEEPALIVE))?;
    #[cfg(target_os = "linux")]
    {
        // Otherwise the kernel would take megabytes for a client that does not read. Bytes that are already sent do not
        // count, so a distant client loses no speed.
        socket.set_tcp_notsent_lowat(limits.unsent_bytes)?;
        socket.set_tcp_user_timeout(Some(kernel_patience(limits.write_timeout)))?;
    }
    #[cfg(not(target_os = "linux"))]
    let _ = limits;
    Ok(())
}

/// Says that there is no room. It does not wait: what does not fit into the socket at once is lost.
fn turn_away(stream: &TcpStream) {
    let body = r#"{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"the server has as many connections as it may have","code":"busy","retry_after_ms":1000}"#;
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\n\
         retry-after: 1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.try_write(answer.as_bytes());
}
