//! The profile of a transport: what every other program has to know to offer, connect, measure and show it.

use std::time::Duration;

use chat_client::any::Connect;
use chat_core::limits::Limits;
use serde::Serialize;

/// The names and texts of a transport, in one place. Every program that lists transports reads them here.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// Its name in URLs, metrics, results and `--transport`.
    pub name: &'static str,
    /// Its name in a sentence.
    pub title: &'static str,
    /// Its name where there is little room.
    pub label: &'static str,
    /// One letter, for the smallest cells.
    pub letter: char,
    /// Its colour in charts, on light and on dark ground.
    pub colors: [&'static str; 2],
    /// How it works, in one sentence.
    pub about: &'static str,
    /// Where a client opens it.
    pub path: &'static str,
    /// How its events come down.
    pub reads: Reads,
    /// Whether requests go up the same connection. Otherwise each is a POST.
    pub is_duplex: bool,
    /// The time between two heartbeats on a quiet connection.
    pub heartbeat: fn(&Limits) -> Duration,
    /// Connects its client.
    pub connect: Connect,
}

/// How events come down to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// In one stream that does not end.
    Stream(Framing),
    /// In the responses to polls, which the server may hold until there is an event.
    LongPolls,
    /// In the responses to polls, which the server answers at once.
    ShortPolls,
}

/// Where an event begins and ends in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// A WebSocket text message ([RFC 6455 §5.2](https://www.rfc-editor.org/rfc/rfc6455#section-5.2)).
    WebSocket,
    /// The `data` field of an event stream
    /// ([the HTML standard](https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream)).
    EventStream,
    /// A line.
    Lines,
}

/// One transport of this launch, as `/api/transports` lists it.
#[derive(Debug, Clone, Serialize)]
pub struct Listing {
    /// Its name.
    pub name: &'static str,
    /// Its port, on the host that the page came from.
    pub port: u16,
    /// Its name in a sentence.
    pub title: &'static str,
    /// Its name where there is little room.
    pub label: &'static str,
    /// The program that serves it.
    pub server: &'static str,
    /// How it works, in one sentence.
    pub about: &'static str,
}
