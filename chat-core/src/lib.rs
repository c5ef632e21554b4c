//! The chat under every transport: users, direct messages and groups behind one trait.
//!
//! **The contract is a cursor, not a connection.** Every user has an inbox: the events addressed to them, with
//! rising ids. A cursor is the id of the last event that a client has seen. A client asks for the events after its
//! cursor, and each transport (WebSocket, SSE, long polling) carries the same answer in its own way.
//!
//! Read the modules in this order; each module uses only modules before it:
//!
//! 1. [`ids`], [`text`], [`model`], [`refusal`]: the words of the chat
//! 2. [`protocol`]: requests, replies and events, the same for every transport
//! 3. [`limits`], [`signal`], [`ending`], [`metrics`], [`heap`]: what all later modules share
//! 4. `store`: the durable log in SQLite; one thread writes, and many commands share one commit
//! 5. [`inbox`]: a user's newest events in memory, and the subscriptions that read them
//! 6. `publisher`: fan-out, which puts each event into the inboxes of its readers, in the order of commits
//! 7. [`auth`], [`chat`]: passwords, sign-ins and rate limits; commands, snapshots and sessions
//! 8. [`transport`]: the trait of every transport; one loop, [`transport::Session::serve`], drives them all
//!
//! `support/chat-http` serves the chat over HTTP; `support/chat-client` is the client's end.
//!
//! Invariants:
//!
//! * A transport never calls the chat, and the chat never names a transport.
//! * Every queue has a bound, every wait has a named limit, and every task has an end.
//! * No lock is held across an `await`.

pub mod auth;
pub mod chat;
pub mod ending;
pub mod heap;
pub mod ids;
pub mod inbox;
pub mod limits;
pub mod metrics;
pub mod model;
pub mod protocol;
mod publisher;
pub mod refusal;
pub mod signal;
mod store;
pub mod text;
pub mod transport;

pub use store::{ForeignWriter, Held, Location, OpenError, TokenHash};
