//! Who a request comes from, and from where in the log they want to read on.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::Deserialize;

use super::{Peer, Problem};
use crate::auth::Token;
use crate::chat::{Chat, SignIn};
use crate::ending::{Cut, End};
use crate::ids::{Cursor, IdError};
use crate::limits::Limits;
use crate::metrics::WireMetrics;
use crate::refusal::{Close, Code, Refusal};
use crate::store::TokenHash;
use crate::transport::{Session, Transport};

/// A client at the door of a stream or a poll: who it is, and from where it wants to read on.
///
/// A browser cannot read the status of a refused WebSocket, and an `EventSource` tries again by itself. So a
/// refusal is kept until there is a wire to say it on; only a malformed cursor is answered at once.
pub struct Admission {
    chat: Chat,
    sign_in: Result<SignIn, Refusal>,
    after: Option<Cursor>,
    /// The cursor came in a header, where browsers put it.
    by_header: bool,
    cut: Option<Cut>,
}

#[derive(Deserialize)]
struct After {
    after: Option<String>,
}

impl FromRequestParts<Chat> for Admission {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, chat: &Chat) -> Result<Self, Problem> {
        let Query(After { after }) = query(parts)?;
        // What a browser remembers of a broken stream is newer than the address it was opened with:
        // https://html.spec.whatwg.org/multipage/server-sent-events.html#the-last-event-id-header
        let last =
            parts.headers.get("last-event-id").and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty());
        let by_header = last.is_some();
        let after = last.or(after.as_deref()).map(str::parse).transpose();
        let after = after.map_err(|error: IdError| Refusal::new(Code::BadRequest, error.to_string()))?;
        let sign_in = sign_in(&parts.headers, chat).await;
        let cut = parts.extensions.get::<Arc<Peer>>().map(|from| Arc::clone(&from.cut));
        Ok(Self { chat: chat.clone(), sign_in, after, by_header, cut })
    }
}

impl Admission {
    /// The limits of the chat behind the door.
    #[must_use]
    pub fn limits(&self) -> &Arc<Limits> {
        self.chat.limits()
    }

    /// Whoever sends the same request again, after another cursor in its query.
    pub(super) fn next(&self) -> Option<Next> {
        let token = self.sign_in.as_ref().ok().filter(|_| !self.by_header)?.token;
        Some(Next { chat: self.chat.clone(), token, cut: self.cut.clone() })
    }

    /// Gives the client its place in the chat, counted under the transport's name.
    ///
    /// Do this before the answer goes out: what happens once the client knows that it is connected is after its
    /// place, and reaches it.
    pub async fn enter(self, transport: &'static str) -> Admitted {
        let wire = self.chat.metrics().wire(transport);
        let cut = self.cut.clone();
        let session = match self.sign_in {
            Ok(sign_in) => Session::open(&self.chat, sign_in, self.after, Arc::clone(&wire), self.cut).await,
            Err(refusal) => Err(refusal),
        };
        Admitted(session.map_err(|refusal| Box::new(Refused { refusal, wire, cut: cut.unwrap_or_default() })))
    }
}

/// A client at the door once more, known by what was the same in its request.
#[derive(Clone)]
pub(super) struct Next {
    chat: Chat,
    token: TokenHash,
    cut: Option<Cut>,
}

impl Next {
    /// Gives the client its place in the chat anew, if its sign-in is still good.
    pub(super) async fn enter(self, after: Cursor, transport: &'static str) -> Result<Box<Session>, Refusal> {
        let sign_in = self.chat.signed_in(self.token).await?;
        let wire = self.chat.metrics().wire(transport);
        Session::open(&self.chat, sign_in, Some(after), wire, self.cut).await
    }
}

/// A client past the door, or the reason why not.
pub struct Admitted(Result<Box<Session>, Box<Refused>>);

/// A client that is refused, and the connection over which it is told.
struct Refused {
    refusal: Refusal,
    wire: Arc<WireMetrics>,
    cut: Cut,
}

impl Admitted {
    /// Serves the client over its transport, or says there why not.
    ///
    /// # Errors
    /// What went wrong on the wire.
    pub async fn serve<T: Transport>(self, transport: &mut T) -> Result<(), T::Error> {
        match self.0 {
            Ok(session) => session.serve(transport).await,
            Err(refused) => {
                let why = Close::of_refusal(&refused.refusal);
                refused.wire.refused(refused.refusal.code);
                refused.wire.ended(&refused.cut, End::Closed(why));
                transport.close(why, None).await
            }
        }
    }

    /// The session, for a wire that has a status to refuse with.
    ///
    /// # Errors
    /// `unauthenticated`, `too_many_connections`, `storage_unavailable`.
    pub fn session(self) -> Result<Box<Session>, Problem> {
        self.0.map_err(|refused| Problem(refused.refusal))
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

/// The address that a request came from.
pub(super) struct PeerAddress(pub(super) IpAddr);

impl FromRequestParts<Chat> for PeerAddress {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Chat) -> Result<Self, Problem> {
        let from = parts.extensions.get::<Arc<Peer>>();
        let unknown = || Refusal::new(Code::Internal, "the address of this connection is not known");
        Ok(Self(from.ok_or_else(unknown)?.address))
    }
}

/// The query of a request, or what is wrong with it.
pub(super) fn query<T: serde::de::DeserializeOwned>(parts: &Parts) -> Result<Query<T>, Problem> {
    Query::try_from_uri(&parts.uri).map_err(|error| Refusal::new(Code::BadRequest, error.body_text()).into())
}

async fn sign_in(headers: &HeaderMap, chat: &Chat) -> Result<SignIn, Refusal> {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .and_then(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer").then_some(token.trim()));
    let token = bearer.or_else(|| cookie(headers, chat)).ok_or_else(Refusal::unauthenticated)?;
    chat.authenticate(&Token::from(token)).await
}

/// The name of the sign-in cookie. Cookies ignore ports, so servers with other databases need other names.
pub(super) fn cookie_name(chat: &Chat) -> String {
    format!("switchboard_{}", chat.identity())
}

/// The token in the sign-in cookie ([RFC 6265 §4.2.1](https://www.rfc-editor.org/rfc/rfc6265#section-4.2.1)).
pub(super) fn cookie<'a>(headers: &'a HeaderMap, chat: &Chat) -> Option<&'a str> {
    let name = cookie_name(chat);
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, token)| (key == name).then_some(token))
}
