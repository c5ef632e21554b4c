//! What operators see: the counts, where they are, and what goes into them.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod support;

use serde_json::json;

use support::{Lab, get, post};

#[tokio::test]
async fn the_counts_have_an_address_of_their_own_if_they_are_given_one() {
    let lab = Lab::start_temporary(&["--metrics", "127.0.0.1:0"]).await;
    let metrics = lab.metrics.expect("the launcher says where they are");
    for server in lab.servers() {
        let answer = get(server, "/metrics", "").await;
        assert_eq!((answer.status, answer.problem().as_str()), (404, "not_found"));
        assert_eq!(get(server, "/healthz", "").await.status, 200);
    }
    let answer = get(metrics, "/metrics", "").await;
    assert_eq!(answer.status, 200);
    assert!(String::from_utf8(answer.body).unwrap().contains("chat_connections{transport=\"metrics\"} 1\n"));
    // Nothing else is there.
    for path in ["/", "/api/users", "/ws", "/poll"] {
        assert_eq!(get(metrics, path, "").await.status, 404, "{path}");
    }
    lab.signal("TERM").await;
    assert!(lab.ended().await.0.success());
}

#[tokio::test]
async fn the_counts_are_where_the_servers_are_unless_they_are_given_an_address() {
    let lab = Lab::start_temporary(&[]).await;
    assert_eq!(lab.metrics, None);
    for server in lab.servers() {
        assert_eq!(get(server, "/metrics", "").await.status, 200);
    }
}

#[tokio::test]
async fn every_refusal_is_counted_once_by_its_code() {
    let lab = Lab::start_temporary(&[]).await;
    let ann = lab.register("Ann").await;
    let wrong = json!({"name": "Ann", "password": "wrong horse"});
    let fly = json!({"command": {"type": "fly"}});
    let leave = json!({"command": {"type": "leave_group", "conversation": "c77"}});
    for server in [lab.page, lab.longpoll] {
        assert_eq!(post(server, "/api/login", "", &wrong).await.status, 401);
    }
    assert_eq!(get(lab.sse, "/api/users", "").await.status, 401);
    assert_eq!(get(lab.longpoll, "/poll", "").await.status, 401);
    // A stream refuses with a close code.
    assert_eq!(get(lab.sse, "/events", "").await.status, 200);
    assert_eq!(get(lab.websocket, "/nowhere", "").await.status, 404);
    assert_eq!(post(lab.page, "/api/commands", &ann.bearer(), &leave).await.status, 404);
    let several = json!([leave, fly, leave]);
    assert_eq!(post(lab.page, "/api/commands", &ann.bearer(), &several).await.status, 200);

    let text = lab.metrics().await;
    let mut counted: Vec<&str> = text
        .lines()
        .filter(|line| {
            line.starts_with("chat_refusals_total{") || line.starts_with("chat_failed_sign_ins_total{")
        })
        .filter(|line| !line.ends_with(" 0"))
        .collect();
    counted.sort_unstable();
    assert_eq!(
        counted,
        [
            r#"chat_failed_sign_ins_total{transport="longpoll"} 1"#,
            r#"chat_failed_sign_ins_total{transport="page"} 1"#,
            r#"chat_refusals_total{code="bad_request",transport="page"} 1"#,
            r#"chat_refusals_total{code="not_found",transport="websocket"} 1"#,
            r#"chat_refusals_total{code="unauthenticated",transport="longpoll"} 1"#,
            r#"chat_refusals_total{code="unauthenticated",transport="sse"} 2"#,
            r#"chat_refusals_total{code="unknown_conversation",transport="page"} 3"#,
            r#"chat_refusals_total{code="wrong_credentials",transport="longpoll"} 1"#,
            r#"chat_refusals_total{code="wrong_credentials",transport="page"} 1"#,
        ]
    );
}

#[tokio::test]
async fn an_ordinary_end_has_a_reason_too() {
    let lab = Lab::start_temporary(&["--header-timeout", "200ms", "--connections", "3"]).await;
    let ended = async |reason: &str| {
        let looking = async {
            while lab.closed(reason).await == 0 {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(support::PATIENCE, looking)
            .await
            .unwrap_or_else(|_| panic!("no end is {reason}"));
    };
    // With `Connection: close`, the server ends the connection after the answer. Each look at the counts counts itself.
    ended("answered").await;
    let open = async || tokio::net::TcpStream::connect(lab.sse).await.unwrap();
    use tokio::io::AsyncWriteExt;
    let _silent = open().await;
    ended("header_timeout").await;
    let mut nonsense = open().await;
    nonsense.write_all(b"this is not HTTP\r\n\r\n").await.unwrap();
    ended("bad_request").await;
    let mut late = open().await;
    late.write_all(b"GET /healthz HT").await.unwrap();
    late.shutdown().await.unwrap();
    ended("left").await;
    let crowd = [open().await, open().await, open().await, open().await, open().await];
    ended("busy").await;
    drop(crowd);
}
