//! Addresses and origins as people write them. All forms of one address or origin become the same value. A text that
//! cannot work is refused, with an example of what to write.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use reqwest::Url;

/// The example in error messages.
const EXAMPLE: &str = "https://chat.example.org";

/// Reads an address to listen on: `5430` and `localhost:5430` mean `127.0.0.1:5430`; an IPv6 address stands in
/// brackets, as in `[::1]:5430`. Port 0 takes any free one.
///
/// It is the value parser of every flag that opens a port.
///
/// # Errors
/// The text is no address and port, with an example of one.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if text.contains("://") {
        return Err("this is a URL; write only the address and the port, such as 127.0.0.1:4000".to_owned());
    }
    match text.parse() {
        Ok(IpAddr::V4(ip)) => return Err(format!("the port is missing; write it like {ip}:4000")),
        Ok(IpAddr::V6(_)) => {
            return Err("an IPv6 address needs brackets and a port, such as [::1]:4000".to_owned());
        }
        Err(_) => {}
    }
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (host, port) = match text.rsplit_once(':') {
        Some(parts) if !text.ends_with(']') => parts,
        None if is_number(text) => ("localhost", text),
        _ => return Err("the port is missing; write it like 127.0.0.1:4000".to_owned()),
    };
    if !is_number(port) {
        return Err(format!("{port:?} is no port: it is a number up to 65535, as in 127.0.0.1:4000"));
    }
    let Ok(port) = port.parse() else {
        return Err(format!("port {port} is too large: the largest is 65535, as in 127.0.0.1:4000"));
    };
    match host {
        host if host.eq_ignore_ascii_case("localhost") => Ok((Ipv4Addr::LOCALHOST, port).into()),
        "" | "*" => Err(format!(
            "the address is missing; write 127.0.0.1:{port} for this machine alone, or 0.0.0.0:{port} for every \
             network that it is in"
        )),
        host => Err(format!(
            "{host:?} is no IP address, and of names only localhost is known; write 127.0.0.1:{port} for this \
             machine alone, or 0.0.0.0:{port} for every network that it is in"
        )),
    }
}

/// An address as it stands before a port: an IPv6 address has brackets.
pub(crate) fn host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// The origin of a site ([RFC 6454]): scheme, host and port, in the one form in which browsers send it.
///
/// It is read from a URL without a path. Capitals, a trailing slash and a default port make no difference.
///
/// [RFC 6454]: https://www.rfc-editor.org/rfc/rfc6454
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin(Url);

impl Origin {
    /// The origin of what a server at this address serves without TLS.
    #[must_use]
    pub fn of_server(host: &str, port: u16) -> Option<Self> {
        Url::parse(&format!("http://{host}:{port}")).ok().map(Self)
    }

    /// The host as it stands in a URL: an IPv6 address has its brackets, a name is in ASCII and small letters.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The port, also where the scheme implies it.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or_default()
    }
}

impl fmt::Display for Origin {
    /// As in the header `Origin`: without a default port and without a slash at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match text {
            "" => return Err(format!("it is empty; write it like {EXAMPLE}")),
            "null" => {
                return Err(format!("any page can make null its origin; name a site, such as {EXAMPLE}"));
            }
            _ if text.contains('*') => {
                return Err(format!("a pattern is not understood; list each origin, such as {EXAMPLE}"));
            }
            _ => {}
        }
        if !text.contains("://") {
            let whole = Url::parse(text).ok().filter(is_of_the_web);
            let meant = whole.or_else(|| Url::parse(&format!("https://{text}")).ok());
            return Err(format!("the scheme is missing; write it like {}", suggestion(meant)));
        }
        let url = Url::parse(text).map_err(|error| format!("{error}; write it like {EXAMPLE}"))?;
        let refused = |why| Err(format!("{why}; write it like {}", suggestion(Some(url.clone()))));
        if !is_of_the_web(&url) {
            return Err(format!("the scheme of a page is http or https; write it like {EXAMPLE}"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refused("an origin has no user and no password");
        }
        if url.path() != "/" {
            return refused("an origin has no path");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return refused("an origin ends with its host and port");
        }
        Ok(Self(url))
    }
}

fn is_of_the_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

/// What was probably meant by a URL, or the example.
fn suggestion(meant: Option<Url>) -> String {
    let meant = meant.filter(|url| is_of_the_web(url) && url.has_host());
    meant.map_or_else(|| EXAMPLE.to_owned(), |url| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_port_or_a_host_and_a_port() {
        for (written, meant) in [
            ("5430", "127.0.0.1:5430"),
            ("0", "127.0.0.1:0"),
            (" 5430 ", "127.0.0.1:5430"),
            ("localhost:5430", "127.0.0.1:5430"),
            ("LocalHost:5430", "127.0.0.1:5430"),
            ("127.0.0.1:5430", "127.0.0.1:5430"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::1]:5430", "[::1]:5430"),
            ("[::]:65535", "[::]:65535"),
        ] {
            assert_eq!(listen_address(written).unwrap().to_string(), meant, "{written}");
        }
    }

    #[test]
    fn an_address_that_cannot_work_is_refused_with_what_to_write() {
        for (written, said) in [
            ("", "the port is missing; write it like 127.0.0.1:4000"),
            ("localhost", "the port is missing"),
            ("127.0.0.1", "write it like 127.0.0.1:4000"),
            ("192.168.1.5", "write it like 192.168.1.5:4000"),
            ("99999", "port 99999 is too large: the largest is 65535, as in 127.0.0.1:4000"),
            ("localhost:65536", "port 65536 is too large"),
            ("127.0.0.1:99999999999999999999", "is too large"),
            ("[::1]:99999", "port 99999 is too large"),
            ("127.0.0.1:", "\"\" is no port"),
            ("localhost:http", "\"http\" is no port"),
            ("localhost:-1", "\"-1\" is no port"),
            ("localhost:+1", "\"+1\" is no port"),
            (":5430", "write 127.0.0.1:5430 for this machine alone, or 0.0.0.0:5430"),
            ("*:5430", "write 127.0.0.1:5430 for this machine alone, or 0.0.0.0:5430"),
            ("::1", "[::1]:4000"),
            ("::1:5430", "[::1]:4000"),
            ("[::1]", "the port is missing"),
            ("chat.example.org:5430", "\"chat.example.org\" is no IP address"),
            ("256.0.0.1:5430", "\"256.0.0.1\" is no IP address"),
            ("http://127.0.0.1:5430", "this is a URL"),
        ] {
            let refusal = listen_address(written).expect_err(written);
            assert!(refusal.contains(said), "{written:?}: {refusal}");
        }
    }

    #[test]
    fn an_origin_has_one_form_however_it_is_written() {
        for (written, meant) in [
            ("https://chat.example.org", "https://chat.example.org"),
            ("https://chat.example.org/", "https://chat.example.org"),
            ("HTTPS://Chat.Example.ORG", "https://chat.example.org"),
            ("https://chat.example.org:443", "https://chat.example.org"),
            ("https://chat.example.org:443/", "https://chat.example.org"),
            ("http://chat.example.org:80", "http://chat.example.org"),
            ("http://chat.example.org:443", "http://chat.example.org:443"),
            ("https://chat.example.org:8443", "https://chat.example.org:8443"),
            (" http://localhost:5173 ", "http://localhost:5173"),
            ("http://127.0.0.1:4000", "http://127.0.0.1:4000"),
            ("http://[0:0:0:0:0:0:0:1]:4000", "http://[::1]:4000"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
        ] {
            let origin: Origin = written.parse().unwrap();
            assert_eq!(origin.to_string(), meant, "{written}");
            assert_eq!(meant.parse::<Origin>().unwrap(), origin, "{written}");
        }
    }

    #[test]
    fn an_origin_that_no_page_has_is_refused_with_what_to_write() {
        for (written, said) in [
            ("", "it is empty"),
            ("*", "list each origin"),
            ("https://*.example.org", "list each origin"),
            ("null", "name a site"),
            ("chat.example.org", "the scheme is missing; write it like https://chat.example.org"),
            ("chat.example.org/", "write it like https://chat.example.org"),
            ("Chat.example.org:8443", "write it like https://chat.example.org:8443"),
            ("localhost:5173", "write it like https://localhost:5173"),
            ("https:chat.example.org", "write it like https://chat.example.org"),
            ("//chat.example.org", "the scheme is missing"),
            ("https://a.example/chat", "an origin has no path; write it like https://a.example"),
            ("https://a.example//", "an origin has no path; write it like https://a.example"),
            ("https://a.example?x=1", "ends with its host and port; write it like https://a.example"),
            ("https://a.example/?", "ends with its host and port"),
            ("https://a.example/#top", "ends with its host and port"),
            ("https://ann@a.example", "no user and no password; write it like https://a.example"),
            ("https://ann:secret@a.example", "no user and no password; write it like https://a.example"),
            ("ws://a.example", "http or https"),
            ("file:///tmp/page.html", "http or https"),
            ("https://", "write it like https://chat.example.org"),
            ("https://a.example:99999", "write it like https://chat.example.org"),
            ("https://a b.example", "write it like https://chat.example.org"),
        ] {
            let refusal = written.parse::<Origin>().expect_err(written);
            assert!(refusal.contains(said), "{written:?}: {refusal}");
            assert!(!refusal.contains("secret"), "{refusal}");
        }
    }

    #[test]
    fn a_server_on_port_80_has_an_origin_without_it() {
        let origin = |host, port| Origin::of_server(host, port).unwrap().to_string();
        assert_eq!(origin("127.0.0.1", 80), "http://127.0.0.1");
        assert_eq!(origin("[::1]", 4000), "http://[::1]:4000");
    }
}
