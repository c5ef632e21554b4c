//! A client's two halves over one connection for both directions. Each reply goes to the request that it answers, and
//! each event to the half that receives events.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use chat_core::ids::Cursor;
use chat_core::protocol::{Event, Reply, Request};
use chat_core::text::RequestId;
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{ClientError, Events, Sender};

/// How many events may wait for the half that receives them. Beyond that, the connection is no longer read.
const WAITING_EVENTS: usize = 64;

/// Requests whose reply has not come; `None` once no reply will come any more.
type Asked = Option<HashMap<String, oneshot::Sender<Reply>>>;

/// The half that sends requests.
#[derive(Clone)]
pub struct DuplexSender {
    up: mpsc::Sender<Bytes>,
    asked: Arc<Mutex<Asked>>,
    numbers: Arc<AtomicU64>,
    _in_use: Arc<watch::Sender<()>>,
}

/// The half that receives events.
pub struct DuplexEvents {
    events: mpsc::Receiver<Result<Event, ClientError>>,
    cursor: Option<Cursor>,
    _in_use: Arc<watch::Sender<()>>,
}

/// Notices when both halves are dropped.
pub struct Abandoned(watch::Receiver<()>);

impl Abandoned {
    /// Waits until both halves are dropped. Cancel safe.
    pub async fn wait(&mut self) {
        // Nothing is ever sent. The error means that all senders are dropped.
        let _ = self.0.changed().await;
    }
}

/// Passes each reply to its request, and each event to the half that receives events. Dropping it ends both halves.
pub struct Demultiplexer {
    events: mpsc::Sender<Result<Event, ClientError>>,
    asked: Arc<Mutex<Asked>>,
}

/// Makes the halves of a client that writes requests to `up`, and whose events begin after `after`.
///
/// Either half may be dropped alone: the other one goes on.
#[must_use]
pub fn duplex(
    up: mpsc::Sender<Bytes>,
    after: Option<Cursor>,
) -> (DuplexSender, DuplexEvents, Demultiplexer, Abandoned) {
    let (sender, events) = mpsc::channel(WAITING_EVENTS);
    let asked = Arc::new(Mutex::new(Some(HashMap::new())));
    let (in_use, abandoned) = watch::channel(());
    let in_use = Arc::new(in_use);
    (
        DuplexSender { up, asked: Arc::clone(&asked), numbers: Arc::default(), _in_use: Arc::clone(&in_use) },
        DuplexEvents { events, cursor: after, _in_use: in_use },
        Demultiplexer { events: sender, asked },
        Abandoned(abandoned),
    )
}

impl Sender for DuplexSender {
    const IN_ORDER: bool = true;

    async fn send(&self, request: Request) -> Result<Reply, ClientError> {
        // The request gets a number of its own in place of the caller's id, so that two callers never take each
        // other's reply.
        let number = format!("q{}", self.numbers.fetch_add(1, Ordering::Relaxed));
        let (answer, reply) = oneshot::channel();
        let gone = || ClientError::Disconnected("before the reply came".to_owned());
        lock(&self.asked).as_mut().ok_or_else(gone)?.insert(number.clone(), answer);
        let request_id = RequestId::try_from(number).ok();
        let json = serde_json::to_vec(&Request { request_id, command: request.command })?;
        self.up.send(json.into()).await.map_err(|_| gone())?;
        let reply = reply.await.map_err(|_| gone())?;
        Ok(Reply { request_id: request.request_id, ..reply })
    }
}

impl Events for DuplexEvents {
    async fn next(&mut self) -> Result<Event, ClientError> {
        let ended = || Err(ClientError::Disconnected("the server closed it".to_owned()));
        let event = self.events.recv().await.unwrap_or_else(ended)?;
        self.cursor = event.reached().or(self.cursor);
        Ok(event)
    }

    fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }
}

impl Demultiplexer {
    /// Takes one JSON value from the wire. Waits while the half that receives events is behind.
    pub async fn dispatch(&self, json: &[u8]) {
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
                let asker = lock(&self.asked).as_mut().and_then(|asked| asked.remove(number));
                if let Some(asker) = asker {
                    // The caller may have stopped waiting.
                    let _ = asker.send(reply);
                }
            }
            Err(error) => self.tell(Err(error.into())).await,
        }
    }

    /// Passes an event or an error to the half that receives events, if it is still there.
    pub async fn tell(&self, event: Result<Event, ClientError>) {
        // A client that only sends requests has dropped that half.
        let _ = self.events.send(event).await;
    }
}

impl Drop for Demultiplexer {
    fn drop(&mut self) {
        // No reply will come any more: requests that wait fail now, and later ones fail at once.
        *lock(&self.asked) = None;
    }
}

fn lock(asked: &Mutex<Asked>) -> MutexGuard<'_, Asked> {
    asked.lock().unwrap_or_else(PoisonError::into_inner)
}
