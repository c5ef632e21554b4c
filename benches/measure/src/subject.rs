//! What is compared: the transports, and the floor below them.

use std::fmt;
use std::time::Duration;

use chat_client::any::{AnyEvents, AnySender, connect};
use chat_client::{ClientError, Events, Target};
use chat_core::auth::Token;
use chat_core::ids::Cursor;
use chat_core::limits::Limits;
use chat_core::protocol::Event;
use chat_http::{Framing, Reads, Way};
use longpoll_server::{Pace, PollClient};
use transports::Transport;

use crate::floor::TcpClient;

/// A transport, or something that is measured beside the transports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A transport of the list.
    Transport(Transport),
    /// A bare TCP broadcast: the floor.
    Tcp,
    /// The servers themselves, without any transport.
    Server,
}

impl Subject {
    /// The subject of this name in results.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Transport::named(name).map(Self::Transport)
    }

    /// Its name in results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Transport(transport) => transport.name,
            Self::Tcp => "tcp",
            Self::Server => "server",
        }
    }

    /// How its events reach the client.
    pub(crate) fn reads(self) -> Reads {
        match self {
            Self::Transport(transport) => transport.reads,
            Self::Tcp | Self::Server => Reads::Stream(Framing::Lines),
        }
    }

    /// Whether its clients poll, and the server answers each poll at once.
    pub(crate) fn polls_at_intervals(self) -> bool {
        self.reads() == Reads::ShortPolls
    }

    /// How long its client pauses between two polls: a message may wait for so long.
    pub(crate) fn pause(self) -> Duration {
        if self.polls_at_intervals() { EveryTwoSeconds::PAUSE } else { Duration::ZERO }
    }

    /// The time between two heartbeats or polls, with the servers' defaults.
    pub(crate) fn heartbeat(self) -> Duration {
        match self {
            Self::Transport(transport) if !self.polls_at_intervals() => {
                (transport.heartbeat)(&Limits::default())
            }
            Self::Transport(_) | Self::Tcp | Self::Server => self.pause(),
        }
    }

    /// The ways in which its transport can get its connections.
    pub(crate) fn ways(self) -> impl Iterator<Item = Way> {
        let ways: &[Way] = match self {
            Self::Transport(_) => &[Way::Takeover, Way::Plain],
            Self::Tcp | Self::Server => &[Way::Takeover],
        };
        ways.iter().copied()
    }

    /// Whether its requests and its events share one connection.
    pub(crate) fn is_duplex(self) -> bool {
        matches!(self, Self::Transport(transport) if transport.is_duplex)
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
        let connect = match self {
            // The client of its crate pauses for a shorter time than people would choose.
            Self::Transport(_) if self.polls_at_intervals() => connect::<PollClient<EveryTwoSeconds>>,
            Self::Transport(transport) => transport.connect,
            Self::Tcp => connect::<TcpClient>,
            Self::Server => {
                let why = "the servers themselves are not a transport".to_owned();
                return Err(ClientError::Disconnected(why));
            }
        };
        let (sender, events) = connect(&target, token, after).await?;
        Ok(AnyClient { sender, events })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The server's flags for a way.
pub(crate) fn flags(way: Way) -> &'static [&'static str] {
    match way {
        Way::Takeover => &[],
        Way::Plain => &["--plain"],
    }
}

/// The condition of a row for a way.
pub(crate) fn condition(way: Way) -> &'static [(&'static str, f64)] {
    match way {
        Way::Takeover => &[],
        Way::Plain => &[("plain", 1.0)],
    }
}

/// Short polling with a common pause.
pub(crate) struct EveryTwoSeconds;

impl Pace for EveryTwoSeconds {
    const WAIT: Option<u64> = Some(0);
    const PAUSE: Duration = Duration::from_secs(2);
}

/// A client of any transport, so that each scenario is written once.
pub(crate) struct AnyClient {
    pub(crate) sender: AnySender,
    pub(crate) events: AnyEvents,
}

impl Events for AnyClient {
    async fn next(&mut self) -> Result<Event, ClientError> {
        self.events.next().await
    }

    fn cursor(&self) -> Option<Cursor> {
        self.events.cursor()
    }
}
