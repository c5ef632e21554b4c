//! A relay on which one connection breaks at the worst moment.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A relay that cuts the first connection on which the server sends a certain text, before the text is passed on.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    cuts: Arc<AtomicUsize>,
}

impl Relay {
    /// A relay to a server.
    pub(crate) async fn before(server: SocketAddr, cut_at: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cuts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&cuts);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server, cut_at, Arc::clone(&counted)));
            }
        });
        Self { address, cuts }
    }

    /// How many connections it has cut.
    pub(crate) fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }
}

async fn carry(mut client: TcpStream, server: SocketAddr, cut_at: &str, cuts: Arc<AtomicUsize>) {
    let mut server = TcpStream::connect(server).await.unwrap();
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        // Either end may close the connection at any time.
        tokio::select! {
            read = client.read(&mut up) => match read {
                Ok(1..) if server.write_all(&up[..read.unwrap()]).await.is_ok() => {}
                _ => return,
            },
            read = server.read(&mut down) => {
                let Ok(length @ 1..) = read else { return };
                let text = String::from_utf8_lossy(&down[..length]);
                if text.contains(cut_at) && cuts.fetch_add(1, Ordering::SeqCst) == 0 {
                    return;
                }
                if client.write_all(&down[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
