//! How a request becomes a transport: the part of a transport that knows HTTP.

use std::io;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::IntoResponse;
use chat_core::chat::Chat;
use chat_core::limits::Limits;
use chat_core::transport::Transport;

use super::admission::Admitted;
use super::connection::Connection;

/// A transport that begins with an HTTP request.
pub trait Endpoint: Transport<Error = io::Error> + Sized + 'static {
    /// Its name in URLs, metrics, benchmarks and tables.
    const NAME: &'static str;
    /// The path at which a client opens it.
    const PATH: &'static str;
    /// How a refusal reaches the client.
    const REFUSES: Refuses;
    /// Whether a client repeats its request over the same connection, with another cursor.
    const REPEATS: bool = false;
    /// What a request asks for, besides its user and its cursor.
    type Ask: FromRequestParts<Chat, Rejection: IntoResponse> + Clone + Send + Sync;

    /// The name under which a request is counted.
    fn name(_ask: &Self::Ask) -> &'static str {
        Self::NAME
    }

    /// The head of the answer.
    fn head(ask: &Self::Ask) -> impl IntoResponse;

    /// Begins to serve a client.
    ///
    /// # Errors
    /// The connection is closed or broken.
    fn begin(
        connection: Connection,
        ask: Self::Ask,
        limits: Arc<Limits>,
    ) -> impl Future<Output = io::Result<Self>> + Send;

    /// Ends the answer, and gives the connection back.
    ///
    /// # Errors
    /// The connection is closed or broken.
    fn finish(self) -> impl Future<Output = io::Result<Connection>> + Send;
}

/// How a refusal reaches the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refuses {
    /// By the HTTP status of the answer.
    ByStatus,
    /// By the transport's close code, because browsers do not show the status to the page.
    ByClose,
}

/// A client that is to be served.
pub(super) struct Client<E: Endpoint> {
    pub(super) ask: E::Ask,
    pub(super) limits: Arc<Limits>,
    pub(super) admitted: Admitted,
}

impl<E: Endpoint> Client<E> {
    /// Serves the client over its connection, and gives the connection back in the end.
    ///
    /// Beginning and finishing are in boxes. Otherwise, each waiting connection would keep room for them.
    pub(super) fn serve(self, connection: Connection) -> impl Future<Output = io::Result<Connection>> + Send {
        let Self { ask, limits, admitted } = self;
        let begin = Box::pin(E::begin(connection, ask, limits));
        async move {
            let mut transport = begin.await?;
            admitted.serve(&mut transport).await?;
            Box::pin(transport.finish()).await
        }
    }
}
