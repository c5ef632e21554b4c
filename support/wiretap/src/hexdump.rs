//! An event as people read it: bytes on the left, what they mean on the right.

use std::fmt::Write;
use std::ops::Range;

use crate::event::{Note, WireEvent};
use crate::what::{Frame, What};

/// Bytes in one row.
const ROW_BYTES: usize = 16;

/// The event's summary, and below it its bytes, sixteen to a row. Each row begins with the offset in the stream and
/// ends with the meaning of the bytes. A masked payload is masked among the bytes, and unmasked in their meaning.
#[must_use]
pub fn hexdump(event: &WireEvent) -> String {
    let Note { bytes, raw, layers, .. } = &event.note;
    let mut dump = format!("{event}\n");
    for (range, meaning) in parts(&event.note) {
        let rows = raw[range.clone()].chunks(ROW_BYTES).enumerate();
        for (row, shown) in rows {
            let at = range.start + row * ROW_BYTES;
            let hex: String = shown.iter().map(|byte| format!(" {byte:02x}")).collect();
            let meaning = match &meaning {
                Meaning::Words(words) if row == 0 => words.clone(),
                Meaning::Words(_) => String::new(),
                Meaning::Text(key) => text(shown, at - range.start, *key),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(dump, "    {:08x} {hex:<48}  {meaning}", bytes.start + at as u64);
        }
    }
    let more = layers.total() - raw.len() as u64;
    if more > 0 {
        let _ = writeln!(dump, "    … {more} bytes more");
    }
    dump
}

/// What the bytes of a part mean.
enum Meaning {
    /// They are text, masked with this key.
    Text([u8; 4]),
    Words(String),
}

/// The parts of the bytes that are kept, each with its meaning.
fn parts(note: &Note) -> Vec<(Range<usize>, Meaning)> {
    let all = note.raw.len();
    let What::Frame(frame) = note.what else {
        return vec![(0..all, Meaning::Text([0; 4]))];
    };
    let Frame { mask, head_bytes, payload_bytes, .. } = frame;
    let mask_at = head_bytes - if mask.is_some() { 4 } else { 0 };
    let mut parts = vec![(0..2, Meaning::Words(note.what.to_string()))];
    if mask_at > 2 {
        parts.push((2..mask_at, Meaning::Words(format!("length {payload_bytes}"))));
    }
    if mask.is_some() {
        parts.push((mask_at..head_bytes, Meaning::Words("mask".to_owned())));
    }
    parts.push((head_bytes..all, Meaning::Text(mask.unwrap_or_default())));
    parts
}

/// Bytes as ASCII, with a dot for each byte that cannot be shown; `at` is the offset of the first one in its payload.
fn text(bytes: &[u8], at: usize, key: [u8; 4]) -> String {
    let keys = key.into_iter().cycle().skip(at % key.len());
    let shown = |byte: u8| if matches!(byte, b' '..=b'~') { char::from(byte) } else { '.' };
    bytes.iter().zip(keys).map(|(byte, key)| shown(byte ^ key)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::counts::Direction;
    use crate::observe::{Observe, Observer};

    fn dumps(direction: Direction, exchange: &[(Direction, &[u8])]) -> Vec<String> {
        let mut observer = Observer::new(Observe::Events);
        for (direction, bytes) in exchange {
            observer.feed(*direction, bytes);
        }
        let notes = observer.take_notes().filter(|note| note.direction == direction);
        notes
            .map(|note| hexdump(&WireEvent { connection: 3, at: Duration::from_micros(1_500), note }))
            .collect()
    }

    #[test]
    fn a_masked_frame_is_taken_apart() {
        let ask = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
        let answer = b"HTTP/1.1 101 \r\nUpgrade: websocket\r\n\r\n";
        let frame = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
        let exchange: [(Direction, &[u8]); 3] =
            [(Direction::ToServer, ask), (Direction::ToClient, answer), (Direction::ToServer, frame)];
        assert_eq!(
            dumps(Direction::ToServer, &exchange)[1],
            "    0.0015 #3 ↑     11  text FIN MASK 5 B\n\
             \u{20}   00000026  81 85                                            text FIN MASK 5 B\n\
             \u{20}   00000028  37 fa 21 3d                                      mask\n\
             \u{20}   0000002c  7f 9f 4d 51 58                                   Hello\n"
        );
    }

    #[test]
    fn text_is_shown_in_rows_and_the_rest_is_counted() {
        let mut body = b"HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\n".to_vec();
        body.extend([b'a'; 600]);
        let dump = &dumps(Direction::ToClient, &[(Direction::ToClient, &body)])[1];
        assert!(dump.contains("  aaaaaaaaaaaaaaaa\n"), "{dump}");
        assert!(dump.ends_with("    … 88 bytes more\n"), "{dump}");
        assert_eq!(dump.lines().count(), 1 + 512 / 16 + 1);
    }
}
