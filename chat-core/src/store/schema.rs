//! The tables, and the ladder of steps that brings an older database up to date.

use rusqlite::Connection;

use super::OpenError;

/// Marks a SQLite file as ours, in SQLite's own header field: "Swbd".
const APPLICATION_ID: i32 = 0x5377_6264;

/// One step for each version, in order; `user_version` says how many were taken.
const LADDER: &[&str] = &[r"
    -- What there is one of: epoch, identity, age, trimmed.
    CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;

    CREATE TABLE users (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        name_key TEXT NOT NULL UNIQUE,      -- the name as it counts for being taken
        password TEXT NOT NULL              -- a PHC string: algorithm, parameters, salt and hash
    ) STRICT;

    CREATE TABLE sign_ins (
        token_hash BLOB PRIMARY KEY,
        user INTEGER NOT NULL REFERENCES users,
        expires INTEGER NOT NULL            -- in the age of the database, seconds
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE conversations (
        id INTEGER PRIMARY KEY,
        last_seq INTEGER NOT NULL DEFAULT 0,
        created INTEGER NOT NULL,           -- the position of the event
        name TEXT,                          -- of a group
        creator INTEGER REFERENCES users,   -- of a group
        cid TEXT,                           -- of a group: its creator's id for it
        low INTEGER REFERENCES users,       -- of a direct conversation: the user with the lower id
        high INTEGER REFERENCES users,      -- of a direct conversation: the other one
        UNIQUE (low, high),
        UNIQUE (creator, cid)
    ) STRICT;

    -- Who was where from when to when, in positions. A user sees what lies inside.
    CREATE TABLE memberships (
        user INTEGER NOT NULL REFERENCES users,
        conversation INTEGER NOT NULL REFERENCES conversations,
        joined INTEGER NOT NULL,            -- the first event they see
        joined_seq INTEGER NOT NULL,        -- the last message they do not see
        ended INTEGER,                      -- the last event they see, once they have left
        ended_seq INTEGER,                  -- the last message they see, once they have left
        PRIMARY KEY (user, conversation, joined)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX memberships_by_conversation ON memberships (conversation, user, joined);

    CREATE TABLE read_marks (
        user INTEGER NOT NULL REFERENCES users,
        conversation INTEGER NOT NULL REFERENCES conversations,
        seq INTEGER NOT NULL,
        PRIMARY KEY (user, conversation)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE messages (
        position INTEGER PRIMARY KEY,       -- of its event
        conversation INTEGER NOT NULL REFERENCES conversations,
        seq INTEGER NOT NULL,
        sender INTEGER NOT NULL REFERENCES users,
        cid TEXT NOT NULL,
        text TEXT NOT NULL,
        at INTEGER NOT NULL                 -- milliseconds since 1970
    ) STRICT;
    CREATE UNIQUE INDEX messages_by_seq ON messages (conversation, seq);
    CREATE UNIQUE INDEX messages_by_cid ON messages (sender, cid);

    -- The log. AUTOINCREMENT: a position is never given twice, whatever retention removes.
    CREATE TABLE events (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        audience INTEGER NOT NULL,          -- 0 everyone, n conversation n, -n user n
        body TEXT                           -- JSON; NULL: the message of this position
    ) STRICT;
    CREATE INDEX events_by_audience ON events (audience, position);

    -- How old the database was when the log had grown to a position: what retention goes by.
    CREATE TABLE ages (position INTEGER PRIMARY KEY, age INTEGER NOT NULL) STRICT;
"];

/// Whether the file is a database of this program.
pub(super) fn is_ours(conn: &Connection) -> Result<bool, OpenError> {
    let application: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    Ok(application == APPLICATION_ID)
}

/// Checks that the file is ours and not from a newer version, then takes the steps that are missing.
pub(super) fn prepare(conn: &mut Connection) -> Result<(), OpenError> {
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let application: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if tables > 0 && application != APPLICATION_ID {
        return Err(OpenError::Foreign);
    }
    let taken: usize = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if taken > LADDER.len() {
        return Err(OpenError::Newer { found: taken, known: LADDER.len() });
    }
    let tx = conn.transaction()?;
    for step in &LADDER[taken..] {
        tx.execute_batch(step)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", LADDER.len())?;
    tx.commit()?;
    Ok(())
}
