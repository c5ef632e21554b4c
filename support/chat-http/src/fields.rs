//! Header fields as they are on the wire: bytes, lists, or a single value ([RFC 9110 §5]).
//!
//! A field that is there but cannot be read is an error. If it counted as absent, a client would lose its sign-in,
//! its origin or its cursor without notice.
//!
//! [RFC 9110 §5]: https://www.rfc-editor.org/rfc/rfc9110#section-5

use axum::http::{HeaderMap, HeaderName, header};
use chat_core::refusal::{Code, Refusal};

/// Where a browser puts the cursor of a stream that broke ([HTML §9.2.4]).
///
/// [HTML §9.2.4]: https://html.spec.whatwg.org/multipage/server-sent-events.html#the-last-event-id-header
pub(super) const LAST_EVENT_ID: &str = "last-event-id";

/// Where a browser says whether a foreign page sent a request, also if the request has no `Origin`
/// ([Fetch Metadata §2.4]).
///
/// [Fetch Metadata §2.4]: https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
pub(super) const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// The fields by which a server makes decisions. A request may have each of them once at most.
static SINGLE: [HeaderName; 7] = [
    header::HOST,
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::ORIGIN,
    HeaderName::from_static(LAST_EVENT_ID),
    HeaderName::from_static(SEC_FETCH_SITE),
];

/// Checks that each of these fields can be read, and is there once at most.
pub(super) fn check(headers: &HeaderMap) -> Result<(), Refusal> {
    SINGLE.iter().try_for_each(|name| one(headers, name).map(drop))
}

/// The value of a field that a request has once at most; `None`: it is not there.
///
/// # Errors
/// `bad_request`: the field is there twice, or its value is not visible ASCII.
pub fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refusal> {
    let mut lines = headers.get_all(name).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    let wrong = |what: String| Refusal::new(Code::BadRequest, what);
    if lines.next().is_some() {
        return Err(wrong(format!("the request has several {name} headers; send one")));
    }
    let unreadable = |_| {
        wrong(format!(
            "the {name} header cannot be read; send visible ASCII characters, or leave the header out"
        ))
    };
    line.to_str().map(Some).map_err(unreadable)
}

/// Whether a list field contains a token, on any of its lines and in capitals or not ([RFC 9110 §5.6.1]).
///
/// [RFC 9110 §5.6.1]: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.1
pub fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let lines = headers.get_all(name).iter();
    let mut items = lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
    items.any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// Whether a request asks to upgrade its connection to a protocol ([RFC 9110 §7.8]).
///
/// [RFC 9110 §7.8]: https://www.rfc-editor.org/rfc/rfc9110#section-7.8
pub fn asks_for(headers: &HeaderMap, protocol: &str) -> bool {
    lists(headers, &header::CONNECTION, "upgrade") && lists(headers, &header::UPGRADE, protocol)
}

/// The value of a cookie, over all lines of `Cookie` ([RFC 6265 §5.4]).
///
/// A browser sends the cookies of every program on the same host, and their values may have any octets. So the
/// lines are split as bytes, and no other cookie can hide the server's own.
///
/// [RFC 6265 §5.4]: https://www.rfc-editor.org/rfc/rfc6265#section-5.4
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let lines = headers.get_all(header::COOKIE).iter();
    let mut pairs = lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b';'));
    pairs.find_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(lines: &[(&'static str, &[u8])]) -> HeaderMap {
        let line = |&(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value).expect("a value of a header"))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in lines.iter().map(line) {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn a_list_is_read_token_by_token_over_all_its_lines() {
        let lists = |lines: &[&'static [u8]]| {
            let lines: Vec<_> = lines.iter().map(|value| ("connection", *value)).collect();
            lists(&headers(&lines), &header::CONNECTION, "upgrade")
        };
        for lines in [
            &[&b"upgrade"[..]][..],
            &[b"UpGrade"],
            &[b"keep-alive, Upgrade"],
            &[b"keep-alive", b"Upgrade"],
            &[b"Upgrade", b"keep-alive"],
            &[b",, \tupgrade ,"],
            &[b"caf\xe9, upgrade"],
            &[b"\xff", b"upgrade"],
        ] {
            assert!(lists(lines), "{lines:?}");
        }
        for lines in [
            &[][..],
            &[&b""[..]],
            &[b"no-upgrade-please"],
            &[b"upgrades"],
            &[b"up grade"],
            &[b"upgrade;q=1"],
            &[b"\"upgrade\""],
            &[b"up", b"grade"],
        ] {
            assert!(!lists(lines), "{lines:?}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_any_octets() {
        let found = |lines: &[&'static [u8]]| {
            let lines: Vec<_> = lines.iter().map(|value| ("cookie", *value)).collect();
            cookie(&headers(&lines), "ours").map(<[u8]>::to_vec)
        };
        for lines in [
            &[&b"ours=t"[..]][..],
            &[b"theme=caf\xc3\xa9; ours=t"],
            &[b"theme=\xff\xfe;ours=t;x=\xe9"],
            &[b"theme=\xe9", b"ours=t"],
            &[b"a=\"b; c=d\"; ours=t"],
            &[b";;; =; x; ours=t"],
            &[b"notours=1; ours2=2; Ours=3; xours=4; ours=t; ours=later"],
        ] {
            assert_eq!(found(lines).as_deref(), Some(&b"t"[..]), "{lines:?}");
        }
        for lines in [&[][..], &[&b"ours"[..]], &[b"theirs=ours=t"], &[b"ours2=t"], &[b"theme=x, ours=t"]] {
            assert_eq!(found(lines), None, "{lines:?}");
        }
        // The server's own cookie is found even if its value is not text.
        assert_eq!(found(&[b"ours=\xff"]).as_deref(), Some(&b"\xff"[..]));
    }

    #[test]
    fn a_single_field_is_absent_or_readable_or_an_error() {
        let name = header::AUTHORIZATION;
        let read = |values: &[&'static [u8]]| {
            let lines: Vec<_> = values.iter().map(|value| ("authorization", *value)).collect();
            one(&headers(&lines), &name).map(|value| value.map(str::to_owned)).map_err(|error| error.code)
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[b""]), Ok(Some(String::new())));
        assert_eq!(read(&[b"Bearer t"]), Ok(Some("Bearer t".to_owned())));
        for values in [&[&b"Bearer caf\xe9"[..]][..], &[b"\xff"], &[b"a", b"a"], &[b"a", b"\xff"]] {
            assert_eq!(read(values), Err(Code::BadRequest), "{values:?}");
        }
    }

    #[test]
    fn every_field_that_decides_something_is_checked() {
        for name in [
            "host",
            "authorization",
            "content-type",
            "content-length",
            "origin",
            "last-event-id",
            "sec-fetch-site",
        ] {
            let refused = check(&headers(&[(name, b"\xe9")])).expect_err("it cannot be read");
            assert!(refused.message.contains(name), "{refused}");
            let refused = check(&headers(&[(name, b"1"), (name, b"1")])).expect_err("it is there twice");
            assert!(refused.message.contains(name), "{refused}");
        }
        // All other fields may have any value.
        assert_eq!(check(&headers(&[("x-note", b"\xe9"), ("x-note", b"\xff"), ("cookie", b"\xff")])), Ok(()));
    }
}
