//! What a client gets wrong over HTTP: the server answers with a code that the client can read, and stores nothing.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use transports::Transport;

use support::{Answer, Lab, PASSWORD, User, ask, get, head, post, post_bytes};

/// A launcher and a user. What all servers share is tested on one of them.
async fn lab_with_ann(flags: &[&str]) -> (Lab, User) {
    let lab = Lab::start_temporary(flags).await;
    let ann = lab.register("Ann").await;
    (lab, ann)
}

async fn register(lab: &Lab, name: &str, password: &str) -> Answer {
    post(lab.page, "/api/register", "", &json!({"name": name, "password": password})).await
}

async fn log_in(lab: &Lab, name: &str, password: &str) -> Answer {
    post(lab.page, "/api/login", "", &json!({"name": name, "password": password})).await
}

/// The status of the answer that brings a refusal of a command, and the refusal's code.
fn refusal(answer: &Answer) -> (u16, String) {
    let reply = answer.json();
    assert_eq!(reply["type"], "reply", "{reply}");
    (answer.status, reply["refusal"]["code"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned())
}

#[tokio::test]
async fn a_body_that_is_not_announced_as_json_is_refused() {
    let (lab, ann) = lab_with_ann(&[]).await;
    let credentials = json!({"name": "Bob", "password": PASSWORD}).to_string();
    // What a page of another site can send without asking the server first:
    // https://fetch.spec.whatwg.org/#cors-safelisted-request-header
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp", ""]
    {
        for path in ["/api/register", "/api/login", "/api/commands"] {
            let headers = format!("Content-Type: {kind}\r\n{}", ann.bearer());
            let answer = post_bytes(lab.page, path, &headers, credentials.as_bytes()).await;
            assert_eq!(
                (answer.status, answer.problem().as_str()),
                (415, "unsupported_media_type"),
                "{kind} {path}"
            );
        }
    }
    let answer = post_bytes(lab.page, "/api/register", "", credentials.as_bytes()).await;
    assert_eq!(answer.status, 415, "no type at all");
    let kind = "Content-Type: Application/JSON; charset=utf-8\r\n";
    let answer = post_bytes(lab.page, "/api/register", kind, credentials.as_bytes()).await;
    assert_eq!(answer.status, 201);
}

#[tokio::test]
async fn a_body_of_a_mebibyte_gets_an_answer_that_can_be_read() {
    let (lab, ann) = lab_with_ann(&[]).await;
    let large = json!({"name": "Bob", "password": "x".repeat(1_048_576)});
    // The kernels at both ends may buffer a mebibyte, but not seven: the server has to read.
    let larger = json!({"name": "Bob", "password": "x".repeat(7 * 1_048_576)});
    // All of it is written before the answer is read, as simple clients do.
    for body in [&large, &larger] {
        let answer = post(lab.page, "/api/register", "", body).await;
        assert_eq!((answer.status, answer.problem().as_str()), (413, "too_large"));
    }
    let answer = post(lab.page, "/api/commands", &ann.bearer(), &large).await;
    assert_eq!((answer.status, answer.problem().as_str()), (413, "too_large"));
    // The same in chunks, without an announced length.
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let chunked = format!(
        "POST /api/commands HTTP/1.1\r\nHost: localhost\r\n{}Content-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
        ann.bearer(),
        chunk.repeat(16)
    );
    assert_eq!(ask(lab.page, chunked.as_bytes()).await.status, 413);

    let request = json!({"command": {"type": "join_group", "conversation": "c9"}}).to_string();
    let padded = |length: usize| request.clone() + &" ".repeat(length - request.len());
    let headers = format!("Content-Type: application/json\r\n{}", ann.bearer());
    for (length, status) in [(65_536, 404), (65_537, 413)] {
        let answer = post_bytes(lab.page, "/api/commands", &headers, padded(length).as_bytes()).await;
        assert_eq!(answer.status, status, "{length} bytes");
    }
}

#[tokio::test]
async fn a_body_that_is_no_request_is_refused_and_says_where() {
    let (lab, ann) = lab_with_ann(&[]).await;
    let headers = format!("Content-Type: application/json\r\n{}", ann.bearer());
    for not_json in ["", "{", "hello", "{}{}", "[1,", "\u{FEFF}{}"] {
        let answer = post_bytes(lab.page, "/api/commands", &headers, not_json.as_bytes()).await;
        assert_eq!((answer.status, answer.problem().as_str()), (400, "bad_request"), "{not_json:?}");
    }
    for no_request in [
        json!({}),
        json!("hello"),
        json!({"command": {"type": "dance"}}),
        json!({"command": {"type": "join_group", "conversation": "u1"}}),
        json!({"command": {"type": "join_group", "conversation": 1}}),
        json!({"command": {"type": "join_group", "conversation": "c1", "colour": "red"}}),
        json!({"command": {"type": "join_group", "conversation": "c1"}, "colour": "red"}),
    ] {
        let answer = post(lab.page, "/api/commands", &ann.bearer(), &no_request).await;
        assert_eq!(refusal(&answer), (400, "bad_request".to_owned()), "{no_request}");
    }
    for no_credentials in
        [json!({"name": "Bob"}), json!({"name": "Bob", "password": PASSWORD, "admin": true})]
    {
        let answer = post(lab.page, "/api/register", "", &no_credentials).await;
        assert_eq!((answer.status, answer.problem().as_str()), (400, "bad_request"));
    }
}

#[tokio::test]
async fn an_array_is_answered_one_by_one() {
    let (lab, ann) = lab_with_ann(&[]).await;
    let group = |cid: &str| json!({"request_id": cid, "command": {"type": "create_group", "name": "rust", "cid": cid}});
    let requests = json!([group("1"), {"request_id": "2", "command": {"type": "dance"}}, group("3")]);
    let answer = post(lab.page, "/api/commands", &ann.bearer(), &requests).await;
    let replies = answer.json();
    assert_eq!(answer.status, 200);
    let ids: Vec<&Value> = replies.as_array().unwrap().iter().map(|reply| &reply["request_id"]).collect();
    assert_eq!(ids, ["1", "2", "3"]);
    assert_eq!(replies[0]["ok"]["type"], "group_created");
    assert_eq!(replies[1]["refusal"]["code"], "bad_request");
    let many = Value::from(vec![group("4"); 65]);
    let answer = post(lab.page, "/api/commands", &ann.bearer(), &many).await;
    assert_eq!((answer.status, answer.problem().as_str()), (413, "too_large"));
}

#[tokio::test]
async fn a_name_that_is_taken_is_taken_in_every_case() {
    let (lab, _) = lab_with_ann(&[]).await;
    assert_eq!(register(&lab, "Élodie", PASSWORD).await.status, 201);
    for name in ["Ann", "ann", "ANN", "éLODIE"] {
        let answer = register(&lab, name, PASSWORD).await;
        assert_eq!((answer.status, answer.problem().as_str()), (409, "name_taken"), "{name}");
    }
    // The attempts have changed no password.
    assert_eq!(log_in(&lab, "ann", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn names_passwords_and_texts_that_break_a_rule_are_refused_with_its_code() {
    let (lab, ann) = lab_with_ann(&["--message-burst", "1000"]).await;
    let bob = lab.register("Bob").await;
    let long = "x".repeat(33);
    let names =
        ["", " ", " Cid", "Cid ", "C\nid", "C\0id", "Cid\u{200B}", "\u{202E}diC", "Cid\u{FEFF}", &long];
    for name in names {
        let answer = register(&lab, name, PASSWORD).await;
        assert_eq!((answer.status, answer.problem().as_str()), (422, "invalid_name"), "{name:?}");
        let group = ann.command(lab.page, json!({"type": "create_group", "name": name, "cid": "g"})).await;
        assert_eq!(refusal(&group), (422, "invalid_name".to_owned()), "{name:?}");
    }
    for password in ["", "1234567", &"x".repeat(1_025)] {
        let answer = register(&lab, "Cid", password).await;
        assert_eq!((answer.status, answer.problem().as_str()), (422, "invalid_password"));
    }
    for text in ["", &"x".repeat(8_193), &"é".repeat(4_097)] {
        let answer = ann.send(lab.page, &bob, "1", text).await;
        assert_eq!(refusal(&answer), (422, "invalid_text".to_owned()), "{} bytes", text.len());
    }
    for cid in ["", "with space", "ünique", &"x".repeat(37)] {
        assert_eq!(
            refusal(&ann.send(lab.page, &bob, cid, "hi").await),
            (422, "invalid_cid".to_owned()),
            "{cid}"
        );
    }
    assert_eq!(refusal(&ann.send(lab.page, &ann, "1", "hi").await), (422, "invalid_recipient".to_owned()));
    assert_eq!(bob.cids(lab.page, "c1").await, [""; 0], "something was stored all the same");
    // What lies just inside the rules is accepted.
    assert_eq!(register(&lab, &"é".repeat(32), "12345678").await.status, 201);
    assert_eq!(ann.send(lab.page, &bob, &"x".repeat(36), &"\0".repeat(8_192)).await.status, 200);
}

#[tokio::test]
async fn a_wrong_password_does_not_show_whether_the_user_exists() {
    // Hashing costs as much as by default, because its time could show which names exist.
    let flags = ["--hash-memory", "47104", "--sign-ins-per-minute", "1000"];
    let (lab, _) = lab_with_ann(&flags).await;
    let known = log_in(&lab, "Ann", "wrong horse").await;
    assert_eq!((known.status, known.problem().as_str()), (401, "wrong_credentials"));
    let without_date = |answer: &Answer| {
        let mut headers = answer.headers.clone();
        headers.retain(|(name, _)| name != "date");
        headers
    };
    // No user is called Bob, and no user can have one of the other names.
    for name in ["Bob", "ann\n", "", &"x".repeat(1_000)] {
        let unknown = log_in(&lab, name, "wrong horse").await;
        assert_eq!((unknown.status, &unknown.body), (known.status, &known.body), "{name:?}");
        assert_eq!(without_date(&unknown), without_date(&known));
    }

    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..9 {
        for (name, times) in ["Ann", "Bob"].into_iter().zip(&mut times) {
            let asked = Instant::now();
            log_in(&lab, name, "wrong horse").await;
            times.push(asked.elapsed());
        }
    }
    let [known, unknown] = times.map(|mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    });
    let ratio = known.as_secs_f64() / unknown.as_secs_f64();
    assert!((0.5..2.0).contains(&ratio), "known {known:?}, unknown {unknown:?}");
}

#[tokio::test]
async fn no_sign_in_is_no_entry() {
    let (lab, ann) = lab_with_ann(&[]).await;
    let stolen = format!("Authorization: Bearer {}\r\n", "0".repeat(64));
    for headers in ["", &stolen, "Authorization: Basic QW5uOmhp\r\n", "Cookie: switchboard_temporary=\r\n"] {
        for path in ["/api/snapshot", "/api/users", "/api/groups", "/api/conversations/c1/messages"] {
            let answer = get(lab.page, path, headers).await;
            assert_eq!(
                (answer.status, answer.problem().as_str()),
                (401, "unauthenticated"),
                "{path} {headers}"
            );
        }
    }
    // A token never counts in a URL, because logs and histories keep URLs.
    let answer = get(lab.page, &format!("/api/snapshot?token={}&access_token={0}", ann.token), "").await;
    assert_eq!(answer.status, 401);
    assert_eq!(get(lab.page, "/api/snapshot", &ann.cookie()).await.status, 200);
}

#[tokio::test]
async fn the_cookie_is_out_of_reach_of_scripts_and_of_other_sites() {
    let (lab, _) = lab_with_ann(&[]).await;
    let answer = log_in(&lab, "Ann", PASSWORD).await;
    let cookie = answer.header("set-cookie").unwrap();
    let (value, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "HttpOnly; SameSite=Strict; Path=/; Max-Age=2592000");
    let headers = format!("Cookie: other=1; {value}\r\nOrigin: http://{}\r\n", lab.page);
    let answer = post_bytes(lab.page, "/api/logout", &headers, b"").await;
    assert_eq!(answer.status, 204);
    assert!(answer.header("set-cookie").unwrap().ends_with("; Max-Age=0"), "{answer:?}");
    assert_eq!(get(lab.page, "/api/snapshot", &headers).await.status, 401);
}

#[tokio::test]
async fn an_unknown_path_and_a_wrong_method_are_problem_documents() {
    let (lab, ann) = lab_with_ann(&[]).await;
    for server in lab.servers() {
        for path in ["/nothing", "/api/nothing", "/api/", "/api/conversations/c1", "/%00", "/../etc/passwd"] {
            let answer = get(server, path, &ann.bearer()).await;
            assert_eq!((answer.status, answer.problem().as_str()), (404, "not_found"), "{path}");
        }
        for path in ["/api/register", "/api/login", "/api/logout", "/api/commands"] {
            let answer = get(server, path, &ann.bearer()).await;
            assert_eq!((answer.status, answer.problem().as_str()), (405, "method_not_allowed"), "{path}");
            assert_eq!(answer.header("allow"), Some("POST"));
        }
    }
    for &transport in Transport::all() {
        let answer = post(lab.at(transport), transport.path, &ann.bearer(), &json!({})).await;
        assert_eq!((answer.status, answer.problem().as_str()), (405, "method_not_allowed"), "{transport:?}");
    }
    let path = "/api/conversations/c1/messages";
    for (path, status) in [
        (path.to_owned(), 404),
        (path.replace("c1", "u1"), 404),
        (format!("{path}?limit=0"), 400),
        (format!("{path}?limit=201"), 400),
        (format!("{path}?before=soon"), 400),
    ] {
        let answer = ann.get(lab.page, &path).await;
        assert_eq!(answer.status, status, "{path}");
        answer.problem();
    }
}

#[tokio::test]
async fn a_load_balancer_that_asks_for_options_finds_the_server_alive() {
    let lab = Lab::start_temporary(&[]).await;
    for server in lab.servers() {
        let host = format!("Host: {server}\r\n");
        // The first is HAProxy's default.
        for (line, headers, methods) in [
            ("OPTIONS / HTTP/1.0", "", "GET,HEAD"),
            ("OPTIONS / HTTP/1.1", &*host, "GET,HEAD"),
            ("OPTIONS * HTTP/1.1", &host, "GET,HEAD,POST"),
            ("OPTIONS /app.js HTTP/1.1", &host, "GET,HEAD"),
            ("OPTIONS /healthz HTTP/1.1", "Host: balancer.example\r\n", "GET,HEAD"),
        ] {
            let answer = head(server, format!("{line}\r\n{headers}\r\n").as_bytes()).await;
            assert_eq!((answer.status, answer.header("allow")), (204, Some(methods)), "{line}: {answer:?}");
            assert_eq!(answer.header("content-length"), None, "{line}: {answer:?}");
        }
        let answer = ask(server, format!("OPTIONS /nothing HTTP/1.1\r\n{host}\r\n").as_bytes()).await;
        assert_eq!((answer.status, answer.problem().as_str()), (404, "not_found"));
    }
}

#[tokio::test]
async fn what_is_no_http_is_refused_and_the_connection_ends() {
    let (lab, _) = lab_with_ann(&[]).await;
    for nonsense in [
        "hello\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /\u{7F} HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        "POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n{}",
    ] {
        let answer = ask(lab.page, nonsense.as_bytes()).await;
        assert!((400..500).contains(&answer.status), "{nonsense:?}: {answer:?}");
    }
}
