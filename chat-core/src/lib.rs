//! The chat under every transport: users, direct messages and groups behind one trait.
//!
//! **The contract is a cursor, not a connection.** Every user has an inbox: the events addressed to them, with
//! rising ids. A client says "give me what comes after cursor X", and each kind of wire is a way to carry the
//! same answer.
//!
//! Read the modules in this order; arrows between them run one way, from later to earlier:
//!
//! 1. [`ids`], [`text`], [`model`], [`refusal`]: the words of the chat
//! 2. [`protocol`]: what travels on every wire
//! 3. [`limits`], [`signal`], [`ending`], [`metrics`], [`heap`]: what everything else needs
//! 4. `store`: the durable log; one thread writes, many commands to a commit
//! 5. [`inbox`]: a user's newest events in memory, and who reads them
//! 6. `publisher`: fan-out in the order of commits
//! 7. [`auth`], [`chat`]: who may do what, and doing it
//! 8. [`transport`]: the seam; [`transport::Session::serve`] is the one loop that drives all transports
//!
//! What carries it over HTTP is `support/chat-http`; a client's end is `support/chat-client`.
//!
//! Invariants: a transport never calls the chat; the chat never names a transport; no queue without a bound; no
//! lock across an await; every wait has a named limit; every task has an end.

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
