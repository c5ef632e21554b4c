//! The transport without a wire: client and chat are in one process. It is the baseline of every comparison.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use chat_client::duplex::{DuplexEvents, DuplexSender, duplex};
use chat_client::{Client, ClientError, Target};
use chat_core::auth::Token;
use chat_core::chat::Chat;
use chat_core::ids::Cursor;
use chat_core::inbox::Batch;
use chat_core::protocol::Frame;
use chat_core::refusal::Close;
use chat_core::transport::{Received, Transport};
use tokio::sync::mpsc;

use crate::Server;

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
    keep_alive: Duration,
}

/// The client has left.
#[derive(Debug, thiserror::Error)]
#[error("the client no longer takes what it gets")]
struct Gone;

impl Transport for MemoryTransport {
    type Error = Gone;

    fn patience(&self) -> Duration {
        self.keep_alive
    }

    async fn deliver(&mut self, batch: &Batch) -> Result<ControlFlow<()>, Gone> {
        self.down.send(batch.frames.clone()).await.map_err(|_| Gone)?;
        Ok(ControlFlow::Continue(()))
    }

    async fn keep_alive(&mut self, cursor: &Cursor) -> Result<ControlFlow<Option<Close>>, Gone> {
        self.down.send(vec![Frame::tick(cursor)]).await.map_err(|_| Gone)?;
        Ok(ControlFlow::Continue(()))
    }

    async fn receive(&mut self) -> Result<Received, Gone> {
        Ok(self.up.recv().await.map_or(Received::Left, Received::Request))
    }

    async fn close(&mut self, why: Close, _: Option<&Cursor>) -> Result<(), Gone> {
        self.down.send(vec![Frame::close(why)]).await.map_err(|_| Gone)
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
        let session = chat.session(token, after, MemoryServer::NAME).await?;

        let (down, mut frames) = mpsc::channel::<Vec<Arc<Frame>>>(1);
        let (up, requests) = mpsc::channel(1);
        let (sender, events, demultiplexer, mut abandoned) = duplex(up.clone(), after);
        let keep_alive = chat.limits().keep_alive;
        tokio::spawn(async move {
            let mut transport = MemoryTransport { down, up: requests, keep_alive };
            // An error only says that the client has left.
            let _ = session.serve(&mut transport).await;
        });
        tokio::spawn(async move {
            // Keeps the connection open until the client has dropped both halves.
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
