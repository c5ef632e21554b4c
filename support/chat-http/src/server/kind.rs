//! One kind of server: its name, its routes, and its clients.

use std::marker::PhantomData;

use axum::Router;
use chat_client::Client;
use chat_core::chat::Chat;

use crate::Way;

/// One kind of server.
pub trait Server: Send + 'static {
    /// Its name in URLs, metrics, benchmarks and tables.
    const NAME: &'static str;
    /// The path at which a client connects; `None`: there is no wire.
    const PATH: Option<&'static str>;
    /// How its transports get their connections.
    const WAY: Way = Way::Takeover;
    /// The client's end of its transport.
    type Client: Client;

    /// What it adds to the HTTP API that all servers share.
    fn routes() -> Router<Chat>;
}

/// The same server in the plain way: the HTTP library keeps its connections.
pub struct Plain<S>(PhantomData<fn() -> S>);

impl<S: Server> Server for Plain<S> {
    const NAME: &'static str = S::NAME;
    const PATH: Option<&'static str> = S::PATH;
    const WAY: Way = Way::Plain;
    type Client = S::Client;

    fn routes() -> Router<Chat> {
        S::routes()
    }
}
