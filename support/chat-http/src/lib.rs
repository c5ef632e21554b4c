//! What every server shares over HTTP: a GET reads a resource, a POST sends requests, and an error is a problem
//! document.
//!
//! A transport begins in [`endpoint`], and writes to a [`Connection`]. [`server`] accepts connections and ends them.
//! [`run`] makes a program of a server. [`memory`] is the transport without a wire.

mod admission;
mod api;
mod body;
mod connection;
mod endpoint;
pub mod fields;
mod flags;
mod host;
pub mod memory;
mod options;
mod origin;
mod peer;
mod pipe;
mod plain;
mod problem;
mod profile;
mod proxy;
mod route;
pub mod run;
pub mod server;
pub mod settings;
mod taken;
mod takeover;
mod wire;

use std::future::ready;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header, request};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router, middleware};
use chat_core::chat::Chat;
use chat_core::metrics::TransportMetrics;
use chat_core::refusal::{Code, Refusal};
use tower_http::cors::{AllowCredentials, AllowOrigin, CorsLayer};

pub use connection::Connection;
pub use endpoint::{Endpoint, Refuses};
pub use flags::LimitFlags;
pub use host::{HostName, HostNameError};
pub use origin::Origins;
pub(crate) use peer::Peer;
pub use peer::Way;
pub(crate) use plain::NoAnswer;
pub use problem::Problem;
pub use profile::{Framing, Listing, Profile, Reads};
pub use proxy::TrustedProxy;
pub use route::endpoint;
pub use server::{Plain, Server};
pub(crate) use taken::Asked;
pub(crate) use takeover::{Live, Serving, Slot};
pub(crate) use wire::{Broken, Stream, Wire};

/// What the servers of one launch know of each other.
#[derive(Debug, Clone, Default)]
pub struct Site {
    /// The pages that may use these servers.
    pub origins: Origins,
    /// Names under which the servers are reached, besides `localhost` and addresses.
    pub hosts: Vec<HostName>,
    /// Where each transport is served.
    pub transports: Vec<Listing>,
    /// The proxies whose headers are believed.
    pub proxies: Vec<TrustedProxy>,
    /// `/metrics` is served at an address of its own, and not by these servers.
    pub metrics_apart: bool,
}

/// All routes of a server that listens on an address: the shared ones, those of its transport, and pages for people.
pub(crate) fn router(
    chat: &Chat,
    site: Site,
    listens: IpAddr,
    counts: Arc<TransportMetrics>,
    transport: Router<Chat>,
    pages: Router<Chat>,
) -> Router {
    let hosts = Arc::new(host::Hosts::new(&site, listens));
    let site = Arc::new(site);
    let api = Router::new()
        .route("/api/register", post(api::register))
        .route("/api/login", post(api::login))
        .route("/api/logout", post(api::logout))
        .route("/api/snapshot", get(api::snapshot))
        .route("/api/users", get(api::users))
        .route("/api/groups", get(api::groups))
        .route("/api/conversations/{id}/messages", get(api::history))
        .route("/api/commands", post(api::commands))
        .route("/api/transports", get(api::transports))
        .merge(transport)
        // Inside the layers, so that a page's preflight (OPTIONS) reaches the CORS layer and does not end here.
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn_with_state(chat.clone(), origin::guard))
        .layer(cors(Arc::clone(&site)));
    let metrics = match site.metrics_apart {
        true => Router::new(),
        false => Router::new().route("/metrics", get(api::metrics)),
    };
    let others = Router::new()
        .route("/healthz", get(api::healthz))
        .merge(metrics)
        .merge(pages)
        .method_not_allowed_fallback(no_such_method);
    counting(others.merge(api).fallback(no_such_path), &counts)
        .layer(Extension(counts))
        .layer(Extension(site))
        .layer(middleware::from_fn(options::answer))
        // Outermost, so that a request that can be read in two ways, or is meant for another name, comes no further.
        .layer(middleware::from_fn_with_state(hosts, host::guard))
        .with_state(chat.clone())
}

/// The routes of a server that has only the metrics, for operators.
pub(crate) fn metrics_router(chat: &Chat, counts: &Arc<TransportMetrics>) -> Router {
    let metrics = Router::new()
        .route("/metrics", get(api::metrics))
        .method_not_allowed_fallback(no_such_method)
        .fallback(no_such_path);
    counting(metrics, counts).with_state(chat.clone())
}

/// Counts the refusals among the answers of all routes that the router has so far.
fn counting(router: Router<Chat>, counts: &Arc<TransportMetrics>) -> Router<Chat> {
    let counts = Arc::clone(counts);
    router.layer(middleware::map_response(move |answer: Response| {
        if let Some(&code) = answer.extensions().get::<Code>() {
            counts.refused(code);
        }
        ready(answer)
    }))
}

async fn no_such_path() -> Problem {
    Problem(Refusal::new(Code::NotFound, "there is nothing at this path"))
}

async fn no_such_method() -> Problem {
    Problem(Refusal::new(Code::MethodNotAllowed, "this path answers to another method"))
}

/// Lets the pages that may use these servers, and no other pages, read from all their ports ([the CORS protocol]).
///
/// [the CORS protocol]: https://fetch.spec.whatwg.org/#http-cors-protocol
fn cors(site: Arc<Site>) -> CorsLayer {
    let listed = move |origin: &HeaderValue, request: &request::Parts| {
        site.origins.lists(origin, origin::reached(&request.extensions))
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(listed.clone()))
        .allow_credentials(AllowCredentials::predicate(listed))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            HeaderName::from_static("last-event-id"),
        ])
        .max_age(Duration::from_secs(3_600))
}
