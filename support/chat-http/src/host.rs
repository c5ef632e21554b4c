//! Under which names a server answers: the defence against DNS rebinding.
//!
//! A foreign page can make its own name lead to this machine. For the browser, this server then has the same origin as
//! that page, so no check of origins helps. Only the request's `Host` shows the name, because a page cannot choose it.

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chat_core::refusal::{Code, Refusal};

use super::{Problem, Site, fields};

/// The longest name of a host ([RFC 3986 §3.2.2]).
///
/// [RFC 3986 §3.2.2]: https://www.rfc-editor.org/rfc/rfc3986#section-3.2.2
const HOST_BYTES: usize = 255;

/// The paths that answer to any name, because load balancers and scrapers use names of their own. They show nothing
/// about a person.
const OPEN_PATHS: [&str; 2] = ["/healthz", "/metrics"];

/// A name under which a server is reached, besides those that always lead to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(String);

/// A text that cannot be the name of a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of a host; write it without scheme, port and path, like chat.example.org")]
pub struct HostNameError(String);

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, HostNameError> {
        let has_port = text.contains(':') && !text.ends_with(']');
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte));
        let host = parse(text).filter(|_| is_plain && !has_port);
        host.map(|host| Self(host.to_string())).ok_or_else(|| HostNameError(text.to_owned()))
    }
}

/// What a `Host` names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    /// An IP address, which no owner of a name can redirect.
    Address(IpAddr),
    /// A name in lower case. Its owner decides to which address it leads.
    Name(String),
}

impl Host {
    /// Whether this always leads to this machine or to one address, so that the owner of a name cannot redirect it.
    fn cannot_be_rebound(&self) -> bool {
        match self {
            Self::Address(_) => true,
            Self::Name(name) => name == "localhost" || name.ends_with(".localhost"),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Reads `uri-host [ ":" port ]` ([RFC 9110 §7.2]); `None`: the text is not of this form.
///
/// [RFC 9110 §7.2]: https://www.rfc-editor.org/rfc/rfc9110#section-7.2
fn parse(authority: &str) -> Option<Host> {
    // A colon within brackets is a part of the address.
    let colon = authority.rfind(':').filter(|&colon| !authority[colon..].contains(']'));
    let (host, port) = match colon {
        Some(colon) => (&authority[..colon], &authority[colon + 1..]),
        None => (authority, ""),
    };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    if !port.is_empty() && !is_port {
        return None;
    }
    match host.strip_prefix('[') {
        Some(rest) => {
            rest.strip_suffix(']')?.parse().ok().map(|address: Ipv6Addr| Host::Address(address.into()))
        }
        None => name_or_address(host),
    }
}

fn name_or_address(name: &str) -> Option<Host> {
    // A dot at the end only says that the name is complete.
    let name = name.strip_suffix('.').unwrap_or(name);
    if let Ok(address) = name.parse::<Ipv4Addr>() {
        return Some(Host::Address(address.into()));
    }
    let mut bytes = name.bytes();
    let is_name = (1..=HOST_BYTES).contains(&name.len()) && !name.starts_with('.');
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&byte);
    (is_name && bytes.all(is_host)).then(|| Host::Name(name.to_ascii_lowercase()))
}

/// The names under which one server answers.
#[derive(Debug)]
pub(super) struct Hosts {
    named: HashSet<String>,
    /// Any name is accepted: no flag gives a name, and the server is meant to be reached from other machines.
    takes_any: bool,
}

impl Hosts {
    /// The names of a site, for a server that listens on an address.
    pub(super) fn new(site: &Site, listens: IpAddr) -> Self {
        let origins = site.origins.iter().filter_map(|origin| parse(origin.split_once("://")?.1));
        let foreign = origins.filter(|host| !host.cannot_be_rebound()).map(|host| host.to_string());
        let named: HashSet<String> =
            foreign.chain(site.hosts.iter().map(|HostName(name)| name.clone())).collect();
        Self { takes_any: named.is_empty() && !listens.is_loopback(), named }
    }

    fn accepts(&self, host: &Host) -> bool {
        self.takes_any || host.cannot_be_rebound() || self.named.contains(&host.to_string())
    }

    /// Checks the host of a request, and leaves it in `Host` for the code that reads it later.
    fn check(&self, request: &mut Request) -> Result<(), Refusal> {
        fields::check(request.headers())?;
        let wrong = |what: String| Refusal::new(Code::BadRequest, what);
        let unreadable = |host: &str| {
            let host: String = host.chars().take(HOST_BYTES).collect();
            wrong(format!("{host:?} is not a host; send Host: NAME or Host: NAME:PORT"))
        };
        let mut host = match fields::one(request.headers(), &header::HOST)? {
            Some(host) => Some(parse(host).ok_or_else(|| unreadable(host))?),
            None if request.version() == Version::HTTP_11 => {
                return Err(wrong(
                    "an HTTP/1.1 request names the server that it is for; send one Host header".to_owned(),
                ));
            }
            None => None,
        };
        // The host in an absolute target replaces `Host` (https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2).
        if let Some(authority) = request.uri().authority().map(|authority| authority.as_str().to_owned()) {
            host = Some(parse(&authority).ok_or_else(|| unreadable(&authority))?);
            let value = HeaderValue::try_from(&authority).map_err(|_| unreadable(&authority))?;
            request.headers_mut().insert(header::HOST, value);
        }
        match host {
            Some(host) if !OPEN_PATHS.contains(&request.uri().path()) && !self.accepts(&host) => {
                let what = format!(
                    "this server does not answer to the name {host}; use localhost or an IP address, \
                     or start it with --host {host}"
                );
                Err(Refusal::new(Code::MisdirectedRequest, what))
            }
            _ => Ok(()),
        }
    }
}

/// Refuses a request whose head can be read in two ways, or that was meant for another name.
pub(super) async fn guard(State(hosts): State<Arc<Hosts>>, mut request: Request, next: Next) -> Response {
    match hosts.check(&mut request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => Problem(refusal).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Origins;

    fn hosts(listens: &str, named: &[&str], origins: &[&str]) -> Hosts {
        let listens = listens.parse().unwrap();
        let origins = origins.iter().map(|&origin| origin.parse().unwrap());
        let site = Site {
            origins: Origins::new([(listens, 4001).into()], origins),
            hosts: named.iter().map(|name| name.parse().unwrap()).collect(),
            ..Site::default()
        };
        Hosts::new(&site, listens)
    }

    fn accepts(hosts: &Hosts, host: &str) -> bool {
        hosts.accepts(&parse(host).unwrap_or_else(|| panic!("{host:?} is a host")))
    }

    /// Hosts that always lead to this machine or to one address.
    const ALWAYS: [&str; 14] = [
        "127.0.0.1",
        "127.0.0.1:4001",
        "127.0.0.1.",
        "192.0.2.7:80",
        "0.0.0.0",
        "[::1]",
        "[::1]:4001",
        "[2001:db8::7]:",
        "[::ffff:127.0.0.1]",
        "localhost",
        "LOCALHOST:4001",
        "localhost.",
        "a.localhost",
        "b.a.LocalHost.:65535",
    ];

    const FOREIGN: [&str; 9] = [
        "evil.example",
        "localhost.evil.example",
        "notlocalhost",
        "127.0.0.1.evil.example",
        "127.1",
        "2130706433",
        "0x7f000001",
        "com",
        "xn--lcalhost-3wa",
    ];

    #[test]
    fn on_loopback_only_names_that_cannot_lead_elsewhere_are_accepted() {
        for listens in ["127.0.0.1", "127.0.0.2", "::1"] {
            let hosts = hosts(listens, &[], &[]);
            assert!(ALWAYS.iter().all(|host| accepts(&hosts, host)), "{listens}");
            for host in FOREIGN {
                assert!(!accepts(&hosts, host), "{host} on {listens}");
            }
        }
    }

    #[test]
    fn elsewhere_any_name_is_accepted_until_one_is_named() {
        for listens in ["0.0.0.0", "::", "192.0.2.7"] {
            let any = hosts(listens, &[], &["http://localhost:3000", "http://192.0.2.9"]);
            assert!(ALWAYS.iter().chain(&FOREIGN).all(|host| accepts(&any, host)), "{listens}");
            for hosts in [
                hosts(listens, &["Chat.Example.org"], &[]),
                hosts(listens, &["chat.example.org."], &[]),
                hosts(listens, &[], &["https://chat.example.org"]),
                hosts(listens, &[], &["https://chat.example.org:8443"]),
            ] {
                assert!(ALWAYS.iter().all(|host| accepts(&hosts, host)), "{listens}");
                assert!(accepts(&hosts, "chat.example.org") && accepts(&hosts, "CHAT.example.org.:8443"));
                assert!(!accepts(&hosts, "a.chat.example.org") && !accepts(&hosts, "evil.example"));
            }
        }
        let hosts = hosts("127.0.0.1", &["chat.example.org"], &["https://other.example"]);
        assert!(accepts(&hosts, "chat.example.org") && accepts(&hosts, "other.example:443"));
        assert!(!accepts(&hosts, "evil.example"));
    }

    #[test]
    fn what_is_no_host_is_not_taken_for_one() {
        for wrong in [
            "",
            ":80",
            ".",
            ".localhost",
            "local host",
            "localhost:x",
            "localhost:65536",
            "localhost:-1",
            "localhost:80:80",
            "user@localhost",
            "localhost/",
            "http://localhost",
            "local\thost",
            "l\"ocalhost",
            "::1",
            "[::1",
            "[]",
            "[localhost]",
            "[127.0.0.1]",
            "[::1]x",
            "[::1]:x",
            "[fe80::1%25eth0]",
            "[v1.x]",
            "localhost, evil.example",
            "localhost localhost",
            "caf\u{e9}",
            &"x".repeat(256),
        ] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_flag_names_a_host_alone() {
        for name in ["chat.example.org", "CHAT", "my_host", "192.0.2.7", "[2001:db8::7]", "localhost"] {
            assert!(name.parse::<HostName>().is_ok(), "{name}");
        }
        for wrong in [
            "",
            "*",
            "*.example.org",
            "https://chat.example.org",
            "chat:80",
            "192.0.2.7:80",
            "a/b",
            "[::1]:80",
            "é",
        ] {
            let error = wrong.parse::<HostName>().expect_err(wrong).to_string();
            assert!(error.contains("like chat.example.org"), "{error}");
        }
    }
}
