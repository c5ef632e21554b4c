//! What a tap shows of the wire: one [`WireEvent`] for each thing that passed, and viewers that never delay the tap.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use tokio::sync::broadcast::{self, error::RecvError};

use crate::counts::{Direction, Layer, Layers};
use crate::what::What;

/// The most bytes of one event that are kept for showing.
pub const RAW_BYTES: usize = 512;

/// What an observer noticed: one thing in one direction of one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Which way it went.
    pub direction: Direction,
    /// Its first byte, and the byte after its last, in the stream of that direction.
    ///
    /// The notes of a stream cover it without gaps or overlaps, with one exception. When chunks cut a block of an event
    /// stream, the ends and heads of those chunks lie inside its range and have notes of their own.
    pub bytes: Range<u64>,
    /// How many bytes belong to it, by layer.
    pub layers: Layers,
    /// What it is.
    pub what: What,
    /// Its first [`RAW_BYTES`] bytes, secrets replaced by asterisks.
    pub raw: Vec<u8>,
}

/// A note with its connection and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireEvent {
    /// Which connection, counted from 1 in the order of acceptance.
    pub connection: u64,
    /// When the tap had read its last byte, since the tap began to listen. Delay and jitter come after that.
    pub at: Duration,
    /// What was noticed.
    pub note: Note,
}

impl Note {
    /// Its main layer: payload if it carries any. `None` if it has no bytes.
    #[must_use]
    pub fn layer(&self) -> Option<Layer> {
        let Layers { payload, framing, http_head, opaque } = self.layers;
        let layers = [
            (payload, Layer::Payload),
            (framing, Layer::Framing),
            (http_head, Layer::HttpHead),
            (opaque, Layer::Opaque),
        ];
        layers.into_iter().find_map(|(bytes, layer)| (bytes > 0).then_some(layer))
    }
}

impl fmt::Display for WireEvent {
    /// One line: time in seconds, connection, direction, bytes of its own, summary.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Note { direction, layers, what, .. } = &self.note;
        write!(f, "{:>10.4} #{} {}", self.at.as_secs_f64(), self.connection, direction.arrow())?;
        write!(f, "{:>7}  {what}", layers.total())
    }
}

impl Serialize for WireEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Note { direction, bytes, layers, what, raw } = &self.note;
        let mut fields = serializer.serialize_struct("WireEvent", 9)?;
        fields.serialize_field("connection", &self.connection)?;
        fields.serialize_field("at_us", &u64::try_from(self.at.as_micros()).unwrap_or(u64::MAX))?;
        fields.serialize_field("direction", direction)?;
        fields.serialize_field("from", &bytes.start)?;
        fields.serialize_field("to", &bytes.end)?;
        fields.serialize_field("layer", &self.note.layer())?;
        fields.serialize_field("layers", layers)?;
        fields.serialize_field("summary", &what.to_string())?;
        fields.serialize_field("raw", &raw.iter().map(|byte| format!("{byte:02x}")).collect::<String>())?;
        fields.end()
    }
}

/// A receiver of events. A viewer that is too slow misses the oldest events; the relay never waits for it.
pub struct Viewer {
    events: broadcast::Receiver<Arc<WireEvent>>,
    dropped: u64,
}

impl Viewer {
    pub(crate) fn new(events: broadcast::Receiver<Arc<WireEvent>>) -> Self {
        Self { events, dropped: 0 }
    }

    /// The next event; `None` once the tap is closed and everything has been seen.
    ///
    /// Cancel safe: an event is returned or left for the next call.
    pub async fn next(&mut self) -> Option<Arc<WireEvent>> {
        loop {
            match self.events.recv().await {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(missed)) => self.dropped += missed,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// How many events this viewer has missed so far because it was too slow.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}
