//! JSON bodies: announced as JSON, no longer than a frame, there in time, without unknown fields.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::Problem;
use crate::chat::Chat;
use crate::limits::Limits;
use crate::refusal::{Code, Refusal};

/// What of an overlong body is read and thrown away: a client that is still sending when the connection
/// closes is told by its kernel of a reset, and never reads the answer.
const DISCARDED_BYTES: usize = 8 * 1_024 * 1_024;

/// The bytes of a JSON body, unread.
pub(super) struct JsonBytes(pub(super) Bytes);

impl FromRequest<Chat> for JsonBytes {
    type Rejection = Problem;

    async fn from_request(request: Request, chat: &Chat) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let what = "send the body as JSON, with the header Content-Type: application/json";
            return Err(Refusal::new(Code::UnsupportedMediaType, what).into());
        }
        let mut body = Limited::new(request.into_body(), DISCARDED_BYTES);
        let read = async {
            let mut bytes = Vec::new();
            let mut too_large = false;
            while let Some(frame) = body.frame().await {
                let Ok(data) = frame?.into_data() else { continue };
                too_large |= bytes.len() + data.len() > Limits::FRAME_BYTES;
                if !too_large {
                    bytes.extend_from_slice(&data);
                }
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>((!too_large).then_some(bytes))
        };
        match timeout(chat.limits().body_timeout, read).await {
            Ok(Ok(Some(bytes))) => Ok(Self(bytes.into())),
            Ok(Ok(None)) => Err(too_large()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(error)) => {
                Err(Refusal::new(Code::BadRequest, format!("the body broke off: {error}")).into())
            }
            Err(_) => Err(Refusal::new(Code::BadRequest, "the body did not arrive in time").into()),
        }
    }
}

/// A JSON body, read.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Chat> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, chat: &Chat) -> Result<Self, Problem> {
        let JsonBytes(bytes) = JsonBytes::from_request(request, chat).await?;
        Ok(Self(serde_json::from_slice(&bytes).map_err(|error| Refusal::of_json(&error))?))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

fn too_large() -> Problem {
    let what = format!("the body has more than {} bytes", Limits::FRAME_BYTES);
    Refusal::new(Code::TooLarge, what).into()
}
