//! A repeated poll: the same request as the one before, with another cursor.

use std::ops::Range;

use chat_core::ids::Cursor;

/// The longest head that is remembered.
const REMEMBERED_BYTES: usize = 2_048;

/// How the request line of a poll begins.
const METHOD: &[u8] = b"GET ";

/// What introduces the cursor in a query.
const AFTER: &[u8] = b"after=";

/// The head of a request, around the cursor in its query.
///
/// A request that differs only in the cursor has the same sender, origin and rights. It would be answered or refused
/// for the same reasons, so it needs no routing, and no layer has to check it again.
#[derive(Debug)]
pub(crate) struct RepeatedPoll {
    before: Box<[u8]>,
    behind: Box<[u8]>,
}

impl RepeatedPoll {
    /// Remembers a whole head; `None`: it is too long, or it names no cursor.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        // A line may end with LF alone, and then it is not certain where the head ends.
        let is_plain = head.split_inclusive(|&byte| byte == b'\n').all(|line| line.ends_with(b"\r\n"));
        if head.len() > REMEMBERED_BYTES || !is_plain {
            return None;
        }
        let value = place_of_cursor(head)?;
        Some(Self { before: head[..value.start].into(), behind: head[value.end..].into() })
    }

    /// If `bytes` begin with the same head, up to the cursor: the cursor there, and the length of that head.
    pub(super) fn cursor(&self, bytes: &[u8]) -> Option<(Cursor, usize)> {
        let rest = bytes.strip_prefix(&*self.before)?;
        let length = rest.iter().position(|byte| matches!(byte, b'&' | b' '))?;
        let (value, rest) = rest.split_at(length);
        let cursor = std::str::from_utf8(value).ok()?.parse().ok()?;
        rest.starts_with(&self.behind).then_some((cursor, self.before.len() + length + self.behind.len()))
    }
}

/// Where in a head the value of `after` is, as the HTTP library and the reader of queries find it.
///
/// A query begins at the first `?` of a target ([RFC 3986 §3.4]), and only `&` separates its pairs
/// ([the URL standard]).
///
/// [RFC 3986 §3.4]: https://www.rfc-editor.org/rfc/rfc3986#section-3.4
/// [the URL standard]: https://url.spec.whatwg.org/#urlencoded-parsing
fn place_of_cursor(head: &[u8]) -> Option<Range<usize>> {
    let line = head.split(|&byte| byte == b'\r').next()?;
    let target = line.strip_prefix(METHOD)?.split(|&byte| byte == b' ').next()?;
    // A whole URL is read differently, and so is what follows a `#`.
    if !target.starts_with(b"/") || target.contains(&b'#') {
        return None;
    }
    let query = target.iter().position(|&byte| byte == b'?')? + 1;
    let mut start = METHOD.len() + query;
    for pair in target[query..].split(|&byte| byte == b'&') {
        if pair.starts_with(AFTER) {
            return Some(start + AFTER.len()..start + pair.len());
        }
        start += pair.len() + 1;
    }
    None
}

#[cfg(test)]
mod tests;
