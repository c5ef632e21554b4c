//! Ids of users, of conversations and of places in the log.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Text that is not the id it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct IdError {
    text: String,
    expected: &'static str,
}

impl IdError {
    fn new(text: &str, expected: &'static str) -> Self {
        // A reply quotes what a client sent, so the quote is cut to a readable length.
        Self { text: text.chars().take(40).collect(), expected }
    }
}

/// Makes a type that can print and parse itself a string in JSON.
macro_rules! as_json_string {
    ($type:ty) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// A number with a letter before it, so that a user's id is never taken for a conversation's.
macro_rules! numbered_id {
    ($(#[$doc:meta])* $name:ident, $letter:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(crate) i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($letter, "{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix($letter)
                    .and_then(canonical_number)
                    .and_then(|number| i64::try_from(number).ok())
                    .map(Self)
                    .ok_or_else(|| IdError::new(text, $expected))
            }
        }

        as_json_string!($name);
    };
}

numbered_id! {
    /// A user: `u1`. Given in the order of registration, without gaps.
    UserId, "u", "a user's id, such as u1"
}

numbered_id! {
    /// A conversation, direct or group: `c5`.
    ConversationId, "c", "a conversation's id, such as c5"
}

/// A place in the log: the number of an event, rising from 1. 0 is before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub(crate) u64);

impl Position {
    /// As SQLite stores it.
    pub(crate) fn to_sql(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// From what SQLite stored; positions are never negative there.
    pub(crate) fn from_sql(stored: i64) -> Self {
        Self(u64::try_from(stored).unwrap_or(0))
    }
}

/// A term: the events that one run of a server wrote, named by 32 random bits.
///
/// A copy of a database that is served elsewhere, or that is put back, goes on in a new term. So the term in a cursor
/// says which history its position belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term(pub(crate) u32);

impl Term {
    /// From its text, as in a cursor and in the database.
    pub(crate) fn parse(text: &str) -> Result<Self, IdError> {
        canonical_hex(text).map(Self).ok_or_else(|| IdError::new(text, "a term: eight hexadecimal digits"))
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// How far a client has seen the frames that are never logged (presence, typing). Valid in one run of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The run of the process that numbered the frames.
    pub(crate) run: u32,
    /// The number of the last unlogged frame of that run.
    pub(crate) number: u64,
}

/// "I have seen everything up to here": the id of the last event that a client saw.
///
/// Opaque to clients. Inside: `term.position`, and `term.position.run-number` where unlogged frames count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The term in which the position was written.
    pub(crate) term: Term,
    pub(crate) position: Position,
    pub(crate) mark: Option<Mark>,
}

impl Cursor {
    /// The cursor of one logged event.
    pub(crate) fn of_event(term: Term, position: Position) -> Self {
        Self { term, position, mark: None }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.term, self.position.0)?;
        match self.mark {
            Some(mark) => write!(f, ".{:08x}-{}", mark.run, mark.number),
            None => Ok(()),
        }
    }
}

impl FromStr for Cursor {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let parse = || {
            let mut parts = text.split('.');
            let term = Term(canonical_hex(parts.next()?)?);
            // SQLite counts in 63 bits.
            let position = Position(canonical_number(parts.next()?).filter(|&p| p <= i64::MAX as u64)?);
            let mark = match parts.next() {
                Some(mark) => {
                    let (run, number) = mark.split_once('-')?;
                    Some(Mark { run: canonical_hex(run)?, number: canonical_number(number)? })
                }
                None => None,
            };
            parts.next().is_none().then_some(Self { term, position, mark })
        };
        parse().ok_or_else(|| IdError::new(text, "a cursor; send one back exactly as a server gave it"))
    }
}

as_json_string!(Cursor);

/// Digits as `Display` prints them: no sign, no leading zero, so that one id has one spelling.
fn canonical_number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

/// Eight lower-case hexadecimal digits.
fn canonical_hex(text: &str) -> Option<u32> {
    let plain = text.len() == 8 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    plain.then(|| u32::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        assert_eq!("u17".parse(), Ok(UserId(17)));
        assert_eq!(UserId(17).to_string(), "u17");
        for wrong in ["", "u", "17", "c17", "u017", "u+17", "u-1", "u17 ", "u99999999999999999999"] {
            assert!(wrong.parse::<UserId>().is_err(), "{wrong:?} was taken for a user's id");
        }
    }

    #[test]
    fn a_cursor_survives_the_way_out_and_back() {
        let plain = Cursor::of_event(Term(0xbeef), Position(42));
        let marked = Cursor { mark: Some(Mark { run: 7, number: 9 }), ..plain };
        for cursor in [plain, marked] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        assert_eq!(marked.to_string(), "0000beef.42.00000007-9");
    }

    #[test]
    fn a_malformed_cursor_is_refused() {
        for wrong in [
            "",
            "0",
            "beef.1",
            "0000BEEF.1",
            "0000beef.",
            "0000beef.01",
            "0000beef.1.",
            "0000beef.1.x-1",
            "0000beef.1.00000007-1.2",
            "0000beef.9223372036854775808",
            "0000beef.-1",
        ] {
            assert!(wrong.parse::<Cursor>().is_err(), "{wrong:?} was taken for a cursor");
        }
    }
}
