//! Refusals: one list of codes for every transport, and the codes that close a connection.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::text::TextError;

/// The longest message about JSON: it quotes what a client sent, and a reply has to fit a frame.
const MESSAGE_CHARS: usize = 300;

/// Declares each refusal once: the code that programs read, and its HTTP status.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:literal;)*) => {
        /// Why something was refused. The names are stable, because programs rely on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code, for documents and tests.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status that a refusal with this code has ([RFC 9110 §15]).
            ///
            /// [RFC 9110 §15]: https://www.rfc-editor.org/rfc/rfc9110#section-15
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }
        }
    };
}

codes! {
    /// Not JSON, an unknown field, a missing one, a wrong type, a malformed cursor or number.
    BadRequest = "bad_request", 400;
    /// The request came without a sign-in, or with one that is unknown, expired or ended.
    Unauthenticated = "unauthenticated", 401;
    /// The name and the password do not belong together.
    WrongCredentials = "wrong_credentials", 401;
    /// A page of another site sent the request.
    ForeignOrigin = "foreign_origin", 403;
    /// Only members may do that.
    NotAMember = "not_a_member", 403;
    /// No such path.
    NotFound = "not_found", 404;
    /// No such user.
    UnknownUser = "unknown_user", 404;
    /// No such conversation, or a direct one between other users.
    UnknownConversation = "unknown_conversation", 404;
    /// The path exists, but not for this method.
    MethodNotAllowed = "method_not_allowed", 405;
    /// The body did not arrive in time; the request had no effect.
    RequestTimeout = "request_timeout", 408;
    /// Another user has this name, or one that counts as the same.
    NameTaken = "name_taken", 409;
    /// The `cid` already stands for something else.
    KeyReuse = "key_reuse", 409;
    /// The body is longer than a frame may be.
    TooLarge = "too_large", 413;
    /// The body is not announced as `application/json`.
    UnsupportedMediaType = "unsupported_media_type", 415;
    /// The server does not answer to the name in `Host`.
    MisdirectedRequest = "misdirected_request", 421;
    /// A name that breaks the rules for names.
    InvalidName = "invalid_name", 422;
    /// A password that breaks the rules for passwords.
    InvalidPassword = "invalid_password", 422;
    /// A text that breaks the rules for texts.
    InvalidText = "invalid_text", 422;
    /// A `cid` that breaks the rules for cids.
    InvalidCid = "invalid_cid", 422;
    /// A `request_id` that is too long.
    InvalidRequestId = "invalid_request_id", 422;
    /// A direct message to oneself.
    InvalidRecipient = "invalid_recipient", 422;
    /// A direct conversation cannot be joined or left.
    NotAGroup = "not_a_group", 422;
    /// A WebSocket version other than 13.
    UpgradeRequired = "upgrade_required", 426;
    /// More than the limits allow; `retry_after_ms` says when to come back.
    RateLimited = "rate_limited", 429;
    /// This user has as many connections as one user may have.
    TooManyConnections = "too_many_connections", 429;
    /// The server failed; its log says how.
    Internal = "internal", 500;
    /// The queue for password hashing is full, or the server has as many connections as it may have.
    Busy = "busy", 503;
    /// The disk does not answer, or cannot be written. Whether the command was stored is unknown.
    StorageUnavailable = "storage_unavailable", 503;
    /// The database is damaged; only its operator can help.
    StorageDamaged = "storage_damaged", 503;
    /// The server is going away.
    ShuttingDown = "shutting_down", 503;
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == text)
            .ok_or_else(|| serde::de::Error::custom(format_args!("unknown code {text:?}")))
    }
}

/// A reply that says no: why, for programs and for people, and when to try again if that may help.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Why, for programs.
    pub code: Code,
    /// What was wrong and what to do, for people.
    pub message: Cow<'static, str>,
    /// After how many milliseconds another attempt may succeed; `None`: it never will.
    pub retry_after_ms: Option<u64>,
}

impl Refusal {
    /// A refusal that no later attempt will change.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), retry_after_ms: None }
    }

    /// A refusal that may no longer apply after `wait`.
    pub fn retry_after(code: Code, wait: Duration, message: impl Into<Cow<'static, str>>) -> Self {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        Self { code, message: message.into(), retry_after_ms: Some(wait_ms) }
    }

    /// The disk fails.
    pub fn storage_unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::retry_after(Code::StorageUnavailable, Duration::from_secs(1), message)
    }

    /// The disk failed under a command, or did not answer in time.
    pub(crate) fn unknown_outcome() -> Self {
        Self::storage_unavailable(
            "the server's disk did not answer; whether this was stored is unknown, send it again with the same cid",
        )
    }

    /// The disk failed under a read, or did not answer in time.
    pub(crate) fn unreadable() -> Self {
        Self::storage_unavailable("the server cannot read its disk just now; ask again")
    }

    /// No valid sign-in.
    pub fn unauthenticated() -> Self {
        Self::new(Code::Unauthenticated, "sign in first: POST /api/login with a name and a password")
    }

    /// The refusal of JSON that is not what it should be. A broken rule for text keeps its own code.
    pub fn of_json(error: &serde_json::Error) -> Self {
        let message: String = error.to_string().chars().take(MESSAGE_CHARS).collect();
        let code = Code::ALL
            .iter()
            .copied()
            .find(|code| message.strip_prefix(code.as_str()).is_some_and(|rest| rest.starts_with(": ")));
        match code {
            Some(code) => {
                // Only the rule: the place in the JSON does not help a person.
                let rule = &message[code.as_str().len() + 2..];
                Self::new(code, rule.split(" at line ").next().unwrap_or(rule).to_owned())
            }
            None => Self::new(Code::BadRequest, message),
        }
    }
}

impl From<TextError> for Refusal {
    fn from(error: TextError) -> Self {
        let code = Code::ALL.iter().copied().find(|code| code.as_str() == error.code);
        Self::new(code.unwrap_or(Code::BadRequest), error.rule)
    }
}

/// Why a server ends a connection. 4000–4499: reconnect; 4500–4999: do not ([RFC 6455 §7.4.2] leaves these codes to
/// applications).
///
/// [RFC 6455 §7.4.2]: https://www.rfc-editor.org/rfc/rfc6455#section-7.4.2
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// The server stops; another one will take its place.
    Shutdown,
    /// The client no longer answers pings.
    NoPong,
    /// The client takes longer to read than the server waits.
    Slow,
    /// The client went on sending requests although they were rate limited.
    RateLimited,
    /// The cursor is of another history, or ahead of the log.
    CursorUnknown,
    /// The cursor is older than the log that is kept.
    CursorExpired,
    /// The client sent something that is not a request.
    ProtocolError,
    /// The sign-in is unknown or expired.
    Unauthenticated,
    /// The sign-in was ended.
    Revoked,
    /// The user has too many connections.
    TooManyConnections,
    /// A WebSocket message that is neither text nor UTF-8 JSON
    /// ([RFC 6455 §7.4.1](https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1)).
    UnusableData,
    /// A WebSocket text message that is not UTF-8.
    InvalidUtf8,
    /// A WebSocket message that is longer than a frame may be.
    MessageTooBig,
    /// Anything else that the transport's own protocol forbids.
    BrokenFrame,
    /// The server failed.
    ServerError,
}

impl Close {
    /// Every reason, for documents and tests.
    pub const ALL: &'static [Self] = &[
        Self::Shutdown,
        Self::NoPong,
        Self::Slow,
        Self::RateLimited,
        Self::CursorUnknown,
        Self::CursorExpired,
        Self::ProtocolError,
        Self::Unauthenticated,
        Self::Revoked,
        Self::TooManyConnections,
        Self::UnusableData,
        Self::InvalidUtf8,
        Self::MessageTooBig,
        Self::BrokenFrame,
        Self::ServerError,
    ];

    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::Shutdown => 4001,
            Self::NoPong => 4002,
            Self::Slow => 4008,
            Self::RateLimited => 4029,
            Self::CursorUnknown => 4409,
            Self::CursorExpired => 4410,
            Self::ProtocolError => 4500,
            Self::Unauthenticated => 4502,
            Self::Revoked => 4503,
            Self::TooManyConnections => 4504,
            Self::UnusableData => 1003,
            Self::InvalidUtf8 => 1007,
            Self::MessageTooBig => 1009,
            Self::BrokenFrame => 1002,
            Self::ServerError => 1011,
        }
    }

    /// The name on the wire, and the label of the metric that counts it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Shutdown => "shutdown",
            Self::NoPong => "no_pong",
            Self::Slow => "slow",
            Self::RateLimited => "rate_limited",
            Self::CursorUnknown => "cursor_unknown",
            Self::CursorExpired => "cursor_expired",
            Self::ProtocolError | Self::BrokenFrame => "protocol_error",
            Self::Unauthenticated => "unauthenticated",
            Self::Revoked => "revoked",
            Self::TooManyConnections => "too_many_connections",
            Self::UnusableData => "unusable_data",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::MessageTooBig => "message_too_big",
            Self::ServerError => "server_error",
        }
    }

    /// Whether it may help to reconnect.
    #[must_use]
    pub fn reconnect(self) -> bool {
        (4000..4500).contains(&self.code()) || self == Self::ServerError
    }

    /// The reason with this number.
    #[must_use]
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|close| close.code() == code)
    }

    /// The reason that closes a connection after a refusal, where no HTTP status can carry the refusal any more.
    #[must_use]
    pub fn of_refusal(refusal: &Refusal) -> Self {
        match refusal.code {
            Code::Unauthenticated => Self::Unauthenticated,
            Code::TooManyConnections => Self::TooManyConnections,
            Code::RateLimited => Self::RateLimited,
            Code::ShuttingDown => Self::Shutdown,
            Code::StorageUnavailable | Code::StorageDamaged | Code::Busy | Code::Internal => {
                Self::ServerError
            }
            Code::BadRequest
            | Code::WrongCredentials
            | Code::ForeignOrigin
            | Code::NotAMember
            | Code::NotFound
            | Code::UnknownUser
            | Code::UnknownConversation
            | Code::MethodNotAllowed
            | Code::RequestTimeout
            | Code::NameTaken
            | Code::KeyReuse
            | Code::TooLarge
            | Code::UnsupportedMediaType
            | Code::MisdirectedRequest
            | Code::InvalidName
            | Code::InvalidPassword
            | Code::InvalidText
            | Code::InvalidCid
            | Code::InvalidRequestId
            | Code::InvalidRecipient
            | Code::NotAGroup
            | Code::UpgradeRequired => Self::ProtocolError,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_code_says_whether_to_come_back() {
        for close in Close::ALL {
            assert_eq!(Close::from_code(close.code()), Some(*close));
            if close.code() >= 4000 {
                assert_eq!(close.reconnect(), close.code() < 4500, "{close:?}");
            }
        }
    }

    #[test]
    fn a_broken_rule_keeps_its_code_through_json() {
        let error = serde_json::from_str::<crate::text::Text>("\"\"").unwrap_err();
        assert_eq!(Refusal::of_json(&error).code, Code::InvalidText);
        let error = serde_json::from_str::<crate::text::Text>("7").unwrap_err();
        assert_eq!(Refusal::of_json(&error).code, Code::BadRequest);
    }
}
