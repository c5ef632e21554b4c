//! Conversations as text: bytes that people can read, and below them what they mean.

use wiretap::{Direction, Note};

use crate::conversation::{Seen, Turn};

/// Reads a conversation in the form that `recordings/` has. `> ` is to the server, `< ` is to the client, and `END` is
/// the end of a direction. Bytes are written as in Rust's byte strings. A piece of one direction is one turn.
pub(crate) fn read(recording: &str) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    for line in recording.lines() {
        let (direction, text) = match line.split_at_checked(2) {
            Some(("> ", text)) => (Direction::ToServer, text),
            Some(("< ", text)) => (Direction::ToClient, text),
            _ => continue,
        };
        if text == "END" {
            turns.push((direction, None));
            continue;
        }
        match turns.last_mut() {
            Some((last, Some(bytes))) if *last == direction => bytes.extend(unescape(text)),
            _ => turns.push((direction, Some(unescape(text)))),
        }
    }
    turns
}

fn unescape(text: &str) -> Vec<u8> {
    let (mut bytes, mut letters) = (Vec::new(), text.bytes());
    while let Some(letter) = letters.next() {
        bytes.push(match letter {
            b'\\' => match letters.next().expect("something follows a backslash") {
                b'r' => b'\r',
                b'n' => b'\n',
                b'x' => {
                    let digits = [letters.next().unwrap(), letters.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                itself => itself,
            },
            plain => plain,
        });
    }
    bytes
}

/// What was seen, as it is written below a recording: a line for each note, and one for each direction's counts.
pub(crate) fn write(seen: &Seen) -> String {
    let mut text = String::new();
    for Note { direction, bytes, layers, what, .. } in &seen.notes {
        let parts = [
            ("payload", layers.payload),
            ("framing", layers.framing),
            ("head", layers.http_head),
            ("opaque", layers.opaque),
        ];
        let parts = parts.into_iter().filter(|(_, bytes)| *bytes > 0);
        let parts: Vec<String> = parts.map(|(layer, bytes)| format!("{layer} {bytes}")).collect();
        let line =
            format!("= {} {}..{} [{}] {what}\n", direction.arrow(), bytes.start, bytes.end, parts.join(", "));
        text += &line;
    }
    for (direction, flow) in [(Direction::ToServer, seen.to_server), (Direction::ToClient, seen.to_client)] {
        let mut flow = serde_json::to_value(flow).unwrap();
        drop_zeros(&mut flow);
        text += &format!("= {} {flow}\n", direction.arrow());
    }
    text
}

fn drop_zeros(value: &mut serde_json::Value) {
    if let Some(members) = value.as_object_mut() {
        members.values_mut().for_each(drop_zeros);
        members.retain(|_, value| *value != 0 && *value != serde_json::json!({}));
    }
}
