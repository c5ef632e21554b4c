//! A reply or an event as bytes: encoded once, and shared by everybody who gets it.

use std::any::TypeId;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::Serialize;

use super::{Event, Reply};
use crate::ids::{Cursor, Position};
use crate::refusal::Close;

/// How one wire writes a frame. The type stands for the wire; the core need not know which wires there are.
pub trait Encoding: 'static {
    /// The frame's bytes with this wire's framing around them.
    fn encode(frame: &Frame) -> Bytes;
}

/// One unit on our wire: a reply or an event, encoded once and shared by everybody who gets it.
#[derive(Debug)]
pub struct Frame {
    id: Option<Cursor>,
    json: Bytes,
    is_reply: bool,
    /// Guards the wires' own encodings: few, so a list is searched faster than a map.
    encodings: Mutex<Vec<(TypeId, Bytes)>>,
}

impl Frame {
    /// The frame of an event.
    #[must_use]
    pub fn of_event(event: &Event) -> Arc<Self> {
        let id = match event {
            Event::Tick { cursor } => Some(*cursor),
            event => event.id(),
        };
        Arc::new(Self { id, json: to_json(event), is_reply: false, encodings: Mutex::default() })
    }

    /// The frame of a reply.
    #[must_use]
    pub fn of_reply(reply: &Reply) -> Arc<Self> {
        Arc::new(Self { id: None, json: to_json(reply), is_reply: true, encodings: Mutex::default() })
    }

    /// The frame that says that the server is there.
    #[must_use]
    pub fn tick(cursor: &Cursor) -> Arc<Self> {
        Self::of_event(&Event::Tick { cursor: *cursor })
    }

    /// The frame that says why the connection ends.
    #[must_use]
    pub fn close(close: Close) -> Arc<Self> {
        Self::of_event(&Event::of_close(close))
    }

    /// The cursor that a client has reached with this frame, if it carries one.
    #[must_use]
    pub fn id(&self) -> Option<Cursor> {
        self.id
    }

    /// Where in the log its event is.
    pub(crate) fn position(&self) -> Option<Position> {
        self.id.map(|id| id.position)
    }

    /// The JSON value, in UTF-8 and without a line break.
    #[must_use]
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// Whether this answers a request of the very client that gets it.
    #[must_use]
    pub fn is_reply(&self) -> bool {
        self.is_reply
    }

    /// The bytes as wire `E` writes them: made at the first call, shared from then on.
    pub fn encoded<E: Encoding>(&self) -> Bytes {
        let mut encodings = self.encodings.lock().unwrap_or_else(PoisonError::into_inner);
        let wire = TypeId::of::<E>();
        if let Some((_, bytes)) = encodings.iter().find(|(known, _)| *known == wire) {
            return bytes.clone();
        }
        let bytes = E::encode(self);
        encodings.push((wire, bytes.clone()));
        bytes
    }
}

fn to_json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).expect("plain structs and enums always have JSON").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wire_encodes_a_frame_once() {
        struct Shouting;
        impl Encoding for Shouting {
            fn encode(frame: &Frame) -> Bytes {
                frame.json().to_ascii_uppercase().into()
            }
        }
        let frame = Frame::close(Close::Shutdown);
        let first = frame.encoded::<Shouting>();
        assert_eq!(first.as_ptr(), frame.encoded::<Shouting>().as_ptr());
        assert!(first.starts_with(b"{\"TYPE\""));
    }
}
