//! WebSocket frames ([RFC 6455 §5.2]): a head of 2 to 14 bytes says how long the payload is and how it is masked.
//!
//! [RFC 6455 §5.2]: https://www.rfc-editor.org/rfc/rfc6455#section-5.2

use super::unit::{Scribe, Unit, split, split_most};
use crate::counts::Layer;
use crate::redact::JsonSecrets;
use crate::what::{Frame, Opaque, What};

/// The longest head: two bytes, a length of eight, a mask of four.
const LONGEST_HEAD_BYTES: usize = 14;

/// From this opcode on frames control the connection; those below carry messages.
const CONTROL: u8 = 0x8;

/// Reads one frame after another.
#[derive(Debug, Default)]
pub(super) struct FrameReader {
    unit: Unit,
    head: [u8; LONGEST_HEAD_BYTES],
    /// How many bytes of the head there are.
    have: usize,
    /// The frame whose payload is being read, and how many bytes of it are still to come.
    payload: Option<(Frame, u64)>,
    /// Finds secrets across all frames of one message.
    secrets: JsonSecrets,
}

impl FrameReader {
    /// Takes bytes to the end of a frame, or all there are.
    pub(super) fn feed(&mut self, left: &mut &[u8], scribe: &mut Scribe<'_>) -> Result<(), Opaque> {
        while self.payload.is_none() {
            let Some(&byte) = left.first() else { return Ok(()) };
            // The length's highest bit must be 0 (RFC 6455 §5.2).
            if self.have == 2 && self.head[1] & 0x7F == 127 && byte & 0x80 != 0 {
                return Err(Opaque::BadFrame);
            }
            self.head[self.have] = byte;
            self.have += 1;
            scribe.take(&mut self.unit, split(left, 1), Layer::Framing);
            if let Some(frame) = parse(&self.head[..self.have]) {
                self.payload = Some((frame, frame.payload_bytes));
                if matches!(frame.opcode, 0x1 | 0x2) {
                    self.secrets = JsonSecrets::default();
                }
            }
        }
        if let Some((frame, remaining)) = &mut self.payload {
            let taken = split_most(left, *remaining);
            let at = frame.payload_bytes - *remaining;
            *remaining -= taken.len() as u64;
            if frame.opcode >= CONTROL {
                scribe.take(&mut self.unit, taken, Layer::Framing);
            } else {
                let mask = frame.mask.map(|key| (key, at));
                scribe.take_content(&mut self.unit, taken, Layer::Payload, &mut self.secrets, mask);
            }
            if *remaining == 0 {
                let frame = *frame;
                self.finish(frame, scribe);
            }
        }
        Ok(())
    }

    /// Notes what was begun, when the stream ends or is no longer understood.
    pub(super) fn end_of_stream(&mut self, scribe: &mut Scribe<'_>) {
        if !self.unit.is_empty() {
            scribe.finish(&mut self.unit, || What::Unfinished("frame"));
        }
    }

    fn finish(&mut self, frame: Frame, scribe: &mut Scribe<'_>) {
        let frames = &mut scribe.flow.frames;
        *match frame.opcode {
            0x0 => &mut frames.continuation,
            0x1 => &mut frames.text,
            0x2 => &mut frames.binary,
            0x8 => &mut frames.close,
            0x9 => &mut frames.ping,
            0xA => &mut frames.pong,
            _ => &mut frames.reserved,
        } += 1;
        scribe.finish(&mut self.unit, || What::Frame(frame));
        (self.have, self.payload) = (0, None);
    }
}

/// The head of a frame, once all its bytes are there.
fn parse(head: &[u8]) -> Option<Frame> {
    let (&[first, second], rest) = head.split_first_chunk()?;
    let (length, rest) = match second & 0x7F {
        126 => {
            let (length, rest) = rest.split_first_chunk()?;
            (u64::from(u16::from_be_bytes(*length)), rest)
        }
        127 => {
            let (length, rest) = rest.split_first_chunk()?;
            (u64::from_be_bytes(*length), rest)
        }
        short => (u64::from(short), rest),
    };
    let mask = if second & 0x80 == 0 { None } else { Some(*rest.first_chunk()?) };
    Some(Frame {
        fin: first & 0x80 != 0,
        rsv: first >> 4 & 0x7,
        opcode: first & 0xF,
        mask,
        head_bytes: head.len(),
        payload_bytes: length,
    })
}
