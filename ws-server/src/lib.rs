//! Both ends of the chat over WebSocket ([RFC 6455](https://www.rfc-editor.org/rfc/rfc6455)).

mod client;
mod handshake;
mod heartbeat;
mod socket;
mod transport;

pub use client::WsClient;

use axum::Router;
use chat_client::any::connect;
use chat_core::chat::Chat;
use chat_http::run::Program;
use chat_http::server::start_by;
use chat_http::{Endpoint, Framing, Profile, Reads, Server, endpoint};

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

/// WebSocket, for the list of transports.
const PROFILE: Profile = Profile {
    name: WsServer::NAME,
    title: "WebSocket",
    label: "WebSocket",
    letter: 'W',
    colors: ["#0072b2", "#56b4e9"],
    about: "One connection carries everything, both ways.",
    path: WsTransport::PATH,
    reads: Reads::Stream(Framing::WebSocket),
    is_duplex: true,
    heartbeat: |limits| limits.ping_after,
    connect: connect::<WsClient>,
};

/// The server as a program.
pub static PROGRAM: Program = Program {
    name: "ws-server",
    about: "The chat over WebSocket: one connection, both directions, for as long as either end likes.",
    listen: "127.0.0.1:4001",
    flag: "websocket",
    profiles: &[PROFILE],
    start: start_by::<WsServer>,
};
