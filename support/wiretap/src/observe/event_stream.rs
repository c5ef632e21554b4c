//! Event streams ([HTML §9.2.5]): lines become fields, and an empty line ends a block of them.
//!
//! [HTML §9.2.5]: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream

use memchr::memchr2;

use super::fields::shown;
use super::unit::{Scribe, Unit, split};
use crate::counts::Layer;
use crate::redact::JsonSecrets;
use crate::what::{Block, What};

/// What may stand before the first field, and is no part of it.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The length of the longest known field name with a byte order mark before it.
const NAME_BYTES: usize = 8;

/// How much of a value is kept for a summary, in bytes.
const VALUE_BYTES: usize = 64;

/// One event stream, somewhere in a block.
#[derive(Debug)]
pub(super) struct EventStream {
    unit: Unit,
    block: Block,
    secrets: JsonSecrets,
    at: State,
    /// The field's name so far, one byte more than any known name can have.
    name: [u8; NAME_BYTES + 1],
    name_length: usize,
    /// The beginning of the value of `id`, `event` or `retry`.
    value: Vec<u8>,
    /// Whether this is the first line, where a byte order mark may be.
    first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Name,
    /// Just after the colon: one space is no part of the value.
    Colon(Field),
    Value(Field),
    /// After a carriage return that ended a line: a line feed would belong to it.
    ///
    /// Only the next byte shows that, so a block that ends with a lone carriage return is shown when that byte comes.
    LineEnd {
        block_ended: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Comment,
    Data,
    Event,
    Id,
    Retry,
    Unknown,
}

impl Default for EventStream {
    fn default() -> Self {
        Self {
            unit: Unit::default(),
            block: Block::default(),
            secrets: JsonSecrets::default(),
            at: State::Name,
            name: [0; NAME_BYTES + 1],
            name_length: 0,
            value: Vec::new(),
            first: true,
        }
    }
}

impl EventStream {
    /// Takes all of these bytes.
    pub(super) fn feed(&mut self, mut left: &[u8], scribe: &mut Scribe<'_>) {
        while let Some(&byte) = left.first() {
            match self.at {
                State::LineEnd { block_ended } => {
                    if byte == b'\n' {
                        scribe.take(&mut self.unit, split(&mut left, 1), Layer::Framing);
                    }
                    self.at = State::Name;
                    if block_ended {
                        self.finish(scribe);
                    }
                }
                State::Name | State::Colon(_) | State::Value(_) if matches!(byte, b'\r' | b'\n') => {
                    scribe.take(&mut self.unit, split(&mut left, 1), Layer::Framing);
                    let block_ended = self.end_of_line(scribe);
                    self.at = if byte == b'\r' { State::LineEnd { block_ended } } else { State::Name };
                    if block_ended && byte == b'\n' {
                        self.finish(scribe);
                    }
                }
                State::Name => {
                    scribe.take(&mut self.unit, split(&mut left, 1), Layer::Framing);
                    if byte == b':' {
                        self.at = State::Colon(self.field());
                    } else if self.name_length < self.name.len() {
                        self.name[self.name_length] = byte;
                        self.name_length += 1;
                    }
                }
                State::Colon(field) => {
                    if byte == b' ' {
                        scribe.take(&mut self.unit, split(&mut left, 1), Layer::Framing);
                    }
                    self.at = State::Value(field);
                }
                State::Value(field) => {
                    let length = memchr2(b'\r', b'\n', left).unwrap_or(left.len());
                    self.value(field, split(&mut left, length), scribe);
                }
            }
        }
    }

    /// The stream ends: a block without its empty line is never dispatched.
    pub(super) fn end(&mut self, scribe: &mut Scribe<'_>) {
        if let State::LineEnd { block_ended: true } = self.at {
            self.at = State::Name;
            self.finish(scribe);
        }
        if !self.unit.is_empty() {
            scribe.finish(&mut self.unit, || What::Unfinished("block"));
        }
    }

    fn value(&mut self, field: Field, bytes: &[u8], scribe: &mut Scribe<'_>) {
        match field {
            Field::Data => {
                self.block.data_bytes += bytes.len() as u64;
                scribe.take_content(&mut self.unit, bytes, Layer::Payload, &mut self.secrets, None);
            }
            Field::Id | Field::Event | Field::Retry if scribe.shows() => {
                let room = VALUE_BYTES - self.value.len();
                self.value.extend_from_slice(&bytes[..bytes.len().min(room)]);
                scribe.take(&mut self.unit, bytes, Layer::Framing);
            }
            Field::Comment | Field::Event | Field::Id | Field::Retry | Field::Unknown => {
                scribe.take(&mut self.unit, bytes, Layer::Framing);
            }
        }
    }

    /// Closes a line, and says whether it was the empty one that ends a block.
    fn end_of_line(&mut self, scribe: &mut Scribe<'_>) -> bool {
        let field = match self.at {
            State::Colon(field) | State::Value(field) => field,
            State::Name | State::LineEnd { .. } => {
                if self.name().is_empty() {
                    self.first = false;
                    self.name_length = 0;
                    return true;
                }
                // A line without a colon is a field without a value.
                self.field()
            }
        };
        let value = std::mem::take(&mut self.value);
        let value = || Some(shown(&String::from_utf8_lossy(&value)));
        match field {
            Field::Comment => {
                self.block.comments += 1;
                scribe.flow.comments += 1;
            }
            Field::Data => self.block.data_fields += 1,
            Field::Event => self.block.name = value(),
            Field::Id => self.block.id = value(),
            Field::Retry => self.block.retry = value(),
            Field::Unknown => {}
        }
        self.first = false;
        self.name_length = 0;
        false
    }

    /// The name of the line's field so far.
    fn name(&self) -> &[u8] {
        let name = &self.name[..self.name_length];
        if self.first { name.strip_prefix(BYTE_ORDER_MARK).unwrap_or(name) } else { name }
    }

    fn field(&self) -> Field {
        match self.name() {
            b"" => Field::Comment,
            b"data" => Field::Data,
            b"event" => Field::Event,
            b"id" => Field::Id,
            b"retry" => Field::Retry,
            _ => Field::Unknown,
        }
    }

    fn finish(&mut self, scribe: &mut Scribe<'_>) {
        let block = std::mem::take(&mut self.block);
        self.secrets = JsonSecrets::default();
        scribe.flow.events += u64::from(block.data_fields > 0);
        scribe.finish(&mut self.unit, || What::Block(block));
    }
}
