//! What people type, checked once: names, passwords, message texts, client ids.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// Text that breaks a rule.
///
/// It prints its code too: serde hands an error on as text only, and the code is read back from there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {rule}")]
pub struct TextError {
    /// The stable code of the refusal.
    pub code: &'static str,
    /// The rule that was broken, as a sentence for the person who typed it.
    pub rule: &'static str,
}

/// Gives a checked text its JSON: written as it is, checked when read.
macro_rules! checked_text {
    ($type:ident) => {
        impl $type {
            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = TextError;

            fn try_from(text: String) -> Result<Self, TextError> {
                Self::check(&text)?;
                Ok(Self(text))
            }
        }

        impl From<$type> for String {
            fn from(text: $type) -> Self {
                text.0
            }
        }
    };
}

/// The name of a user or of a group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

checked_text!(Name);

impl Name {
    /// The longest name, in characters: fits one line of a list on a phone.
    pub const MAX_CHARS: usize = 32;

    /// What is equal for two names that count as the same.
    pub(crate) fn key(&self) -> String {
        self.0.to_lowercase()
    }

    fn check(text: &str) -> Result<(), TextError> {
        let refuse = |rule| Err(TextError { code: "invalid_name", rule });
        match text.chars().count() {
            0 => return refuse("a name needs at least one character"),
            1..=Self::MAX_CHARS => {}
            _ => return refuse("a name has at most 32 characters"),
        }
        if text.chars().any(is_invisible) {
            return refuse("a name has no control characters and no invisible ones");
        }
        if text.trim() != text {
            return refuse("a name does not begin or end with a space");
        }
        Ok(())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Characters that show nothing, or that reorder what is shown: two names that look alike would differ.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

/// The text of a message: any Unicode, kept byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Text(String);

checked_text!(Text);

impl Text {
    /// The longest text, in bytes of UTF-8: its worst JSON escape (six bytes for one) still fits a frame of 64 KiB.
    pub const MAX_BYTES: usize = 8_192;

    fn check(text: &str) -> Result<(), TextError> {
        let refuse = |rule| Err(TextError { code: "invalid_text", rule });
        match text.len() {
            0 => refuse("a message needs some text"),
            1..=Self::MAX_BYTES => Ok(()),
            _ => refuse("a message has at most 8192 bytes of UTF-8"),
        }
    }
}

/// A client's own id for what it asks to be written, made before the first attempt and kept over all of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Cid(String);

checked_text!(Cid);

impl Cid {
    /// The longest id, in bytes: a UUID with its hyphens.
    pub const MAX_BYTES: usize = 36;

    fn check(text: &str) -> Result<(), TextError> {
        if (1..=Self::MAX_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
            return Ok(());
        }
        Err(TextError { code: "invalid_cid", rule: "a cid has 1 to 36 printable ASCII characters" })
    }
}

/// A client's own id for a request, echoed in the reply.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct RequestId(String);

checked_text!(RequestId);

impl RequestId {
    /// The longest id, in bytes: room for a UUID and a prefix.
    pub const MAX_BYTES: usize = 64;

    fn check(text: &str) -> Result<(), TextError> {
        if text.len() <= Self::MAX_BYTES {
            return Ok(());
        }
        Err(TextError { code: "invalid_request_id", rule: "a request_id has at most 64 bytes" })
    }
}

/// A password as somebody typed it. It is never printed.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// The shortest and the longest password, in bytes.
    pub const BYTES: std::ops::RangeInclusive<usize> = 8..=1_024;

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The rule for *new* passwords; a password that breaks it is merely wrong when somebody signs in.
    pub(crate) fn check(&self) -> Result<(), TextError> {
        if Self::BYTES.contains(&self.0.len()) {
            return Ok(());
        }
        Err(TextError { code: "invalid_password", rule: "a password has 8 to 1024 bytes" })
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl From<&str> for Password {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Result<Name, TextError> {
        Name::try_from(text.to_owned())
    }

    #[test]
    fn names_count_characters_not_bytes() {
        assert!(name(&"é".repeat(32)).is_ok());
        assert!(name(&"e".repeat(33)).is_err());
        assert!(name("").is_err());
    }

    #[test]
    fn names_that_would_look_like_others_are_refused() {
        for wrong in ["Ann\n", "A\0nn", " Ann", "Ann ", "Ann\u{200B}", "\u{202E}nnA", "An\u{AD}n"] {
            assert_eq!(name(wrong).unwrap_err().code, "invalid_name", "{wrong:?}");
        }
        assert_eq!(name("ANN").unwrap().key(), name("ann").unwrap().key());
    }

    #[test]
    fn a_text_is_limited_in_bytes() {
        assert!(Text::try_from("é".repeat(4_096)).is_ok());
        assert!(Text::try_from("é".repeat(4_097)).is_err());
        assert!(Text::try_from(String::new()).is_err());
    }

    #[test]
    fn a_password_is_never_printed() {
        assert!(!format!("{:?}", Password::from("correct horse")).contains("horse"));
    }
}
