//! What people type, checked once: names, passwords, message texts, client ids.

mod joiners;
mod name;

use std::borrow::Cow;
use std::fmt;

use icu_normalizer::ComposingNormalizer;
use serde::{Deserialize, Deserializer, Serialize};

pub(crate) use name::typed_key;
pub use name::{Name, is_same_name};

/// Text that breaks a rule.
///
/// It prints its code too, because serde passes an error on as text only, and the code is read back from that text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {rule}")]
pub struct TextError {
    /// The stable code of the refusal.
    pub code: &'static str,
    /// The rule that was broken, as a sentence for the person who typed it.
    pub rule: Cow<'static, str>,
}

/// Gives a text type its check: the text is written as it is, and checked when it is read.
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

/// The text of a message: any Unicode, kept byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Text(String);

checked_text!(Text);

impl Text {
    /// The longest text, in bytes of UTF-8: its worst JSON escape (six bytes for one) still fits a frame of 64 KiB.
    pub const MAX_BYTES: usize = 8_192;

    fn check(text: &str) -> Result<(), TextError> {
        let refuse = |rule: &'static str| Err(TextError { code: "invalid_text", rule: rule.into() });
        match text.len() {
            0 => refuse("a message needs some text"),
            1..=Self::MAX_BYTES => Ok(()),
            _ => refuse("a message has at most 8192 bytes of UTF-8"),
        }
    }
}

/// A client's own id for a message or group that it asks for. It is made before the first attempt, and kept for all
/// attempts.
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
        Err(TextError { code: "invalid_cid", rule: "a cid has 1 to 36 printable ASCII characters".into() })
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
        Err(TextError { code: "invalid_request_id", rule: "a request_id has at most 64 bytes".into() })
    }
}

/// A password as it was typed. It is never printed.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// The shortest and the longest password, in bytes of the form that is hashed.
    pub const BYTES: std::ops::RangeInclusive<usize> = 8..=1_024;

    /// The form that is hashed (NFC, [RFC 8265 §4.2.2]): keyboards differ in how they write `é`.
    ///
    /// [RFC 8265 §4.2.2]: https://www.rfc-editor.org/rfc/rfc8265#section-4.2.2
    pub(crate) fn normalized(&self) -> Cow<'_, str> {
        ComposingNormalizer::new_nfc().normalize(&self.0)
    }

    /// What was typed, if its normalised form differs. Old hashes may be hashes of this form.
    pub(crate) fn as_typed(&self) -> Option<&str> {
        (self.normalized() != self.0).then_some(&self.0)
    }

    /// The rule for *new* passwords. At a sign-in, a password that breaks it is simply wrong.
    pub(crate) fn check(&self) -> Result<(), TextError> {
        if Self::BYTES.contains(&self.normalized().len()) {
            return Ok(());
        }
        Err(TextError { code: "invalid_password", rule: "a password has 8 to 1024 bytes".into() })
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

    #[test]
    fn a_text_is_limited_in_bytes() {
        assert!(Text::try_from("é".repeat(4_096)).is_ok());
        assert!(Text::try_from("é".repeat(4_097)).is_err());
        assert!(Text::try_from(String::new()).is_err());
    }

    #[test]
    fn a_password_is_measured_in_the_form_that_is_hashed() {
        let (composed, decomposed) = ("\u{E9}".repeat(512), "e\u{301}".repeat(512));
        assert_eq!(Password::from(&*decomposed).normalized(), composed);
        assert!(Password::from(&*decomposed).check().is_ok());
        assert_eq!(Password::from(&*composed).as_typed(), None);
        assert_eq!(Password::from(&*decomposed).as_typed(), Some(&*decomposed));
        assert!(Password::from("e\u{301}e\u{301}e").check().is_err());
    }

    #[test]
    fn a_password_is_never_printed() {
        assert!(!format!("{:?}", Password::from("correct horse")).contains("horse"));
    }
}
