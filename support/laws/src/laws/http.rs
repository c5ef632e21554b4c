//! What the head of a request decides, before any transport begins.

use std::time::Duration;

use chat_core::ids::Cursor;
use chat_http::Server;

use crate::raw::{Answer, UPGRADE};
use crate::{TestServer, TestUser};

/// The path and query that open this transport; `None`: it has no wire.
fn opening<S: Server>(query: &str) -> Option<String> {
    S::PATH.map(|path| format!("{path}{}{query}", if path.contains('?') { '&' } else { '?' }))
}

/// A GET that opens any transport, with further headers, each a whole line.
fn get(path: &str, headers: &[u8]) -> Vec<u8> {
    let head = format!("GET {path} HTTP/1.1\r\n{UPGRADE}");
    [head.as_bytes(), headers, b"\r\n"].concat()
}

fn bearer<S>(member: &TestUser<S>) -> String {
    format!("Host: localhost\r\nAuthorization: Bearer {}\r\n", member.token.as_str())
}

/// A server whose users may have a connection for each case of a law.
async fn roomy_server<S: Server>() -> TestServer<S> {
    TestServer::open_with(|limits| limits.connections_per_user = 1_000).await
}

pub async fn finds_its_cookie_among_any_others<S: Server>() {
    let server = roomy_server::<S>().await;
    let ann = server.user("Ann").await;
    let before = ann.cursor().await;
    server.user("Bob").await;
    let ours = server.cookie(&ann);
    let lines: [&[&[u8]]; 8] = [
        &[b"OURS"],
        &[b"theme=caf\xc3\xa9; OURS"],
        &[b"OURS; theme=caf\xe9"],
        &[b"a=\xff\xfe;OURS;b=\x80"],
        &[b"theme=\xe9", b"OURS"],
        &[b"OURS", b"theme=\xe9"],
        &[b"a=\"x; y\"; ; =; b; OURS"],
        &[b"switchboard=x; switchboard_=\xe9; OURS"],
    ];
    let wire = opening::<S>(&format!("after={before}"));
    for path in [Some("/api/snapshot".to_owned()), wire].iter().flatten() {
        for cookies in lines {
            let mut headers = format!("Host: localhost\r\nOrigin: {}\r\n", ann.target.base()).into_bytes();
            for cookie in cookies {
                let cookie = match cookie.windows(4).position(|part| part == b"OURS") {
                    Some(place) => [&cookie[..place], ours.as_bytes(), &cookie[place + 4..]].concat(),
                    None => cookie.to_vec(),
                };
                headers.extend([b"Cookie: ", cookie.as_slice(), b"\r\n"].concat());
            }
            Answer::to(&ann.target, &get(path, &headers)).await.first_of(&["Bob"]).await;
        }
    }
}

pub async fn refuses_a_header_that_it_cannot_read<S: Server>() {
    let server = TestServer::<S>::open().await;
    let ann = server.user("Ann").await;
    let cursor = ann.cursor().await;
    let history = format!("/api/conversations/c1/messages?limit=1&before={}", 9);
    for path in [Some("/api/snapshot".to_owned()), opening::<S>("")].iter().flatten() {
        for (name, values) in [
            ("authorization", &[&b"Bearer caf\xe9"[..]][..]),
            ("authorization", &[b"Bearer \xff"]),
            ("authorization", &[b"Bearer t", b"Bearer t"]),
            ("origin", &[b"http://caf\xc3\xa9"]),
            ("origin", &[b"null", b"null"]),
            ("content-type", &[b"application/json", b"application/json"]),
            ("content-type", &[b"application/\xe9"]),
            ("sec-fetch-site", &[b"\xff"]),
            ("sec-fetch-site", &[b"none", b"cross-site"]),
            ("last-event-id", &[b"\xe9"]),
            ("last-event-id", &[cursor.to_string().as_bytes(), cursor.to_string().as_bytes()]),
        ] {
            let known = if name == "authorization" { "Host: localhost\r\n".to_owned() } else { bearer(&ann) };
            let mut headers = known.into_bytes();
            values
                .iter()
                .for_each(|value| headers.extend([name.as_bytes(), b": ", *value, b"\r\n"].concat()));
            let answer = Answer::to(&ann.target, &get(path, &headers)).await;
            assert_eq!(answer.status, 400, "{path} with {name} {values:?}: {}", answer.head);
            let (code, detail) = answer.problem().await;
            assert!(
                code == "bad_request" && detail.contains(name),
                "{path} with {name} {values:?}: {detail}"
            );
        }
    }
    let twice = [
        opening::<S>(&format!("after={cursor}&after={cursor}")),
        opening::<S>(&format!("lastEventId={cursor}&lastEventId={cursor}")),
        Some(format!("{history}&limit=1")),
        Some(format!("{history}&before=9")),
    ];
    for path in twice.iter().flatten() {
        let answer = Answer::to(&ann.target, &get(path, bearer(&ann).as_bytes())).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.head);
        let (code, detail) = answer.problem().await;
        assert!(code == "bad_request" && detail.contains("duplicate"), "{path}: {detail}");
    }
    assert_eq!(server.metric("chat_sessions", ""), 0);
    ann.cursor().await;
}

pub async fn takes_the_cursor_from_the_first_place_that_has_one<S: Server>() {
    let server = roomy_server::<S>().await;
    let ann = server.user("Ann").await;
    // After the first cursor comes Bob, after the second Cid, after the third Dora.
    let names = [r#""name":"Bob""#, r#""name":"Cid""#, r#""name":"Dora""#];
    let mut cursors = Vec::new();
    for name in ["Bob", "Cid", "Dora"] {
        cursors.push(ann.cursor().await);
        server.user(name).await;
    }
    let text = |cursor: &Cursor| cursor.to_string();
    let [one, two, three] = [text(&cursors[0]), text(&cursors[1]), text(&cursors[2])];
    let (none, empty, wrong) = (None, Some(""), Some("yesterday"));
    let (one, two, three) = (Some(one.as_str()), Some(two.as_str()), Some(three.as_str()));
    for (header, last_event_id, after, first) in [
        (none, none, one, Some(names[0])),
        (none, two, one, Some(names[1])),
        (none, two, none, Some(names[1])),
        (three, two, one, Some(names[2])),
        (three, none, one, Some(names[2])),
        (three, none, none, Some(names[2])),
        (one, two, three, Some(names[0])),
        // An empty id counts as absent: no event had come when the stream broke.
        (empty, two, one, Some(names[1])),
        (none, empty, one, Some(names[0])),
        (empty, empty, two, Some(names[1])),
        // A place that is not used may hold anything. The place that is used has to hold a cursor.
        (two, wrong, wrong, Some(names[1])),
        (none, two, wrong, Some(names[1])),
        (wrong, two, one, None),
        (none, wrong, one, None),
        (none, none, wrong, None),
        (empty, empty, empty, None),
    ] {
        let pair = |name: &str, value: Option<&str>| value.map(|value| format!("{name}={value}"));
        let query: Vec<String> =
            [pair("after", after), pair("lastEventId", last_event_id)].into_iter().flatten().collect();
        let Some(path) = opening::<S>(&query.join("&")) else { return };
        let header = header.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let answer = Answer::to(&ann.target, &get(&path, (bearer(&ann) + &header).as_bytes())).await;
        let shown = format!("{path} {header}");
        match first {
            Some(name) => assert_eq!(answer.first_of(&names).await, name, "{shown}"),
            None => {
                assert_eq!(answer.status, 400, "{shown}");
                let (code, detail) = answer.problem().await;
                assert!(code == "bad_request" && detail.contains("is not a cursor"), "{shown}: {detail}");
            }
        }
    }
}

pub async fn answers_only_to_names_that_lead_to_it<S: Server>() {
    let server = roomy_server::<S>().await;
    let ann = server.user("Ann").await;
    let before = ann.cursor().await;
    server.user("Bob").await;
    let authorization = format!("Authorization: Bearer {}\r\n", ann.token.as_str());
    let ask = async |line: &str, host: &[u8]| {
        let upgrade = if line.ends_with("1.1") { UPGRADE } else { "" };
        let head =
            [line.as_bytes(), b"\r\n", authorization.as_bytes(), upgrade.as_bytes(), host, b"\r\n"].concat();
        Answer::to(&ann.target, &head).await
    };
    let wire = opening::<S>(&format!("after={before}"));
    for path in [Some("/api/snapshot".to_owned()), Some("/api/transports".to_owned()), wire].iter().flatten()
    {
        let line = format!("GET {path} HTTP/1.1");
        for host in ["localhost", "LOCALHOST.:1", "b.localhost", "127.0.0.1:9", "192.0.2.7", "[::1]:4001"] {
            let answer = ask(&line, format!("Host: {host}\r\n").as_bytes()).await;
            assert!(matches!(answer.status, 101 | 200), "{path} of {host}: {}", answer.head);
        }
        for host in ["evil.example", "localhost.evil.example:80", "127.0.0.1.evil.example", "com", "127.1"] {
            let answer = ask(&line, format!("Host: {host}\r\n").as_bytes()).await;
            assert_eq!(answer.status, 421, "{path} of {host}");
            let (code, detail) = answer.problem().await;
            let name = host.split(':').next().unwrap_or_default();
            assert!(code == "misdirected_request" && detail.contains(name), "{path} of {host}: {detail}");
        }
        for host in [
            &b""[..],
            b"Host:\r\n",
            b"Host: localhost\r\nHost: localhost\r\n",
            b"Host: localhost\r\nHost: evil.example\r\n",
            b"Host: local host\r\n",
            b"Host: localhost:port\r\n",
            b"Host: caf\xe9.localhost\r\n",
            b"Host: http://localhost\r\n",
            b"Host: localhost, localhost\r\n",
        ] {
            let answer = ask(&line, host).await;
            assert_eq!(answer.status, 400, "{path} of {:?}", String::from_utf8_lossy(host));
            assert_eq!(answer.problem().await.0, "bad_request");
        }
        // A whole URL in the first line counts more than the header (RFC 9112, section 3.2.2).
        let whole = |host: &str| format!("GET http://{host}{path} HTTP/1.1");
        assert_eq!(ask(&whole("evil.example"), b"Host: localhost\r\n").await.status, 421, "{path}");
        assert_eq!(ask(&whole("ann@localhost"), b"Host: localhost\r\n").await.status, 400, "{path}");
        assert_eq!(ask(&whole("localhost"), b"").await.status, 400, "{path}");
        let answer = ask(&whole("localhost:1"), b"Host: evil.example\r\n").await;
        assert!(matches!(answer.status, 101 | 200), "{path}: {}", answer.head);
    }
    // HTTP/1.0 has no `Host` header.
    assert_eq!(ask("GET /api/snapshot HTTP/1.0", b"").await.status, 200);
    assert_eq!(ask("GET /api/snapshot HTTP/1.0", b"Host: evil.example\r\n").await.status, 421);
    for path in ["/healthz", "/metrics"] {
        let line = format!("GET {path} HTTP/1.1");
        assert_eq!(ask(&line, b"Host: load-balancer.example\r\n").await.status, 200, "{path}");
        assert_eq!(ask(&line, b"").await.status, 400, "{path}");
    }
}

pub async fn refuses_with_a_problem_document<S: Server>() {
    let server = TestServer::<S>::open().await;
    let ann = server.user("Ann").await;
    let signed_in = bearer(&ann);
    let ask = async |line: &str, headers: &str| {
        let head = format!("{line} HTTP/1.1\r\n{signed_in}{headers}\r\n");
        Answer::to(&ann.target, head.as_bytes()).await
    };
    let wire = S::PATH.map(|path| path.split('?').next().unwrap_or(path));
    let refused = [
        ("GET /nothing", "", 404, "not_found"),
        ("OPTIONS /nothing", "", 404, "not_found"),
        ("OPTIONS /nothing", "Origin: null\r\nAccess-Control-Request-Method: GET\r\n", 404, "not_found"),
        ("GET /%ff", "", 404, "not_found"),
        ("GET *", "", 404, "not_found"),
        ("GET /api/conversations/%ff/messages", "", 400, "bad_request"),
        ("GET /api/conversations/c%00/messages", "", 404, "unknown_conversation"),
        ("GET /api/conversations/c1/messages?limit=%ff", "", 400, "bad_request"),
        ("GET /api/conversations/c1/messages?before=-1", "", 400, "bad_request"),
        ("DELETE /api/users", "", 405, "method_not_allowed"),
        ("DANCE /api/users", "", 405, "method_not_allowed"),
        ("PUT /healthz", "", 405, "method_not_allowed"),
        ("TRACE /api/commands", "", 405, "method_not_allowed"),
        ("POST /api/commands", "Content-Length: 2\r\n", 415, "unsupported_media_type"),
        ("GET /api/users", "Origin: http://evil.example\r\n", 403, "foreign_origin"),
    ];
    for (line, headers, status, code) in refused {
        let answer = ask(line, headers).await;
        assert_eq!(answer.status, status, "{line}: {}", answer.head);
        if status == 405 {
            assert!(
                answer.header("allow").is_some_and(|methods| !methods.is_empty()),
                "{line}: {}",
                answer.head
            );
        }
        assert_eq!(answer.problem().await.0, code, "{line}");
    }
    if let Some(wire) = wire {
        for (line, status) in [
            (format!("PUT {wire}"), 405),
            (format!("GET {wire}?after=%ff"), 400),
            (format!("GET {wire}?after=yesterday"), 400),
            (format!("GET {wire}/more"), 404),
        ] {
            let answer = ask(&line, "").await;
            assert_eq!(answer.status, status, "{line}: {}", answer.head);
            answer.problem().await;
        }
    }
    // A load balancer asks which methods a path has; a browser asks what a page may do.
    let known = [("*", "GET,HEAD,POST"), ("/api/users", "GET,HEAD"), ("/healthz", "GET,HEAD")];
    let known = known.into_iter().chain([("/api/commands", "POST")]);
    for (path, methods) in known.chain(wire.map(|wire| (wire, "GET,HEAD"))) {
        let answer = ask(&format!("OPTIONS {path}"), "").await;
        assert_eq!((answer.status, answer.header("allow")), (204, Some(methods)), "{path}: {}", answer.head);
        assert_eq!(answer.header("content-type"), None, "{path}: {}", answer.head);
    }
    let preflight = format!("Origin: {}\r\nAccess-Control-Request-Method: POST\r\n", ann.target.base());
    let answer = ask("OPTIONS /api/commands", &preflight).await;
    let allowed = answer.header("access-control-allow-origin");
    assert_eq!((answer.status, allowed), (200, Some(ann.target.base())), "{}", answer.head);
}

pub async fn answers_a_body_that_is_too_long_or_too_late<S: Server>() {
    let head = |member: &TestUser<S>, path: &str, headers: &str| {
        format!("POST {path} HTTP/1.1\r\n{}Content-Type: application/json\r\n{headers}\r\n", bearer(member))
    };
    // If the server waited for the body, this law would not end.
    let server = TestServer::<S>::open_with(|limits| limits.body_timeout = Duration::from_secs(3_600)).await;
    let ann = server.user("Ann").await;
    for length in ["65537", "10000000000", "18446744073709551613"] {
        for (path, more) in [
            ("/api/commands", ""),
            ("/api/login", ""),
            ("/api/register", ""),
            ("/api/commands", "Expect: 100-continue\r\n"),
        ] {
            let head = head(&ann, path, &format!("Content-Length: {length}\r\n{more}"));
            let answer = Answer::to(&ann.target, head.as_bytes()).await;
            assert_eq!(answer.status, 413, "{path} with {length} bytes: {}", answer.head);
            assert_eq!(answer.header("connection"), Some("close"), "{}", answer.head);
            assert_eq!(answer.problem().await.0, "too_large");
        }
    }
    let server = TestServer::<S>::open_with(|limits| limits.body_timeout = Duration::from_millis(300)).await;
    let ann = server.user("Ann").await;
    let group = r#"{"command":{"type":"create_group","name":"rust","cid":"1"}}"#;
    let begun = head(&ann, "/api/commands", &format!("Content-Length: {}\r\n", group.len() + 1)) + group;
    let chunk = format!("{:x}\r\n{group}\r\n", group.len());
    for late in [begun, head(&ann, "/api/commands", "Transfer-Encoding: chunked\r\n") + &chunk] {
        let answer = Answer::to(&ann.target, late.as_bytes()).await;
        assert_eq!(answer.status, 408, "{}", answer.head);
        assert_eq!(answer.header("connection"), Some("close"), "{}", answer.head);
        let (code, _) = answer.problem().await;
        assert_eq!(code, "request_timeout");
        let answer = Answer::to(&ann.target, late.as_bytes()).await;
        answer.ended().await;
    }
    // A body of unknown length that gets too long is refused as too long, even if its end comes too late.
    let long = "x".repeat(70_000);
    let chunk = format!("{:x}\r\n{long}\r\n", long.len());
    let long = head(&ann, "/api/commands", "Transfer-Encoding: chunked\r\n") + &chunk;
    let answer = Answer::to(&ann.target, long.as_bytes()).await;
    assert_eq!(answer.status, 413, "{}", answer.head);
    // No incomplete request had an effect.
    assert!(ann.target.groups(&ann.token).await.expect("the groups").is_empty());
}
