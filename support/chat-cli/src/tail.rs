//! Following the chat: prints events as they happen, each once, and reconnects when a connection ends.

use std::time::Duration;

use anyhow::bail;
use chat_client::{ClientError, Events};
use chat_core::auth::Token;
use chat_core::ids::Cursor;
use chat_core::protocol::Event;
use chat_http::Reads;
use clap::Args;
use tokio::time::{Instant, sleep, timeout};

use crate::backoff::Backoff;
use crate::caller::Caller;
use crate::failure::{Ended, another_try};
use crate::names::Names;
use crate::output::{note, unread};

/// How long a stream may be silent. It has a tick at least every 30 s.
const SILENCE: Duration = Duration::from_secs(45);

/// From where, and until when.
#[derive(Debug, Clone, Args)]
pub(crate) struct Tail {
    /// Begin after this cursor, as an event's id or an earlier tail gave it; without it, with what happens next
    #[arg(long, value_name = "CURSOR")]
    after: Option<Cursor>,
    /// End after this many messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after this time, such as 10s; with --count, it is a failure if fewer have come by then
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    time: Option<Duration>,
}

/// Prints events until its options or Ctrl-C end it, or until stdout is closed.
pub(crate) async fn tail(caller: &Caller, how: Tail) -> anyhow::Result<()> {
    let enough = async {
        match how.time {
            Some(time) => sleep(time).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = follow(caller, &how) => ended,
        () = unread() => Ok(()),
        () = enough => match how.count {
            Some(count) => bail!("not all of the messages came in time; {count} were to come"),
            None => Ok(()),
        }
    }
}

async fn follow(caller: &Caller, how: &Tail) -> anyhow::Result<()> {
    let token = caller.token()?;
    let snapshot = caller.target.snapshot(&token).await?;
    let mut following = Following {
        caller,
        token,
        names: Names::of(&snapshot),
        reached: Reached(how.after.unwrap_or(snapshot.cursor)),
        missing: how.count,
    };
    following.run().await
}

/// The cursor that was reached. It is printed when this is dropped, so at every kind of end.
struct Reached(Cursor);

impl Drop for Reached {
    fn drop(&mut self) {
        note(&format!("To go on from here: cargo chat tail --after {}", self.0));
    }
}

/// What following the chat needs.
struct Following<'a> {
    caller: &'a Caller,
    token: Token,
    names: Names,
    reached: Reached,
    /// How many messages are still to come; `None`: there is no end.
    missing: Option<u64>,
}

/// How reading a connection ended.
enum End {
    /// All messages that were wanted have come.
    Enough,
    /// The cursor could not be used.
    Reset,
    /// The connection has ended.
    Lost(anyhow::Error),
}

impl Following<'_> {
    /// Connects, reads, and connects again after its cursor.
    async fn run(&mut self) -> anyhow::Result<()> {
        let transport = self.caller.transport;
        note(&format!("Listening over {} at {}; Ctrl-C ends.", transport.name, self.caller.address));
        let mut backoff = Backoff::default();
        loop {
            let (after, since) = (Some(self.reached.0), Instant::now());
            let end = match (transport.connect)(&self.caller.target, &self.token, after).await {
                Ok((_, events)) => self.read(events).await?,
                Err(error) => End::Lost(error.into()),
            };
            let (why, least) = match end {
                End::Enough => return Ok(()),
                End::Reset => {
                    let snapshot = self.caller.target.snapshot(&self.token).await?;
                    (self.names, self.reached.0) = (Names::of(&snapshot), snapshot.cursor);
                    (
                        "the log does not go on from that cursor: reading on from now".to_owned(),
                        Duration::ZERO,
                    )
                }
                End::Lost(error) => match another_try(&error) {
                    Some(least) => (format!("{error}: coming back"), least),
                    None => return Err(error),
                },
            };
            let wait = least + backoff.next(since.elapsed());
            note(&format!("{why} in {} ms", wait.as_millis()));
            sleep(wait).await;
        }
    }

    /// Prints what comes over one connection.
    async fn read(&mut self, mut events: impl Events) -> anyhow::Result<End> {
        loop {
            let next = match self.caller.transport.reads {
                Reads::Stream(_) => timeout(SILENCE, events.next()).await.unwrap_or_else(|_| Err(silent())),
                // Each poll has a time limit of its own.
                Reads::LongPolls | Reads::ShortPolls => events.next().await,
            };
            let event = match next {
                Ok(event) => event,
                Err(error) => return Ok(End::Lost(error.into())),
            };
            self.names.learn(&event);
            self.caller.output.value(&event, || self.names.event(&event))?;
            // The cursor moves only after the event is printed.
            self.reached.0 = events.cursor().unwrap_or(self.reached.0);
            match event {
                Event::Message(_) => {
                    self.missing = self.missing.map(|missing| missing - 1);
                    if self.missing == Some(0) {
                        return Ok(End::Enough);
                    }
                }
                Event::Reset { .. } => return Ok(End::Reset),
                Event::Close { code, name, reconnect } => {
                    return Ok(End::Lost(Ended { code, name, reconnect }.into()));
                }
                _ => {}
            }
        }
    }
}

fn silent() -> ClientError {
    ClientError::Disconnected("nothing came for too long".to_owned())
}
