//! Both ends of the chat over a stream of JSON lines ([NDJSON](https://github.com/ndjson/ndjson-spec)).
//!
//! This is the smallest transport that keeps every promise. Copy it to add one of your own.

mod client;
mod transport;

pub use client::NdjsonClient;

use axum::Router;
use chat_core::chat::Chat;
use chat_http::{Endpoint, Server, endpoint};

use crate::transport::NdjsonTransport;

/// The chat over JSON lines.
pub struct NdjsonServer;

impl Server for NdjsonServer {
    const NAME: &'static str = NdjsonTransport::NAME;
    const PATH: Option<&'static str> = Some(NdjsonTransport::PATH);
    type Client = NdjsonClient;

    fn routes() -> Router<Chat> {
        endpoint::<NdjsonTransport>()
    }
}
