//! Bodies of HTTP/1 messages ([RFC 9112 §6]): by length, in chunks, or to the end of the connection.
//!
//! [RFC 9112 §6]: https://www.rfc-editor.org/rfc/rfc9112#section-6

use super::chunked::Chunked;
use super::content::Content;
use super::unit::{Scribe, split_most};
use crate::what::Opaque;

/// One body.
#[derive(Debug)]
pub(super) struct Body {
    framing: Framing,
    content: Content,
}

#[derive(Debug)]
enum Framing {
    /// This many bytes are still to come.
    Length(u64),
    Chunked(Chunked),
    UntilClose,
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

    /// Notes what was begun, when the stream ends or is no longer understood.
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
