//! Both ends of the chat over long polling ([RFC 6202 §2](https://www.rfc-editor.org/rfc/rfc6202#section-2)), and
//! over short polling: a poll that asks the server not to wait.

mod answer;
mod client;
mod transport;
mod wait;

pub use client::{LongPollClient, Pace, PollClient, ShortPollClient};

use axum::Router;
use chat_client::any::connect;
use chat_core::chat::Chat;
use chat_http::run::Program;
use chat_http::server::start_by;
use chat_http::{Endpoint, Profile, Reads, Server, endpoint};

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
    const PATH: Option<&'static str> = Some(SHORT.path);
    type Client = ShortPollClient;

    fn routes() -> Router<Chat> {
        LongPollServer::routes()
    }
}

/// Long polling, for the list of transports.
const LONG: Profile = Profile {
    name: LongPollServer::NAME,
    title: "long polling",
    label: "long polling",
    letter: 'L',
    colors: ["#00795a", "#2fc79a"],
    about: "A request waits at the server for an event; then the next one.",
    path: PollTransport::PATH,
    reads: Reads::LongPolls,
    is_duplex: false,
    heartbeat: |limits| limits.poll_wait,
    connect: connect::<LongPollClient>,
};

/// Short polling, for the list of transports.
const SHORT: Profile = Profile {
    name: ShortPollServer::NAME,
    title: "short polling",
    label: "short polling",
    letter: 'P',
    colors: ["#a8487c", "#e59ac4"],
    about: "A request now and then, with or without an event.",
    path: "/poll?wait=0",
    reads: Reads::ShortPolls,
    is_duplex: false,
    heartbeat: |_| <client::Short as Pace>::PAUSE,
    connect: connect::<ShortPollClient>,
};

/// The server as a program.
pub static PROGRAM: Program = Program {
    name: "longpoll-server",
    about: "The chat over long polling (a request is held until there is news) and short polling (wait=0).",
    listen: "127.0.0.1:4003",
    flag: "longpoll",
    profiles: &[LONG, SHORT],
    start: start_by::<LongPollServer>,
};
