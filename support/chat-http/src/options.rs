//! Which methods a path has: the answer to an `OPTIONS` that is no preflight ([RFC 9110 §9.3.7]).
//!
//! Load balancers send it to check that a server is there.
//!
//! [RFC 9110 §9.3.7]: https://www.rfc-editor.org/rfc/rfc9110#section-9.3.7

use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// The methods of all paths of a server together, for `OPTIONS *`.
const ALL: &str = "GET,HEAD,POST";

/// Answers `OPTIONS` with the methods of its path; a preflight goes on to the CORS layer.
pub(super) async fn answer(mut request: Request, next: Next) -> Response {
    if request.method() != Method::OPTIONS {
        return next.run(request).await;
    }
    if request.uri().path() == "*" {
        return (StatusCode::NO_CONTENT, [(header::ALLOW, ALL)]).into_response();
    }
    if !is_preflight(&request) {
        // The CORS layer would answer every `OPTIONS` itself. It passes on a method that no path has.
        *request.method_mut() = Method::TRACE;
    }
    let answer = next.run(request).await;
    match answer.status() {
        // The path exists. The router adds `Allow` to the answer of its fallback for methods.
        StatusCode::METHOD_NOT_ALLOWED => StatusCode::NO_CONTENT.into_response(),
        _ => answer,
    }
}

/// Whether a browser asks what a page may do ([the Fetch standard]).
///
/// [the Fetch standard]: https://fetch.spec.whatwg.org/#cors-preflight-request
fn is_preflight(request: &Request) -> bool {
    let headers = request.headers();
    headers.contains_key(header::ORIGIN) && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}
