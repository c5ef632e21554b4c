//! The floor: a bare TCP broadcast. It writes the bytes of one connection to all, without framing, log or users.
//!
//! It shows what this machine needs for the writes alone. Its clients exchange lines of the chat's own JSON.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use chat_client::{Client, ClientError, Events, Sender, Target};
use chat_core::auth::Token;
use chat_core::ids::Cursor;
use chat_core::protocol::{Command, Event, Reply, Request};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// The most bytes that are passed on in one write.
const CHUNK_BYTES: usize = 65_536;

type Everybody = Arc<Mutex<Vec<Arc<TcpStream>>>>;

/// Accepts connections, and writes the bytes from one connection to all connections.
pub(crate) async fn broadcast(listener: TcpListener) {
    let everybody = Everybody::default();
    while let Ok((stream, _)) = listener.accept().await {
        // As on the sockets of every server: small writes are not delayed.
        if stream.set_nodelay(true).is_err() {
            continue;
        }
        let stream = Arc::new(stream);
        lock(&everybody).push(Arc::clone(&stream));
        tokio::spawn(listen(stream, Arc::clone(&everybody)));
    }
}

/// Does one write to each connection for each read, without a queue or a wake-up.
async fn listen(stream: Arc<TcpStream>, everybody: Everybody) {
    let mut chunk = vec![0; CHUNK_BYTES];
    while stream.readable().await.is_ok() {
        match stream.try_read(&mut chunk) {
            // A connection that does not take all bytes at once is closed: the floor has no buffer for it.
            Ok(length @ 1..) => lock(&everybody)
                .retain(|other| other.try_write(&chunk[..length]).is_ok_and(|written| written == length)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => break,
        }
    }
    lock(&everybody).retain(|other| !Arc::ptr_eq(other, &stream));
}

fn lock(everybody: &Everybody) -> MutexGuard<'_, Vec<Arc<TcpStream>>> {
    everybody.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One client of the broadcast.
pub(crate) struct TcpClient;

impl Client for TcpClient {
    type Sender = TcpSender;
    type Events = TcpEvents;

    async fn connect(
        target: &Target,
        _: &Token,
        after: Option<Cursor>,
    ) -> Result<(TcpSender, TcpEvents), ClientError> {
        let address = target.base().trim_start_matches("http://");
        let stream = TcpStream::connect(address).await.map_err(gone)?;
        stream.set_nodelay(true).map_err(gone)?;
        let (read, write) = stream.into_split();
        let events = TcpEvents { lines: BufReader::new(read).lines(), cursor: after };
        Ok((TcpSender { write: Arc::new(tokio::sync::Mutex::new(write)), seq: Arc::default() }, events))
    }
}

/// The half that writes.
#[derive(Clone)]
pub(crate) struct TcpSender {
    write: Arc<tokio::sync::Mutex<OwnedWriteHalf>>,
    seq: Arc<AtomicU64>,
}

impl Sender for TcpSender {
    const IN_ORDER: bool = true;

    /// Writes the event that the chat would have made of the message. There is no acknowledgement.
    async fn send(&self, request: Request) -> Result<Reply, ClientError> {
        let Command::Send { cid, text, .. } = request.command else {
            return Err(ClientError::Disconnected("the broadcast carries messages only".to_owned()));
        };
        let seq = self.seq.fetch_add(1, Ordering::Relaxed) + 1;
        let (at, id) = ("2026-01-01T00:00:00.000Z", format!("00000000.{seq}"));
        let event = json!({
            "type": "message", "id": id, "conversation": "c1", "seq": seq, "from": "u1",
            "cid": cid, "text": text, "at": at,
        });
        self.write.lock().await.write_all(format!("{event}\n").as_bytes()).await.map_err(gone)?;
        let sent =
            json!({"type": "sent", "conversation": "c1", "seq": seq, "id": id, "at": at, "duplicate": false});
        Ok(serde_json::from_value(json!({"type": "reply", "request_id": request.request_id, "ok": sent}))?)
    }
}

/// The half that reads.
pub(crate) struct TcpEvents {
    lines: Lines<BufReader<OwnedReadHalf>>,
    cursor: Option<Cursor>,
}

impl Events for TcpEvents {
    async fn next(&mut self) -> Result<Event, ClientError> {
        let line = self.lines.next_line().await.map_err(gone)?;
        let line = line.context("the broadcast ended");
        let line = line.map_err(|error| ClientError::Disconnected(error.to_string()))?;
        Ok(serde_json::from_str(&line)?)
    }

    fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }
}

pub(crate) fn gone(error: std::io::Error) -> ClientError {
    ClientError::Disconnected(error.to_string())
}
