//! What happens, as clients hear of it.

use serde::{Deserialize, Serialize};

use crate::ids::{ConversationId, Cursor, UserId};
use crate::model::{Message, User};
use crate::refusal::Close;
use crate::text::Name;

/// Something that happened, or that a client should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// Somebody wrote.
    Message(Message),
    /// Two people begin to talk; comes before their first message.
    DirectStarted {
        /// Its cursor.
        id: Cursor,
        /// Where they will talk.
        conversation: ConversationId,
        /// The two, the one who wrote first.
        members: Vec<UserId>,
    },
    /// Somebody is new here.
    UserRegistered {
        /// Its cursor.
        id: Cursor,
        /// Who.
        user: User,
    },
    /// Somebody founded a group, and is its first member.
    GroupCreated {
        /// Its cursor.
        id: Cursor,
        /// Where its members talk.
        conversation: ConversationId,
        /// What it is called.
        name: Name,
        /// Who founded it.
        by: UserId,
    },
    /// What a new member needs to know of the group; comes before their own `member_joined`, and to them alone.
    GroupJoined {
        /// Its cursor.
        id: Cursor,
        /// The group's conversation.
        conversation: ConversationId,
        /// What it is called.
        name: Name,
        /// Who is in it, the new member included.
        members: Vec<UserId>,
        /// The newest message from before this joining, 0 if there is none: what the new member cannot read.
        joined_seq: u64,
    },
    /// A group has a new member.
    MemberJoined {
        /// Its cursor.
        id: Cursor,
        /// The group's conversation.
        conversation: ConversationId,
        /// Who.
        user: UserId,
    },
    /// A group has lost a member; the last event of the group that the leaver gets.
    MemberLeft {
        /// Its cursor.
        id: Cursor,
        /// The group's conversation.
        conversation: ConversationId,
        /// Who.
        user: UserId,
    },
    /// One has read on, in another session perhaps.
    Read {
        /// Its cursor.
        id: Cursor,
        /// Where.
        conversation: ConversationId,
        /// The newest message read.
        seq: u64,
    },
    /// People came or went. Not logged.
    Presence {
        /// Who is here now and was not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        online: Option<Vec<UserId>>,
        /// Who was here and is not now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offline: Option<Vec<UserId>>,
        /// Too many to list, so there are no lists: read `/api/users` again.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        refetch: bool,
    },
    /// Somebody is typing. Not logged.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Who.
        user: UserId,
    },
    /// The server is there, and this is how far the client is. Not logged.
    Tick {
        /// A cursor to resume from.
        cursor: Cursor,
    },
    /// The cursor cannot be used: start again from a snapshot. Not logged.
    Reset {
        /// Why.
        reason: ResetReason,
    },
    /// The server ends the connection, on a wire that has no other way to say so. Not logged.
    Close {
        /// The number of the reason.
        code: u16,
        /// Its name.
        name: String,
        /// Whether coming back may help.
        reconnect: bool,
    },
}

/// Why a cursor cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResetReason {
    /// Older than what is kept.
    Expired,
    /// Of another history, or ahead of the log.
    Unknown,
}

impl ResetReason {
    /// The reason with which the connection ends after the reset.
    pub(crate) fn close(self) -> Close {
        match self {
            Self::Expired => Close::CursorExpired,
            Self::Unknown => Close::CursorUnknown,
        }
    }
}

impl Event {
    /// The cursor of a logged event.
    #[must_use]
    pub fn id(&self) -> Option<Cursor> {
        match self {
            Self::Message(Message { id, .. })
            | Self::DirectStarted { id, .. }
            | Self::UserRegistered { id, .. }
            | Self::GroupCreated { id, .. }
            | Self::GroupJoined { id, .. }
            | Self::MemberJoined { id, .. }
            | Self::MemberLeft { id, .. }
            | Self::Read { id, .. } => Some(*id),
            Self::Presence { .. }
            | Self::Typing { .. }
            | Self::Tick { .. }
            | Self::Reset { .. }
            | Self::Close { .. } => None,
        }
    }

    /// How far a client is with this event; `None`: no further than before.
    #[must_use]
    pub fn reached(&self) -> Option<Cursor> {
        match self {
            Self::Tick { cursor } => Some(*cursor),
            event => event.id(),
        }
    }

    /// The same event with the cursor of its place in the log. The stored one may be of an earlier history:
    /// databases of version 1 changed their epoch when they had lost something.
    pub(crate) fn at(mut self, cursor: Cursor) -> Self {
        match &mut self {
            Self::Message(Message { id, .. })
            | Self::DirectStarted { id, .. }
            | Self::UserRegistered { id, .. }
            | Self::GroupCreated { id, .. }
            | Self::GroupJoined { id, .. }
            | Self::MemberJoined { id, .. }
            | Self::MemberLeft { id, .. }
            | Self::Read { id, .. } => *id = cursor,
            Self::Presence { .. }
            | Self::Typing { .. }
            | Self::Tick { .. }
            | Self::Reset { .. }
            | Self::Close { .. } => {}
        }
        self
    }

    /// What a wire without close codes of its own sends last.
    pub(crate) fn of_close(close: Close) -> Self {
        Self::Close { code: close.code(), name: close.name().to_owned(), reconnect: close.reconnect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_written_as_the_contract_writes_them() {
        let event = Event::Presence { online: Some(vec![UserId(2)]), offline: Some(vec![]), refetch: false };
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            r#"{"type":"presence","online":["u2"],"offline":[]}"#
        );
        let event = Event::Presence { online: None, offline: None, refetch: true };
        assert_eq!(serde_json::to_string(&event).unwrap(), r#"{"type":"presence","refetch":true}"#);
        assert_eq!(
            serde_json::to_string(&Event::of_close(Close::Shutdown)).unwrap(),
            r#"{"type":"close","code":4001,"name":"shutdown","reconnect":true}"#
        );
    }
}
