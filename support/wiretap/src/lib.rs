//! A TCP relay that counts every byte in both directions, names what passes, and slows the connection on request.
//!
//! It does not know the chat. It sits between any client and any server, alters nothing, and observes HTTP/1.1, event
//! streams and WebSocket. Benchmarks, the command-line client and the Lab all count bytes with it, so their counts
//! mean the same.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use std::time::Duration;
//! use wiretap::{Conditions, Settings, Wiretap};
//!
//! let server = "127.0.0.1:4001".parse().expect("it is an address");
//! let any_port = "127.0.0.1:0".parse().expect("it is an address");
//! let tap = Wiretap::listen(any_port, server, Settings::default()).await?;
//! println!("clients of {server} connect to {} now", tap.address());
//!
//! tap.set_conditions(Conditions::round_trip(Duration::from_millis(100)));
//! let before = tap.counts();
//! // … traffic …
//! let cost = tap.counts() - before;
//! println!("{} requests, {} bytes of heads", cost.requests(), cost.to_server.layers.http_head);
//! # Ok(())
//! # }
//! ```
//!
//! # Reading order
//! 1. `counts`: directions, layers, what is counted.
//! 2. `what`, `event`: the things that pass, and the events that show them to viewers. `redact`: what is hidden in
//!    them. `hexdump`: how they are printed, bytes left and meaning right.
//! 3. `observe`: the parsers that find out what passes, without any input or output.
//! 4. `conditions`, `pace`: the conditions of the network, and when a byte arrives under them.
//! 5. `diagnosis`, `segments`: what TCP/IP adds, estimated from what the kernel says.
//! 6. `shared`, `ledger`: what all connections share, and what one connection adds to it.
//! 7. `pump`, `connection`, `tap`: one direction, one connection, all connections.

mod conditions;
mod connection;
mod counts;
mod diagnosis;
mod event;
mod hexdump;
mod ledger;
mod observe;
mod pace;
mod pump;
mod redact;
mod segments;
mod shared;
mod tap;
mod what;

pub use conditions::{Conditions, Link, Reader};
pub use counts::{Counts, Direction, Flow, Frames, Layer, Layers};
pub use event::{Note, RAW_BYTES, Viewer, WireEvent};
pub use hexdump::hexdump;
pub use observe::{Observe, Observer};
pub use segments::{Basis, Segments, TcpIp};
pub use tap::{Settings, Wiretap};
pub use what::{Block, Frame, Opaque, What};
