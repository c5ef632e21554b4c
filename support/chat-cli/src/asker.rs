//! Sending a command until its outcome is known: over the chosen transport, again after a disconnect, and with the same
//! `cid` each time.

use std::time::Duration;

use chat_client::any::{AnyEvents, AnySender};
use chat_client::{ClientError, Events, PostSender, Sender};
use chat_core::auth::Token;
use chat_core::protocol::{Command, Done, Event, Outcome, Reply, Request};
use chat_core::refusal::Code;
use chat_core::text::Cid;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::backoff::Backoff;
use crate::caller::Caller;
use crate::failure::{Ended, another_try, refusal};
use crate::output::note;

/// How long a command may take with all its attempts: about as long as a person waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait for the reason after a connection has ended.
const REASON: Duration = Duration::from_secs(1);

/// Sends commands over a connection that is made when it is needed.
pub(crate) struct Asker<'a> {
    caller: &'a Caller,
    token: Token,
    up: Option<Up>,
}

impl<'a> Asker<'a> {
    /// Sends commands as the user of a token.
    pub(crate) fn new(caller: &'a Caller, token: Token) -> Self {
        Self { caller, token, up: None }
    }

    /// Sends a command, and prints the reply.
    ///
    /// # Errors
    /// The command was refused for good, or its outcome is unknown.
    pub(crate) async fn tell(&mut self, command: Command) -> anyhow::Result<()> {
        let reply = self.ask(command).await?;
        self.caller.output.value(&reply, || match &reply.outcome {
            Outcome::Ok(done) => Some(text(done)),
            Outcome::Refusal(_) => None,
        })?;
        reply.into_result()?;
        Ok(())
    }

    /// Sends a command again and again, until there is a reply that another attempt would not change.
    async fn ask(&mut self, command: Command) -> anyhow::Result<Reply> {
        let request = Request { request_id: None, command };
        let (started, mut backoff) = (Instant::now(), Backoff::default());
        loop {
            let error = match self.attempt(&request).await {
                Ok(reply) => match &reply.outcome {
                    Outcome::Refusal(refusal) if refusal.retry_after_ms.is_some() => {
                        ClientError::Refused(refusal.clone()).into()
                    }
                    Outcome::Ok(_) | Outcome::Refusal(_) => return Ok(reply),
                },
                Err(error) => error,
            };
            // If the server says when to try again, exactly that time is waited for.
            let wait = match another_try(&error) {
                None => return Err(error),
                Some(Duration::ZERO) => backoff.next(Duration::ZERO),
                Some(told) => told,
            };
            // A disk that does not answer in time may still store the command.
            let is_known = refusal(&error).is_some_and(|refusal| refusal.code != Code::StorageUnavailable);
            if started.elapsed() + wait > PATIENCE {
                return Err(if is_known { error } else { error.context(unknown(&request.command)) });
            }
            if !is_known {
                note(&format!(
                    "no reply ({error}); asking again, with the same ids, in {} ms",
                    wait.as_millis()
                ));
            }
            sleep(wait).await;
        }
    }

    /// Sends a command once. If no reply comes, the next attempt uses a new connection.
    async fn attempt(&mut self, request: &Request) -> anyhow::Result<Reply> {
        let mut up = match self.up.take() {
            Some(up) => up,
            None => Up::connect(self.caller, &self.token).await?,
        };
        let late = |_| Err(ClientError::Disconnected("no reply came in time".to_owned()));
        match timeout(PATIENCE, up.send(request.clone())).await.unwrap_or_else(late) {
            Ok(reply) => {
                self.up = Some(up);
                Ok(reply)
            }
            Err(error) => Err(up.reason().await.map_or_else(|| error.into(), Into::into)),
        }
    }
}

/// How requests are sent: over the connection, if it is duplex; otherwise each is a POST.
enum Up {
    Duplex(AnySender, JoinSet<Option<Ended>>),
    Post(PostSender),
}

impl Up {
    async fn connect(caller: &Caller, token: &Token) -> Result<Self, ClientError> {
        if !caller.transport.is_duplex {
            return Ok(Self::Post(PostSender::new(&caller.target, token)));
        }
        let (sender, events) = (caller.transport.connect)(&caller.target, token, None).await?;
        let mut end = JoinSet::new();
        end.spawn(skim(events));
        Ok(Self::Duplex(sender, end))
    }

    async fn send(&self, request: Request) -> Result<Reply, ClientError> {
        match self {
            Self::Duplex(sender, _) => sender.send(request).await,
            Self::Post(sender) => sender.send(request).await,
        }
    }

    /// Why the connection has ended, if the server said so.
    async fn reason(&mut self) -> Option<Ended> {
        match self {
            Self::Duplex(_, end) => timeout(REASON, end.join_next()).await.ok()??.ok()?,
            Self::Post(_) => None,
        }
    }
}

/// Reads events and throws them away, because replies come behind them. Returns why the connection has ended.
async fn skim(mut events: AnyEvents) -> Option<Ended> {
    loop {
        match events.next().await {
            Ok(Event::Close { code, name, reconnect }) => return Some(Ended { code, name, reconnect }),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

/// A new id for something that is stored only once, however often it is sent.
pub(crate) fn new_cid() -> Cid {
    let mut bits = [0_u8; 16];
    getrandom::fill(&mut bits).expect("the operating system gives random bits");
    let text: String = bits.iter().map(|byte| format!("{byte:02x}")).collect();
    Cid::try_from(text).expect("32 digits are a cid")
}

/// What to do when the outcome of a command is unknown.
fn unknown(command: &Command) -> String {
    let again = match command {
        Command::Send { cid, .. } => {
            format!("; with --cid {} it can be sent again, and is stored once", cid.as_str())
        }
        Command::CreateGroup { .. } => "; cargo chat groups says whether it is there".to_owned(),
        // Doing them twice has the same effect as doing them once.
        Command::JoinGroup { .. } | Command::LeaveGroup { .. } => String::new(),
        Command::MarkRead { .. } | Command::Typing { .. } => String::new(),
    };
    format!("nobody knows what became of it{again}")
}

/// What was done, for people.
fn text(done: &Done) -> String {
    let again = |duplicate: &bool| if *duplicate { ", as it was before" } else { "" };
    match done {
        Done::Sent { conversation, seq, duplicate, .. } => {
            format!("stored in {conversation} as number {seq}{}", again(duplicate))
        }
        Done::GroupCreated { conversation, duplicate, .. } => {
            format!("founded: {conversation}{}", again(duplicate))
        }
        Done::Joined { conversation, .. } => format!("joined {conversation}"),
        Done::Left { conversation, .. } => format!("left {conversation}"),
        Done::Read => "marked".to_owned(),
        Done::Typing => "told".to_owned(),
    }
}
