//! Refusals as HTTP answers: problem documents ([RFC 9457]).
//!
//! [RFC 9457]: https://www.rfc-editor.org/rfc/rfc9457

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chat_core::refusal::Refusal;
use serde_json::json;

/// A refusal on its way to an HTTP client.
#[derive(Debug, Clone)]
pub struct Problem(pub Refusal);

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(refusal) = self;
        let status = status(&refusal);
        let body = json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": refusal.message,
            "code": refusal.code,
            "retry_after_ms": refusal.retry_after_ms,
        });
        let mut response = (status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            // Says how to sign in ([RFC 9110 §15.5.2](https://www.rfc-editor.org/rfc/rfc9110#section-15.5.2)).
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        retry_after(&refusal, headers);
        // The layer that counts refusals reads it. That layer knows the transport.
        response.extensions_mut().insert(refusal.code);
        response
    }
}

/// The status that goes with a refusal.
pub(super) fn status(refusal: &Refusal) -> StatusCode {
    StatusCode::from_u16(refusal.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Says when to try again: `Retry-After` counts whole seconds
/// ([RFC 9110 §10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)).
pub(super) fn retry_after(refusal: &Refusal, headers: &mut HeaderMap) {
    if let Some(wait_ms) = refusal.retry_after_ms {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait_ms.div_ceil(1_000)));
        // Without this, pages on another port could not read it.
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_name(header::RETRY_AFTER));
    }
}
