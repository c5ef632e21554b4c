//! The browser's end of the chat: the files of `static/`, served with the headers that keep the page safe.
//!
//! There is no build step: the source in the tree is the source that runs.
//! A debug build reads the files from disk on every request, a release build carries them inside.
//! This crate knows no server. Its caller gives it the ports that the page may talk to.

use std::future::ready;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::RustEmbed;

/// The longest host name of the DNS ([RFC 1035 §2.3.4](https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4)).
const MAX_HOST_BYTES: usize = 253;

#[derive(RustEmbed)]
#[folder = "static/"]
struct Static;

/// Routes for every file of the web client, with `index.html` at `/`.
///
/// `ports` are those of the servers that the page may connect to, on the host that it was loaded from.
/// Only real files have a route, so the caller's own fallback answers everything else.
///
/// ```
/// let app: axum::Router = web_client::router(&[4001, 4002, 4003]);
/// # let _ = app;
/// ```
pub fn router<S: Clone + Send + Sync + 'static>(ports: &[u16]) -> Router<S> {
    let ports: Arc<[u16]> = ports.into();
    let mut router = Router::new();
    for path in Static::iter() {
        let Some(kind) = content_type(&path) else { continue };
        let url = match path.as_ref() {
            "index.html" => "/".to_owned(),
            other => format!("/{other}"),
        };
        let (path, ports): (Arc<str>, _) = (path.into(), Arc::clone(&ports));
        let file = get(move |uri: Uri, headers: HeaderMap| {
            ready(respond(&path, kind, &policy(&ports, host(&uri, &headers)), &headers))
        });
        router = router.route(&url, file);
    }
    router
}

/// The content type of a file; `None` for a file that is only for readers of the tree, and is not served.
fn content_type(path: &str) -> Option<&'static str> {
    match path.rsplit(['.', '/']).next() {
        Some("html") => Some("text/html; charset=utf-8"),
        Some("js") => Some("text/javascript; charset=utf-8"),
        Some("css") => Some("text/css; charset=utf-8"),
        Some("svg") => Some("image/svg+xml"),
        Some("LICENSE") => Some("text/plain; charset=utf-8"),
        _ => None,
    }
}

/// One file, or 304 for a browser that has it already.
fn respond(path: &str, kind: &'static str, policy: &HeaderValue, request: &HeaderMap) -> Response {
    // A debug build notices here that a file was deleted after the start.
    let Some(file) = Static::get(path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = entity_tag(&file.metadata.sha256_hash(), policy);
    let mut response = if has(request, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut whole = Response::new(Body::from(file.data));
        whole.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        whole
    };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// The validator of a file *under a policy*.
///
/// Chromium keeps the stored `Content-Security-Policy` when a 304 brings another one.
/// A page cached before a server moved to another port could then not connect, so a new policy makes a new tag.
fn entity_tag(sha256: &[u8; 32], policy: &HeaderValue) -> String {
    let mut hasher = DefaultHasher::new();
    (sha256, policy).hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

/// Whether `If-None-Match` names this tag ([RFC 9110 §13.1.2](https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2)).
fn has(request: &HeaderMap, tag: &str) -> bool {
    request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .map(|one| one.trim_ascii())
        .map(|one| one.strip_prefix(b"W/").unwrap_or(one))
        .any(|one| one == tag.as_bytes() || one == b"*")
}

/// What the page may load and reach: its own files, its own host's servers, and nothing else.
///
/// Only lit-html may make HTML, and only from the templates in the source (Trusted Types).
fn policy(ports: &[u16], host: Option<&str>) -> HeaderValue {
    let servers: String = host
        .into_iter()
        .flat_map(|host| ports.iter().map(move |port| format!(" http://{host}:{port} ws://{host}:{port}")))
        .collect();
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'{servers}; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types lit-html"
    );
    HeaderValue::try_from(policy).expect("the host was checked, and the rest is visible ASCII")
}

/// The name under which the browser reached this server, if it is one that may stand in a policy.
///
/// An IPv6 address may not ([CSP3 §2.3.1] has no brackets, and browsers ignore them with an error), so a page
/// loaded from one reaches its own server only.
///
/// [CSP3 §2.3.1]: https://www.w3.org/TR/CSP3/#framework-directive-source-list
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    // HTTP/2 names the host in the URI instead of a header.
    let authority = match headers.get(header::HOST) {
        Some(value) => value.to_str().ok()?,
        None => uri.authority()?.as_str(),
    };
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    let is_plain = (1..=MAX_HOST_BYTES).contains(&host.len())
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
        && port.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then_some(host)
}
