//! JSON bodies: declared as JSON, no longer than a frame, received in time, without unknown fields.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use chat_core::chat::Chat;
use chat_core::limits::Limits;
use chat_core::refusal::{Code, Refusal};
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::{Problem, fields};

/// How much of a body that is too long is read and thrown away. If the connection closed while the client is still
/// sending, the client would get a reset, and would never read the answer.
const DISCARDED_BYTES: usize = 8 * 1_024 * 1_024;

/// The bytes of a JSON body, not parsed yet.
pub(super) struct JsonBytes(pub(super) Bytes);

impl FromRequest<Chat> for JsonBytes {
    type Rejection = Response;

    async fn from_request(request: Request, chat: &Chat) -> Result<Self, Response> {
        if !is_json(request.headers()).map_err(respond)? {
            let what = "send the body as JSON, with the header Content-Type: application/json";
            return Err(respond(Refusal::new(Code::UnsupportedMediaType, what)));
        }
        // A body whose `Content-Length` is too long is refused without being read.
        let announced = fields::one(request.headers(), &header::CONTENT_LENGTH).map_err(respond)?;
        if announced
            .is_some_and(|length| length.parse().map_or(true, |length: usize| length > Limits::FRAME_BYTES))
        {
            return Err(hang_up(too_large()));
        }
        let mut body = Limited::new(request.into_body(), DISCARDED_BYTES);
        let (mut bytes, mut is_too_large) = (Vec::new(), false);
        let read = async {
            while let Some(frame) = body.frame().await {
                let Ok(data) = frame?.into_data() else { continue };
                is_too_large |= bytes.len() + data.len() > Limits::FRAME_BYTES;
                if !is_too_large {
                    bytes.extend_from_slice(&data);
                }
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        };
        let read = timeout(chat.limits().body_timeout, read).await;
        match read {
            _ if is_too_large => Err(hang_up(too_large())),
            Ok(Ok(())) => Ok(Self(bytes.into())),
            Ok(Err(error)) => {
                Err(hang_up(Refusal::new(Code::BadRequest, format!("the body broke off: {error}"))))
            }
            Err(_) => {
                let what = "the body did not arrive in time; the request had no effect, send it again";
                Err(hang_up(Refusal::retry_after(Code::RequestTimeout, Duration::from_secs(1), what)))
            }
        }
    }
}

/// A JSON body, parsed.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Chat> for Json<T> {
    type Rejection = Response;

    async fn from_request(request: Request, chat: &Chat) -> Result<Self, Response> {
        let JsonBytes(bytes) = JsonBytes::from_request(request, chat).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| respond(Refusal::of_json(&error)))
    }
}

fn is_json(headers: &HeaderMap) -> Result<bool, Refusal> {
    let kind = fields::one(headers, &header::CONTENT_TYPE)?.unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default();
    Ok(essence.trim().eq_ignore_ascii_case("application/json"))
}

fn too_large() -> Refusal {
    Refusal::new(Code::TooLarge, format!("the body has more than {} bytes", Limits::FRAME_BYTES))
}

fn respond(refusal: Refusal) -> Response {
    Problem(refusal).into_response()
}

/// Refuses, and closes the connection, because the rest of the body would be read as the next request.
fn hang_up(refusal: Refusal) -> Response {
    ([(header::CONNECTION, "close")], Problem(refusal)).into_response()
}
