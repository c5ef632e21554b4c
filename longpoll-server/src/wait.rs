//! How long a poll waits: what its request asks for, within the limits of the server.

use std::time::Duration;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use chat_core::chat::Chat;
use chat_core::refusal::{Code, Refusal};
use chat_http::Problem;
use serde::Deserialize;

/// The longest wait that a poll may ask for.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// How long a poll waits for news.
#[derive(Clone)]
pub(crate) struct Wait(pub(crate) Duration);

impl FromRequestParts<Chat> for Wait {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, chat: &Chat) -> Result<Self, Problem> {
        #[derive(Deserialize)]
        struct Asked {
            wait: Option<u64>,
        }
        let asked = Query::<Asked>::try_from_uri(&parts.uri);
        let Query(Asked { wait }) =
            asked.map_err(|error| Refusal::new(Code::BadRequest, error.body_text()))?;
        let wait = wait.map_or(chat.limits().poll_wait, Duration::from_secs);
        if wait > MAX_WAIT {
            let what = format!("wait must be between 0 and {} seconds", MAX_WAIT.as_secs());
            return Err(Refusal::new(Code::BadRequest, what).into());
        }
        Ok(Self(wait.min(chat.limits().longest_poll)))
    }
}
