//! What travels on every wire: requests up, replies and events down, each one JSON value, encoded once.

mod event;
mod frame;
mod request;

pub use event::{Event, ResetReason};
pub use frame::{Encoding, Frame};
pub use request::{BadRequest, Command, Done, Outcome, Reply, Request, To};
