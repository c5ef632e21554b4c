//! The chunked coding ([RFC 9112 §7.1]): size lines, the content between them, trailers at the end.
//!
//! [RFC 9112 §7.1]: https://www.rfc-editor.org/rfc/rfc9112#section-7.1

use super::content::Content;
use super::unit::{Scribe, Unit, split, split_most};
use crate::counts::Layer;
use crate::what::{Opaque, What};

/// A body in chunks that is being read.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    /// The size line, chunk end or trailers that are being read.
    unit: Unit,
    at: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// In the size: how many digits have come so far, and their value.
    Size { digits: u8, size: u64 },
    /// In the extensions that may follow the size on its line. They are hardly ever used.
    Extension { size: u64 },
    /// After the carriage return of the size line.
    SizeEnd { size: u64 },
    /// In the content: how many bytes are still to come.
    Content(u64),
    /// Before the line end that closes a chunk.
    ContentEnd,
    /// After that line end's carriage return.
    ContentEndLf,
    /// In the trailers: whether the line has nothing on it yet.
    Trailers { empty: bool },
}

impl Default for State {
    fn default() -> Self {
        Self::Size { digits: 0, size: 0 }
    }
}

impl Chunked {
    /// Takes bytes up to the end of the body, and says whether that is reached.
    pub(super) fn feed(
        &mut self,
        left: &mut &[u8],
        content: &mut Content,
        scribe: &mut Scribe<'_>,
    ) -> Result<bool, Opaque> {
        while let Some(&byte) = left.first() {
            if let State::Content(remaining) = self.at {
                let taken = split_most(left, remaining);
                content.feed(taken, scribe);
                let remaining = remaining - taken.len() as u64;
                self.at = State::Content(remaining);
                if remaining == 0 {
                    content.pause(scribe);
                    self.at = State::ContentEnd;
                }
                continue;
            }
            let next = self.at.after(byte).ok_or(Opaque::BadChunk)?;
            scribe.take(&mut self.unit, split(left, 1), Layer::Framing);
            match (self.at, next) {
                (State::SizeEnd { size }, State::Content(_)) => {
                    scribe.flow.chunks += 1;
                    scribe.finish(&mut self.unit, || What::Chunk(size));
                }
                (State::ContentEndLf, _) => scribe.finish(&mut self.unit, || What::ChunkEnd),
                (State::Trailers { empty: true }, _) if byte == b'\n' => {
                    scribe.flow.chunks += 1;
                    content.end(scribe);
                    scribe.finish_head(&mut self.unit, || What::LastChunk);
                    return Ok(true);
                }
                _ => {}
            }
            self.at = next;
        }
        Ok(false)
    }

    /// Notes what was begun, when the stream ends or is no longer understood.
    pub(super) fn end_of_stream(&mut self, scribe: &mut Scribe<'_>) {
        if !self.unit.is_empty() {
            scribe.finish_head(&mut self.unit, || What::Unfinished("chunk"));
        }
    }
}

impl State {
    /// The state after this byte; `None` if the byte is not allowed here.
    fn after(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Size { digits, size }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < 16 => {
                let digit = char::from(byte).to_digit(16)?;
                Self::Size { digits: digits + 1, size: size << 4 | u64::from(digit) }
            }
            (Self::Size { digits: 1.., size }, b';' | b' ' | b'\t') => Self::Extension { size },
            (Self::Size { digits: 1.., size } | Self::Extension { size }, b'\r') => Self::SizeEnd { size },
            (Self::Extension { size }, other) if other != b'\n' => Self::Extension { size },
            (Self::SizeEnd { size: 0 }, b'\n') => Self::Trailers { empty: true },
            (Self::SizeEnd { size }, b'\n') => Self::Content(size),
            (Self::ContentEnd, b'\r') => Self::ContentEndLf,
            (Self::ContentEndLf, b'\n') => Self::default(),
            (Self::Trailers { empty }, b'\r') => Self::Trailers { empty },
            (Self::Trailers { .. }, other) => Self::Trailers { empty: other == b'\n' },
            _ => return None,
        })
    }
}
