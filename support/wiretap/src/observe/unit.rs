//! The bookkeeping under every parser: bytes are taken one run at a time, counted by layer, and kept for showing.

use std::ops::Range;

use crate::counts::{Direction, Flow, Layer, Layers};
use crate::event::{Note, RAW_BYTES};
use crate::redact::{HIDDEN, JsonSecrets, hide_in_head};
use crate::what::What;

/// What is becoming a note: the bytes of one thing so far.
#[derive(Debug, Default)]
pub(super) struct Unit {
    /// From its first byte to the one after its latest; `None` before the first.
    bytes: Option<Range<u64>>,
    layers: Layers,
    raw: Vec<u8>,
}

impl Unit {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_none()
    }

    /// How many bytes it has so far.
    pub(super) fn len(&self) -> u64 {
        self.layers.total()
    }
}

/// Counts one run of bytes, and makes notes of what is in it.
pub(super) struct Scribe<'a> {
    pub(super) direction: Direction,
    /// Where in the stream of this direction the next byte is.
    pub(super) offset: u64,
    pub(super) flow: Flow,
    /// Where notes go, if they are wanted.
    pub(super) notes: Option<&'a mut Vec<Note>>,
}

impl Scribe<'_> {
    /// Takes bytes that hold no secrets, or whose secrets are hidden when the unit is whole.
    pub(super) fn take(&mut self, unit: &mut Unit, bytes: &[u8], layer: Layer) {
        self.count(unit, bytes.len(), layer);
        if self.notes.is_some() {
            let room = RAW_BYTES - unit.raw.len();
            unit.raw.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    /// Takes bytes of content that may be JSON, and hides its secrets.
    ///
    /// With a mask, the bytes are masked, and a hidden byte is kept so that unmasking it gives an asterisk. `at` is the
    /// offset of the first byte in the masked payload.
    pub(super) fn take_content(
        &mut self,
        unit: &mut Unit,
        bytes: &[u8],
        layer: Layer,
        secrets: &mut JsonSecrets,
        mask: Option<([u8; 4], u64)>,
    ) {
        self.count(unit, bytes.len(), layer);
        if self.notes.is_none() {
            return;
        }
        let (key, at) = mask.unwrap_or_default();
        let mut keys = key.into_iter().cycle().skip((at % 4) as usize);
        for &byte in bytes {
            let key = keys.next().unwrap_or_default();
            let shown = if secrets.hides(byte ^ key) { HIDDEN ^ key } else { byte };
            if unit.raw.len() < RAW_BYTES {
                unit.raw.push(shown);
            }
        }
    }

    fn count(&mut self, unit: &mut Unit, bytes: usize, layer: Layer) {
        if bytes == 0 {
            return;
        }
        let bytes = bytes as u64;
        let range = unit.bytes.get_or_insert(self.offset..self.offset);
        self.offset += bytes;
        range.end = self.offset;
        unit.layers.add(layer, bytes);
        self.flow.layers.add(layer, bytes);
    }

    /// The unit is whole: makes a note of it, and empties it for the next one.
    pub(super) fn finish(&mut self, unit: &mut Unit, what: impl FnOnce() -> What) {
        let Unit { bytes, layers, raw } = std::mem::take(unit);
        if let Some(notes) = &mut self.notes {
            let bytes = bytes.unwrap_or(self.offset..self.offset);
            notes.push(Note { direction: self.direction, bytes, layers, what: what(), raw });
        }
    }

    /// Like `finish`, for a unit with header fields.
    pub(super) fn finish_head(&mut self, unit: &mut Unit, what: impl FnOnce() -> What) {
        hide_in_head(&mut unit.raw);
        self.finish(unit, what);
    }

    /// Whether notes are wanted, and so all their parts.
    pub(super) fn shows(&self) -> bool {
        self.notes.is_some()
    }
}

/// The first `bytes` of what is left, taken off its front.
pub(super) fn split<'a>(left: &mut &'a [u8], bytes: usize) -> &'a [u8] {
    let (taken, rest) = left.split_at(bytes);
    *left = rest;
    taken
}

/// Like `split`, for a number of bytes that may be more than there are.
pub(super) fn split_most<'a>(left: &mut &'a [u8], most: u64) -> &'a [u8] {
    split(left, left.len().min(usize::try_from(most).unwrap_or(usize::MAX)))
}
