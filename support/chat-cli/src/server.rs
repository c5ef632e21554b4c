//! Where a server is, and which of its ports serves the transport that is wanted.

use std::str::FromStr;

use chat_client::{ClientError, Target};
use reqwest::Url;
use transports::Transport;

use crate::failure::Usage;

/// A server as it is given: `http://127.0.0.1:4000`, without a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address(Url);

impl Address {
    /// A name for a file about this server.
    pub(crate) fn file_stem(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        let host: String =
            host.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
        format!("{host}_{}", self.0.port_or_known_default().unwrap_or_default())
    }

    /// The host, and the port.
    pub(crate) fn host_and_port(&self) -> (&str, u16) {
        // A URL writes an IPv6 address in brackets, which are not part of the address.
        let host = self.0.host_str().unwrap_or_default().trim_matches(['[', ']']);
        (host, self.0.port_or_known_default().unwrap_or_default())
    }

    /// The same host at another port.
    fn at(&self, port: u16) -> Self {
        let mut url = self.0.clone();
        url.set_port(Some(port)).expect("an http URL has a host, and so may have a port");
        Self(url)
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let example = "write it like http://127.0.0.1:4000";
        // People type only a host and a port, or only a port of this machine.
        let url = match text {
            _ if text.contains("://") => text.to_owned(),
            _ if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("http://127.0.0.1:{text}")
            }
            _ => format!("http://{text}"),
        };
        let url = Url::parse(&url).map_err(|error| format!("{error}; {example}"))?;
        match url.scheme() {
            "http" => {}
            "https" => return Err(format!("this client speaks no TLS; {example}")),
            scheme => return Err(format!("a server is reached by http, not by {scheme}; {example}")),
        }
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            return Err(format!("only a host and a port are wanted; {example}"));
        }
        if url.port() == Some(0) {
            return Err(format!("no server has port 0; {example}"));
        }
        Ok(Self(url))
    }
}

/// A transport that was found, and the server that serves it.
pub(crate) struct Found {
    pub(crate) transport: Transport,
    pub(crate) address: Address,
}

/// Asks a server where the wanted transport is. If none is given, takes the first one that the server lists.
pub(crate) async fn find(server: &Address, wanted: Option<Transport>) -> anyhow::Result<Found> {
    let offers = match Target::new(&server.to_string()).transports().await {
        Ok(offers) => offers,
        Err(ClientError::Disconnected(why)) => anyhow::bail!(
            "nothing answers at {server} ({why}).\n\
             Start it with `cargo run --release`, or name another server with --server URL."
        ),
        Err(error) => {
            let not_ours =
                format!("what answers at {server} is not Switchboard; name another with --server URL");
            return Err(anyhow::Error::new(error).context(not_ours));
        }
    };
    let mut found = offers.iter().filter_map(|offer| Some((Transport::named(&offer.name)?, offer.port)));
    let found = match wanted {
        None => found.next(),
        Some(wanted) => found.find(|(transport, _)| *transport == wanted),
    };
    let (transport, port) = found.ok_or_else(|| {
        let wanted = wanted.map_or("transport that this client knows", |wanted| wanted.name);
        let names: Vec<&str> = offers.iter().map(|offer| offer.name.as_str()).collect();
        Usage(format!(
            "{server} serves no {wanted}, but: {}.\n\
             Choose another transport with --transport, or another server with --server.",
            names.join(", ")
        ))
    })?;
    Ok(Found { transport, address: server.at(port) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address, String> {
        text.parse()
    }

    #[test]
    fn a_server_is_a_host_and_a_port() {
        for (typed, meant) in [
            ("http://127.0.0.1:4000", "http://127.0.0.1:4000"),
            ("http://127.0.0.1:4000/", "http://127.0.0.1:4000"),
            ("localhost:4000", "http://localhost:4000"),
            ("[::1]:4000", "http://[::1]:4000"),
            ("4000", "http://127.0.0.1:4000"),
            (" HTTP://LocalHost:80/ ", "http://localhost"),
        ] {
            assert_eq!(parse(typed).unwrap().to_string(), meant);
        }
        for (wrong, why) in [
            ("", "empty host"),
            ("https://a", "no TLS"),
            ("ftp://a", "not by ftp"),
            ("ws://a", "not by ws"),
            ("http://a/path", "only a host and a port"),
            ("http://a?x", "only a host and a port"),
            ("http://ann:secret@a", "only a host and a port"),
            (":4000", "empty host"),
            ("localhost:99999", "invalid port"),
            ("99999", "invalid port"),
            ("localhost:0", "port 0"),
        ] {
            let refusal = parse(wrong).expect_err(wrong);
            assert!(refusal.contains(why), "{wrong:?}: {refusal}");
            assert!(refusal.ends_with("write it like http://127.0.0.1:4000"), "{refusal}");
        }
    }

    #[test]
    fn every_server_has_a_file_of_its_own() {
        let stem = |text| parse(text).unwrap().file_stem();
        assert_eq!(stem("http://127.0.0.1:4000"), "127.0.0.1_4000");
        assert_eq!(stem("http://[::1]"), "---1-_80");
        assert_ne!(stem("http://localhost:4000"), stem("http://localhost:4001"));
    }
}
