//! A repeated poll is read exactly as the HTTP library would read it.

use std::cell::Cell;
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};

use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, header};
use bytes::Bytes;
use chat_core::limits::Limits;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use tokio::io::AsyncWriteExt;
use tokio::runtime::Runtime;

use super::*;
use crate::Asked;
use crate::{admission, fields};

const HEAD: &str = "GET /poll?after=0000000a.7&wait=5 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t\r\n\r\n";

/// The request after a repeated poll, on the same connection.
const NEXT: &[u8] = b"GET /next HTTP/1.1\r\nHost: next\r\nConnection: close\r\n\r\n";

#[test]
fn only_the_cursor_may_differ() {
    let again = RepeatedPoll::of(HEAD.as_bytes()).unwrap();
    let other = HEAD.replace("0000000a.7", "0000000a.12.0000000b-3");
    let (cursor, length) = again.cursor(format!("{other}GET").as_bytes()).unwrap();
    assert_eq!((cursor.to_string().as_str(), length), ("0000000a.12.0000000b-3", other.len()));
    for (one, another) in [
        ("GET", "PUT"),
        ("/poll", "/pull"),
        ("wait=5", "wait=6"),
        ("Bearer t", "Bearer s"),
        ("Host: x\r\n", ""),
        ("\r\n\r\n", "\r\nOrigin: http://elsewhere\r\n\r\n"),
        ("&wait=5", "&wait=5&wait=5"),
        ("0000000a.7", "yesterday"),
        ("0000000a.7", "0000000a.7&after=0000000a.8"),
        ("0000000a.7", "0000000a.7 HTTP/1.1\r\nHost: x\r\nOrigin: y\r\n\r\nGET /?"),
        ("0000000a.7", ""),
    ] {
        assert_eq!(again.cursor(HEAD.replacen(one, another, 1).as_bytes()), None, "{another}");
    }
    // A head counts only once it is whole.
    assert_eq!(again.cursor(&HEAD.as_bytes()[..HEAD.len() - 1]), None);
}

#[test]
fn a_head_without_a_cursor_in_its_query_is_not_remembered() {
    for head in [
        "GET /poll HTTP/1.1\r\n\r\n",
        "GET /poll?hereafter=1 HTTP/1.1\r\n\r\n",
        "GET /poll HTTP/1.1\r\nX: ?after=1 \r\n\r\n",
        "GET /poll?wait=0&x=1?after=1 HTTP/1.1\r\n\r\n",
        "GET /poll?wait=0#?after=1 HTTP/1.1\r\n\r\n",
        "GET /poll?wait=0#&after=1 HTTP/1.1\r\n\r\n",
        "GET /poll&after=1 HTTP/1.1\r\n\r\n",
        "GET http://x/poll?after=1 HTTP/1.1\r\n\r\n",
        "POST /poll?after=1 HTTP/1.1\r\n\r\n",
        "after=1 \r\n\r\n",
        &HEAD.replacen("\r\n", "\n", 1),
        &HEAD.replace("Host: x", &"x".repeat(REMEMBERED_BYTES)),
    ] {
        assert!(RepeatedPoll::of(head.as_bytes()).is_none(), "{head}");
    }
}

/// The requests in some bytes, as hyper reads them from a connection.
fn read(runtime: &Runtime, bytes: &[u8]) -> Vec<Parts> {
    let seen = Mutex::new(Vec::new());
    runtime.block_on(async {
        let (mut client, server) = tokio::io::duplex(8 * Limits::HEAD_BYTES);
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let service = service_fn(|request: Request<Incoming>| {
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(request.into_parts().0);
            async { Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())) }
        });
        let builder = http1::Builder::new().half_close(true).max_buf_size(Limits::HEAD_BYTES).clone();
        // hyper refuses what it cannot read.
        let _ = builder.serve_connection(TokioIo::new(server), service).await;
    });
    seen.into_inner().unwrap()
}

/// Whether a request is answered as a poll that may be repeated on its connection; it need not name a cursor.
fn is_repeatable(head: &Parts) -> bool {
    let has_body = head.headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
        || head.headers.contains_key(header::TRANSFER_ENCODING);
    head.method == Method::GET
        && !has_body
        && Asked::by(head).keeps_alive
        && fields::check(&head.headers).is_ok()
        && matches!(admission::cursor(head), Ok((_, true)))
}

/// Everything that a server can know of a request, except the cursor in its query.
fn all_but_the_cursor(head: &Parts) -> impl PartialEq + std::fmt::Debug + use<> {
    let query = head.uri.query().unwrap_or_default();
    let pairs: Vec<(String, String)> =
        axum::extract::Query::try_from_uri(&head.uri).map(|axum::extract::Query(pairs)| pairs).unwrap();
    let others: Vec<_> = pairs.into_iter().filter(|(name, _)| name != "after").collect();
    let count = query.split('&').count();
    let fields: Vec<(String, HeaderValue)> =
        head.headers.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
    (head.method.clone(), head.version, head.uri.path().to_owned(), others, count, fields)
}

/// Cursors, and texts that only look like one.
fn cursor() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        4 => select(vec!["0000000a.7", "0000000a.12.0000000b-3", "0000beef.0"]),
        1 => select(vec!["", "+7", "0000000a.07", "0000000a.%37", "0000000a.7+", "7", "0000000a.7;x"]),
    ]
}

/// Pairs of a query, of which some only look as if they named the cursor.
fn pair() -> impl Strategy<Value = String> {
    let form = prop_oneof![
        6 => Just("after=C"),
        6 => select(vec!["wait=0", "wait=5", "x=1", "", "=", "x"]),
        4 => select(vec![
            "%61fter=C", "AFTER=C", "hereafter=C", "x=1?after=C", "?after=C", "#after=C", "x#", "x=#?after=C",
            "after", ";after=C", "x;after=C", "+after=C", "lastEventId=C", "lastEventId=", "last%45ventId=C",
            "x=\u{e9}", "after=C=C", "x=a b",
        ]),
    ];
    (form, cursor()).prop_map(|(form, cursor)| form.replace('C', cursor))
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        4 => select(vec![&b"Host: localhost"[..], b"Authorization: Bearer t", b"Accept: */*", b"Cookie: a=\xff; b"]),
        1 => select(vec![
            &b"Connection: close"[..], b"Connection: keep-alive", b"Connection: x, Close", b"Content-Length: 0",
            b"Content-Length: 5", b"Content-Length: 00", b"Transfer-Encoding: chunked", b"Last-Event-ID: 0000000a.7",
            b"Last-Event-ID:", b"Last-Event-ID: \xe9", b"X: ?after=0000000a.7 ", b"X:\ty", b"X : y", b" folded",
            b"Upgrade: h2c", b"Expect: 100-continue", b"X: a\rb", b"",
        ]),
    ];
    let end = prop_oneof![30 => Just(&b"\r\n"[..]), 1 => select(vec![&b"\n"[..], b"\r\r\n", b"\r"])];
    (text, end).prop_map(|(text, end)| [text, end].concat())
}

fn any_head() -> impl Strategy<Value = Vec<u8>> {
    let rarely =
        |usual: &'static str, odd: &'static [&'static str]| prop_oneof![12 => Just(usual), 1 => select(odd)];
    let start = rarely(
        "GET /poll?",
        &[
            "GET /poll",
            "GET /poll&",
            "GET /poll#?",
            "GET //poll?",
            "GET /po%6cl?",
            "GET http://localhost/poll?",
            "GET http://localhost?",
            "GET *?",
            "GET  /poll?",
            "get /poll?",
            "POST /poll?",
            "\r\nGET /poll?",
        ],
    );
    let version = rarely(
        " HTTP/1.1\r\n",
        &[" HTTP/1.0\r\n", "  HTTP/1.1\r\n", " HTTP/1.1\n", "\r\n", " HTTP/1.1 \r\n"],
    );
    let pairs = prop::collection::vec(pair(), 1..4);
    let lines = prop::collection::vec(line(), 0..5);
    let end = rarely("\r\n", &["\n", "\r\n\r\n"]);
    (start, pairs, version, lines, end).prop_map(|(start, pairs, version, lines, end)| {
        [start.as_bytes(), pairs.join("&").as_bytes(), version.as_bytes(), &lines.concat(), end.as_bytes()]
            .concat()
    })
}

/// What may come after a request: the same with another value, with another byte, or another request.
#[derive(Debug, Clone)]
enum Second {
    Value(String),
    Byte(prop::sample::Index, u8),
    Missing(prop::sample::Index),
    Another(Vec<u8>),
}

fn second() -> impl Strategy<Value = Second> {
    let odd =
        vec!["C&after=C", "C&x", "C#", "C?after=C", "C HTTP/1.1\r\n\r\nGET /", "%30", "C ", "C%20", "C\r\n"];
    let form = prop_oneof![6 => Just("C"), 1 => select(odd)];
    prop_oneof![
        4 => (form, cursor()).prop_map(|(form, cursor)| Second::Value(form.replace('C', cursor))),
        1 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(place, byte)| Second::Byte(place, byte)),
        1 => any::<prop::sample::Index>().prop_map(Second::Missing),
        1 => any_head().prop_map(Second::Another),
    ]
}

impl Second {
    fn after(self, first: &[u8], again: &RepeatedPoll) -> Vec<u8> {
        let mut bytes = first.to_vec();
        match self {
            Self::Value(value) => bytes = [&again.before, value.as_bytes(), &again.behind].concat(),
            Self::Byte(place, byte) => bytes[place.index(first.len())] = byte,
            Self::Missing(place) => drop(bytes.remove(place.index(first.len()))),
            Self::Another(head) => bytes = head,
        }
        bytes
    }
}

#[test]
fn what_is_taken_for_a_repeated_poll_is_one_for_the_library_too() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (remembered, repeated) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(Config { cases: 4_000, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&(any_head(), second()), |(first, second)| {
        let asked = read(&runtime, &[&first, NEXT].concat());
        // Like the accept loop, this takes a head up to its end on the wire, and only if its request was answered.
        let end = first.windows(4).position(|window| window == b"\r\n\r\n");
        let head = &first[..end.map_or(first.len(), |end| end + 4)];
        let Some(asked) = asked.first().filter(|asked| is_repeatable(asked)) else { return Ok(()) };
        let Some(again) = RepeatedPoll::of(head) else { return Ok(()) };
        remembered.set(remembered.get() + 1);
        let bytes = [&second.after(head, &again), NEXT].concat();
        let Some((cursor, length)) = again.cursor(&bytes) else { return Ok(()) };
        repeated.set(repeated.get() + 1);
        let requests = read(&runtime, &bytes);
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        prop_assert!(!requests.is_empty(), "the library refuses {shown}");
        prop_assert!(is_repeatable(&requests[0]), "{shown}");
        prop_assert_eq!(admission::cursor(&requests[0]).unwrap(), (Some(cursor), true), "{}", shown);
        prop_assert_eq!(all_but_the_cursor(&requests[0]), all_but_the_cursor(asked), "{}", shown);
        // And what follows is the same for both.
        let rest = read(&runtime, &bytes[length..]);
        let paths = |requests: &[Parts]| requests.iter().map(|head| head.uri.clone()).collect::<Vec<_>>();
        prop_assert_eq!(paths(&requests[1..]), paths(&rest), "{}", shown);
        Ok(())
    });
    outcome.unwrap();
    let (remembered, repeated) = (remembered.get(), repeated.get());
    assert!(
        remembered > 500 && repeated > 200,
        "{remembered} remembered, {repeated} repeated: too few to tell"
    );
}
