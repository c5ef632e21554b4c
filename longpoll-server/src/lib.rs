//! Both ends of the chat over long polling ([RFC 6202 §2](https://www.rfc-editor.org/rfc/rfc6202#section-2)), and
//! over short polling, which is long polling without patience.

mod client;
mod transport;

pub use client::{LongPollClient, Pace, PollClient, ShortPollClient};
pub use transport::{LongPollServer, ShortPollServer};
