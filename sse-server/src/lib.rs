//! Both ends of the chat over Server-Sent Events
//! ([the HTML standard](https://html.spec.whatwg.org/multipage/server-sent-events.html)).

mod client;
mod transport;

pub use client::SseClient;
pub use transport::EventStream;

use axum::Router;
use chat_client::any::connect;
use chat_core::chat::Chat;
use chat_http::run::Program;
use chat_http::server::start_by;
use chat_http::{Endpoint, Framing, Profile, Reads, Server, endpoint};

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

/// Server-Sent Events, for the list of transports.
const PROFILE: Profile = Profile {
    name: SseServer::NAME,
    title: "Server-Sent Events",
    label: "SSE",
    letter: 'S',
    colors: ["#c25400", "#e69f00"],
    about: "One endless response brings events; each message is a request.",
    path: SseTransport::PATH,
    reads: Reads::Stream(Framing::EventStream),
    is_duplex: false,
    heartbeat: |limits| limits.keep_alive,
    connect: connect::<SseClient>,
};

/// The server as a program.
pub static PROGRAM: Program = Program {
    name: "sse-server",
    about: "The chat over Server-Sent Events: one response that never ends; requests are posted.",
    listen: "127.0.0.1:4002",
    flag: "sse",
    profiles: &[PROFILE],
    start: start_by::<SseServer>,
};
