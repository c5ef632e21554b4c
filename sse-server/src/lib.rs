//! Both ends of the chat over Server-Sent Events
//! ([the HTML standard](https://html.spec.whatwg.org/multipage/server-sent-events.html)).

mod client;
mod transport;

pub use client::SseClient;
pub use transport::{EventStream, SseServer};
