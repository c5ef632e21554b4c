//! One client of any wire: the typed clients of the transports behind one type, chosen while a test runs.

#![allow(dead_code, reason = "every test file uses a part of this")]

use std::pin::Pin;
use std::sync::Arc;

use chat_client::{Client, ClientError, Events, Sender, Target};
use chat_core::auth::Token;
use chat_core::ids::Cursor;
use chat_core::protocol::{Event, Reply, Request};
use chat_http::Server;
use longpoll_server::{LongPollServer, ShortPollServer};
use sse_server::SseServer;
use ws_server::WsServer;

/// A future of one of several types.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A way to reach the chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    WebSocket,
    Sse,
    LongPoll,
    ShortPoll,
}

/// The half that asks.
pub(crate) type Asker = Arc<dyn Ask>;

/// The half that listens.
pub(crate) type Listener = Box<dyn Listen>;

impl Wire {
    pub(crate) const ALL: [Self; 4] = [Self::WebSocket, Self::Sse, Self::LongPoll, Self::ShortPoll];

    /// The wire after this one, the first after the last.
    pub(crate) fn next(self) -> Self {
        Self::ALL[(self as usize + 1) % Self::ALL.len()]
    }

    /// Connects to the server of this wire, to read what comes after a cursor.
    pub(crate) async fn connect(
        self,
        target: &Target,
        token: &Token,
        after: Option<Cursor>,
    ) -> Result<(Asker, Listener), ClientError> {
        match self {
            Self::WebSocket => connect::<WsServer>(target, token, after).await,
            Self::Sse => connect::<SseServer>(target, token, after).await,
            Self::LongPoll => connect::<LongPollServer>(target, token, after).await,
            Self::ShortPoll => connect::<ShortPollServer>(target, token, after).await,
        }
    }
}

async fn connect<S: Server>(
    target: &Target,
    token: &Token,
    after: Option<Cursor>,
) -> Result<(Asker, Listener), ClientError> {
    let (sender, events) = S::Client::connect(target, token, after).await?;
    Ok((Arc::new(sender), Box::new(events)))
}

/// [`Sender`], of a type that is not known beforehand.
pub(crate) trait Ask: Send + Sync {
    fn ask(&self, request: Request) -> Boxed<'_, Result<Reply, ClientError>>;
}

impl<S: Sender> Ask for S {
    fn ask(&self, request: Request) -> Boxed<'_, Result<Reply, ClientError>> {
        Box::pin(self.send(request))
    }
}

/// [`Events`], of a type that is not known beforehand.
pub(crate) trait Listen: Send {
    fn hear(&mut self) -> Boxed<'_, Result<Event, ClientError>>;
    fn reached(&self) -> Option<Cursor>;
}

impl<E: Events> Listen for E {
    fn hear(&mut self) -> Boxed<'_, Result<Event, ClientError>> {
        Box::pin(self.next())
    }

    fn reached(&self) -> Option<Cursor> {
        self.cursor()
    }
}

/// The place in the log that a cursor stands for. Clients must not look inside; a test of rising ids has to.
pub(crate) fn position(cursor: Cursor) -> u64 {
    cursor.to_string().split('.').nth(1).and_then(|position| position.parse().ok()).expect("epoch.position")
}
