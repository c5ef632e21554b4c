//! Lists: `people`, `groups`, `history`. Also creates, joins and leaves groups.

use chat_core::ids::ConversationId;
use chat_core::model::{Kind, Snapshot};
use chat_core::protocol::{Command, To};
use chat_core::refusal::Refusal;
use chat_core::text::Name;
use clap::{Args, Subcommand};

use crate::asker::{Asker, new_cid};
use crate::caller::Caller;
use crate::names::{Names, group, recipient, trimmed};
use crate::output::{harmless, note};

/// What to do about groups.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Groups {
    /// List all groups; this is what happens without a word too
    List,
    /// Found a group, and be its first member
    Create {
        /// What to call it: 1 to 32 characters
        #[arg(value_parser = trimmed)]
        name: String,
    },
    /// Become a member
    Join {
        /// Its name or its id
        group: String,
    },
    /// Stop being a member
    Leave {
        /// Its name or its id
        group: String,
    },
}

/// Which messages.
#[derive(Debug, Clone, Args)]
pub(crate) struct History {
    /// A user's name, a group's as '#name', or an id such as u2 or c5
    to: String,
    /// Only what was written before the message with this number
    #[arg(long, value_name = "SEQ")]
    before: Option<u64>,
    /// How many messages at most
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: u16,
}

/// Lists all users.
pub(crate) async fn people(caller: &Caller) -> anyhow::Result<()> {
    let snapshot = caller.target.snapshot(&caller.token()?).await?;
    for person in &snapshot.users {
        let you = if person.id == snapshot.me.id { "  you" } else { "" };
        let here = if person.online { "here" } else { "-" };
        let line =
            || format!("{:<6}  {:<20}  {here}{you}", person.id.to_string(), harmless(person.name.as_str()));
        caller.output.value(person, || Some(line()))?;
    }
    Ok(())
}

/// Lists groups, or changes something about one.
pub(crate) async fn groups(caller: &Caller, what: Option<Groups>) -> anyhow::Result<()> {
    let token = caller.token()?;
    let command = match what {
        None | Some(Groups::List) => {
            for group in caller.target.groups(&token).await? {
                let joined = if group.joined { "  joined" } else { "" };
                let (id, name) =
                    (group.conversation.to_string(), format!("#{}", harmless(group.name.as_str())));
                let line = || format!("{id:<6}  {name:<20}  {} members{joined}", group.members);
                caller.output.value(&group, || Some(line()))?;
            }
            return Ok(());
        }
        Some(Groups::Create { name }) => {
            Command::CreateGroup { name: Name::try_from(name).map_err(Refusal::from)?, cid: new_cid() }
        }
        Some(Groups::Join { group }) => Command::JoinGroup { conversation: found(caller, &group).await? },
        Some(Groups::Leave { group }) => Command::LeaveGroup { conversation: found(caller, &group).await? },
    };
    Asker::new(caller, token).tell(command).await
}

/// A group's id. It asks the server only if a name was typed.
async fn found(caller: &Caller, typed: &str) -> anyhow::Result<ConversationId> {
    match typed.parse() {
        Ok(id) => Ok(id),
        Err(_) => group(&caller.target.snapshot(&caller.token()?).await?, typed),
    }
}

/// Prints a page of a conversation.
pub(crate) async fn history(caller: &Caller, History { to, before, limit }: History) -> anyhow::Result<()> {
    let token = caller.token()?;
    let snapshot = caller.target.snapshot(&token).await?;
    let names = Names::of(&snapshot);
    let Some(conversation) = conversation(&snapshot, recipient(&snapshot, &to)?) else {
        note(&format!("nothing was written between you and {to}"));
        return Ok(());
    };
    let page = caller.target.history(&token, conversation, before, limit.into()).await?;
    for message in &page.messages {
        caller.output.value(message, || Some(names.message(message)))?;
    }
    if let (true, Some(oldest)) = (page.more, page.messages.first()) {
        note(&format!("there are older ones: --before {}", oldest.seq));
    }
    Ok(())
}

/// The conversation with a recipient, if it has begun.
fn conversation(snapshot: &Snapshot, to: To) -> Option<ConversationId> {
    match to {
        To::Conversation(id) => Some(id),
        To::User(user) => {
            let direct = |kind: &Kind| matches!(kind, Kind::Direct { with } if *with == user);
            snapshot
                .conversations
                .iter()
                .find(|conversation| direct(&conversation.kind))
                .map(|found| found.id)
        }
    }
}
