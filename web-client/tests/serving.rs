//! What a browser gets: the files, and the headers that keep the page safe.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use tower::ServiceExt;

/// One GET for `path` with `headers` to a client that may talk to `ports`.
async fn fetch(
    ports: &[u16],
    path: &str,
    headers: &[(header::HeaderName, &str)],
) -> (StatusCode, HeaderMap, String) {
    let app: Router = web_client::router(ports);
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

/// The sources of the policy's `connect-src` for a request that names `host`.
async fn connect_src(host: &str) -> String {
    let (_, headers, _) = fetch(&[4001, 4002], "/", &[(header::HOST, host)]).await;
    let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    let sources = policy.split("; ").find_map(|part| part.strip_prefix("connect-src ")).unwrap();
    sources.to_owned()
}

#[tokio::test]
async fn serves_the_page_with_its_headers() {
    let (status, headers, body) = fetch(&[4001], "/", &[(header::HOST, "127.0.0.1:4000")]).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.starts_with("<!doctype html>"));
    assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
    assert_eq!(headers[header::CACHE_CONTROL], "no-cache");
    assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");
    assert_eq!(
        headers[header::CONTENT_SECURITY_POLICY],
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self' http://127.0.0.1:4001 ws://127.0.0.1:4001; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types lit-html"
    );
}

#[tokio::test]
async fn serves_every_file_that_the_page_names() {
    let files = [
        ("/style.css", "text/css; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/transports/websocket.js", "text/javascript; charset=utf-8"),
        ("/vendor/lit-html/lit-html.js", "text/javascript; charset=utf-8"),
        ("/vendor/lit-html/LICENSE", "text/plain; charset=utf-8"),
    ];
    for (path, kind) in files {
        let (status, headers, body) = fetch(&[], path, &[]).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert_eq!(headers[header::CONTENT_TYPE], kind, "{path}");
        assert!(headers.contains_key(header::CONTENT_SECURITY_POLICY), "{path}");
        assert!(!body.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn leaves_other_paths_to_the_caller() {
    let unknown = ["/api/users", "/c5", "/index.html/x", "/vendor/lit-html/README.md", "/../Cargo.toml"];
    for path in unknown {
        let (status, _, _) = fetch(&[], path, &[]).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn allows_each_server_on_the_host_of_the_page() {
    for host in ["localhost", "127.0.0.1", "chat.example-1.org"] {
        let wanted =
            format!("'self' http://{host}:4001 ws://{host}:4001 http://{host}:4002 ws://{host}:4002");
        assert_eq!(connect_src(host).await, wanted);
        assert_eq!(connect_src(&format!("{host}:4000")).await, wanted);
    }
}

#[tokio::test]
async fn keeps_a_hostile_host_out_of_the_policy() {
    let long = "a".repeat(254);
    let hostile = [
        "evil.example; script-src *",
        "evil.example *",
        "a b",
        "*",
        "'unsafe-inline'",
        "x:4000; img-src *",
        "x:*",
        "[::1",
        "[::1]x",
        "[evil]",
        "x/y",
        "user@x",
        "",
        ":4000",
        &long,
    ];
    for host in hostile {
        assert_eq!(connect_src(host).await, "'self'", "{host}");
    }
}

#[tokio::test]
async fn names_no_address_that_a_policy_cannot_hold() {
    for host in ["[::1]", "[::1]:4000", "[2001:db8::1]:4000"] {
        assert_eq!(connect_src(host).await, "'self'", "{host}");
    }
}

#[tokio::test]
async fn sends_a_known_file_only_once() {
    let host = (header::HOST, "localhost:4000");
    let (_, headers, _) = fetch(&[4001], "/", std::slice::from_ref(&host)).await;
    let tag = headers[header::ETAG].to_str().unwrap().to_owned();
    // A tag may hold any octets, and must not hide the tags beside it.
    let foreign = format!("\"caf\u{e9}\", {tag}");
    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), foreign, "*".to_owned()] {
        let (status, headers, body) =
            fetch(&[4001], "/", &[host.clone(), (header::IF_NONE_MATCH, &known)]).await;
        assert_eq!((status, body.as_str()), (StatusCode::NOT_MODIFIED, ""), "{known}");
        assert_eq!(headers[header::ETAG], tag);
    }
    let (status, _, _) = fetch(&[4001], "/", &[host.clone(), (header::IF_NONE_MATCH, "\"other\"")]).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn sends_the_page_again_when_its_policy_changed() {
    let host = (header::HOST, "localhost:4000");
    let (_, headers, _) = fetch(&[4001], "/", std::slice::from_ref(&host)).await;
    let tag = headers[header::ETAG].to_str().unwrap().to_owned();
    let (status, _, _) = fetch(&[4011], "/", &[host, (header::IF_NONE_MATCH, &tag)]).await;
    assert_eq!(status, StatusCode::OK);
}
