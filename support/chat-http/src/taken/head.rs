//! The head of an answer that a transport writes itself, byte for byte as hyper would have written it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::{StatusCode, Version, header, request, response};
use bytes::Bytes;

use crate::fields;

/// Room for a head. Usual heads need less, and it is not a limit.
const USUAL_BYTES: usize = 512;

/// How an answer says where it ends ([RFC 9112 §6.3](https://www.rfc-editor.org/rfc/rfc9112#section-6.3)).
#[derive(Debug, Clone, Copy)]
pub(super) enum Framing {
    /// It has no body, or one that ends with the connection.
    None,
    /// Its body has this many bytes.
    Length(usize),
    /// Its last chunk marks the end.
    Chunked,
}

/// The parts of a request that decide how its answer is framed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    version: Version,
    pub(crate) keeps_alive: bool,
}

impl Asked {
    pub(crate) fn by(head: &request::Parts) -> Self {
        let says = |what: &str| fields::lists(&head.headers, &header::CONNECTION, what);
        let version = head.version;
        let keeps_alive = if version == Version::HTTP_11 { !says("close") } else { says("keep-alive") };
        Self { version, keeps_alive }
    }
}

/// Status and headers of an answer.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    asked: Asked,
    upgrades: bool,
    /// The status line and the headers that do not depend on the body.
    text: Bytes,
}

impl Head {
    pub(crate) fn new(asked: Asked, answer: response::Parts) -> Self {
        let mut text = Vec::with_capacity(USUAL_BYTES);
        let mut line = |parts: &[&[u8]]| parts.iter().for_each(|part| text.extend_from_slice(part));
        let http = if asked.version == Version::HTTP_11 { b"HTTP/1.1 " } else { b"HTTP/1.0 " };
        let (code, reason) = (answer.status.as_str(), answer.status.canonical_reason().unwrap_or_default());
        line(&[http, code.as_bytes(), b" ", reason.as_bytes(), b"\r\n"]);
        // The transport decides where the answer ends, so a length that a layer wrote for the empty body is left out.
        for (name, value) in answer.headers.iter().filter(|(name, _)| *name != header::CONTENT_LENGTH) {
            line(&[name.as_ref(), b": ", value.as_bytes(), b"\r\n"]);
        }
        // A repeated poll keeps it for as long as the client polls.
        text.shrink_to_fit();
        Self { asked, upgrades: answer.status == StatusCode::SWITCHING_PROTOCOLS, text: text.into() }
    }

    /// Notes that the connection ends with this answer.
    pub(crate) fn is_last(&mut self) {
        self.asked.keeps_alive = false;
    }

    /// Whether the next request may follow on the same connection.
    pub(super) fn keeps_alive(&self) -> bool {
        self.asked.keeps_alive
    }

    /// Whether the client knows chunks, which HTTP/1.0 did not have.
    pub(super) fn knows_chunks(&self) -> bool {
        self.asked.version == Version::HTTP_11
    }

    /// The whole head, and what follows it.
    pub(super) fn with(&self, framing: Framing, then: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(USUAL_BYTES + then.len());
        bytes.extend_from_slice(&self.text);
        match (self.asked.version, self.asked.keeps_alive, framing) {
            // An upgrade has its own `connection` header.
            _ if self.upgrades => {}
            (Version::HTTP_11, false, _) => bytes.extend_from_slice(b"connection: close\r\n"),
            (Version::HTTP_10, true, Framing::Length(_)) => {
                bytes.extend_from_slice(b"connection: keep-alive\r\n");
            }
            _ => {}
        }
        match framing {
            Framing::None => {}
            Framing::Length(length) => {
                write!(bytes, "content-length: {length}\r\n").expect("a vector takes every write");
            }
            Framing::Chunked => bytes.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        }
        bytes.extend_from_slice(b"date: ");
        write_date(SystemTime::now(), &mut bytes);
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes.extend_from_slice(then);
        bytes
    }
}

/// Writes the date of an answer. All answers within one second have the same date ([RFC 9110 §5.6.7]).
///
/// [RFC 9110 §5.6.7]: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7
fn write_date(now: SystemTime, into: &mut Vec<u8>) {
    /// Guards the second that was written last, and its text.
    static LAST: Mutex<(u64, String)> = Mutex::new((u64::MAX, String::new()));
    let second = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if last.0 != second {
        last.0 = second;
        last.1.clear();
        write!(last.1, "{}", httpdate::HttpDate::from(now)).expect("a string takes every write");
    }
    into.extend_from_slice(last.1.as_bytes());
}
