//! The users of a scenario: they register and join one group. One user writes, the others read.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use chat_client::any::AnySender;
use chat_client::{Events, Sender, Target, read};
use chat_core::auth::Token;
use chat_core::ids::{ConversationId, UserId};
use chat_core::protocol::{Command, Done, Reply, Request, To};
use chat_core::text::{Cid, Name, Text};
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::Method;

use crate::bare::Bare;
use crate::process::Process;
use crate::subject::{AnyClient, Subject};

/// How many users connect or join at the same time.
pub(crate) const AT_ONCE: usize = 64;

/// Users in one group. The writer reads nothing.
pub(crate) struct Crowd {
    pub(crate) writer: (UserId, Token),
    pub(crate) readers: Vec<(UserId, Token)>,
    pub(crate) group: ConversationId,
}

impl Crowd {
    /// Registers the users, and makes their group.
    pub(crate) async fn gather(process: &Process, readers: usize) -> anyhow::Result<Self> {
        let target = process.target(Subject::Server);
        let register = async |number: usize| {
            let registered = target.register(&format!("user {number}"), "correct horse").await?;
            anyhow::Ok((registered.0.id, registered.1))
        };
        let writer = register(0).await?;
        let registering = (1..=readers).map(&register);
        let readers: Vec<_> = stream::iter(registering).buffered(8).try_collect().await?;
        let name = Name::try_from("everybody".to_owned())?;
        let founding = post(&target, &writer.1, &[Command::CreateGroup { name, cid: cid() }]).await?;
        let [Done::GroupCreated { conversation: group, .. }] = founding[..] else {
            bail!("the server did not make a group")
        };
        let joining = readers.iter().map(|(_, token)| {
            let target = &target;
            async move { post(target, token, &[Command::JoinGroup { conversation: group }]).await }
        });
        stream::iter(joining).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?;
        Ok(Self { writer, readers, group })
    }

    /// Connects all readers over one transport; no two share a TCP connection.
    pub(crate) async fn connect(&self, subject: Subject, target: &Target) -> anyhow::Result<Vec<AnyClient>> {
        let connecting = self.readers.iter().map(|(_, token)| subject.connect(target.apart(), token, None));
        let connected = stream::iter(connecting).buffered(AT_ONCE).try_collect().await;
        connected.with_context(|| format!("{subject} does not connect"))
    }

    /// Connects all readers as bare clients, which take the least processor time from the server.
    pub(crate) async fn connect_bare(
        &self,
        subject: Subject,
        process: &Process,
    ) -> anyhow::Result<Vec<Bare>> {
        let connecting = self.readers.iter().map(|(_, token)| Bare::open(process, subject, token, None));
        stream::iter(connecting).buffered(AT_ONCE).try_collect().await
    }
}

/// An id that this process has not used before.
pub(crate) fn cid() -> Cid {
    static NUMBERS: AtomicU64 = AtomicU64::new(0);
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    Cid::try_from(format!("{:08x}-{number}", std::process::id())).expect("it is short and plain")
}

/// Sends commands in one POST.
pub(crate) async fn post(target: &Target, token: &Token, commands: &[Command]) -> anyhow::Result<Vec<Done>> {
    let requests: Vec<Request> =
        commands.iter().map(|command| Request { request_id: None, command: command.clone() }).collect();
    let answer = target.request(Method::POST, "/api/commands", token).json(&requests).send().await?;
    let replies: Vec<Reply> = read(answer).await?;
    replies.into_iter().map(|reply| Ok(reply.into_result()?)).collect()
}

/// The client that sends. It uses POST for all transports, because scenarios compare the way from server to client;
/// for the floor it writes straight into the broadcast.
pub(crate) enum Writer {
    Post { target: Target, token: Token, group: ConversationId },
    Tcp { sender: AnySender, group: ConversationId },
}

impl Writer {
    pub(crate) async fn new(process: &Process, subject: Subject, crowd: &Crowd) -> anyhow::Result<Self> {
        let (token, group) = (crowd.writer.1.clone(), crowd.group);
        Ok(match subject {
            Subject::Tcp => {
                let AnyClient { sender, mut events } =
                    subject.connect(process.target(subject), &token, None).await?;
                // The broadcast also sends the writer its own messages, so a task has to read them.
                tokio::spawn(async move { while events.next().await.is_ok() {} });
                Self::Tcp { sender, group }
            }
            Subject::Transport(_) | Subject::Server => {
                Self::Post { target: process.target(Subject::Server), token, group }
            }
        })
    }

    pub(crate) async fn write(&self, texts: impl Iterator<Item = Text>) -> anyhow::Result<()> {
        let command = |group, text| Command::Send { to: To::Conversation(group), cid: cid(), text };
        match self {
            Self::Post { target, token, group } => {
                let commands: Vec<Command> = texts.map(|text| command(*group, text)).collect();
                post(target, token, &commands).await.map(drop)
            }
            Self::Tcp { sender, group } => {
                for text in texts {
                    sender.send(Request { request_id: None, command: command(*group, text) }).await?;
                }
                Ok(())
            }
        }
    }
}
