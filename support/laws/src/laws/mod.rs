//! The laws themselves, grouped as in `docs/protocol.md`.

#![allow(missing_docs, reason = "a law's name is its sentence")]

pub mod cursor;
pub mod delivery;
pub mod disk;
pub mod history;
pub mod http;
pub mod identity;
pub mod life;
pub mod membership;
pub mod pace;
pub mod presence;
pub mod sign_in;
