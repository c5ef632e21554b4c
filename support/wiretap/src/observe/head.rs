//! Where the head of an HTTP/1 message ends ([RFC 9112 §2.1]), and which bytes cannot be a head.
//!
//! [RFC 9112 §2.1]: https://www.rfc-editor.org/rfc/rfc9112#section-2.1

use super::fields::{Head, parse};
use super::unit::{Scribe, Unit, split};
use crate::counts::{Direction, Layer};
use crate::what::{Opaque, What};

/// The longest head that is understood, in bytes: what the most generous servers allow.
const LONGEST_BYTES: usize = 64 * 1024;

/// The longest method that is accepted, in bytes.
const METHOD_BYTES: usize = 32;

/// How every response begins that this observer understands ([RFC 9112 §2.3]).
///
/// [RFC 9112 §2.3]: https://www.rfc-editor.org/rfc/rfc9112#section-2.3
const RESPONSE_START: &[u8] = b"HTTP/1.";

/// Collects one head after another. It keeps at most one head, and that only when it comes in parts.
#[derive(Debug, Default)]
pub(super) struct HeadReader {
    unit: Unit,
    parts: Vec<u8>,
    start: Start,
    line: Line,
    /// Whether a line that is not empty has ended.
    begun: bool,
}

#[derive(Debug, Clone, Copy)]
enum Start {
    /// This many bytes of the first line fit the beginning of a head.
    Unsure(usize),
    Sure,
}

impl Default for Start {
    fn default() -> Self {
        Self::Unsure(0)
    }
}

/// What the latest line holds so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Line {
    #[default]
    Nothing,
    CarriageReturn,
    Text,
}

impl HeadReader {
    /// Whether it stands between two messages.
    pub(super) fn is_empty(&self) -> bool {
        self.unit.is_empty()
    }

    /// Takes bytes up to the end of a head, and gives that head once it is whole.
    pub(super) fn feed(&mut self, left: &mut &[u8], scribe: &mut Scribe<'_>) -> Result<Option<Head>, Opaque> {
        let room = LONGEST_BYTES - self.unit.len() as usize;
        let within = &left[..left.len().min(room)];
        let stranger = self.stranger(within, scribe.direction);
        let within = &within[..stranger.unwrap_or(within.len())];
        let end = self.end(within);
        let part = split(left, end.unwrap_or(within.len()));
        scribe.take(&mut self.unit, part, Layer::HttpHead);
        if end.is_none() {
            self.parts.extend_from_slice(part);
            return match stranger {
                Some(_) => Err(Opaque::NotHttp),
                None if !left.is_empty() => Err(Opaque::LongHead),
                None => Ok(None),
            };
        }
        let Self { mut unit, mut parts, .. } = std::mem::take(self);
        let head = if parts.is_empty() {
            part
        } else {
            parts.extend_from_slice(part);
            &parts
        };
        parse(head, &mut unit, scribe).map(Some)
    }

    /// Notes what was begun, when the stream ends or is no longer understood.
    pub(super) fn end_of_stream(&mut self, scribe: &mut Scribe<'_>) {
        if !self.is_empty() {
            scribe.finish_head(&mut self.unit, || What::Unfinished("head"));
        }
    }

    /// The place of the first byte that cannot belong to the beginning of a head.
    ///
    /// It finds other protocols at once. They might never send bytes that look like the end of a head.
    fn stranger(&mut self, bytes: &[u8], direction: Direction) -> Option<usize> {
        for (index, &byte) in bytes.iter().enumerate() {
            let Start::Unsure(seen) = self.start else { break };
            if seen == 0 && matches!(byte, b'\r' | b'\n') {
                // Empty lines ahead of a request are to be ignored (RFC 9112 §2.2).
                continue;
            }
            let (fits, last) = match direction {
                Direction::ToServer if byte == b' ' => (seen > 0, true),
                Direction::ToServer => (is_token(byte) && seen < METHOD_BYTES, false),
                Direction::ToClient => (byte == RESPONSE_START[seen], seen + 1 == RESPONSE_START.len()),
            };
            if !fits {
                return Some(index);
            }
            self.start = if last { Start::Sure } else { Start::Unsure(seen + 1) };
        }
        None
    }

    /// The place just after the empty line that ends the head, if it is among these bytes.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut from = 0;
        for newline in memchr::memchr_iter(b'\n', bytes) {
            let empty = self.line_with(&bytes[from..newline]) != Line::Text;
            self.line = Line::Nothing;
            from = newline + 1;
            if empty && self.begun {
                return Some(from);
            }
            self.begun |= !empty;
        }
        self.line = self.line_with(&bytes[from..]);
        None
    }

    fn line_with(&self, more: &[u8]) -> Line {
        match (self.line, more) {
            (line, []) => line,
            (Line::Nothing, [b'\r']) => Line::CarriageReturn,
            _ => Line::Text,
        }
    }
}

/// A character of a token ([RFC 9110 §5.6.2]).
///
/// [RFC 9110 §5.6.2]: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
