//! A client's end, a tap, and a server's end. The test decides every byte in between.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpStream};
use wiretap::{Conditions, Settings, Wiretap};

/// Any free port of this machine.
pub(crate) const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A tap, and the server that it leads to.
pub(crate) struct Bench {
    pub(crate) tap: Wiretap,
    pub(crate) listener: TcpListener,
}

impl Bench {
    pub(crate) async fn new(settings: Settings) -> Self {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let tap = Wiretap::listen(ANY_PORT, listener.local_addr().unwrap(), settings).await.unwrap();
        Self { tap, listener }
    }

    /// Both ends of a new connection: the client's, the server's.
    pub(crate) async fn connect(&self) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(self.tap.address()).await.unwrap();
        let (server, _) = self.listener.accept().await.unwrap();
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        (client, server)
    }
}

pub(crate) fn under(conditions: Conditions) -> Settings {
    Settings { conditions, ..Settings::default() }
}
