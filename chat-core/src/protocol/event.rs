//! Events, as clients receive them.

use serde::{Deserialize, Serialize};

use crate::ids::{ConversationId, Cursor, UserId};
use crate::model::{Message, User};
use crate::refusal::Close;
use crate::text::Name;

/// Something that happened, or that a client should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// A user wrote a message.
    Message(Message),
    /// A direct conversation begins; comes before its first message.
    DirectStarted {
        /// Its cursor.
        id: Cursor,
        /// The new conversation.
        conversation: ConversationId,
        /// Both users; the one who wrote comes first.
        members: Vec<UserId>,
    },
    /// A new user registered.
    UserRegistered {
        /// Its cursor.
        id: Cursor,
        /// Who.
        user: User,
    },
    /// A user created a group, and is its first member.
    GroupCreated {
        /// Its cursor.
        id: Cursor,
        /// The group's conversation.
        conversation: ConversationId,
        /// What it is called.
        name: Name,
        /// Who created it.
        by: UserId,
    },
    /// What a new member needs to know about the group. Only they get it, before their own `member_joined`.
    GroupJoined {
        /// Its cursor.
        id: Cursor,
        /// The group's conversation.
        conversation: ConversationId,
        /// What it is called.
        name: Name,
        /// Who is in it, the new member included.
        members: Vec<UserId>,
        /// The number of the newest message from before they joined; 0: none. They cannot read it or earlier ones.
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
    /// A member left a group. It is the last event of the group that they get.
    MemberLeft {
        /// Its cursor.
        id: Cursor,
        /// The group's conversation.
        conversation: ConversationId,
        /// Who.
        user: UserId,
    },
    /// The user has read further, perhaps in another session.
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
        /// Who is here now and was not before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        online: Option<Vec<UserId>>,
        /// Who was here before and is not now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offline: Option<Vec<UserId>>,
        /// Too many to list, so there are no lists: read `/api/users` again.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        refetch: bool,
    },
    /// A user is typing. Not logged.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Who.
        user: UserId,
    },
    /// The server is alive, and the client is at this cursor. Not logged.
    Tick {
        /// A cursor to resume from.
        cursor: Cursor,
    },
    /// The cursor cannot be used: start again from a snapshot. Not logged.
    Reset {
        /// Why.
        reason: ResetReason,
    },
    /// The server ends the connection. Sent where the transport has no other way to say so. Not logged.
    Close {
        /// The number of the reason.
        code: u16,
        /// Its name.
        name: String,
        /// Whether it may help to reconnect.
        reconnect: bool,
    },
}

/// Why a cursor cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResetReason {
    /// It is older than the log that is kept.
    Expired,
    /// It is of another history, or ahead of the log.
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

    /// The cursor that a client has reached with this event; `None`: the event does not move it.
    #[must_use]
    pub fn reached(&self) -> Option<Cursor> {
        match self {
            Self::Tick { cursor } => Some(*cursor),
            event => event.id(),
        }
    }

    /// The same event with the cursor of its place in the log. The stored cursor may be of an earlier history, because
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

    /// The last event on a transport that has no close codes of its own.
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
