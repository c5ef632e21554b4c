//! Which pages may use a server.
//!
//! A browser sends the sign-in cookie along with any page's request, and lets any page open a WebSocket
//! ([RFC 6455 §10.2]). So the server has to check which page a request comes from.
//!
//! [RFC 6455 §10.2]: https://www.rfc-editor.org/rfc/rfc6455#section-10.2

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chat_core::chat::Chat;
use chat_core::refusal::{Code, Refusal};

use super::admission::cookie;
use super::fields::SEC_FETCH_SITE;
use super::peer::Peer;
use super::{Problem, Site, fields};
use crate::settings::{Origin, host};

/// The origins ([RFC 6454]) whose pages may use a server.
///
/// [RFC 6454]: https://www.rfc-editor.org/rfc/rfc6454
#[derive(Debug, Clone, Default)]
pub struct Origins {
    listed: HashSet<String>,
    /// Ports that are open on every address of this machine. The server's own pages may come from any address.
    everywhere: HashSet<u16>,
}

impl Origins {
    /// The origins of the pages that servers at these addresses serve themselves, and other origins by name.
    pub fn new(
        addresses: impl IntoIterator<Item = SocketAddr>,
        others: impl IntoIterator<Item = Origin>,
    ) -> Self {
        let mut origins: HashSet<Origin> = others.into_iter().collect();
        let mut everywhere = HashSet::new();
        for address in addresses {
            let (ip, port) = (address.ip(), address.port());
            origins.extend(Origin::of_server(&host(ip), port));
            if ip.is_unspecified() {
                everywhere.insert(port);
            }
            if ip.is_loopback() || ip.is_unspecified() {
                let local = ["localhost", "127.0.0.1", "[::1]"];
                origins.extend(local.into_iter().filter_map(|host| Origin::of_server(host, port)));
            }
        }
        Self { listed: origins.iter().map(Origin::to_string).collect(), everywhere }
    }

    /// All listed origins.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.listed.iter().map(String::as_str)
    }

    /// Whether pages of this origin may use the server. It has to be listed, or to be an address of this machine with
    /// one of these servers' ports. `reached` is the address at which the client has reached this machine.
    pub(super) fn lists(&self, origin: &HeaderValue, reached: Option<IpAddr>) -> bool {
        let Ok(origin) = origin.to_str() else { return false };
        let is_ours = |ip: IpAddr| {
            let host = host(ip);
            let mut origins = self.everywhere.iter().filter_map(|&port| Origin::of_server(&host, port));
            origins.any(|ours| ours.to_string() == origin)
        };
        self.listed.contains(origin) || reached.is_some_and(is_ours)
    }
}

/// Refuses a request that a foreign page sent.
pub(super) async fn guard(
    State(chat): State<Chat>,
    Extension(site): Extension<Arc<Site>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let allowed = match headers.get(header::ORIGIN) {
        Some(origin) => site.origins.lists(origin, reached(request.extensions())),
        // Without `Origin`, this is not a browser, or it is a GET within one origin.
        None if changes_something(&request) => cookie(headers, &chat).is_none(),
        None => !is_foreign_fetch(headers),
    };
    if allowed {
        return next.run(request).await;
    }
    let what = "a page of another origin sent this; list its origin with --origin if it may use this server";
    Problem(Refusal::new(Code::ForeignOrigin, what)).into_response()
}

/// The address at which a client has reached this machine.
pub(super) fn reached(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<Arc<Peer>>().map(|peer| peer.reached)
}

/// Whether this is a POST, or opens a WebSocket, which may carry commands.
fn changes_something(request: &Request) -> bool {
    request.method() == Method::POST || fields::asks_for(request.headers(), "websocket")
}

/// Whether the browser says that a foreign page sent this
/// ([Fetch metadata](https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header)), for requests without `Origin`.
fn is_foreign_fetch(headers: &HeaderMap) -> bool {
    headers.get(SEC_FETCH_SITE).is_some_and(|site| site == "cross-site" || site == "same-site")
}
