//! The tables, and the ladder of migration steps that brings an older database up to date.

use rusqlite::Connection;

use super::{OpenError, rekey};

/// Marks a SQLite file as ours, in SQLite's own header field: "Swbd".
const APPLICATION_ID: i32 = 0x5377_6264;

/// What brings a database from one version to the next.
enum Step {
    /// Statements.
    Sql(&'static str),
    /// Code for what no statement can express. It runs inside the same transaction.
    Rust(fn(&Connection) -> Result<(), rusqlite::Error>),
}

/// One step for each version, in order; `user_version` says how many were taken.
const LADDER: &[Step] = &[
    Step::Sql(
        r"
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
",
    ),
    Step::Sql(
        r"
    -- Which run of a server wrote which part of the log: a term goes up to the first position of the next one.
    -- A term is never removed, whatever retention removes: the ids of messages are cursors.
    CREATE TABLE terms (
        first INTEGER PRIMARY KEY,          -- the position of its first event
        term TEXT NOT NULL UNIQUE           -- 32 random bits, as in a cursor
    ) STRICT;
    INSERT INTO terms (first, term)
        SELECT 1, value FROM meta
        WHERE name = 'epoch' AND EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'events' AND seq > 0);
    DELETE FROM meta WHERE name = 'epoch';
",
    ),
    Step::Rust(|conn| {
        conn.execute_batch(OWN_SEQ)?;
        conn.execute_batch(JOINED_SEQ)?;
        rekey::rekey(conn)
    }),
];

/// The newest message that a member wrote is kept with the membership, because a search for it would read the messages
/// of all others.
const OWN_SEQ: &str = "
    ALTER TABLE memberships ADD COLUMN own_seq INTEGER NOT NULL DEFAULT 0;
    UPDATE memberships SET own_seq = own.seq
    FROM (SELECT conversation, sender, max(seq) AS seq FROM messages GROUP BY conversation, sender) AS own
    WHERE own.conversation = memberships.conversation AND own.sender = memberships.user;
";

/// `group_joined` says which messages came before. For events that are in the log already, the number is taken from the
/// membership, which begins with the `member_joined` that follows.
const JOINED_SEQ: &str = "
    UPDATE events SET body = json_set(body, '$.joined_seq', ifnull((
        SELECT joined_seq FROM memberships
        WHERE user = -audience
          AND conversation = CAST(substr(json_extract(body, '$.conversation'), 2) AS INTEGER)
          AND joined > position
        ORDER BY joined LIMIT 1), 0))
    WHERE audience < 0 AND json_extract(body, '$.type') = 'group_joined';
";

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
        match step {
            Step::Sql(statements) => tx.execute_batch(statements)?,
            Step::Rust(run) => run(&tx)?,
        }
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", LADDER.len())?;
    tx.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::path::Path;

    use argon2::password_hash::PasswordHasher;
    use argon2::{Algorithm, Argon2, Params, Version};

    use super::*;
    use crate::chat::Chat;
    use crate::limits::Limits;
    use crate::refusal::Code;
    use crate::store::Location;
    use crate::text::Password;

    /// Names as they were typed, in the order of the ids. Their keys today are in `rekey.rs`.
    const NAMES: [&str; 4] = ["José", "Jose\u{301}", "ann\u{2800}", "\u{3164}"];

    /// A password with an `é` of two characters, as some keyboards type it.
    const TYPED: &str = "cafe\u{301} au lait";

    /// A database from before names had the keys of today, with a group that the second user left and joined again.
    fn old_database(path: &Path) {
        let conn = Connection::open(path).unwrap();
        let Step::Sql(tables) = LADDER[0] else { panic!("the first step makes the tables") };
        conn.execute_batch(tables).unwrap();
        conn.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        conn.pragma_update(None, "user_version", 1).unwrap();
        let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(16, 1, 1, None).unwrap());
        let password = hasher.hash_password(TYPED.as_bytes()).unwrap().to_string();
        for name in NAMES {
            conn.execute(
                "INSERT INTO users (name, name_key, password) VALUES (?1, ?2, ?3)",
                (name, name.to_lowercase(), &password),
            )
            .unwrap();
        }
        conn.execute_batch(
            r#"
            INSERT INTO conversations (id, last_seq, created, name, creator, cid) VALUES (1, 3, 1, 'rust', 1, 'c');
            INSERT INTO memberships VALUES (1, 1, 1, 0, NULL, NULL), (2, 1, 3, 0, 5, 1), (2, 1, 8, 2, NULL, NULL);
            INSERT INTO messages VALUES
                (4, 1, 1, 2, 'm1', 'in', 0), (6, 1, 2, 1, 'm2', 'out', 0), (9, 1, 3, 1, 'm3', 'back', 0);
            INSERT INTO read_marks VALUES (2, 1, 2);
            INSERT INTO events VALUES
                (1, 0, '{"type":"group_created","id":"00000000.1","conversation":"c1","name":"rust","by":"u1"}'),
                (2, -2, '{"type":"group_joined","id":"00000000.2","conversation":"c1","name":"rust","members":["u1","u2"]}'),
                (3, 1, '{"type":"member_joined","id":"00000000.3","conversation":"c1","user":"u2"}'),
                (4, 1, NULL),
                (5, 1, '{"type":"member_left","id":"00000000.5","conversation":"c1","user":"u2"}'),
                (6, 1, NULL),
                (7, -2, '{"type":"group_joined","id":"00000000.7","conversation":"c1","name":"rust","members":["u1","u2"]}'),
                (8, 1, '{"type":"member_joined","id":"00000000.8","conversation":"c1","user":"u2"}'),
                (9, 1, NULL);
            "#,
        )
        .unwrap();
    }

    #[tokio::test]
    async fn an_old_database_opens_with_everybody_and_everything_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chat.db");
        old_database(&path);
        let limits = Limits { hash_memory: 8, ..Limits::default() };
        let chat = Chat::open(&Location::File(path.clone()), limits).unwrap();
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let sign_in = |name: &str, password| chat.sign_in(name.to_owned(), Password::from(password), here);

        // The exact name is tried first, and then the key: other spellings belong to the first user.
        for (number, name) in (1..).zip(NAMES) {
            let (user, _) = sign_in(name, TYPED).await.unwrap();
            assert_eq!((user.id.0, user.name.as_str()), (number, name));
        }
        // From then on the password is hashed in its normal form, with the parameters of today.
        let (user, _) = sign_in("JOSÉ", "caf\u{E9} au lait").await.unwrap();
        assert_eq!(user.id.0, 1);
        assert_eq!(sign_in("José", "cafe au lait").await.unwrap_err().code, Code::WrongCredentials);
        let taken = chat.register("JOSÉ".to_owned(), Password::from(TYPED), here).await.unwrap_err();
        assert_eq!(taken.code, Code::NameTaken);

        let places = [1, 2].map(crate::ids::UserId).map(async |id| {
            let place = chat.snapshot(id).await.unwrap().conversations.remove(0);
            (place.last_seq, place.read_seq, place.joined_seq)
        });
        let [ann, bob] = places;
        assert_eq!((ann.await, bob.await), ((3, 3, 0), (3, 2, 2)));
        chat.close().await;

        let conn = Connection::open(path).unwrap();
        let rows = |sql: &str| -> Vec<String> {
            let mut rows = conn.prepare(sql).unwrap();
            rows.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
        };
        let told = rows("SELECT json_extract(body, '$.joined_seq') || '' FROM events WHERE audience = -2");
        assert_eq!(told, ["0", "2"]);
        for hash in rows("SELECT password FROM users") {
            assert!(hash.starts_with("$argon2id$v=19$m=8,"), "{hash}");
        }
    }
}
