//! The request that a client sends who polls: the same as the one before, after another cursor.

use crate::ids::Cursor;

/// The longest head that is remembered.
const REMEMBERED_BYTES: usize = 2_048;

/// What introduces the cursor in a query.
const AFTER: &[u8] = b"after=";

/// The head of a request, around the cursor in its query.
///
/// A request with the same head but for the cursor has the same sender, origin and rights, and is refused or
/// answered for the same reasons. So it needs no routing, and no layer has to look at it again.
#[derive(Debug)]
pub(super) struct Again {
    before: Box<[u8]>,
    behind: Box<[u8]>,
}

impl Again {
    /// Remembers a whole head; `None`: it is too long, or it names no cursor.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        // A line may end with LF alone, and then it is not certain where the head ends.
        let is_plain = head.split_inclusive(|&byte| byte == b'\n').all(|line| line.ends_with(b"\r\n"));
        let line = head.split(|&byte| byte == b'\r').next().filter(|_| is_plain)?;
        let name = line.windows(AFTER.len()).position(|window| window == AFTER)?;
        if head.len() > REMEMBERED_BYTES || !matches!(line.get(name.checked_sub(1)?), Some(b'?' | b'&')) {
            return None;
        }
        let value = name + AFTER.len();
        let length = line[value..].iter().position(|byte| matches!(byte, b'&' | b' '))?;
        Some(Self { before: head[..value].into(), behind: head[value + length..].into() })
    }

    /// The head again, after another cursor.
    pub(super) fn after(&self, cursor: &Cursor) -> Vec<u8> {
        [&*self.before, cursor.to_string().as_bytes(), &*self.behind].concat()
    }

    /// The cursor in a head that is the same otherwise, and how long the head is, if it comes first in `bytes`.
    pub(super) fn cursor(&self, bytes: &[u8]) -> Option<(Cursor, usize)> {
        let rest = bytes.strip_prefix(&*self.before)?;
        let length = rest.iter().position(|byte| matches!(byte, b'&' | b' '))?;
        let (value, rest) = rest.split_at(length);
        let cursor = std::str::from_utf8(value).ok()?.parse().ok()?;
        rest.starts_with(&self.behind).then_some((cursor, self.before.len() + length + self.behind.len()))
    }
}

/// How long the first head in some bytes is, if it is whole.
pub(super) fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|end| end + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "GET /poll?after=0000000a.7&wait=5 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t\r\n\r\n";

    #[test]
    fn only_the_cursor_may_differ() {
        let again = Again::of(HEAD.as_bytes()).unwrap();
        let other = HEAD.replace("0000000a.7", "0000000a.12.0000000b-3");
        assert_eq!(again.after(&"0000000a.12.0000000b-3".parse().unwrap()), other.as_bytes());
        let (cursor, length) = again.cursor(format!("{other}GET").as_bytes()).unwrap();
        assert_eq!((cursor.to_string().as_str(), length), ("0000000a.12.0000000b-3", other.len()));
        for (one, another) in [
            ("GET", "PUT"),
            ("/poll", "/pull"),
            ("wait=5", "wait=6"),
            ("Bearer t", "Bearer s"),
            ("Host: x\r\n", ""),
            ("\r\n\r\n", "\r\nOrigin: http://elsewhere\r\n\r\n"),
            ("&wait=5", "&wait=5&wait=5"),
            ("0000000a.7", "yesterday"),
            ("0000000a.7", "0000000a.7&after=0000000a.8"),
            ("0000000a.7", "0000000a.7 HTTP/1.1\r\nHost: x\r\nOrigin: y\r\n\r\nGET /?"),
            ("0000000a.7", ""),
        ] {
            assert_eq!(again.cursor(HEAD.replacen(one, another, 1).as_bytes()), None, "{another}");
        }
        // Not before it is whole.
        assert_eq!(again.cursor(&HEAD.as_bytes()[..HEAD.len() - 1]), None);
    }

    #[test]
    fn a_head_without_a_cursor_in_its_query_is_not_remembered() {
        for head in [
            "GET /poll HTTP/1.1\r\n\r\n",
            "GET /poll?hereafter=1 HTTP/1.1\r\n\r\n",
            "GET /poll HTTP/1.1\r\nX: ?after=1 \r\n\r\n",
            "after=1 \r\n\r\n",
            &HEAD.replacen("\r\n", "\n", 1),
            &HEAD.replace("Host: x", &"x".repeat(REMEMBERED_BYTES)),
        ] {
            assert!(Again::of(head.as_bytes()).is_none(), "{head}");
        }
    }
}
