//! Both ends of the chat over a stream of JSON lines ([NDJSON](https://github.com/ndjson/ndjson-spec)).
//!
//! This is the smallest transport that keeps every promise. Copy it to add one of your own.

mod client;
mod transport;

pub use client::NdjsonClient;
pub use transport::NdjsonServer;
