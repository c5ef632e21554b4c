//! Sending messages: one from the command line, or one for each line of stdin, in their order.

use std::io::IsTerminal;

use anyhow::bail;
use chat_core::protocol::{Command, To};
use chat_core::refusal::Refusal;
use chat_core::text::{Cid, Text};
use clap::Args;

use crate::asker::{Asker, new_cid};
use crate::caller::Caller;
use crate::failure::Usage;
use crate::names::{id, recipient};
use crate::output::note;
use crate::stdin::{STDIN, lines};

/// A message.
#[derive(Debug, Clone, Args)]
pub(crate) struct Send {
    /// A user's name, a group's as '#name' (in quotes, or the shell takes it for a comment), or an id such as u2
    /// or c5
    to: String,
    /// What to say; several words are joined, and - takes each line of stdin for a message
    #[arg(required = true)]
    text: Vec<String>,
    /// The message's own id: sent again with the same one, it is stored once
    #[arg(long)]
    cid: Option<String>,
}

/// Sends, and waits for each reply: the next message is sent when this one is stored.
pub(crate) async fn send(caller: &Caller, Send { to, text, cid }: Send) -> anyhow::Result<()> {
    let token = caller.token()?;
    let to = match id(&to) {
        Some(to) => to,
        None => recipient(&caller.target.snapshot(&token).await?, &to)?,
    };
    let cid = cid.map(Cid::try_from).transpose().map_err(Refusal::from)?;
    let mut asker = Asker::new(caller, token);
    if text != [STDIN] {
        return asker.tell(command(to, text.join(" "), cid.unwrap_or_else(new_cid))?).await;
    }
    if cid.is_some() {
        bail!(Usage("--cid is for one message, not for the lines of stdin".to_owned()));
    }
    if std::io::stdin().is_terminal() {
        note("each line is a message; Ctrl-D ends");
    }
    let mut lines = lines();
    while let Some(line) = lines.next().await? {
        // An empty line is no message.
        if !line.is_empty() {
            let sent = async { asker.tell(command(to, line, new_cid())?).await };
            sent.await.inspect_err(|_| {
                note(&format!("line {} of stdin was the last that was tried", lines.number()));
            })?;
        }
    }
    Ok(())
}

fn command(to: To, text: String, cid: Cid) -> anyhow::Result<Command> {
    Ok(Command::Send { to, cid, text: Text::try_from(text).map_err(Refusal::from)? })
}
