//! What is inside a cursor. Clients must not look; a test of rising ids has to.

use chat_core::ids::Cursor;

/// The place in the log that a cursor stands for.
pub(crate) fn position(cursor: Cursor) -> u64 {
    cursor.to_string().split('.').nth(1).and_then(|position| position.parse().ok()).expect("term.position")
}
