//! A client's two halves over one duplex wire: replies find the request they answer, events go to the listener.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

use crate::client::{ClientError, Events, Sender};
use crate::ids::Cursor;
use crate::protocol::{Event, Reply, Request};
use crate::text::RequestId;

/// Events that wait for the listener; beyond it the wire is no longer read.
const WAITING_EVENTS: usize = 64;

/// Requests whose reply has not come.
type Asked = HashMap<String, oneshot::Sender<Reply>>;

/// The half that asks.
#[derive(Clone)]
pub struct DuplexSender {
    up: mpsc::Sender<Bytes>,
    asked: Arc<Mutex<Asked>>,
    numbers: Arc<AtomicU64>,
}

/// The half that listens.
pub struct DuplexEvents {
    events: mpsc::Receiver<Result<Event, ClientError>>,
    cursor: Option<Cursor>,
}

/// Sorts what comes down the wire. Whoever reads the wire feeds it; dropped, it ends both halves.
pub struct Sorter {
    events: mpsc::Sender<Result<Event, ClientError>>,
    asked: Arc<Mutex<Asked>>,
}

/// The halves of a client that writes requests to `up` and has got as far as `after`.
#[must_use]
pub fn duplex(up: mpsc::Sender<Bytes>, after: Option<Cursor>) -> (DuplexSender, DuplexEvents, Sorter) {
    let (sender, events) = mpsc::channel(WAITING_EVENTS);
    let asked = Arc::<Mutex<Asked>>::default();
    (
        DuplexSender { up, asked: Arc::clone(&asked), numbers: Arc::default() },
        DuplexEvents { events, cursor: after },
        Sorter { events: sender, asked },
    )
}

impl Sender for DuplexSender {
    async fn send(&self, request: Request) -> Result<Reply, ClientError> {
        // Its own number, whatever the caller uses, so that two callers never take each other's reply.
        let number = format!("q{}", self.numbers.fetch_add(1, Ordering::Relaxed));
        let (answer, reply) = oneshot::channel();
        lock(&self.asked).insert(number.clone(), answer);
        let request_id = RequestId::try_from(number).ok();
        let json = serde_json::to_vec(&Request { request_id, command: request.command })?;
        let gone = || ClientError::Disconnected("before the reply came".to_owned());
        self.up.send(json.into()).await.map_err(|_| gone())?;
        let reply = reply.await.map_err(|_| gone())?;
        Ok(Reply { request_id: request.request_id, ..reply })
    }
}

impl Events for DuplexEvents {
    async fn next(&mut self) -> Result<Event, ClientError> {
        let ended = || Err(ClientError::Disconnected("the server closed it".to_owned()));
        let event = self.events.recv().await.unwrap_or_else(ended)?;
        self.cursor = reached(&event).or(self.cursor);
        Ok(event)
    }

    fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }
}

/// How far a client is with this event.
#[must_use]
pub fn reached(event: &Event) -> Option<Cursor> {
    match event {
        Event::Tick { cursor } => Some(*cursor),
        event => event.id(),
    }
}

impl Sorter {
    /// Takes one JSON value from the wire. `Break`: nobody listens any more. Waits while the listener is behind.
    pub async fn sort(&self, json: &[u8]) -> std::ops::ControlFlow<()> {
        #[derive(Deserialize)]
        struct Kind<'a> {
            r#type: &'a str,
        }
        let is_reply = serde_json::from_slice::<Kind<'_>>(json).is_ok_and(|kind| kind.r#type == "reply");
        if !is_reply {
            return self.tell(serde_json::from_slice(json).map_err(ClientError::from)).await;
        }
        match serde_json::from_slice::<Reply>(json) {
            Ok(reply) => {
                let number = reply.request_id.as_ref().map(RequestId::as_str).unwrap_or_default();
                if let Some(asker) = lock(&self.asked).remove(number) {
                    // Whoever asked may have stopped waiting.
                    let _ = asker.send(reply);
                }
                std::ops::ControlFlow::Continue(())
            }
            Err(error) => self.tell(Err(error.into())).await,
        }
    }

    /// Hands something to the listener.
    pub async fn tell(&self, event: Result<Event, ClientError>) -> std::ops::ControlFlow<()> {
        match self.events.send(event).await {
            Ok(()) => std::ops::ControlFlow::Continue(()),
            Err(_) => std::ops::ControlFlow::Break(()),
        }
    }
}

impl Drop for Sorter {
    fn drop(&mut self) {
        // Dropping what waits tells every asker that no reply will come.
        lock(&self.asked).clear();
    }
}

fn lock(asked: &Mutex<Asked>) -> MutexGuard<'_, Asked> {
    asked.lock().unwrap_or_else(PoisonError::into_inner)
}
