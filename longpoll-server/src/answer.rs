//! The body of a poll's answer.

use std::io::Write;

use chat_core::ids::Cursor;

/// Room for what an answer has around its events. It is a first estimate, not a limit.
const ENVELOPE_BYTES: usize = 128;

/// `{"events": […], "cursor", "more"}`.
pub(crate) fn answer(events: &[&[u8]], cursor: Option<&Cursor>, more: bool) -> Vec<u8> {
    let length: usize = events.iter().map(|event| event.len() + 1).sum();
    let mut answer = Vec::with_capacity(length + ENVELOPE_BYTES);
    answer.extend_from_slice(b"{\"events\":[");
    for (number, event) in events.iter().enumerate() {
        answer.extend_from_slice(if number == 0 { b"" } else { b"," });
        answer.extend_from_slice(event);
    }
    match cursor {
        Some(cursor) => write!(answer, "],\"cursor\":\"{cursor}\",\"more\":{more}}}"),
        None => write!(answer, "],\"cursor\":null,\"more\":{more}}}"),
    }
    .expect("a vector takes every write");
    answer
}
