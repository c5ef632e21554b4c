//! Both ends of the chat over Server-Sent Events
//! ([the HTML standard](https://html.spec.whatwg.org/multipage/server-sent-events.html)).

mod client;
mod transport;

pub use client::SseClient;
pub use transport::EventStream;

use axum::Router;
use chat_core::chat::Chat;
use chat_http::{Endpoint, Server, endpoint};

use crate::transport::SseTransport;

/// The chat over Server-Sent Events.
pub struct SseServer;

impl Server for SseServer {
    const NAME: &'static str = SseTransport::NAME;
    const PATH: Option<&'static str> = Some(SseTransport::PATH);
    type Client = SseClient;

    fn routes() -> Router<Chat> {
        endpoint::<SseTransport>()
    }
}
