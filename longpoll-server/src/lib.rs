//! Both ends of the chat over long polling ([RFC 6202 §2](https://www.rfc-editor.org/rfc/rfc6202#section-2)), and
//! over short polling, which is long polling without patience.

mod answer;
mod client;
mod transport;
mod wait;

pub use client::{LongPollClient, Pace, PollClient, ShortPollClient};

use axum::Router;
use chat_core::chat::Chat;
use chat_http::{Endpoint, Server, endpoint};

use crate::transport::PollTransport;

/// The chat over long polling.
pub struct LongPollServer;

impl Server for LongPollServer {
    const NAME: &'static str = PollTransport::NAME;
    const PATH: Option<&'static str> = Some(PollTransport::PATH);
    type Client = LongPollClient;

    fn routes() -> Router<Chat> {
        endpoint::<PollTransport>()
    }
}

/// The chat over short polling: the same route, asked with `wait=0`.
pub struct ShortPollServer;

impl Server for ShortPollServer {
    const NAME: &'static str = "shortpoll";
    const PATH: Option<&'static str> = Some("/poll?wait=0");
    type Client = ShortPollClient;

    fn routes() -> Router<Chat> {
        LongPollServer::routes()
    }
}
