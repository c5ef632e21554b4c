//! A reply or an event as bytes: encoded once, and shared by all clients that get it.

use std::any::TypeId;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::Serialize;

use super::{Event, Reply};
use crate::ids::{Cursor, Position};
use crate::refusal::Close;

/// How a transport encodes a frame. The type stands for the encoding, so the core need not know which ones there are.
pub trait Encoding: 'static {
    /// The frame's bytes with the transport's framing around them.
    fn encode(frame: &Frame) -> Bytes;
}

/// One unit on the wire: a reply or an event, encoded once and shared by all clients that get it.
#[derive(Debug)]
pub struct Frame {
    id: Option<Cursor>,
    json: Bytes,
    is_reply: bool,
    encoded: OnceLock<Box<Encoded>>,
}

/// A list of a frame's encodings. There are few, and reading the list takes no lock.
#[derive(Debug)]
struct Encoded {
    wire: TypeId,
    bytes: Bytes,
    next: OnceLock<Box<Encoded>>,
}

impl Frame {
    /// The frame of an event.
    #[must_use]
    pub fn of_event(event: &Event) -> Arc<Self> {
        let id = match event {
            Event::Tick { cursor } => Some(*cursor),
            event => event.id(),
        };
        Arc::new(Self { id, json: to_json(event), is_reply: false, encoded: OnceLock::new() })
    }

    /// The frame of a reply.
    #[must_use]
    pub fn of_reply(reply: &Reply) -> Arc<Self> {
        Arc::new(Self { id: None, json: to_json(reply), is_reply: true, encoded: OnceLock::new() })
    }

    /// The frame that says that the server is alive.
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

    /// The position in the log that it carries, if any.
    pub(crate) fn position(&self) -> Option<Position> {
        self.id.map(|id| id.position)
    }

    /// The JSON value, in UTF-8 and without a line break.
    #[must_use]
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// Whether this is the reply to a request of the client that gets it.
    #[must_use]
    pub fn is_reply(&self) -> bool {
        self.is_reply
    }

    /// The bytes in encoding `E`: made at the first call, shared from then on.
    pub fn encoded<E: Encoding>(&self) -> &Bytes {
        let wire = TypeId::of::<E>();
        let mut place = &self.encoded;
        loop {
            let next = OnceLock::new;
            let known =
                place.get_or_init(|| Box::new(Encoded { wire, bytes: E::encode(self), next: next() }));
            if known.wire == wire {
                return &known.bytes;
            }
            place = &known.next;
        }
    }
}

fn to_json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).expect("plain structs and enums always have JSON").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_transport_encodes_a_frame_once() {
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
