//! What every transport carries: requests up, replies and events down. Each is one JSON value, encoded once.

mod event;
mod frame;
mod request;

pub use event::{Event, ResetReason};
pub use frame::{Encoding, Frame};
pub use request::{BadRequest, Command, Done, Outcome, Reply, Request, To};
