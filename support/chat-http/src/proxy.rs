//! Where a request comes from when there are proxies in between: the client's address, and whether it uses https.
//!
//! Any client can send `X-Forwarded-For` ([MDN]) and `Forwarded` ([RFC 7239]), so only what trusted proxies wrote is
//! believed. It is read from the right, up to the first address that is not a trusted proxy.
//!
//! [MDN]: https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/X-Forwarded-For
//! [RFC 7239]: https://www.rfc-editor.org/rfc/rfc7239

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use chat_core::refusal::{Code, Refusal};
use ipnet::IpNet;

use super::{Peer, Problem, Site};

/// A range of addresses of proxies whose headers are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustedProxy(IpNet);

impl FromStr for TrustedProxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        network.map(Self).ok_or_else(|| {
            "it is not a range of addresses; write it like 10.0.0.0/8, fd00::/8 or 127.0.0.1".to_owned()
        })
    }
}

/// From where a request came, and how.
pub(super) struct Source {
    /// The address that limits count.
    pub(super) address: IpAddr,
    /// Whether the browser uses https. Then its cookie must not be sent without https.
    pub(super) is_https: bool,
}

impl<S: Sync> FromRequestParts<S> for Source {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let unknown = || Refusal::new(Code::Internal, "the address of this connection is not known");
        let peer = parts.extensions.get::<Arc<Peer>>().ok_or_else(unknown)?.address.to_canonical();
        let site = parts.extensions.get::<Arc<Site>>().ok_or_else(unknown)?;
        Ok(source(&site.proxies, peer, &parts.headers))
    }
}

fn source(proxies: &[TrustedProxy], peer: IpAddr, headers: &HeaderMap) -> Source {
    let is_trusted = |address: IpAddr| proxies.iter().any(|proxy| proxy.0.contains(&address));
    let scheme = headers.get(header::ORIGIN).map(|origin| origin.as_bytes());
    let by_origin = scheme.is_some_and(|origin| starts_with_ignoring_case(origin, b"https://"));
    if !is_trusted(peer) {
        return Source { address: peer, is_https: by_origin };
    }
    let (forwarded_for, forwarded) = (items(headers, "x-forwarded-for"), items(headers, "forwarded"));
    let by_first = last_untrusted(peer, is_trusted, forwarded_for.iter().map(|item| node(item)));
    let by_second =
        last_untrusted(peer, is_trusted, forwarded.iter().map(|item| node(parameter(item, b"for")?)));
    let address = match (forwarded_for.is_empty(), forwarded.is_empty()) {
        (false, true) => by_first,
        (true, false) => by_second,
        // A proxy that writes one header may pass the other on as the client sent it.
        _ if by_first == by_second => by_first,
        _ => peer,
    };
    // The first value is about the browser's own connection.
    let first = items(headers, "x-forwarded-proto").into_iter().next();
    let proto = forwarded.iter().find_map(|item| parameter(item, b"proto"));
    let is_https =
        |scheme: Option<&[u8]>| scheme.is_some_and(|scheme| unquoted(scheme).eq_ignore_ascii_case(b"https"));
    Source { address, is_https: by_origin || is_https(first) || is_https(proto) }
}

/// The last address that is not a trusted proxy's, as `peer` and the proxies before it say.
///
/// A proxy may hide an address, or not know it. Then the proxy's own address counts, because its clients cannot be
/// told apart.
fn last_untrusted(
    peer: IpAddr,
    is_trusted: impl Fn(IpAddr) -> bool,
    said: impl DoubleEndedIterator<Item = Option<IpAddr>>,
) -> IpAddr {
    let mut last = peer;
    for address in said.rev() {
        let Some(address) = address else { return last };
        last = address;
        if !is_trusted(address) {
            return last;
        }
    }
    last
}

/// The items of a header that is a list, over all its lines; empty ones do not count ([RFC 9110 §5.6.1]).
///
/// [RFC 9110 §5.6.1]: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.1
fn items<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a [u8]> {
    let lines = headers.get_all(name).iter().flat_map(|line| split(line.as_bytes(), b','));
    lines.filter(|item| !item.is_empty()).collect()
}

/// The value of a parameter of a `Forwarded` element. `None`: it has none, or several.
fn parameter<'a>(element: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let pairs = split(element, b';').filter_map(|pair| {
        let (known, value) = pair.split_at(pair.iter().position(|&byte| byte == b'=')?);
        known.eq_ignore_ascii_case(name).then_some(&value[1..])
    });
    let found: Vec<_> = pairs.collect();
    if let [value] = found[..] { Some(value) } else { None }
}

/// The parts between separators that are not in quotes, without spaces around them.
fn split(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let parts = text.split(move |&byte| {
        let escapes = is_quoted && !is_escaped && byte == b'\\';
        is_quoted ^= byte == b'"' && !is_escaped;
        is_escaped = escapes;
        byte == separator && !is_quoted
    });
    parts.map(<[u8]>::trim_ascii)
}

/// The address of a node ([RFC 7239 §6]): with or without a port, brackets and quotes. `None`: it is hidden, unknown
/// or malformed.
///
/// [RFC 7239 §6]: https://www.rfc-editor.org/rfc/rfc7239#section-6
fn node(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(unquoted(text)).ok()?;
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    // A port may be hidden too: `192.0.2.1:_gateway`.
    let ported = || {
        let (address, port) = text.rsplit_once(':')?;
        port.strip_prefix('_')?;
        format!("{address}:0").parse::<SocketAddr>().ok().map(|socket| socket.ip())
    };
    let address = text.parse::<IpAddr>().ok().or_else(bracketed);
    let address =
        address.or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip())).or_else(ported);
    address.map(|address| address.to_canonical())
}

fn unquoted(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(text)
}

fn starts_with_ignoring_case(text: &[u8], start: &[u8]) -> bool {
    text.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    const PROXIES: [&str; 3] = ["127.0.0.1", "10.0.0.0/8", "fd00::/8"];

    fn came(peer: &str, lines: &[(&str, &str)]) -> Source {
        let proxies: Vec<TrustedProxy> = PROXIES.iter().map(|proxy| proxy.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
        }
        source(&proxies, peer.parse::<IpAddr>().unwrap().to_canonical(), &headers)
    }

    #[test]
    fn the_last_untrusted_address_counts() {
        let xff = "x-forwarded-for";
        let forwarded = "forwarded";
        for (peer, lines, expected) in [
            // A proxy that no flag names is not believed.
            ("192.0.2.9", &[(xff, "203.0.113.1")][..], "192.0.2.9"),
            ("192.0.2.9", &[(forwarded, "for=203.0.113.1")], "192.0.2.9"),
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &[(xff, "203.0.113.1")], "203.0.113.1"),
            ("::ffff:127.0.0.1", &[(xff, "203.0.113.1")], "203.0.113.1"),
            ("127.0.0.1", &[(xff, "::ffff:203.0.113.1")], "203.0.113.1"),
            // What the client itself wrote stands to the left.
            ("127.0.0.1", &[(xff, "198.51.100.7, 203.0.113.1")], "203.0.113.1"),
            ("127.0.0.1", &[(xff, "198.51.100.7, 203.0.113.1, 10.1.2.3")], "203.0.113.1"),
            ("127.0.0.1", &[(xff, "198.51.100.7"), (xff, "203.0.113.1"), (xff, "10.1.2.3")], "203.0.113.1"),
            ("127.0.0.1", &[(xff, "10.1.2.3, 10.1.2.4")], "10.1.2.3"),
            ("127.0.0.1", &[(xff, "203.0.113.1,, ,")], "203.0.113.1"),
            ("127.0.0.1", &[(xff, "203.0.113.1:4711")], "203.0.113.1"),
            ("127.0.0.1", &[(xff, "2001:db8::7")], "2001:db8::7"),
            ("127.0.0.1", &[(xff, "[2001:db8::7]:443")], "2001:db8::7"),
            ("127.0.0.1", &[(xff, "203.0.113.1, [fd00::1]")], "203.0.113.1"),
            // An entry that cannot be read hides its address, and everything to the left of it.
            ("127.0.0.1", &[(xff, "203.0.113.1, unknown")], "127.0.0.1"),
            ("127.0.0.1", &[(xff, "203.0.113.1, caf\u{e9}, 10.1.2.3")], "10.1.2.3"),
            ("127.0.0.1", &[(xff, "")], "127.0.0.1"),
            ("127.0.0.1", &[(xff, "203.0.113.1.5")], "127.0.0.1"),
            ("127.0.0.1", &[(xff, "fe80::1%eth0")], "127.0.0.1"),
            ("127.0.0.1", &[(forwarded, "for=203.0.113.1")], "203.0.113.1"),
            ("127.0.0.1", &[(forwarded, "For=\"203.0.113.1:80\";Proto=http;by=10.0.0.1")], "203.0.113.1"),
            ("127.0.0.1", &[(forwarded, "for=\"[2001:db8:cafe::17]:4711\"")], "2001:db8:cafe::17"),
            ("127.0.0.1", &[(forwarded, "for=\"[2001:db8:cafe::17]:_x\"")], "2001:db8:cafe::17"),
            (
                "127.0.0.1",
                &[(forwarded, "for=198.51.100.7, for=203.0.113.1;host=\"a,b;for=1\"")],
                "203.0.113.1",
            ),
            (
                "127.0.0.1",
                &[(forwarded, "for=203.0.113.1;x=\"\\\",for=6.6.6.6\", for=10.1.1.1")],
                "203.0.113.1",
            ),
            ("127.0.0.1", &[(forwarded, "for=203.0.113.1"), (forwarded, "for=10.1.1.1")], "203.0.113.1"),
            ("127.0.0.1", &[(forwarded, "for=203.0.113.1, for=_hidden")], "127.0.0.1"),
            ("127.0.0.1", &[(forwarded, "for=203.0.113.1, for=unknown, for=10.1.1.1")], "10.1.1.1"),
            ("127.0.0.1", &[(forwarded, "for=203.0.113.1, proto=https")], "127.0.0.1"),
            ("127.0.0.1", &[(forwarded, "for=203.0.113.1;for=203.0.113.2")], "127.0.0.1"),
            ("127.0.0.1", &[(forwarded, "for=\"203.0.113.1")], "127.0.0.1"),
            // Two headers that contradict each other count as none.
            ("127.0.0.1", &[(xff, "203.0.113.1"), (forwarded, "for=203.0.113.1")], "203.0.113.1"),
            ("127.0.0.1", &[(xff, "203.0.113.1"), (forwarded, "for=198.51.100.7")], "127.0.0.1"),
        ] {
            assert_eq!(came(peer, lines).address.to_string(), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn https_is_what_the_browser_or_a_trusted_proxy_says() {
        let (origin, proto, forwarded) = ("origin", "x-forwarded-proto", "forwarded");
        for (peer, lines, expected) in [
            ("192.0.2.9", &[][..], false),
            ("192.0.2.9", &[(origin, "https://chat.example.org")], true),
            ("192.0.2.9", &[(origin, "HTTPS://chat.example.org")], true),
            ("192.0.2.9", &[(origin, "http://https.example.org")], false),
            ("192.0.2.9", &[(origin, "null")], false),
            ("192.0.2.9", &[(proto, "https")], false),
            ("192.0.2.9", &[(forwarded, "proto=https")], false),
            ("127.0.0.1", &[(proto, "HTTPS")], true),
            ("127.0.0.1", &[(proto, "http")], false),
            ("127.0.0.1", &[(proto, "https, http")], true),
            ("127.0.0.1", &[(proto, "http, https")], false),
            ("127.0.0.1", &[(forwarded, "for=203.0.113.1;proto=\"https\", for=10.0.0.1;proto=http")], true),
            ("127.0.0.1", &[(forwarded, "for=203.0.113.1;proto=http, for=10.0.0.1;proto=https")], false),
            ("127.0.0.1", &[(origin, "https://chat.example.org"), (proto, "http")], true),
        ] {
            assert_eq!(came(peer, lines).is_https, expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn a_range_that_is_none_is_refused_with_an_example() {
        for wrong in ["", "10.0.0.0/33", "10.0.0", "proxy.example.org", "10.0.0.0/8 ", "fd00::/129", "*"] {
            assert!(wrong.parse::<TrustedProxy>().unwrap_err().contains("10.0.0.0/8"), "{wrong:?}");
        }
    }
}
