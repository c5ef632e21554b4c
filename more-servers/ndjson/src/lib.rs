//! Both ends of the chat over a stream of JSON lines ([NDJSON](https://github.com/ndjson/ndjson-spec)).
//!
//! This is the smallest transport that keeps every promise. Copy it to add one of your own.

mod client;
mod transport;

pub use client::NdjsonClient;

use axum::Router;
use chat_client::any::connect;
use chat_core::chat::Chat;
use chat_http::run::Program;
use chat_http::server::start_by;
use chat_http::{Endpoint, Framing, Profile, Reads, Server, endpoint};

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

/// JSON lines, for the list of transports.
const PROFILE: Profile = Profile {
    name: NdjsonServer::NAME,
    title: "JSON lines",
    label: "JSON lines",
    letter: 'J',
    colors: ["#7a5b00", "#d4b548"],
    about: "One endless response brings events, one a line; each message is a request.",
    path: NdjsonTransport::PATH,
    reads: Reads::Stream(Framing::Lines),
    is_duplex: false,
    heartbeat: |limits| limits.keep_alive,
    connect: connect::<NdjsonClient>,
};

/// The server as a program.
pub static PROGRAM: Program = Program {
    name: "ndjson-server",
    about: "The chat over JSON lines: one response that never ends, one event a line; requests are posted.",
    listen: "127.0.0.1:4004",
    flag: "ndjson",
    profiles: &[PROFILE],
    start: start_by::<NdjsonServer>,
};
