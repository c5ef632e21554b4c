//! Both ends of the chat over WebSocket ([RFC 6455](https://www.rfc-editor.org/rfc/rfc6455)).

mod client;
mod handshake;
mod heartbeat;
mod socket;
mod transport;

pub use client::WsClient;
pub use transport::WsServer;
