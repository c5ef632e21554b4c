//! What is compared: the transports, and the floor below them.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use chat_client::{Client, ClientError, Events, Sender, Target};
use chat_core::auth::Token;
use chat_core::ids::Cursor;
use chat_core::protocol::{Event, Reply, Request};
use chat_http::Server;
use clap::ValueEnum;
use longpoll_server::{LongPollServer, Pace, PollClient, ShortPollServer};
use sse_server::{SseClient, SseServer};
use ws_server::{WsClient, WsServer};

use crate::floor::TcpClient;

/// A transport, or something that is measured beside the transports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Subject {
    /// WebSocket.
    #[value(name = WsServer::NAME)]
    WebSocket,
    /// Server-Sent Events.
    #[value(name = SseServer::NAME)]
    Sse,
    /// HTTP long polling.
    #[value(name = LongPollServer::NAME)]
    LongPoll,
    /// HTTP short polling, every two seconds.
    #[value(name = ShortPollServer::NAME)]
    ShortPoll,
    /// A bare TCP broadcast: the floor.
    #[value(skip)]
    Tcp,
    /// The servers themselves, without any transport.
    #[value(skip)]
    Server,
}

impl Subject {
    /// The transports, in the order of every table.
    pub(crate) const TRANSPORTS: [Self; 4] = [Self::WebSocket, Self::Sse, Self::LongPoll, Self::ShortPoll];

    /// Its name in results.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::WebSocket => WsServer::NAME,
            Self::Sse => SseServer::NAME,
            Self::LongPoll => LongPollServer::NAME,
            Self::ShortPoll => ShortPollServer::NAME,
            Self::Tcp => "tcp",
            Self::Server => "server",
        }
    }

    /// How long its client pauses between two polls: a message may wait for so long.
    pub(crate) const fn pause(self) -> Duration {
        match self {
            Self::ShortPoll => EveryTwoSeconds::PAUSE,
            Self::WebSocket | Self::Sse | Self::LongPoll | Self::Tcp | Self::Server => Duration::ZERO,
        }
    }

    /// Whether its clients poll.
    pub(crate) const fn polls(self) -> bool {
        matches!(self, Self::LongPoll | Self::ShortPoll)
    }

    /// Connects a client, to read the events after a cursor, or from now on.
    ///
    /// Each client needs a `target` of its own: clients that share one also share its TCP connections.
    pub(crate) async fn connect(
        self,
        target: Target,
        token: &Token,
        after: Option<Cursor>,
    ) -> Result<AnyClient, ClientError> {
        match self {
            Self::WebSocket => AnyClient::open::<WsClient>(&target, token, after).await,
            Self::Sse => AnyClient::open::<SseClient>(&target, token, after).await,
            Self::LongPoll => AnyClient::open::<longpoll_server::LongPollClient>(&target, token, after).await,
            Self::ShortPoll => AnyClient::open::<PollClient<EveryTwoSeconds>>(&target, token, after).await,
            Self::Tcp => AnyClient::open::<TcpClient>(&target, token, after).await,
            Self::Server => {
                Err(ClientError::Disconnected("the servers themselves are not a transport".to_owned()))
            }
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Short polling with a common pause.
pub(crate) struct EveryTwoSeconds;

impl Pace for EveryTwoSeconds {
    const WAIT: Option<u64> = Some(0);
    const PAUSE: Duration = Duration::from_secs(2);
}

/// A client of any transport, behind two trait objects, so that each scenario is written once.
pub(crate) struct AnyClient {
    pub(crate) sender: Box<dyn AnySender>,
    pub(crate) events: Box<dyn AnyEvents>,
}

impl AnyClient {
    async fn open<C: Client>(
        target: &Target,
        token: &Token,
        after: Option<Cursor>,
    ) -> Result<Self, ClientError> {
        let (sender, events) = C::connect(target, token, after).await?;
        Ok(Self { sender: Box::new(sender), events: Box::new(events) })
    }
}

impl AnyEvents for AnyClient {
    fn next(&mut self) -> Later<'_, Event> {
        self.events.next()
    }
}

/// The future that a half of a client returns.
pub(crate) type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, ClientError>> + Send + 'a>>;

/// The half that sends, of any transport.
pub(crate) trait AnySender: Send + Sync {
    /// See [`Sender::send`].
    fn send(&self, request: Request) -> Later<'_, Reply>;
}

impl<S: Sender> AnySender for S {
    fn send(&self, request: Request) -> Later<'_, Reply> {
        Box::pin(Sender::send(self, request))
    }
}

/// The half that receives events, of any transport.
pub(crate) trait AnyEvents: Send {
    /// See [`Events::next`].
    fn next(&mut self) -> Later<'_, Event>;
}

impl<E: Events> AnyEvents for E {
    fn next(&mut self) -> Later<'_, Event> {
        Box::pin(Events::next(self))
    }
}
