//! What each command does inside the transaction: authorise, number, append.

use rusqlite::OptionalExtension;

use super::reads::{last_visible, read_seq};
use super::task::refused;
use super::{Append, Audience, WriteError};
use crate::ids::{ConversationId, Position, UserId};
use crate::model::{Message, Timestamp};
use crate::protocol::{Command, Done, Event, To};
use crate::refusal::{Code, Refusal};
use crate::text::{Cid, Name, Text};

/// One conversation, as far as one user's access depends on it.
struct Access {
    is_group: bool,
    last_seq: u64,
    is_member: bool,
}

impl Append<'_> {
    /// Runs a user's command.
    pub(crate) fn execute(&mut self, by: UserId, command: Command) -> Result<Done, WriteError> {
        match command {
            Command::Send { to, cid, text } => self.send(by, to, cid, text),
            Command::CreateGroup { name, cid } => self.create_group(by, name, &cid),
            Command::JoinGroup { conversation } => self.join(by, conversation),
            Command::LeaveGroup { conversation } => self.leave(by, conversation),
            Command::MarkRead { conversation, seq } => self.mark_read(by, conversation, seq),
            // Never logged, so there is nothing to do here.
            Command::Typing { .. } => Ok(Done::Typing),
        }
    }

    fn send(&mut self, by: UserId, to: To, cid: Cid, text: Text) -> Result<Done, WriteError> {
        if let Some(earlier) = self.message_with(by, &cid)? {
            let same_place = match to {
                To::Conversation(conversation) => conversation == earlier.conversation,
                To::User(user) => self.direct_between(by, user)? == Some(earlier.conversation),
            };
            if !same_place || earlier.text != text.as_str() {
                return Err(key_reuse());
            }
            return Ok(Done::Sent {
                conversation: earlier.conversation,
                seq: earlier.seq,
                id: self.cursor(earlier.position),
                at: earlier.at,
                duplicate: true,
            });
        }
        if self.group_with(by, &cid)?.is_some() {
            return Err(key_reuse());
        }
        let (conversation, last_seq) = match to {
            To::User(user) => self.direct(by, user)?,
            To::Conversation(conversation) => {
                let access = self.access(by, conversation)?;
                if !access.is_member {
                    return Err(not_a_member());
                }
                (conversation, access.last_seq)
            }
        };
        let (seq, at) = (last_seq + 1, self.now);
        self.conn
            .prepare_cached("UPDATE conversations SET last_seq = ?2 WHERE id = ?1")?
            .execute((conversation.0, seq))?;
        // A user has read what they wrote themselves.
        self.conn
            .prepare_cached(
                "UPDATE memberships SET own_seq = ?3
                 WHERE user = ?1 AND conversation = ?2 AND ended IS NULL",
            )?
            .execute((by.0, conversation.0, seq))?;
        let position = self.next_position();
        self.conn
            .prepare_cached(
                "INSERT INTO messages (position, conversation, seq, sender, cid, text, at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute((position.to_sql(), conversation.0, seq, by.0, cid.as_str(), text.as_str(), at.0))?;
        self.log(Audience::Conversation(conversation), |id| {
            Event::Message(Message { id, conversation, seq, from: by, cid, text, at })
        })?;
        Ok(Done::Sent { conversation, seq, id: self.cursor(position), at, duplicate: false })
    }

    fn create_group(&mut self, by: UserId, name: Name, cid: &Cid) -> Result<Done, WriteError> {
        if let Some((conversation, created, earlier)) = self.group_with(by, cid)? {
            if earlier != name.as_str() {
                return Err(key_reuse());
            }
            return Ok(Done::GroupCreated { conversation, id: self.cursor(created), duplicate: true });
        }
        if self.message_with(by, cid)?.is_some() {
            return Err(key_reuse());
        }
        // Checked only now: a repeated request for an existing group must succeed, whatever the rules for new names
        // are.
        name.check_new().map_err(Refusal::from)?;
        let position = self.next_position();
        self.conn
            .prepare_cached(
                "INSERT INTO conversations (created, name, creator, cid) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute((position.to_sql(), name.as_str(), by.0, cid.as_str()))?;
        let conversation = ConversationId(self.conn.last_insert_rowid());
        self.log(Audience::Everyone, |id| Event::GroupCreated { id, conversation, name, by })?;
        self.add_member(by, conversation, position, 0)?;
        Ok(Done::GroupCreated { conversation, id: self.cursor(position), duplicate: false })
    }

    fn join(&mut self, by: UserId, conversation: ConversationId) -> Result<Done, WriteError> {
        let access = self.group(by, conversation)?;
        if access.is_member {
            let joined = self.last_membership(by, conversation)?.map(|(joined, _)| joined);
            return Ok(Done::Joined { conversation, id: self.cursor(joined.unwrap_or_default()) });
        }
        let mut members = self.members(conversation)?;
        members.push(by);
        members.sort_unstable();
        let name = self
            .conn
            .prepare_cached("SELECT name FROM conversations WHERE id = ?1")?
            .query_row([conversation.0], |row| row.get(0).map(Name::stored))?;
        let joined_seq = access.last_seq;
        self.log(Audience::User(by), |id| Event::GroupJoined {
            id,
            conversation,
            name,
            members,
            joined_seq,
        })?;
        // The new member cannot see earlier messages, so these do not count as unread.
        self.move_read_mark(by, conversation, access.last_seq)?;
        let position = self.log(Audience::Conversation(conversation), |id| Event::MemberJoined {
            id,
            conversation,
            user: by,
        })?;
        self.add_member(by, conversation, position, access.last_seq)?;
        Ok(Done::Joined { conversation, id: self.cursor(position) })
    }

    fn leave(&mut self, by: UserId, conversation: ConversationId) -> Result<Done, WriteError> {
        let access = self.group(by, conversation)?;
        if !access.is_member {
            return match self.last_membership(by, conversation)? {
                Some((_, Some(ended))) => Ok(Done::Left { conversation, id: self.cursor(ended) }),
                _ => Err(not_a_member()),
            };
        }
        let position = self.log(Audience::Conversation(conversation), |id| Event::MemberLeft {
            id,
            conversation,
            user: by,
        })?;
        self.conn
            .prepare_cached(
                "UPDATE memberships SET ended = ?3, ended_seq = ?4
                 WHERE user = ?1 AND conversation = ?2 AND ended IS NULL",
            )?
            .execute((by.0, conversation.0, position.to_sql(), access.last_seq))?;
        Ok(Done::Left { conversation, id: self.cursor(position) })
    }

    fn mark_read(&mut self, by: UserId, conversation: ConversationId, seq: u64) -> Result<Done, WriteError> {
        let access = self.access(by, conversation)?;
        let last = match self.last_membership(by, conversation)? {
            Some((_, None)) => access.last_seq,
            // A user who left may not find out how much was written since.
            Some((_, Some(_))) => {
                last_visible(self.conn, by, conversation)?.max(read_seq(self.conn, by, conversation)?)
            }
            None => return Err(not_a_member()),
        };
        if seq > last {
            return Err(refused(
                Code::BadRequest,
                "there is no such message for you: seq is beyond the last one you may see",
            ));
        }
        self.move_read_mark(by, conversation, seq)?;
        Ok(Done::Read)
    }

    /// Moves a read mark forward, never back, and logs an event for the user's sessions.
    fn move_read_mark(
        &mut self,
        by: UserId,
        conversation: ConversationId,
        seq: u64,
    ) -> Result<(), rusqlite::Error> {
        if seq <= read_seq(self.conn, by, conversation)? {
            return Ok(());
        }
        self.conn
            .prepare_cached(
                "INSERT INTO read_marks (user, conversation, seq) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET seq = excluded.seq",
            )?
            .execute((by.0, conversation.0, seq))?;
        self.log(Audience::User(by), |id| Event::Read { id, conversation, seq })?;
        Ok(())
    }

    /// The direct conversation with another user, created if need be, and its last `seq`.
    fn direct(&mut self, by: UserId, with: UserId) -> Result<(ConversationId, u64), WriteError> {
        if by == with {
            return Err(refused(Code::InvalidRecipient, "a direct message goes to somebody else"));
        }
        if let Some(conversation) = self.direct_between(by, with)? {
            return Ok((conversation, self.access(by, conversation)?.last_seq));
        }
        if !self.exists("SELECT 1 FROM users WHERE id = ?1", with.0)? {
            return Err(refused(Code::UnknownUser, format!("there is no user {with}")));
        }
        let position = self.next_position();
        self.conn
            .prepare_cached("INSERT INTO conversations (created, low, high) VALUES (?1, ?2, ?3)")?
            .execute((position.to_sql(), by.0.min(with.0), by.0.max(with.0)))?;
        let conversation = ConversationId(self.conn.last_insert_rowid());
        self.log(Audience::Conversation(conversation), |id| Event::DirectStarted {
            id,
            conversation,
            members: vec![by, with],
        })?;
        for user in [by, with] {
            self.add_member(user, conversation, position, 0)?;
        }
        Ok((conversation, 0))
    }

    fn add_member(
        &mut self,
        user: UserId,
        conversation: ConversationId,
        joined: Position,
        joined_seq: u64,
    ) -> Result<(), rusqlite::Error> {
        self.conn
            .prepare_cached(
                "INSERT INTO memberships (user, conversation, joined, joined_seq) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute((user.0, conversation.0, joined.to_sql(), joined_seq))?;
        Ok(())
    }

    /// A conversation that `user` may know of. For them, direct conversations between others do not exist.
    fn access(&self, user: UserId, conversation: ConversationId) -> Result<Access, WriteError> {
        let access = self
            .conn
            .prepare_cached(
                "SELECT low IS NULL, last_seq, EXISTS (
                     SELECT 1 FROM memberships
                     WHERE user = ?1 AND conversation = conversations.id AND ended IS NULL)
                 FROM conversations WHERE id = ?2",
            )?
            .query_row((user.0, conversation.0), |row| {
                Ok(Access { is_group: row.get(0)?, last_seq: row.get(1)?, is_member: row.get(2)? })
            })
            .optional()?;
        match access {
            Some(access) if access.is_group || access.is_member => Ok(access),
            _ => Err(refused(Code::UnknownConversation, format!("there is no conversation {conversation}"))),
        }
    }

    /// A conversation that can be joined and left.
    fn group(&self, user: UserId, conversation: ConversationId) -> Result<Access, WriteError> {
        let access = self.access(user, conversation)?;
        if access.is_group {
            return Ok(access);
        }
        Err(refused(Code::NotAGroup, "a direct conversation cannot be joined or left"))
    }

    fn members(&self, conversation: ConversationId) -> Result<Vec<UserId>, rusqlite::Error> {
        self.conn
            .prepare_cached("SELECT user FROM memberships WHERE conversation = ?1 AND ended IS NULL")?
            .query_map([conversation.0], |row| row.get(0).map(UserId))?
            .collect()
    }

    /// When `user` last joined, and when they left again, if they did.
    fn last_membership(
        &self,
        user: UserId,
        conversation: ConversationId,
    ) -> Result<Option<(Position, Option<Position>)>, rusqlite::Error> {
        self.conn
            .prepare_cached(
                "SELECT joined, ended FROM memberships WHERE user = ?1 AND conversation = ?2
                 ORDER BY joined DESC LIMIT 1",
            )?
            .query_row((user.0, conversation.0), |row| {
                Ok((Position::from_sql(row.get(0)?), row.get::<_, Option<i64>>(1)?.map(Position::from_sql)))
            })
            .optional()
    }

    fn direct_between(&self, a: UserId, b: UserId) -> Result<Option<ConversationId>, rusqlite::Error> {
        self.conn
            .prepare_cached("SELECT id FROM conversations WHERE low = ?1 AND high = ?2")?
            .query_row((a.0.min(b.0), a.0.max(b.0)), |row| row.get(0).map(ConversationId))
            .optional()
    }

    fn message_with(&self, by: UserId, cid: &Cid) -> Result<Option<Earlier>, rusqlite::Error> {
        self.conn
            .prepare_cached(
                "SELECT position, conversation, seq, text, at FROM messages WHERE sender = ?1 AND cid = ?2",
            )?
            .query_row((by.0, cid.as_str()), |row| {
                Ok(Earlier {
                    position: Position::from_sql(row.get(0)?),
                    conversation: ConversationId(row.get(1)?),
                    seq: row.get(2)?,
                    text: row.get(3)?,
                    at: Timestamp(row.get(4)?),
                })
            })
            .optional()
    }

    fn group_with(
        &self,
        by: UserId,
        cid: &Cid,
    ) -> Result<Option<(ConversationId, Position, String)>, rusqlite::Error> {
        self.conn
            .prepare_cached("SELECT id, created, name FROM conversations WHERE creator = ?1 AND cid = ?2")?
            .query_row((by.0, cid.as_str()), |row| {
                Ok((ConversationId(row.get(0)?), Position::from_sql(row.get(1)?), row.get(2)?))
            })
            .optional()
    }

    fn exists(&self, sql: &str, id: i64) -> Result<bool, rusqlite::Error> {
        self.conn.prepare_cached(sql)?.exists([id])
    }
}

/// A message that an earlier attempt stored.
struct Earlier {
    position: Position,
    conversation: ConversationId,
    seq: u64,
    text: String,
    at: Timestamp,
}

fn key_reuse() -> WriteError {
    refused(
        Code::KeyReuse,
        "this cid already stands for something else of yours; make a new one for each message",
    )
}

fn not_a_member() -> WriteError {
    refused(Code::NotAMember, "only members may do that; join the group first")
}
