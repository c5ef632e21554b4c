//! Both ends of the chat over WebSocket ([RFC 6455](https://www.rfc-editor.org/rfc/rfc6455)).

mod client;
mod handshake;
mod heartbeat;
mod socket;
mod transport;

pub use client::WsClient;

use axum::Router;
use chat_core::chat::Chat;
use chat_http::{Endpoint, Server, endpoint};

use crate::transport::WsTransport;

/// The chat over WebSocket.
pub struct WsServer;

impl Server for WsServer {
    const NAME: &'static str = WsTransport::NAME;
    const PATH: Option<&'static str> = Some(WsTransport::PATH);
    type Client = WsClient;

    fn routes() -> Router<Chat> {
        endpoint::<WsTransport>()
    }
}
