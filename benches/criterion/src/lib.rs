//! What all benches share: a chat without rate limits, its users, and a server of any transport.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use axum::Router;
use chat_client::Target;
use chat_core::Location;
use chat_core::auth::Token;
use chat_core::chat::Chat;
use chat_core::ids::{ConversationId, UserId};
use chat_core::limits::Limits;
use chat_core::protocol::{Command, Done, Request, To};
use chat_core::text::{Cid, Name, Password, Text};
use chat_http::server::{Running, start};
use chat_http::{Server, Site};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// The text of messages whose length does not matter: as long as a typical message.
pub const TEXT: &str = "Shall we meet at eight, at the usual place?";

/// The default limits, without rate limits.
#[must_use]
pub fn limits() -> Limits {
    let plenty = 1_000_000;
    Limits {
        messages_per_second: plenty,
        message_burst: plenty,
        registrations_per_minute: plenty,
        connections_per_user: 1_000,
        // Cheap password hashes: the benches do not measure them.
        hash_memory: 8,
        ..Limits::default()
    }
}

/// A chat in a new file below `directory`. Dropping the second value deletes the file.
///
/// # Errors
/// The directory cannot be written to.
pub fn open(directory: &str, limits: Limits) -> anyhow::Result<(Chat, TempDir)> {
    std::fs::create_dir_all(directory)?;
    let directory = tempfile::tempdir_in(Path::new(directory))?;
    let chat = Chat::open(&Location::File(directory.path().join("chat.db")), limits)?;
    Ok((chat, directory))
}

/// New users.
///
/// # Errors
/// The database cannot be written to.
pub async fn register(chat: &Chat, count: usize) -> anyhow::Result<Vec<(UserId, Token)>> {
    let mut people = Vec::with_capacity(count);
    for number in 0..count {
        let password = Password::from("correct horse");
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let (user, token) = chat.register(format!("user {number}"), password, address).await?;
        people.push((user.id, token));
    }
    Ok(people)
}

/// A group of all these users.
///
/// # Errors
/// The database cannot be written to.
pub async fn group(chat: &Chat, people: &[(UserId, Token)]) -> anyhow::Result<ConversationId> {
    let ((founder, _), others) = people.split_first().context("a group has at least one member")?;
    let command = Command::CreateGroup { name: Name::try_from("all".to_owned())?, cid: cid() };
    let Done::GroupCreated { conversation, .. } = execute(chat, *founder, command).await? else {
        bail!("not a group")
    };
    for (user, _) in others {
        execute(chat, *user, Command::JoinGroup { conversation }).await?;
    }
    Ok(conversation)
}

async fn execute(chat: &Chat, user: UserId, command: Command) -> anyhow::Result<Done> {
    Ok(chat.execute(user, Request { request_id: None, command }).await.into_result()?)
}

/// A server of one transport on a free port.
///
/// # Errors
/// No port is free.
pub async fn serve<S: Server>(chat: &Chat) -> anyhow::Result<(Running, Target)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let running = start::<S>(listener, chat, Site::default(), Router::new())?;
    let target = Target::new(&format!("http://{}", running.address())).with_chat(chat);
    Ok((running, target))
}

/// A message with a new id.
#[must_use]
pub fn message(to: To) -> Request {
    let text = Text::try_from(TEXT.to_owned()).expect("it is short");
    Request { request_id: None, command: Command::Send { to, cid: cid(), text } }
}

/// An id that this process has not used before.
fn cid() -> Cid {
    static NUMBERS: AtomicU64 = AtomicU64::new(0);
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    Cid::try_from(format!("{:08x}-{number}", std::process::id())).expect("it is short and plain")
}
