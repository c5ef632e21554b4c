//! What clients read: snapshots, lists, history, and the events after a cursor.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row};

use super::TokenHash;
use super::fault::unreadable;
use super::terms::Terms;
use crate::ids::{ConversationId, Position, UserId};
use crate::limits::Limits;
use crate::model::{Conversation, Group, History, Kind, Message, Person, Snapshot, Timestamp, User};
use crate::protocol::{Event, Frame};
use crate::refusal::{Code, Refusal};
use crate::text::{Cid, Name, Text, typed_key};

type Read<T> = Result<T, rusqlite::Error>;

/// How many positions of the log a page searches first. While nothing is found, the window grows step by step, so a
/// resume costs what it returns and not what it skips.
const WINDOW: u64 = 1_024;

/// A user and the password's hash.
pub(crate) struct Account {
    pub(crate) user: User,
    pub(crate) password: String,
}

/// The user of a token, and when it expires (in seconds of the age of the database).
pub(crate) struct SignInRow {
    pub(crate) user: UserId,
    pub(crate) expires: i64,
}

/// Some of the events that a user may see, in order.
pub(crate) struct Page {
    pub(crate) frames: Vec<Arc<Frame>>,
    /// Everything visible up to here is in this page or an earlier one.
    pub(crate) upto: Position,
    /// The newest event that retention has removed: a cursor before it is expired.
    pub(crate) trimmed: Position,
}

/// The position of the newest event.
pub(super) fn head(conn: &Connection) -> Read<Position> {
    let head = conn
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'events'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(Position::from_sql(head.unwrap_or(0)))
}

pub(super) fn trimmed(conn: &Connection) -> Read<Position> {
    let trimmed: Option<String> = conn
        .prepare_cached("SELECT value FROM meta WHERE name = 'trimmed'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(Position(trimmed.and_then(|text| text.parse().ok()).unwrap_or(0)))
}

pub(super) fn all_members(conn: &Connection) -> Read<Vec<(ConversationId, UserId)>> {
    conn.prepare("SELECT conversation, user FROM memberships WHERE ended IS NULL")?
        .query_map([], |row| Ok((ConversationId(row.get(0)?), UserId(row.get(1)?))))?
        .collect()
}

pub(super) fn count_users(conn: &Connection) -> Read<i64> {
    conn.query_row("SELECT count(*) FROM users", [], |row| row.get(0))
}

impl super::Store {
    /// The position of the newest committed event.
    pub(crate) async fn head(&self) -> Result<Position, super::ReadError> {
        self.read(head).await
    }

    /// The account with exactly this name, or else the one that the name's key belongs to.
    ///
    /// Names that were different under earlier rules may have one key by now: see `rekey.rs`.
    pub(crate) async fn account(&self, name: &str) -> Result<Option<Account>, super::ReadError> {
        let Some(key) = typed_key(name) else { return Ok(None) };
        let (name, after, before) = (name.to_owned(), format!("{key}\0"), format!("{key}\u{1}"));
        self.read(move |conn| {
            conn.prepare_cached(
                "SELECT id, name, password FROM users
                 WHERE name_key = ?1 OR (name_key > ?2 AND name_key < ?3 AND name = ?4)
                 ORDER BY name = ?4 DESC LIMIT 1",
            )?
            .query_row((key, after, before, name), |row| {
                let user = User { id: UserId(row.get(0)?), name: Name::stored(row.get(1)?) };
                Ok(Account { user, password: row.get(2)? })
            })
            .optional()
        })
        .await
    }

    /// The sign-in that a token proves.
    pub(crate) async fn sign_in(&self, token: TokenHash) -> Result<Option<SignInRow>, super::ReadError> {
        self.read(move |conn| {
            conn.prepare_cached("SELECT user, expires FROM sign_ins WHERE token_hash = ?1")?
                .query_row([token], |row| Ok(SignInRow { user: UserId(row.get(0)?), expires: row.get(1)? }))
                .optional()
        })
        .await
    }

    /// Who a user is.
    pub(crate) async fn user(&self, user: UserId) -> Result<User, super::ReadError> {
        self.read(move |conn| self::user(conn, user)).await
    }

    /// All users, by id. The store does not know who is online.
    pub(crate) async fn users(&self) -> Result<Vec<Person>, super::ReadError> {
        self.read(users).await
    }

    /// All groups, as `user` sees them.
    pub(crate) async fn groups(&self, user: UserId) -> Result<Vec<Group>, super::ReadError> {
        self.read(move |conn| groups(conn, user)).await
    }

    /// Everything that `user` sees, as of one moment.
    pub(crate) async fn snapshot(&self, user: UserId) -> Result<Snapshot, super::ReadError> {
        let terms = self.terms();
        self.read(move |conn| {
            // One transaction is one view of the database, so state and cursor belong together.
            let view = conn.unchecked_transaction()?;
            Ok(Snapshot {
                cursor: terms.cursor(head(&view)?),
                me: self::user(&view, user)?,
                users: users(&view)?,
                groups: groups(&view, user)?,
                conversations: conversations(&view, user)?,
            })
        })
        .await
    }

    /// The `limit` messages of a conversation before `before` that `user` may see, and whether there are more.
    pub(crate) async fn history(
        &self,
        user: UserId,
        conversation: ConversationId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Result<History, Refusal>, super::ReadError> {
        let terms = self.terms();
        self.read(move |conn| {
            let view = conn.unchecked_transaction()?;
            if let Some(refusal) = may_not_read(&view, user, conversation)? {
                return Ok(Err(refusal));
            }
            let before = before.map_or(i64::MAX, |seq| i64::try_from(seq).unwrap_or(i64::MAX));
            let mut messages = view
                .prepare_cached(
                    "SELECT position, conversation, seq, sender, cid, text, at FROM messages AS m
                     WHERE conversation = ?1 AND seq < ?2 AND EXISTS (
                         SELECT 1 FROM memberships AS s
                         WHERE s.user = ?3 AND s.conversation = ?1
                           AND m.seq > s.joined_seq AND m.seq <= ifnull(s.ended_seq, m.seq))
                     ORDER BY seq DESC LIMIT ?4",
                )?
                .query_map((conversation.0, before, user.0, limit + 1), |row| message(row, 0, &terms))?
                .collect::<Read<Vec<_>>>()?;
            let more = messages.len() > limit;
            messages.truncate(limit);
            messages.reverse();
            Ok(Ok(History { messages, more }))
        })
        .await
    }

    /// The next events after `after` and up to `upto` that `user` may see.
    pub(crate) async fn page(
        &self,
        user: UserId,
        after: Position,
        upto: Position,
        limit: usize,
    ) -> Result<Page, super::ReadError> {
        let terms = self.terms();
        self.read(move |conn| {
            let view = conn.unchecked_transaction()?;
            let trimmed = trimmed(&view)?;
            let (mut from, mut window, mut frames) = (after, WINDOW, Vec::new());
            while frames.is_empty() && from < upto {
                let to = Position(from.0.saturating_add(window)).min(upto);
                let is_full;
                (frames, is_full) = visible(&view, &terms, user, from, to, limit)?;
                from = match frames.last().and_then(|frame: &Arc<Frame>| frame.position()) {
                    Some(last) if is_full => last,
                    _ => to,
                };
                window = window.saturating_mul(4);
            }
            Ok(Page { frames, upto: from, trimmed })
        })
        .await
    }
}

/// The first events in (`after`, `upto`] that `user` may see: at most `limit`, and no more bytes than a batch
/// has. `true`: there may be more.
fn visible(
    conn: &Connection,
    terms: &Terms,
    user: UserId,
    after: Position,
    upto: Position,
    limit: usize,
) -> Read<(Vec<Arc<Frame>>, bool)> {
    let mut statement = conn.prepare_cached(
        "SELECT e.body, e.position, m.conversation, m.seq, m.sender, m.cid, m.text, m.at
         FROM (
             SELECT position FROM events WHERE audience = 0 AND position > ?2 AND position <= ?3
             UNION ALL
             SELECT position FROM events WHERE audience = -?1 AND position > ?2 AND position <= ?3
             UNION ALL
             SELECT l.position FROM memberships AS s CROSS JOIN events AS l
                 ON l.audience = s.conversation
                AND l.position > max(?2, s.joined - 1) AND l.position <= min(?3, ifnull(s.ended, ?3))
             WHERE s.user = ?1
             ORDER BY position LIMIT ?4
         ) AS hit
         JOIN events AS e ON e.position = hit.position
         LEFT JOIN messages AS m ON m.position = hit.position
         ORDER BY hit.position",
    )?;
    let mut rows = statement.query((user.0, after.to_sql(), upto.to_sql(), limit))?;
    let (mut frames, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let event = match row.get::<_, Option<String>>(0)? {
            Some(body) => {
                let event = serde_json::from_str::<Event>(&body).map_err(|error| unreadable(0, error))?;
                event.at(terms.cursor(Position::from_sql(row.get(1)?)))
            }
            None => Event::Message(message(row, 1, terms)?),
        };
        let frame = Frame::of_event(&event);
        bytes += frame.json().len();
        if bytes > Limits::BATCH_BYTES && !frames.is_empty() {
            return Ok((frames, true));
        }
        frames.push(frame);
    }
    let is_full = frames.len() == limit;
    Ok((frames, is_full))
}

fn user(conn: &Connection, user: UserId) -> Read<User> {
    conn.prepare_cached("SELECT id, name FROM users WHERE id = ?1")?
        .query_row([user.0], |row| Ok(User { id: UserId(row.get(0)?), name: Name::stored(row.get(1)?) }))
}

fn users(conn: &Connection) -> Read<Vec<Person>> {
    conn.prepare_cached("SELECT id, name FROM users ORDER BY id")?
        .query_map([], |row| {
            Ok(Person { id: UserId(row.get(0)?), name: Name::stored(row.get(1)?), online: false })
        })?
        .collect()
}

fn groups(conn: &Connection, user: UserId) -> Read<Vec<Group>> {
    conn.prepare_cached(
        "SELECT c.id, c.name, count(s.user), ifnull(max(s.user = ?1), 0) FROM conversations AS c
         LEFT JOIN memberships AS s ON s.conversation = c.id AND s.ended IS NULL
         WHERE c.name IS NOT NULL GROUP BY c.id ORDER BY c.id",
    )?
    .query_map([user.0], |row| {
        Ok(Group {
            conversation: ConversationId(row.get(0)?),
            name: Name::stored(row.get(1)?),
            members: row.get(2)?,
            joined: row.get(3)?,
        })
    })?
    .collect()
}

/// All conversations that `user` is or was in, as their newest membership shows them.
fn conversations(conn: &Connection, user: UserId) -> Read<Vec<Conversation>> {
    let mut statement = conn.prepare_cached(
        "SELECT c.id, c.name, c.low, c.high, s.ended, s.joined_seq
         FROM memberships AS s JOIN conversations AS c ON c.id = s.conversation
         WHERE s.user = ?1 AND s.joined = (
             SELECT max(joined) FROM memberships WHERE user = ?1 AND conversation = c.id)
         ORDER BY c.id",
    )?;
    let mut rows = statement.query([user.0])?;
    let mut conversations = Vec::new();
    while let Some(row) = rows.next()? {
        let id = ConversationId(row.get(0)?);
        let kind = match row.get::<_, Option<i64>>(2)? {
            Some(low) => {
                let high: i64 = row.get(3)?;
                Kind::Direct { with: UserId(if low == user.0 { high } else { low }) }
            }
            None => Kind::Group { name: Name::stored(row.get(1)?) },
        };
        let ended: Option<i64> = row.get(4)?;
        conversations.push(Conversation {
            id,
            kind,
            members: members_at(conn, id, ended)?,
            last_seq: last_visible(conn, user, id)?,
            read_seq: read_seq(conn, user, id)?,
            joined: ended.is_none(),
            joined_seq: row.get(5)?,
        });
    }
    Ok(conversations)
}

/// The number of the newest message that `user` may see: in their last membership, or else in an earlier one.
pub(super) fn last_visible(conn: &Connection, user: UserId, conversation: ConversationId) -> Read<u64> {
    conn.prepare_cached(
        "SELECT ifnull(max(ifnull(s.ended_seq, c.last_seq)), 0)
         FROM memberships AS s JOIN conversations AS c ON c.id = s.conversation
         WHERE s.user = ?1 AND c.id = ?2 AND ifnull(s.ended_seq, c.last_seq) > s.joined_seq",
    )?
    .query_row((user.0, conversation.0), |row| row.get(0))
}

/// How far `user` has read: up to their mark, or up to the newest message that they wrote themselves.
pub(super) fn read_seq(conn: &Connection, user: UserId, conversation: ConversationId) -> Read<u64> {
    conn.prepare_cached(
        "SELECT max(
             ifnull((SELECT seq FROM read_marks WHERE user = ?1 AND conversation = ?2), 0),
             ifnull((SELECT max(own_seq) FROM memberships WHERE user = ?1 AND conversation = ?2), 0))",
    )?
    .query_row((user.0, conversation.0), |row| row.get(0))
}

/// The members of a conversation now, or right after position `moment`.
fn members_at(conn: &Connection, conversation: ConversationId, moment: Option<i64>) -> Read<Vec<UserId>> {
    conn.prepare_cached(
        "SELECT user FROM memberships
         WHERE conversation = ?1 AND joined <= ifnull(?2, joined) AND (ended IS NULL OR ended > ?2)
         ORDER BY user",
    )?
    .query_map((conversation.0, moment), |row| row.get(0).map(UserId))?
    .collect()
}

fn may_not_read(conn: &Connection, user: UserId, conversation: ConversationId) -> Read<Option<Refusal>> {
    let found: Option<(bool, bool)> = conn
        .prepare_cached(
            "SELECT low IS NULL, EXISTS (SELECT 1 FROM memberships WHERE user = ?1 AND conversation = ?2)
             FROM conversations WHERE id = ?2",
        )?
        .query_row((user.0, conversation.0), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(match found {
        Some((_, true)) => None,
        Some((true, false)) => {
            Some(Refusal::new(Code::NotAMember, "only members may read here; join the group first"))
        }
        Some((false, false)) | None => {
            Some(Refusal::new(Code::UnknownConversation, format!("there is no conversation {conversation}")))
        }
    })
}

/// A message from columns in the order of its table, its position in column `first`.
fn message(row: &Row<'_>, first: usize, terms: &Terms) -> Read<Message> {
    Ok(Message {
        id: terms.cursor(Position::from_sql(row.get(first)?)),
        conversation: ConversationId(row.get(first + 1)?),
        seq: row.get(first + 2)?,
        from: UserId(row.get(first + 3)?),
        cid: checked(row, first + 4, Cid::try_from)?,
        text: checked(row, first + 5, Text::try_from)?,
        at: Timestamp(row.get(first + 6)?),
    })
}

/// Text that was checked before it was stored.
fn checked<T, E>(row: &Row<'_>, column: usize, check: impl FnOnce(String) -> Result<T, E>) -> Read<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    check(row.get(column)?).map_err(|error| unreadable(column, error))
}
