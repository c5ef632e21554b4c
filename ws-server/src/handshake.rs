//! The opening handshake ([RFC 6455 §4.2.1]): what makes a request the beginning of a WebSocket.
//!
//! [RFC 6455 §4.2.1]: https://www.rfc-editor.org/rfc/rfc6455#section-4.2.1

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Method, Version, header};
use axum::response::{IntoResponse, Response};
use chat_core::refusal::{Code, Refusal};
use chat_http::{Problem, fields};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The only version of the protocol that became a standard.
const VERSION: &str = "13";

/// How many bytes a key has, and how many characters they take in base64.
const KEY_BYTES: usize = 16;
const KEY_CHARS: usize = 24;

/// A handshake that may be accepted.
#[derive(Clone)]
pub(crate) struct Handshake {
    /// The value of `Sec-WebSocket-Accept`. It proves to the client that the server has read the key.
    pub(crate) accept: String,
}

impl<S: Sync> FromRequestParts<S> for Handshake {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        match key(parts) {
            Ok(key) => Ok(Self { accept: derive_accept_key(key.as_bytes()) }),
            Err(refusal) => Err(refuse(refusal)),
        }
    }
}

/// The key of a request that is a handshake.
fn key(request: &Parts) -> Result<&str, Refusal> {
    let headers = &request.headers;
    let wrong = |what: String| Refusal::new(Code::BadRequest, what);
    if request.method != Method::GET || request.version != Version::HTTP_11 {
        return Err(wrong("a WebSocket begins with a GET over HTTP/1.1".to_owned()));
    }
    if !fields::asks_for(headers, "websocket") {
        let what = "this path speaks WebSocket: send Connection: Upgrade and Upgrade: websocket";
        return Err(wrong(what.to_owned()));
    }
    match fields::one(headers, &header::SEC_WEBSOCKET_VERSION)? {
        Some(VERSION) => {}
        Some(_) => {
            let what = format!("this server speaks version {VERSION} of WebSocket, and no other");
            return Err(Refusal::new(Code::UpgradeRequired, what));
        }
        None => return Err(wrong(format!("send Sec-WebSocket-Version: {VERSION}"))),
    }
    let key = fields::one(headers, &header::SEC_WEBSOCKET_KEY)?;
    let key =
        key.ok_or_else(|| wrong(format!("send a Sec-WebSocket-Key: {KEY_BYTES} random bytes in base64")))?;
    match bytes_in(key) {
        Some(KEY_BYTES) => Ok(key),
        Some(bytes) => Err(wrong(format!(
            "the Sec-WebSocket-Key has {bytes} bytes; send {KEY_BYTES} random bytes, which are {KEY_CHARS} \
             characters in base64"
        ))),
        None => Err(wrong(format!(
            "the Sec-WebSocket-Key is not base64; send {KEY_BYTES} random bytes, which are {KEY_CHARS} characters"
        ))),
    }
}

/// How many bytes a base64 text encodes ([RFC 4648 §4]); `None`: the text is not base64.
///
/// The unused bits of the last character may have any value: some clients pick random characters, not bytes.
///
/// [RFC 4648 §4]: https://www.rfc-editor.org/rfc/rfc4648#section-4
fn bytes_in(base64: &str) -> Option<usize> {
    let characters = base64.strip_suffix("==").or_else(|| base64.strip_suffix('=')).unwrap_or(base64);
    let padding = base64.len() - characters.len();
    let is_base64 = characters.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte));
    let is_whole = base64.len().is_multiple_of(4) && (padding == 0 || characters.len() % 4 == 4 - padding);
    (is_base64 && is_whole).then(|| base64.len() / 4 * 3 - padding)
}

/// Refuses the handshake, and names the version that this server speaks ([RFC 6455 §4.4]).
///
/// [RFC 6455 §4.4]: https://www.rfc-editor.org/rfc/rfc6455#section-4.4
fn refuse(refusal: Refusal) -> Response {
    let version = [(header::SEC_WEBSOCKET_VERSION, VERSION)];
    if refusal.code == Code::UpgradeRequired {
        // https://www.rfc-editor.org/rfc/rfc9110#section-15.5.22
        let upgrade = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "websocket")];
        return (version, upgrade, Problem(refusal)).into_response();
    }
    (version, Problem(refusal)).into_response()
}

#[cfg(test)]
mod tests {
    use super::bytes_in;

    #[test]
    fn base64_is_counted_in_bytes() {
        for (base64, bytes) in [
            ("dGhlIHNhbXBsZSBub25jZQ==", Some(16)),
            ("dGhlIHNhbXBsZQ==", Some(10)),
            ("AAAAAAAAAAAAAAAAAAAAAB==", Some(16)),
            ("//////////////////////==", Some(16)),
            ("AAAAAAAAAAAAAAAAAAAAAAA=", Some(17)),
            ("AAAAAAAAAAAAAAAAAAAAAAAA", Some(18)),
            ("", Some(0)),
            ("abc", None),
            ("AAAAAAAAAAAAAAAAAAAAAA", None),
            ("AAAAAAAAAAAAAAAAAAAAA===", None),
            ("AAAAAAAAAAAAAAAAAAAAA-==", None),
            ("AAAAAAAAAA==AAAAAAAAAA==", None),
            ("====", None),
            ("A===", None),
        ] {
            assert_eq!(bytes_in(base64), bytes, "{base64}");
        }
    }
}
