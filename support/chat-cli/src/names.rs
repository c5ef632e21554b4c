//! Ids and names: which recipient a person means, and how events and messages look on one line.

use std::collections::HashMap;

use anyhow::bail;
use chat_core::ids::{ConversationId, UserId};
use chat_core::model::{Group, Kind, Message, Snapshot};
use chat_core::protocol::{Event, To};
use chat_core::text::is_same_name;

use crate::output::harmless;

/// What a line shows if it has no time or no conversation.
const NONE: &str = "-";

/// The names of users and conversations, as far as they are known.
pub(crate) struct Names {
    me: UserId,
    users: HashMap<UserId, String>,
    conversations: HashMap<ConversationId, String>,
}

impl Names {
    /// The names in a snapshot.
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let users = snapshot.users.iter().map(|user| (user.id, harmless(user.name.as_str()))).collect();
        let mut names = Self { me: snapshot.me.id, users, conversations: HashMap::new() };
        for group in &snapshot.groups {
            names.conversations.insert(group.conversation, group_name(group.name.as_str()));
        }
        for conversation in &snapshot.conversations {
            let name = match &conversation.kind {
                Kind::Direct { with } => names.direct(*with),
                Kind::Group { name } => group_name(name.as_str()),
            };
            names.conversations.insert(conversation.id, name);
        }
        names
    }

    /// Adds the names in an event.
    pub(crate) fn learn(&mut self, event: &Event) {
        match event {
            Event::UserRegistered { user, .. } => {
                self.users.insert(user.id, harmless(user.name.as_str()));
            }
            Event::DirectStarted { conversation, members, .. } => {
                let with = members.iter().copied().find(|member| *member != self.me).unwrap_or(self.me);
                let name = self.direct(with);
                self.conversations.insert(*conversation, name);
            }
            Event::GroupCreated { conversation, name, .. }
            | Event::GroupJoined { conversation, name, .. } => {
                self.conversations.insert(*conversation, group_name(name.as_str()));
            }
            Event::Message(_)
            | Event::MemberJoined { .. }
            | Event::MemberLeft { .. }
            | Event::Read { .. }
            | Event::Presence { .. }
            | Event::Typing { .. }
            | Event::Tick { .. }
            | Event::Reset { .. }
            | Event::Close { .. } => {}
        }
    }

    /// A message on one line: when (UTC), where, who, what.
    pub(crate) fn message(&self, message: &Message) -> String {
        let at = message.at.to_string();
        let (day, time) = at.split_once('T').unwrap_or((&at, ""));
        let time = time.split('.').next().unwrap_or(time);
        let what = format!("{}: {}", self.user(message.from), harmless(message.text.as_str()));
        columns(&format!("{day} {time}Z"), &self.conversation(message.conversation), &what)
    }

    /// An event on one line; `None` if only programs need it. Only messages have a time.
    pub(crate) fn event(&self, event: &Event) -> Option<String> {
        let somewhere =
            |id: &ConversationId, what: String| Some(columns(NONE, &self.conversation(*id), &what));
        match event {
            Event::Message(message) => Some(self.message(message)),
            Event::DirectStarted { conversation, .. } => {
                somewhere(conversation, "a conversation begins".to_owned())
            }
            Event::UserRegistered { user, .. } => {
                Some(columns(NONE, NONE, &format!("{} is new here", self.user(user.id))))
            }
            Event::GroupCreated { conversation, by, .. } => {
                somewhere(conversation, format!("founded by {}", self.user(*by)))
            }
            Event::GroupJoined { conversation, members, .. } => {
                somewhere(conversation, format!("members: {}", self.list(members)))
            }
            Event::MemberJoined { conversation, user, .. } => {
                somewhere(conversation, format!("{} joined", self.user(*user)))
            }
            Event::MemberLeft { conversation, user, .. } => {
                somewhere(conversation, format!("{} left", self.user(*user)))
            }
            Event::Read { conversation, seq, .. } => somewhere(conversation, format!("read up to {seq}")),
            Event::Typing { conversation, user } => {
                somewhere(conversation, format!("{} is typing", self.user(*user)))
            }
            Event::Presence { refetch: true, .. } => Some(columns(NONE, NONE, "many people came or went")),
            Event::Presence { online, offline, .. } => {
                let part = |what, users: &Option<Vec<UserId>>| {
                    let users = users.as_deref().filter(|users| !users.is_empty())?;
                    Some(format!("{what}: {}", self.list(users)))
                };
                let parts: Vec<String> =
                    part("here", online).into_iter().chain(part("gone", offline)).collect();
                (!parts.is_empty()).then(|| columns(NONE, NONE, &parts.join("; ")))
            }
            Event::Tick { .. } | Event::Reset { .. } | Event::Close { .. } => None,
        }
    }

    fn user(&self, id: UserId) -> String {
        self.users.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }

    fn conversation(&self, id: ConversationId) -> String {
        self.conversations.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }

    fn direct(&self, with: UserId) -> String {
        format!("@{}", self.user(with))
    }

    fn list(&self, users: &[UserId]) -> String {
        users.iter().map(|user| self.user(*user)).collect::<Vec<_>>().join(", ")
    }
}

fn group_name(name: &str) -> String {
    format!("#{}", harmless(name))
}

fn columns(time: &str, conversation: &str, what: &str) -> String {
    format!("{time:<20}  {conversation:<10}  {what}")
}

/// A name as it is sent. Typing and copying add spaces at its ends, and no name has spaces there.
pub(crate) fn trimmed(typed: &str) -> Result<String, std::convert::Infallible> {
    Ok(typed.trim().to_owned())
}

/// The recipient, if an id was typed. An id needs no snapshot.
pub(crate) fn id(typed: &str) -> Option<To> {
    let user = typed.parse().ok().map(To::User);
    user.or_else(|| typed.parse().ok().map(To::Conversation))
}

/// The recipient that was meant: an id, `@name`, `#name`, or a name that only a user or only a group has.
///
/// An id goes before a name, so that a user who takes the name `c5` does not get the messages for the group `c5`.
pub(crate) fn recipient(snapshot: &Snapshot, typed: &str) -> anyhow::Result<To> {
    let typed = typed.trim();
    if let Some(to) = id(typed) {
        return Ok(to);
    }
    // Users from before the present rules may have names that now count as the same. The exact name goes first.
    let user = |name: &str| {
        let exact = snapshot.users.iter().find(|user| user.name.as_str() == name);
        let user =
            exact.or_else(|| snapshot.users.iter().find(|user| is_same_name(user.name.as_str(), name)));
        user.map(|user| To::User(user.id))
    };
    if let Some(name) = typed.strip_prefix('@') {
        return user(name).ok_or_else(|| anyhow::anyhow!("nobody is called {name}: see cargo chat people"));
    }
    if typed.starts_with('#') {
        return Ok(To::Conversation(group(snapshot, typed)?));
    }
    let groups = named(snapshot, typed);
    match (user(typed), groups.is_empty()) {
        (Some(user), true) => Ok(user),
        (None, false) => Ok(To::Conversation(group(snapshot, typed)?)),
        (Some(_), false) => {
            bail!("both a user and a group are called {typed}: write '@{typed}' or '#{typed}'")
        }
        (None, true) => {
            bail!("nobody is called {typed}, and no group: see cargo chat people, cargo chat groups")
        }
    }
}

/// The group that was meant: an id, or a name with or without `#`.
pub(crate) fn group(snapshot: &Snapshot, typed: &str) -> anyhow::Result<ConversationId> {
    let typed = typed.trim();
    if let Ok(id) = typed.parse() {
        return Ok(id);
    }
    let name = typed.strip_prefix('#').unwrap_or(typed);
    match named(snapshot, name)[..] {
        [] => bail!("no group is called {name}: see cargo chat groups"),
        [group] => Ok(group.conversation),
        [..] => {
            let ids: Vec<String> =
                named(snapshot, name).iter().map(|group| group.conversation.to_string()).collect();
            bail!("several groups are called {name}; write the id of one: {}", ids.join(", "))
        }
    }
}

fn named<'a>(snapshot: &'a Snapshot, name: &str) -> Vec<&'a Group> {
    snapshot.groups.iter().filter(|group| is_same_name(group.name.as_str(), name)).collect()
}
