//! What pages may do: those of this launch may read and write on every port, those of other sites may do nothing.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod support;

use std::net::SocketAddr;

use serde_json::json;

use support::{Answer, Lab, PASSWORD, User, ask, get, head, post, post_bytes};

/// Origins of another site, of sites that only look like this one, and of pages without an origin of their own.
const FOREIGN: [&str; 6] = [
    "http://evil.example",
    "http://127.0.0.1:1",
    "https://localhost",
    "http://chat.example.org",
    "https://chat.example.org.evil.example",
    "null",
];

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

async fn open() -> (Lab, User) {
    // The flag accepts other spellings of the origin that browsers send.
    let lab = Lab::start_temporary(&["--origin", "HTTPS://Chat.Example.org:443/"]).await;
    let ann = lab.register("Ann").await;
    (lab, ann)
}

/// One GET for a WebSocket, as a browser sends it.
async fn upgrade(server: SocketAddr, headers: &str) -> Answer {
    ask(server, format!("GET /ws HTTP/1.1\r\nHost: {server}\r\n{UPGRADE}{headers}\r\n").as_bytes()).await
}

/// What every transport and every kind of request answers to a browser that sends these headers.
async fn everywhere(lab: &Lab, headers: &str) -> Vec<(&'static str, Answer)> {
    let credentials = json!({"name": "Bob", "password": PASSWORD});
    let command = json!({"command": {"type": "create_group", "name": "rust", "cid": "1"}});
    vec![
        ("upgrade", upgrade(lab.websocket, headers).await),
        ("stream", get(lab.sse, "/events", headers).await),
        ("poll", get(lab.longpoll, "/poll?wait=60", headers).await),
        ("read", get(lab.page, "/api/snapshot", headers).await),
        ("command", post(lab.page, "/api/commands", headers, &command).await),
        ("sign-in", post(lab.page, "/api/login", headers, &credentials).await),
        ("registration", post(lab.page, "/api/register", headers, &credentials).await),
        ("sign-out", post_bytes(lab.page, "/api/logout", headers, b"").await),
    ]
}

#[tokio::test]
async fn a_foreign_page_gets_nowhere_though_the_browser_sends_the_cookie() {
    let (lab, ann) = open().await;
    for origin in FOREIGN {
        let headers = format!("{}Origin: {origin}\r\n", ann.cookie());
        for (what, answer) in everywhere(&lab, &headers).await {
            assert_eq!(
                (answer.status, answer.problem().as_str()),
                (403, "foreign_origin"),
                "{what} from {origin}"
            );
            // The browser does not even show the refusal to the page.
            assert_eq!(answer.header("access-control-allow-origin"), None, "{what} from {origin}");
        }
    }
    let groups = ann.get(lab.page, "/api/groups").await.json();
    assert_eq!(groups, json!({"groups": []}), "a foreign page founded a group");
    assert_eq!(ann.get(lab.page, "/api/users").await.json()["users"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_token_does_not_make_a_foreign_page_welcome() {
    let (lab, ann) = open().await;
    let headers = format!("{}Origin: http://evil.example\r\n", ann.bearer());
    for (what, answer) in everywhere(&lab, &headers).await {
        assert_eq!(answer.status, 403, "{what}");
    }
}

#[tokio::test]
async fn the_cookie_without_an_origin_changes_nothing() {
    let (lab, ann) = open().await;
    let command = json!({"command": {"type": "create_group", "name": "rust", "cid": "1"}});
    let answer = post(lab.page, "/api/commands", &ann.cookie(), &command).await;
    assert_eq!((answer.status, answer.problem().as_str()), (403, "foreign_origin"));
    let answer = post_bytes(lab.page, "/api/logout", &ann.cookie(), b"").await;
    assert_eq!((answer.status, answer.problem().as_str()), (403, "foreign_origin"));
    // Commands travel on a WebSocket, so its opening counts as a change.
    let answer = upgrade(lab.websocket, &ann.cookie()).await;
    assert_eq!((answer.status, answer.problem().as_str()), (403, "foreign_origin"));
    // A program sends no origin, but a token of its own.
    assert_eq!(post(lab.page, "/api/commands", &ann.bearer(), &command).await.status, 200);
    assert_eq!(upgrade(lab.websocket, &ann.bearer()).await.status, 101);
}

#[tokio::test]
async fn a_read_without_an_origin_counts_as_what_the_browser_says_it_is() {
    let (lab, ann) = open().await;
    for (site, status) in
        [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200), ("", 200)]
    {
        let metadata = if site.is_empty() { String::new() } else { format!("Sec-Fetch-Site: {site}\r\n") };
        let headers = format!("{}{metadata}", ann.cookie());
        for (server, path) in [(lab.page, "/api/snapshot"), (lab.longpoll, "/poll?wait=0")] {
            let answer = get(server, path, &headers).await;
            assert_eq!(answer.status, status, "{path} {site}");
        }
        // An accepted stream does not end, so the test waits for its head only.
        let request = format!("GET /events HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", lab.sse);
        assert_eq!(head(lab.sse, request.as_bytes()).await.status, status, "stream {site}");
    }
}

#[tokio::test]
async fn the_pages_of_this_launch_are_at_home_on_every_port() {
    let (lab, ann) = open().await;
    let port = lab.page.port();
    for origin in [
        format!("http://127.0.0.1:{port}"),
        format!("http://localhost:{port}"),
        format!("http://{}", lab.sse),
        "https://chat.example.org".to_owned(),
    ] {
        let headers = format!("{}Origin: {origin}\r\n", ann.cookie());
        let command = json!({"command": {"type": "create_group", "name": "rust", "cid": "1"}});
        let answers = [
            get(lab.longpoll, "/poll?wait=0", &headers).await,
            get(lab.websocket, "/api/snapshot", &headers).await,
            post(lab.sse, "/api/commands", &headers, &command).await,
        ];
        for answer in answers {
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.header("access-control-allow-origin"), Some(origin.as_str()));
            assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
            // Otherwise a cache would give one page the permission of another.
            assert!(answer.header("vary").unwrap().contains("origin"), "{answer:?}");
        }
        assert_eq!(upgrade(lab.websocket, &headers).await.status, 101);
        // The page can read a refusal, too.
        let answer = get(lab.sse, "/api/conversations/c9/messages", &headers).await;
        assert_eq!(
            (answer.status, answer.header("access-control-allow-origin")),
            (404, Some(origin.as_str()))
        );
    }
}

#[tokio::test]
async fn a_preflight_permits_listed_pages_for_an_hour() {
    let (lab, _) = open().await;
    let preflight = async |origin: &str| {
        let request = format!(
            "OPTIONS /api/commands HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nOrigin: {origin}\r\n\
             Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\r\n",
            lab.websocket
        );
        ask(lab.websocket, request.as_bytes()).await
    };
    let origin = format!("http://{}", lab.page);
    let answer = preflight(&origin).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some(origin.as_str()));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(answer.header("access-control-max-age"), Some("3600"));
    assert_eq!(answer.header("access-control-allow-methods"), Some("GET,POST"));
    let headers = answer.header("access-control-allow-headers").unwrap();
    assert_eq!(headers, "authorization,content-type,last-event-id");
    for origin in FOREIGN {
        assert_eq!(preflight(origin).await.header("access-control-allow-origin"), None, "{origin}");
    }
}

#[tokio::test]
async fn a_page_of_ours_is_welcome_under_every_address_of_this_machine() {
    let everywhere = ["--listen", "0.0.0.0:0", "--websocket", "0.0.0.0:0", "--sse", "0.0.0.0:0"];
    let lab = Lab::start_temporary(&everywhere).await;
    let at = |ip: &str, port: u16| -> SocketAddr { format!("{ip}:{port}").parse().unwrap() };
    let (page, sse, longpoll) = (lab.page.port(), lab.sse.port(), lab.longpoll.port());
    let credentials = json!({"name": "Ann", "password": PASSWORD});
    // The origin must have the address that the request reached, with any port of this launch that is open there.
    for (reached, origin, status) in [
        (at("127.0.0.2", page), format!("http://127.0.0.2:{page}"), 401),
        (at("127.0.0.2", sse), format!("http://127.0.0.2:{page}"), 401),
        (at("127.0.0.2", page), format!("http://127.0.0.3:{page}"), 403),
        (at("127.0.0.2", page), "http://127.0.0.2:1".to_owned(), 403),
        (at("127.0.0.2", page), format!("https://127.0.0.2:{page}"), 403),
        (at("127.0.0.2", page), format!("http://127.0.0.2:{longpoll}"), 403),
        (at("127.0.0.1", longpoll), format!("http://127.0.0.2:{page}"), 403),
    ] {
        let answer = post(reached, "/api/login", &format!("Origin: {origin}\r\n"), &credentials).await;
        assert_eq!(answer.status, status, "{origin} at {reached}");
        let shown = answer.header("access-control-allow-origin");
        assert_eq!(shown, (status == 401).then_some(origin.as_str()), "{origin} at {reached}");
    }
}
