//! A client of any transport: programs that let their user choose a transport are written once with it.

use std::pin::Pin;
use std::sync::Arc;

use chat_core::auth::Token;
use chat_core::ids::Cursor;
use chat_core::protocol::{Event, Reply, Request};

use crate::{Client, ClientError, Events, Sender, Target};

/// A future of a type that is known at run time only.
type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, ClientError>> + Send + 'a>>;

/// How to connect a client of a transport that is chosen at run time: [`connect`] for its type.
pub type Connect = for<'a> fn(&'a Target, &'a Token, Option<Cursor>) -> Later<'a, (AnySender, AnyEvents)>;

/// [`Client::connect`], in the form of a [`Connect`].
pub fn connect<'a, C: Client>(
    target: &'a Target,
    token: &'a Token,
    after: Option<Cursor>,
) -> Later<'a, (AnySender, AnyEvents)> {
    Box::pin(async move {
        let (sender, events) = C::connect(target, token, after).await?;
        Ok((AnySender::new(sender), AnyEvents(Box::new(events))))
    })
}

/// The half that sends.
#[derive(Clone)]
pub struct AnySender(Arc<dyn SendLater>);

impl AnySender {
    /// The sending half of any client.
    #[must_use]
    pub fn new(sender: impl Sender) -> Self {
        Self(Arc::new(sender))
    }
}

impl Sender for AnySender {
    /// Some transports keep the order and others do not, so callers must not rely on it.
    const IN_ORDER: bool = false;

    async fn send(&self, request: Request) -> Result<Reply, ClientError> {
        self.0.send_later(request).await
    }
}

/// The half that receives events.
pub struct AnyEvents(Box<dyn NextLater>);

impl Events for AnyEvents {
    async fn next(&mut self) -> Result<Event, ClientError> {
        self.0.next_later().await
    }

    fn cursor(&self) -> Option<Cursor> {
        self.0.reached()
    }
}

/// [`Sender`] in a form that a trait object can have.
trait SendLater: Send + Sync {
    fn send_later(&self, request: Request) -> Later<'_, Reply>;
}

impl<S: Sender> SendLater for S {
    fn send_later(&self, request: Request) -> Later<'_, Reply> {
        Box::pin(self.send(request))
    }
}

/// [`Events`] in a form that a trait object can have.
trait NextLater: Send {
    fn next_later(&mut self) -> Later<'_, Event>;
    fn reached(&self) -> Option<Cursor>;
}

impl<E: Events> NextLater for E {
    fn next_later(&mut self) -> Later<'_, Event> {
        Box::pin(self.next())
    }

    fn reached(&self) -> Option<Cursor> {
        self.cursor()
    }
}
