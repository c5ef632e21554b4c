//! The API that all servers share.

use std::future::poll_fn;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json as Body};
use chat_core::auth::Token;
use chat_core::chat::{Answer, Chat};
use chat_core::ids::{ConversationId, IdError};
use chat_core::limits::Limits;
use chat_core::metrics::TransportMetrics;
use chat_core::model::User;
use chat_core::protocol::{Outcome, Reply};
use chat_core::refusal::{Code, Refusal};
use chat_core::text::Password;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::admission::{Caller, cookie_name};
use super::body::{Json, JsonBytes};
use super::problem::{retry_after, status};
use super::proxy::Source;
use super::{Problem, Site};

/// The most messages in a page of history, and how many a page has unless the request says otherwise.
const PAGE: usize = 200;
const DEFAULT_PAGE: usize = 50;

/// A name and a password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with a name and a password")]
pub(super) struct Credentials {
    name: String,
    password: Password,
}

pub(super) async fn register(
    State(chat): State<Chat>,
    from: Source,
    Json(Credentials { name, password }): Json<Credentials>,
) -> Result<Response, Problem> {
    let (user, token) = chat.register(name, password, from.address).await?;
    Ok(signed_in(StatusCode::CREATED, &chat, &from, &user, &token))
}

pub(super) async fn login(
    State(chat): State<Chat>,
    from: Source,
    Json(Credentials { name, password }): Json<Credentials>,
) -> Result<Response, Problem> {
    let (user, token) = chat.sign_in(name, password, from.address).await?;
    Ok(signed_in(StatusCode::OK, &chat, &from, &user, &token))
}

/// Answers with the token for programs, and with the cookie for browsers: their `EventSource` and `WebSocket` cannot
/// set headers.
fn signed_in(status: StatusCode, chat: &Chat, from: &Source, user: &User, token: &Token) -> Response {
    let lifetime = chat.limits().sign_in_lifetime.as_secs();
    let cookie = set_cookie(chat, from, token.as_str(), lifetime);
    (status, cookie, no_store(json!({"user": user, "token": token}))).into_response()
}

/// `Set-Cookie`: scripts cannot read the cookie, and browsers send it only from pages of this site. If it came over
/// https, they send it only over https ([RFC 6265bis §5.6]).
///
/// [RFC 6265bis §5.6]: https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis
fn set_cookie(chat: &Chat, from: &Source, value: &str, max_age: u64) -> [(header::HeaderName, String); 1] {
    let name = cookie_name(chat);
    let secure = if from.is_https { "; Secure" } else { "" };
    let cookie = format!("{name}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={max_age}{secure}");
    [(header::SET_COOKIE, cookie)]
}

pub(super) async fn logout(
    State(chat): State<Chat>,
    Caller(sign_in): Caller,
    from: Source,
) -> Result<Response, Problem> {
    chat.sign_out(sign_in).await?;
    Ok((StatusCode::NO_CONTENT, set_cookie(&chat, &from, "", 0)).into_response())
}

pub(super) async fn snapshot(State(chat): State<Chat>, Caller(caller): Caller) -> Result<Response, Problem> {
    Ok(no_store(chat.snapshot(caller.user).await?))
}

pub(super) async fn users(State(chat): State<Chat>, _: Caller) -> Result<Response, Problem> {
    Ok(no_store(json!({"users": chat.users().await?})))
}

pub(super) async fn groups(State(chat): State<Chat>, Caller(caller): Caller) -> Result<Response, Problem> {
    Ok(no_store(json!({"groups": chat.groups(caller.user).await?})))
}

/// Which page of history.
#[derive(Deserialize)]
pub(super) struct Which {
    before: Option<u64>,
    limit: Option<usize>,
}

pub(super) async fn history(
    State(chat): State<Chat>,
    Caller(caller): Caller,
    conversation: Result<Path<String>, PathRejection>,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Response, Problem> {
    let Path(conversation) =
        conversation.map_err(|error| Refusal::new(Code::BadRequest, error.body_text()))?;
    let conversation: ConversationId = conversation
        .parse()
        .map_err(|error: IdError| Refusal::new(Code::UnknownConversation, error.to_string()))?;
    let Query(Which { before, limit }) =
        which.map_err(|error| Refusal::new(Code::BadRequest, error.body_text()))?;
    let limit = limit.unwrap_or(DEFAULT_PAGE);
    if !(1..=PAGE).contains(&limit) {
        return Err(Refusal::new(Code::BadRequest, format!("limit must be between 1 and {PAGE}")).into());
    }
    Ok(no_store(chat.history(caller.user, conversation, before, limit).await?))
}

/// One request or an array of them: the same JSON that a WebSocket carries, answered with the same replies.
pub(super) async fn commands(
    State(chat): State<Chat>,
    Extension(metrics): Extension<Arc<TransportMetrics>>,
    Caller(caller): Caller,
    JsonBytes(json): JsonBytes,
) -> Result<Response, Problem> {
    if json.trim_ascii_start().first() == Some(&b'[') {
        let requests: Vec<&RawValue> = serde_json::from_slice(&json).map_err(Refusal::from)?;
        if requests.len() > Limits::REQUESTS_IN_FLIGHT {
            let what = format!("an array has at most {} requests", Limits::REQUESTS_IN_FLIGHT);
            return Err(Refusal::new(Code::TooLarge, what).into());
        }
        // All requests are queued in order before the first reply is awaited, so that one commit can hold them all.
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            answers.push(chat.submit(&caller, request.get().as_bytes()).await.map_err(Refusal::from)?);
        }
        let mut replies = Vec::with_capacity(answers.len());
        for answer in answers {
            replies.push(finish(answer, &metrics).await);
        }
        return Ok(no_store(replies));
    }
    let answer = chat.submit(&caller, &json).await.map_err(Refusal::from)?;
    let reply = finish(answer, &metrics).await;
    let Outcome::Refusal(refusal) = &reply.outcome else { return Ok(no_store(reply)) };
    let mut response = (status(refusal), no_store(&reply)).into_response();
    retry_after(refusal, response.headers_mut());
    Ok(response)
}

async fn finish(mut answer: Answer, metrics: &TransportMetrics) -> Reply {
    let reply = poll_fn(|cx| answer.poll(cx)).await;
    if let Outcome::Refusal(refusal) = &reply.outcome {
        metrics.refused(refusal.code);
    }
    reply
}

/// Where the transports are, and whether this browser is signed in. A page asks this first.
pub(super) async fn transports(
    State(chat): State<Chat>,
    Extension(site): Extension<Arc<Site>>,
    caller: Result<Caller, Problem>,
) -> Result<Response, Problem> {
    let me = match caller {
        Ok(Caller(caller)) => Some(chat.user(caller.user).await?),
        Err(Problem(refusal)) if refusal.code == Code::Unauthenticated => None,
        // A sign-in that cannot be read has not ended, so the page must not show the user as signed out.
        Err(problem) => return Err(problem),
    };
    Ok(no_store(json!({"transports": site.transports, "me": me})))
}

/// Whether this server should get clients. It answers without waiting.
pub(super) async fn healthz(State(chat): State<Chat>) -> Result<Response, Problem> {
    match chat.trouble() {
        Some(refusal) => Err(refusal.into()),
        None if chat.is_checking() => Ok(no_store(json!({"status": "ok", "checking": true}))),
        None => Ok(no_store(json!({"status": "ok"}))),
    }
}

pub(super) async fn metrics(State(chat): State<Chat>) -> impl IntoResponse {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4");
    ([(header::CONTENT_TYPE, kind)], Bytes::from(chat.metrics().render()))
}

/// JSON that no cache may keep, because it is about one person at one moment.
fn no_store(value: impl Serialize) -> Response {
    ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Body(value)).into_response()
}
