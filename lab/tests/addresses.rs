//! Where clients come from: limits for each address, also behind a proxy, and the cookie's `Secure` attribute.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use support::{Answer, Lab, PASSWORD, lab, outcome, post};

/// What a proxy on this machine says about a client.
fn from(address: &str) -> String {
    format!("X-Forwarded-For: {address}\r\n")
}

async fn login(lab: &Lab, name: &str, password: &str, headers: &str) -> Answer {
    post(lab.page, "/api/login", headers, &json!({"name": name, "password": password})).await
}

#[tokio::test]
async fn behind_a_trusted_proxy_limits_are_for_people() {
    let flags = ["--trusted-proxy", "10.0.0.0/8,127.0.0.1", "--registrations-per-minute", "2"];
    let lab = Lab::start_temporary(&flags).await;
    lab.register("Ann").await;
    // A stranger guesses passwords until the rate limit stops them, whatever addresses they claim.
    for attempt in 0..6 {
        let claim =
            format!("X-Forwarded-For: 192.0.2.{attempt}, 203.0.113.1\r\nX-Forwarded-For: 10.1.2.3\r\n");
        let answer = login(&lab, "Ann", "a wrong guess", &claim).await;
        assert_eq!(answer.status, if attempt < 5 { 401 } else { 429 }, "{answer:?}");
    }
    // The name is not locked for Ann.
    assert_eq!(login(&lab, "Ann", PASSWORD, &from("198.51.100.7")).await.status, 200);
    assert_eq!(login(&lab, "Ann", PASSWORD, "Forwarded: for=\"[2001:db8::7]:4711\"\r\n").await.status, 200);
    for (number, address, status) in
        [(1, "203.0.113.1", 201), (2, "203.0.113.1", 201), (3, "203.0.113.1", 429), (4, "203.0.113.2", 201)]
    {
        let body = json!({"name": format!("user {number}"), "password": PASSWORD});
        let answer = post(lab.page, "/api/register", &from(address), &body).await;
        assert_eq!(answer.status, status, "{number}: {answer:?}");
    }
}

#[tokio::test]
async fn without_a_trusted_proxy_no_header_is_believed() {
    let lab = Lab::start_temporary(&["--trusted-proxy", "192.0.2.0/24"]).await;
    lab.register("Ann").await;
    for attempt in 0..6 {
        let answer = login(&lab, "Ann", "a wrong guess", &from(&format!("203.0.113.{attempt}"))).await;
        assert_eq!(answer.status, if attempt < 5 { 401 } else { 429 }, "{answer:?}");
    }
}

#[tokio::test]
async fn only_wrong_passwords_count_as_failed() {
    let flags = [
        "--trusted-proxy",
        "127.0.0.1",
        "--failed-sign-ins-per-minute",
        "10",
        "--sign-ins-per-minute",
        "1000",
    ];
    let lab = Lab::start_temporary(&flags).await;
    lab.register("Ann").await;
    for _ in 0..30 {
        assert_eq!(login(&lab, "Ann", PASSWORD, &from("203.0.113.1")).await.status, 200);
    }
    // An IPv6 host counts as one, whichever of its addresses it uses.
    for number in 0..10 {
        let answer =
            login(&lab, &format!("nobody {number}"), PASSWORD, &from(&format!("2001:db8::{number}"))).await;
        assert_eq!(answer.problem(), "wrong_credentials");
    }
    let refused = login(&lab, "Ann", PASSWORD, &from("2001:db8::99")).await;
    assert_eq!((refused.status, refused.problem().as_str()), (429, "rate_limited"));
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    for elsewhere in ["203.0.113.1", "2001:db8:0:1::1"] {
        assert_eq!(login(&lab, "Ann", PASSWORD, &from(elsewhere)).await.status, 200, "{elsewhere}");
    }
}

/// Each hash uses the default memory, and the limits that would end the spraying are off.
#[tokio::test]
async fn an_address_that_sprays_sign_ins_does_not_keep_others_out() {
    let plenty = "1000000";
    let flags = [
        ["--trusted-proxy", "127.0.0.1"],
        ["--hash-memory", "47104"],
        ["--failed-sign-ins-per-minute", plenty],
        ["--sign-ins-per-minute", plenty],
    ];
    let lab = Arc::new(Lab::start_temporary(&flags.concat()).await);
    lab.register("Ann").await;
    let tries = Arc::new(AtomicU64::new(0));
    let mut spraying = JoinSet::new();
    for connection in 0..100 {
        let (lab, tries) = (Arc::clone(&lab), Arc::clone(&tries));
        spraying.spawn(async move {
            for number in 0.. {
                let name = format!("nobody {connection}.{number}");
                login(&lab, &name, PASSWORD, &from("203.0.113.1")).await;
                tries.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    while tries.load(Ordering::Relaxed) < 100 {
        tokio::task::yield_now().await;
    }
    for honest in 0..20 {
        let start = Instant::now();
        let answer = login(&lab, "Ann", PASSWORD, &from("198.51.100.7")).await;
        assert_eq!(answer.status, 200, "sign-in {honest}: {answer:?}");
        assert!(start.elapsed() < Duration::from_secs(5), "sign-in {honest} took {:?}", start.elapsed());
    }
    spraying.shutdown().await;
}

#[tokio::test]
async fn a_cookie_that_came_over_https_is_sent_over_https_only() {
    let flags = ["--trusted-proxy", "127.0.0.1", "--origin", "https://chat.example.org"];
    let lab = Lab::start_temporary(&flags).await;
    let local = format!("Origin: http://{}\r\n", lab.page);
    for (number, (headers, expected)) in [
        ("", false),
        (&*local, false),
        ("Origin: https://chat.example.org\r\n", true),
        ("X-Forwarded-Proto: https\r\n", true),
        ("X-Forwarded-Proto: http\r\n", false),
        ("Forwarded: for=203.0.113.1;proto=https\r\n", true),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({"name": format!("user {number}"), "password": PASSWORD});
        let is_secure = |answer: &Answer| {
            let cookie = answer.header("set-cookie").unwrap_or_else(|| panic!("no cookie: {answer:?}"));
            assert!(cookie.contains("; HttpOnly; SameSite=Strict; Path=/; Max-Age="), "{cookie}");
            cookie.split("; ").any(|attribute| attribute == "Secure")
        };
        for (path, status) in [("/api/register", 201), ("/api/login", 200)] {
            let answer = post(lab.page, path, headers, &body).await;
            assert_eq!((answer.status, is_secure(&answer)), (status, expected), "{path} {headers:?}");
            if path == "/api/login" {
                let bearer =
                    format!("Authorization: Bearer {}\r\n", answer.json()["token"].as_str().unwrap());
                let ended = post(lab.page, "/api/logout", &format!("{headers}{bearer}"), &json!({})).await;
                assert_eq!((ended.status, is_secure(&ended)), (204, expected), "logout {headers:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_range_that_is_none_is_refused_at_start_with_an_example() {
    for wrong in ["10.0.0.0/33", "proxy.example.org", "*", "127.0.0.1,nonsense"] {
        let output = outcome(lab(&["--database", ":memory:", "--trusted-proxy", wrong])).await;
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{complaint}");
        assert!(complaint.contains("--trusted-proxy") && complaint.contains("10.0.0.0/8"), "{complaint}");
    }
}
