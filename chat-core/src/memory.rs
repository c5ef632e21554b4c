//! The transport without a wire: the chat in the same process, the floor of every comparison.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::auth::Token;
use crate::chat::Chat;
use crate::client::{Client, ClientError, Server, Target};
use crate::duplex::{DuplexEvents, DuplexSender, duplex};
use crate::ending::{Cut, End};
use crate::ids::Cursor;
use crate::inbox::Batch;
use crate::limits::Limits;
use crate::metrics::TransportMetrics;
use crate::protocol::Frame;
use crate::refusal::Close;
use crate::transport::{Received, Session, Transport};

/// A server without a wire. Its routes are only the shared ones.
pub struct MemoryServer;

impl Server for MemoryServer {
    const NAME: &'static str = "memory";
    const PATH: Option<&'static str> = None;
    type Client = MemoryClient;

    fn routes() -> Router<Chat> {
        Router::new()
    }
}

/// The server's end: a queue that holds one batch.
struct MemoryTransport {
    down: mpsc::Sender<Vec<Arc<Frame>>>,
    up: mpsc::Receiver<Bytes>,
    wire: Arc<TransportMetrics>,
    limits: Arc<Limits>,
    cut: Cut,
}

/// The client has gone, takes too long, or is cut off.
#[derive(Debug, thiserror::Error)]
#[error("the client no longer takes what it gets")]
struct Gone;

impl Transport for MemoryTransport {
    type Error = Gone;

    fn patience(&self) -> Duration {
        self.limits.keep_alive
    }

    async fn deliver(&mut self, batch: &Batch) -> Result<ControlFlow<()>, Gone> {
        self.put(batch.frames.clone()).await?;
        Ok(ControlFlow::Continue(()))
    }

    async fn keep_alive(&mut self, cursor: &Cursor) -> Result<ControlFlow<Option<Close>>, Gone> {
        self.put(vec![Frame::tick(cursor)]).await?;
        Ok(ControlFlow::Continue(()))
    }

    async fn receive(&mut self) -> Result<Received, Gone> {
        Ok(self.up.recv().await.map_or(Received::Left, Received::Request))
    }

    async fn close(&mut self, why: Close, _: Option<&Cursor>) -> Result<(), Gone> {
        self.put(vec![Frame::close(why)]).await
    }
}

impl MemoryTransport {
    /// There is no socket that could watch over the client's pace, and be cut, so the transport does it.
    async fn put(&mut self, frames: Vec<Arc<Frame>>) -> Result<(), Gone> {
        let sent = tokio::select! {
            sent = timeout(self.limits.write_timeout, self.down.send(frames)) => sent,
            why = poll_fn(|cx| self.cut.poll(cx)) => {
                self.wire.ended(&self.cut, End::Closed(why));
                return Err(Gone);
            }
        };
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => {
                self.wire.ended(&self.cut, End::Left);
                Err(Gone)
            }
            Err(_) => {
                self.wire.ended(&self.cut, End::Closed(Close::Slow));
                Err(Gone)
            }
        }
    }
}

/// The client's end.
pub struct MemoryClient;

impl Client for MemoryClient {
    type Sender = DuplexSender;
    type Events = DuplexEvents;

    async fn connect(
        target: &Target,
        token: &Token,
        after: Option<Cursor>,
    ) -> Result<(DuplexSender, DuplexEvents), ClientError> {
        let elsewhere = || ClientError::Disconnected("the chat is not in this process".to_owned());
        let chat = target.chat().ok_or_else(elsewhere)?;
        let wire = chat.metrics().wire(MemoryServer::NAME);
        let sign_in = chat.authenticate(token).await?;
        let cut = Cut::default();
        let session = Session::open(chat, sign_in, after, Arc::clone(&wire), Some(Arc::clone(&cut))).await?;

        let (down, mut frames) = mpsc::channel::<Vec<Arc<Frame>>>(1);
        let (up, requests) = mpsc::channel(1);
        let (sender, events, demultiplexer, mut abandoned) = duplex(up.clone(), after);
        let limits = Arc::clone(chat.limits());
        tokio::spawn(async move {
            let mut transport = MemoryTransport { down, up: requests, wire, limits, cut };
            // A client that has gone needs no word about it.
            let _ = session.serve(&mut transport).await;
        });
        tokio::spawn(async move {
            // The client has left once it uses neither half, not before.
            let _open = up;
            loop {
                let frames = tokio::select! {
                    frames = frames.recv() => frames,
                    () = abandoned.wait() => return,
                };
                let Some(frames) = frames else { return };
                for frame in frames {
                    demultiplexer.dispatch(frame.json()).await;
                }
            }
        });
        Ok((sender, events))
    }
}
