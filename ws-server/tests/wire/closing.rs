//! How a connection ends, and how a dead connection is found ([RFC 6455 §5.5] and §7).
//!
//! [RFC 6455 §5.5]: https://www.rfc-editor.org/rfc/rfc6455#section-5.5

use std::time::{Duration, Instant};

use laws::PATIENCE;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::frames::{BINARY, CLOSE, PING, PONG, TEXT, Wire, frame, quiet_server};
use crate::{typing, with_group};

#[tokio::test]
async fn answers_a_ping_with_its_payload() {
    let server = quiet_server(|_| {}).await;
    let ann = server.user("Ann").await;
    let mut wire = Wire::open(&server, &ann).await;
    for payload in [&b""[..], b"\0\xFF not UTF-8", &[7; 125]] {
        wire.send(PING, payload).await;
        assert_eq!(wire.receive().await, (vec![PONG, payload.len() as u8], payload.to_vec()));
    }
}

#[tokio::test]
async fn pings_a_silent_client_and_leaves_one_that_does_not_answer() {
    let short = Duration::from_millis(150);
    let server = quiet_server(|limits| (limits.ping_after, limits.pong_timeout) = (short, short)).await;
    let ann = server.user("Ann").await;
    let mut wire = Wire::open(&server, &ann).await;
    let opened = Instant::now();
    for _ in 0..3 {
        assert_eq!(wire.receive().await, (vec![PING, 0], vec![]));
        // The tick is for the page, which cannot see pings.
        assert_eq!(wire.json().await["type"], "tick");
        wire.send(PONG, b"").await;
    }
    assert!(opened.elapsed() >= 3 * short, "pinged without a reason");
    assert_eq!(wire.receive().await, (vec![PING, 0], vec![]));
    assert_eq!(wire.json().await["type"], "tick");
    assert_eq!(wire.closed().await, (4002, "no_pong".to_owned()));
    assert_eq!(server.closed("no_pong"), 1);
}

#[tokio::test]
async fn does_not_ping_a_client_that_talks() {
    let server = quiet_server(|limits| limits.ping_after = Duration::from_millis(600)).await;
    let mut wire = with_group(&server).await;
    let started = Instant::now();
    let mut talk = tokio::time::interval(Duration::from_millis(100));
    while started.elapsed() < Duration::from_millis(1_500) {
        talk.tick().await;
        wire.send(TEXT, typing("r").to_string().as_bytes()).await;
        let (head, payload) = wire.receive().await;
        let json: Value = serde_json::from_slice(&payload).unwrap_or_default();
        // The page still gets its tick.
        assert!(head[0] == TEXT && (json["type"] == "reply" || json["type"] == "tick"), "{head:x?} {json}");
    }
}

#[tokio::test]
async fn closes_with_the_code_of_the_rule_that_was_broken() {
    let server = quiet_server(|limits| limits.connections_per_user = 50).await;
    let ann = server.user("Ann").await;
    let mut unmasked = typing("r").to_string().into_bytes();
    unmasked.splice(0..0, [TEXT, unmasked.len() as u8]);
    let too_long = [b"{".to_vec(), vec![b' '; 65_536]].concat();
    let half = vec![b' '; 40_000];
    let fragments = |first, next| [frame(first, &half), frame(next, &half)].concat();
    let broken = [
        ("a frame without a mask", unmasked, 1002, "protocol_error"),
        ("a reserved bit", frame(TEXT | 0x40, b"{}"), 1002, "protocol_error"),
        ("an unknown opcode", frame(0x83, b"{}"), 1002, "protocol_error"),
        ("a ping in fragments", frame(0x09, b""), 1002, "protocol_error"),
        ("a ping of 126 bytes", frame(PING, &[7; 126]), 1002, "protocol_error"),
        ("a continuation of nothing", frame(0x80, b"{}"), 1002, "protocol_error"),
        (
            "a message inside another",
            [frame(0x01, b"{"), frame(TEXT, b"{}")].concat(),
            1002,
            "protocol_error",
        ),
        ("text that is not UTF-8", frame(TEXT, b"\"\xFF\""), 1007, "invalid_utf8"),
        ("binary that is not UTF-8", frame(BINARY, b"\"\xFF\""), 1003, "unusable_data"),
        ("a frame that is too long", frame(TEXT, &too_long), 1009, "message_too_big"),
        ("fragments that are too long together", fragments(0x02, 0x80), 1009, "message_too_big"),
        ("text that is not JSON", frame(TEXT, b"hello"), 4500, "protocol_error"),
        ("binary that is not JSON", frame(BINARY, b"{"), 4500, "protocol_error"),
        ("no text at all", frame(TEXT, b""), 4500, "protocol_error"),
    ];
    for (what, bytes, code, name) in broken {
        let mut wire = Wire::open(&server, &ann).await;
        wire.0.write_all(&bytes).await.unwrap();
        assert_eq!(wire.closed().await, (code, name.to_owned()), "{what}");
    }
    for (reason, times) in
        [("protocol_error", 10), ("invalid_utf8", 1), ("unusable_data", 1), ("message_too_big", 2)]
    {
        assert_eq!(server.closed(reason), times, "{reason}");
    }
}

#[tokio::test]
async fn echoes_a_close_and_hangs_up() {
    let server = quiet_server(|_| {}).await;
    let ann = server.user("Ann").await;
    for (sent, echoed) in [(&b"\x03\xE8bye"[..], &b"\x03\xE8"[..]), (b"", b"")] {
        let mut wire = Wire::open(&server, &ann).await;
        wire.send(CLOSE, sent).await;
        let payload = wire.payload(CLOSE).await;
        assert!(payload.starts_with(echoed) && payload.len() <= sent.len(), "{payload:x?}");
        wire.end().await;
    }
    server.eventually("the sessions end", |server| server.metric("chat_sessions", "") == 0).await;
}

#[tokio::test]
async fn hangs_up_on_a_client_that_does_not_answer_its_close() {
    let server = quiet_server(|_| {}).await;
    let mut wire = Wire::open_after(&server, "stolen", "").await;
    wire.payload(CLOSE).await;
    let told = Instant::now();
    wire.end().await;
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
}

#[tokio::test]
async fn upgrades_before_it_refuses_so_that_a_browser_can_read_why() {
    let server = quiet_server(|limits| limits.connections_per_user = 1).await;
    let wire = Wire::open_after(&server, "stolen", "").await;
    assert_eq!(wire.closed().await, (4502, "unauthenticated".to_owned()));
    let ann = server.user("Ann").await;
    let _first = Wire::open(&server, &ann).await;
    let second = Wire::open(&server, &ann).await;
    assert_eq!(second.closed().await, (4504, "too_many_connections".to_owned()));
}

#[tokio::test]
async fn replies_to_a_client_that_sends_no_more() {
    let server = quiet_server(|_| {}).await;
    let mut wire = with_group(&server).await;
    let requests = ["r1", "r2", "r3"].map(|id| frame(TEXT, typing(id).to_string().as_bytes()));
    wire.0.write_all(&requests.concat()).await.unwrap();
    wire.0.shutdown().await.unwrap();
    for id in ["r1", "r2", "r3"] {
        assert_eq!(wire.json().await["request_id"], id);
    }
    wire.end().await;
    server.eventually("its session ends", |server| server.metric("chat_sessions", "") == 0).await;
    assert_eq!(server.closed("left"), 1);
}

#[tokio::test]
async fn says_why_it_ends_a_connection() {
    let mut server = quiet_server(|_| {}).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let (anns, bobs) = (Wire::open(&server, &ann).await, Wire::open(&server, &bob).await);
    ann.target.sign_out(&ann.token).await.unwrap();
    assert_eq!(anns.closed().await, (4503, "revoked".to_owned()));
    let (closed, ()) = tokio::join!(bobs.closed(), server.stop());
    assert_eq!(closed, (4001, "shutdown".to_owned()));
}

#[tokio::test]
async fn resets_an_unusable_cursor_and_then_closes() {
    let server = quiet_server(|limits| limits.retention = Duration::from_secs(1)).await;
    let ann = server.user("Ann").await;
    let old = ann.cursor().await;
    server.user("Bob").await;

    let mut wire = Wire::open_after(&server, ann.token.as_str(), "?after=00000000.1").await;
    assert_eq!(wire.text().await, r#"{"type":"reset","reason":"unknown"}"#);
    assert_eq!(wire.closed().await, (4409, "cursor_unknown".to_owned()));

    // The log is trimmed some time later. Until then, the event after the cursor is still there.
    let expired = async {
        loop {
            let mut wire = Wire::open_after(&server, ann.token.as_str(), &format!("?after={old}")).await;
            let first = wire.text().await;
            if first.contains("reset") {
                return (first, wire.closed().await);
            }
            assert_eq!(serde_json::from_str::<Value>(&first).unwrap()["type"], "user_registered");
            wire.send(CLOSE, b"").await;
            wire.payload(CLOSE).await;
        }
    };
    let (reset, closed) = timeout(PATIENCE, expired).await.unwrap();
    assert_eq!(reset, r#"{"type":"reset","reason":"expired"}"#);
    assert_eq!(closed, (4410, "cursor_expired".to_owned()));
}
