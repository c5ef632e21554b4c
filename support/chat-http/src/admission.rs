//! Admission: which user a request comes from, and after which cursor it reads on.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use chat_core::TokenHash;
use chat_core::auth::Token;
use chat_core::chat::{Chat, SignIn};
use chat_core::ending::{Cut, End};
use chat_core::ids::{Cursor, IdError};
use chat_core::metrics::TransportMetrics;
use chat_core::refusal::{Close, Code, Refusal};
use chat_core::transport::{Session, Transport};
use serde::Deserialize;

use super::fields::LAST_EVENT_ID;
use super::peer::Peer;
use super::{Problem, fields};

/// A client that asks for a stream or a poll: which user it is, and after which cursor it reads on.
///
/// A page cannot read the status of a refused WebSocket, and an `EventSource` reconnects by itself. So a refusal is
/// kept until the transport can send it as a close code. Only a malformed cursor is refused at once.
pub(super) struct Admission {
    chat: Chat,
    sign_in: Result<SignIn, Refusal>,
    after: Option<Cursor>,
    /// Only `after` can hold a cursor here, so the client may repeat the request with another cursor there.
    repeats: bool,
    cut: Option<Cut>,
}

/// The query parameters that may hold a cursor.
#[derive(Deserialize)]
struct Cursors {
    after: Option<String>,
    /// Sent by polyfills of `EventSource`, which cannot set the header.
    #[serde(rename = "lastEventId")]
    last_event_id: Option<String>,
}

/// The cursor after which a request reads on: the `Last-Event-ID` header, else `lastEventId` in the query, else
/// `after`. The flag says whether it can only be `after`.
///
/// The header comes first, because what a browser remembers of a broken stream is newer than the stream's URL. An
/// empty header or `lastEventId` counts as absent: it means that no event had come yet.
pub(super) fn cursor(parts: &Parts) -> Result<(Option<Cursor>, bool), Problem> {
    let Query(Cursors { after, last_event_id }) = query(parts)?;
    let header = fields::one(&parts.headers, &HeaderName::from_static(LAST_EVENT_ID))?;
    let last = [("Last-Event-ID", header), ("lastEventId", last_event_id.as_deref())];
    let last = last.into_iter().find_map(|(from, id)| Some((from, id.filter(|id| !id.is_empty())?)));
    let is_after = last.is_none();
    let cursor = last.or(after.as_deref().map(|after| ("after", after))).map(|(from, text)| {
        text.parse().map_err(|error: IdError| Refusal::new(Code::BadRequest, format!("{from}: {error}")))
    });
    Ok((cursor.transpose()?, is_after))
}

impl FromRequestParts<Chat> for Admission {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, chat: &Chat) -> Result<Self, Problem> {
        let (after, repeats) = cursor(parts)?;
        let sign_in = sign_in(&parts.headers, chat).await;
        let cut = parts.extensions.get::<Arc<Peer>>().map(|from| Arc::clone(&from.cut));
        Ok(Self { chat: chat.clone(), sign_in, after, repeats, cut })
    }
}

impl Admission {
    /// Admits the client when it sends the same request again, with another cursor in its query.
    pub(super) fn next(&self) -> Option<Next> {
        let token = self.sign_in.as_ref().ok().filter(|_| self.repeats)?.token;
        Some(Next { chat: self.chat.clone(), token, cut: self.cut.clone() })
    }

    /// Gives the client its seat in the chat, and counts it under the transport's name.
    ///
    /// Call this before the answer goes out. Then every event that happens once the client knows that it is connected
    /// comes after its cursor, and reaches it.
    pub(super) async fn enter(self, transport: &'static str) -> Admitted {
        let metrics = self.chat.metrics().transport(transport);
        let cut = self.cut.clone();
        let session = match self.sign_in {
            Ok(sign_in) => {
                Session::open(&self.chat, sign_in, self.after, Arc::clone(&metrics), self.cut).await
            }
            Err(refusal) => Err(refusal),
        };
        Admitted(
            session.map_err(|refusal| Box::new(Refused { refusal, metrics, cut: cut.unwrap_or_default() })),
        )
    }
}

/// A client that repeats its request. The token of the first request says which user it is.
#[derive(Clone)]
pub(super) struct Next {
    chat: Chat,
    token: TokenHash,
    cut: Option<Cut>,
}

impl Next {
    /// Gives the client a new seat in the chat, if its sign-in is still valid.
    pub(super) async fn enter(self, after: Cursor, transport: &'static str) -> Result<Box<Session>, Refusal> {
        let sign_in = self.chat.signed_in(self.token).await?;
        let metrics = self.chat.metrics().transport(transport);
        Session::open(&self.chat, sign_in, Some(after), metrics, self.cut).await
    }
}

/// An admitted client, or the reason to refuse it.
pub(super) struct Admitted(Result<Box<Session>, Box<Refused>>);

/// A client that is refused: the reason, and where the end of its connection is counted.
struct Refused {
    refusal: Refusal,
    metrics: Arc<TransportMetrics>,
    cut: Cut,
}

impl Admitted {
    /// Serves the client over its transport, or closes the transport with the reason.
    ///
    /// # Errors
    /// What went wrong on the wire.
    pub(super) async fn serve<T: Transport>(self, transport: &mut T) -> Result<(), T::Error> {
        match self.0 {
            Ok(session) => session.serve(transport).await,
            // In a box, because most clients are not refused.
            Err(refused) => {
                Box::pin(async move {
                    let why = Close::of_refusal(&refused.refusal);
                    refused.metrics.refused(refused.refusal.code);
                    refused.metrics.ended(&refused.cut, End::Closed(why));
                    transport.close(why, None).await
                })
                .await
            }
        }
    }

    /// The client, or the refusal, for a transport that refuses by the HTTP status.
    ///
    /// # Errors
    /// `unauthenticated`, `too_many_connections`, `storage_unavailable`.
    pub(super) fn or_problem(self) -> Result<Self, Problem> {
        self.0.map(|session| Self(Ok(session))).map_err(|refused| Problem(refused.refusal))
    }
}

impl From<Box<Session>> for Admitted {
    fn from(session: Box<Session>) -> Self {
        Self(Ok(session))
    }
}

/// A caller of the HTTP API, signed in.
pub(super) struct Caller(pub(super) SignIn);

impl FromRequestParts<Chat> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, chat: &Chat) -> Result<Self, Problem> {
        Ok(Self(sign_in(&parts.headers, chat).await?))
    }
}

/// The query of a request, or what is wrong with it.
pub(super) fn query<T: serde::de::DeserializeOwned>(parts: &Parts) -> Result<Query<T>, Problem> {
    Query::try_from_uri(&parts.uri).map_err(|error| Refusal::new(Code::BadRequest, error.body_text()).into())
}

async fn sign_in(headers: &HeaderMap, chat: &Chat) -> Result<SignIn, Refusal> {
    // Another scheme is not meant for this server: a proxy in front of it may have passwords of its own.
    let bearer = fields::one(headers, &header::AUTHORIZATION)?.and_then(|value| {
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        scheme.eq_ignore_ascii_case("bearer").then_some(Cow::from(token.trim()))
    });
    // A sign-in cookie that is not UTF-8 gives a token that no user has, so it is refused like any wrong token.
    let token = bearer.or_else(|| cookie(headers, chat).map(String::from_utf8_lossy));
    chat.authenticate(&Token::from(&*token.ok_or_else(Refusal::unauthenticated)?)).await
}

/// The name of the sign-in cookie. Cookies ignore ports, so servers with other databases need other names.
pub(super) fn cookie_name(chat: &Chat) -> String {
    format!("switchboard_{}", chat.identity())
}

/// The token in the sign-in cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, chat: &Chat) -> Option<&'a [u8]> {
    fields::cookie(headers, &cookie_name(chat))
}
