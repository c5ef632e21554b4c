//! What a body carries, in any framing: text, or an event stream.

use super::event_stream::EventStream;
use super::unit::{Scribe, Unit};
use crate::counts::Layer;
use crate::redact::JsonSecrets;
use crate::what::What;

/// What a body carries, in any framing.
#[derive(Debug)]
pub(super) enum Content {
    Plain { unit: Unit, secrets: JsonSecrets },
    EventStream(EventStream),
}

impl Content {
    pub(super) fn new(is_event_stream: bool) -> Self {
        if is_event_stream {
            return Self::EventStream(EventStream::default());
        }
        Self::Plain { unit: Unit::default(), secrets: JsonSecrets::default() }
    }

    pub(super) fn feed(&mut self, bytes: &[u8], scribe: &mut Scribe<'_>) {
        match self {
            Self::Plain { unit, secrets } if !bytes.is_empty() => {
                scribe.take_content(unit, bytes, Layer::Payload, secrets, None);
            }
            Self::Plain { .. } => {}
            Self::EventStream(stream) => stream.feed(bytes, scribe),
        }
    }

    /// A chunk ends. Plain content is shown chunk by chunk; a block of an event stream may go on in the next chunk.
    pub(super) fn pause(&mut self, scribe: &mut Scribe<'_>) {
        match self {
            Self::Plain { unit, .. } if !unit.is_empty() => {
                let bytes = unit.len();
                scribe.finish(unit, || What::Body(bytes));
            }
            Self::Plain { .. } | Self::EventStream(_) => {}
        }
    }

    pub(super) fn end(&mut self, scribe: &mut Scribe<'_>) {
        self.pause(scribe);
        if let Self::EventStream(stream) = self {
            stream.end(scribe);
        }
    }

    /// The end comes too soon.
    pub(super) fn cut(&mut self, scribe: &mut Scribe<'_>) {
        match self {
            Self::Plain { unit, .. } if !unit.is_empty() => scribe.finish(unit, || What::Unfinished("body")),
            Self::Plain { .. } => {}
            Self::EventStream(stream) => stream.end(scribe),
        }
    }
}
