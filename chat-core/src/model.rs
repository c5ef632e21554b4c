//! What the chat is about: users, conversations and messages, as clients read them.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::{ConversationId, Cursor, UserId};
use crate::text::{Cid, Name, Text};

/// A moment of wall time, to the millisecond. It is only shown and never computed with, because clocks jump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp(pub(crate) i64);

impl Timestamp {
    /// What the wall clock says now.
    pub(crate) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn to_system_time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(u64::try_from(self.0).unwrap_or(0))
    }
}

/// As [RFC 3339](https://www.rfc-editor.org/rfc/rfc3339#section-5.6) writes it, in UTC.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_millis(self.to_system_time()).fmt(f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = humantime::parse_rfc3339(&text).map_err(serde::de::Error::custom)?;
        let since = time.duration_since(UNIX_EPOCH).map_err(serde::de::Error::custom)?;
        Ok(Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// A person with a name and a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Who it is.
    pub id: UserId,
    /// What the others call them.
    pub name: Name,
}

/// A user as others see them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Who it is.
    pub id: UserId,
    /// What the others call them.
    pub name: Name,
    /// Whether one of their sessions is open, or was within the grace period.
    pub online: bool,
}

/// A group, as a user who may join it sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The group's conversation.
    pub conversation: ConversationId,
    /// What its creator called it.
    pub name: Name,
    /// How many members it has now.
    pub members: usize,
    /// Whether the reader is a member.
    pub joined: bool,
}

/// One of a user's conversations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// Which one.
    pub id: ConversationId,
    /// Direct or group, with the other user or the group's name.
    #[serde(flatten)]
    pub kind: Kind,
    /// Its members. For a group that the reader has left: its members at that moment.
    pub members: Vec<UserId>,
    /// The number of the newest message that the reader may see; 0 before the first.
    pub last_seq: u64,
    /// How far the reader has read.
    pub read_seq: u64,
    /// Whether the reader is a member.
    pub joined: bool,
    /// The number of the newest message from before the reader last joined; 0 if there was none, or if they began the
    /// conversation.
    pub joined_seq: u64,
}

/// The two kinds of conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// Two people.
    Direct {
        /// The other user.
        with: UserId,
    },
    /// A group, which anybody may join.
    Group {
        /// What its creator called it.
        name: Name,
    },
}

/// What a person wrote, with its place in the conversation and in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The cursor of its event.
    pub id: Cursor,
    /// Where it was written.
    pub conversation: ConversationId,
    /// Its number in the conversation: 1, 2, 3 …
    pub seq: u64,
    /// Who wrote it.
    pub from: UserId,
    /// The id that the writer's client gave it.
    pub cid: Cid,
    /// What was written.
    pub text: Text,
    /// When it was committed.
    pub at: Timestamp,
}

/// A page of a conversation's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The messages, in rising `seq`.
    pub messages: Vec<Message>,
    /// Whether there are older ones.
    pub more: bool,
}

/// Everything a client shows when it starts, and the cursor from which events carry on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The cursor of this state: read on with the events after it.
    pub cursor: Cursor,
    /// The reader.
    pub me: User,
    /// All users.
    pub users: Vec<Person>,
    /// All groups.
    pub groups: Vec<Group>,
    /// The reader's conversations, including those that they have left.
    pub conversations: Vec<Conversation>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_written_in_utc() {
        assert_eq!(Timestamp(1_700_000_000_123).to_string(), "2023-11-14T22:13:20.123Z");
    }

    #[test]
    fn a_conversation_names_the_other_or_the_group() {
        let direct = Conversation {
            id: ConversationId(9),
            kind: Kind::Direct { with: UserId(2) },
            members: vec![UserId(1), UserId(2)],
            last_seq: 13,
            read_seq: 12,
            joined: true,
            joined_seq: 0,
        };
        let json = r#"{"id":"c9","kind":"direct","with":"u2","members":["u1","u2"],"last_seq":13,"read_seq":12,"joined":true,"joined_seq":0}"#;
        assert_eq!(serde_json::to_string(&direct).unwrap(), json);
        assert_eq!(serde_json::from_str::<Conversation>(json).unwrap(), direct);
    }
}
