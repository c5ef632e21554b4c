//! Bodies of HTTP/1 messages ([RFC 9112 §6]): by length, in chunks, or to the end of the connection.
//!
//! [RFC 9112 §6]: https://www.rfc-editor.org/rfc/rfc9112#section-6

use super::chunked::Chunked;
use super::event_stream::EventStream;
use super::unit::{Scribe, Unit, split_most};
use crate::counts::Layer;
use crate::redact::JsonSecrets;
use crate::what::{Opaque, What};

/// One body.
#[derive(Debug)]
pub(super) struct Body {
    framing: Framing,
    content: Content,
}

#[derive(Debug)]
enum Framing {
    /// So many bytes to go.
    Length(u64),
    Chunked(Chunked),
    UntilClose,
}

/// What a body carries, whatever frames it.
#[derive(Debug)]
pub(super) enum Content {
    Plain { unit: Unit, secrets: JsonSecrets },
    EventStream(EventStream),
}

impl Body {
    pub(super) fn with_length(bytes: u64, is_event_stream: bool) -> Self {
        Self { framing: Framing::Length(bytes), content: Content::new(is_event_stream) }
    }

    pub(super) fn chunked(is_event_stream: bool) -> Self {
        Self { framing: Framing::Chunked(Chunked::default()), content: Content::new(is_event_stream) }
    }

    pub(super) fn until_close(is_event_stream: bool) -> Self {
        Self { framing: Framing::UntilClose, content: Content::new(is_event_stream) }
    }

    /// Takes bytes up to the end of the body, and says whether that is reached.
    pub(super) fn feed(&mut self, left: &mut &[u8], scribe: &mut Scribe<'_>) -> Result<bool, Opaque> {
        match &mut self.framing {
            Framing::Length(remaining) => {
                let taken = split_most(left, *remaining);
                *remaining -= taken.len() as u64;
                self.content.feed(taken, scribe);
                let ended = *remaining == 0;
                if ended {
                    self.content.end(scribe);
                }
                Ok(ended)
            }
            Framing::Chunked(chunked) => chunked.feed(left, &mut self.content, scribe),
            Framing::UntilClose => {
                self.content.feed(std::mem::take(left), scribe);
                Ok(false)
            }
        }
    }

    /// The stream ends, or is given up.
    pub(super) fn end_of_stream(&mut self, scribe: &mut Scribe<'_>) {
        match &mut self.framing {
            Framing::UntilClose => self.content.end(scribe),
            Framing::Length(_) => self.content.cut(scribe),
            Framing::Chunked(chunked) => {
                self.content.cut(scribe);
                chunked.end_of_stream(scribe);
            }
        }
    }
}

impl Content {
    fn new(is_event_stream: bool) -> Self {
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

    /// A chunk ends: plain content is shown by the chunk, a block of an event stream may go on in the next.
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
    fn cut(&mut self, scribe: &mut Scribe<'_>) {
        match self {
            Self::Plain { unit, .. } if !unit.is_empty() => scribe.finish(unit, || What::Unfinished("body")),
            Self::Plain { .. } => {}
            Self::EventStream(stream) => stream.end(scribe),
        }
    }
}
