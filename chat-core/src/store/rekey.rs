//! The migration step that gives every user a name key under today's rules.
//!
//! Names that were different under earlier rules may have one key now, such as `Straße` and `STRASSE`. The user who was
//! first keeps it. The others get a key of their own, which cannot be typed, and sign in with the exact name.

use std::collections::hash_map::{Entry, HashMap};

use rusqlite::Connection;

use crate::ids::UserId;
use crate::text::Name;

/// Gives every user a new key. Doing it again changes nothing.
pub(super) fn rekey(conn: &Connection) -> Result<(), rusqlite::Error> {
    let mut users = conn.prepare("SELECT id, name, name_key FROM users ORDER BY id")?;
    let users = users.query_map([], |row| {
        Ok((UserId(row.get(0)?), Name::stored(row.get(1)?), row.get::<_, String>(2)?))
    })?;
    let mut first: HashMap<String, UserId> = HashMap::new();
    let mut changed = Vec::new();
    for user in users {
        let (id, name, old) = user?;
        let key = match first.entry(name.key()) {
            Entry::Vacant(free) => {
                let key = free.key().clone();
                free.insert(id);
                key
            }
            Entry::Occupied(taken) => {
                let (first, name) = (taken.get(), name.as_str());
                tracing::warn!(
                    user = %id, ?name, %first,
                    "two users have names that count as the same now; this one signs in with the exact name"
                );
                format!("{}\0{}", taken.key(), id.0)
            }
        };
        if key != old {
            changed.push((id, key));
        }
    }
    // A new key may still be the old key of another user. So all changed users first get a key that begins with a NUL,
    // as no other key does.
    let mut set = conn.prepare("UPDATE users SET name_key = ?2 WHERE id = ?1")?;
    for (id, _) in &changed {
        set.execute((id.0, format!("\0{}", id.0)))?;
    }
    for (id, key) in &changed {
        set.execute((id.0, key))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::is_same_name;

    /// Names in the order of their ids, and their keys after the step.
    const USERS: &[(&str, &str)] = &[
        ("José", "josé"),
        ("Jose\u{301}", "josé\u{0}2"),
        // Its new key is the old key of the next user.
        ("Straße", "strasse"),
        ("STRASSE", "strasse\u{0}4"),
        ("Ann Lee", "ann lee"),
        ("Ann\u{A0}Lee", "ann lee\u{0}6"),
        ("Ann  Lee", "ann lee\u{0}7"),
        ("\u{3164}", ""),
        ("\u{200B}\u{3164}", "\u{0}9"),
        ("ﬁn", "fin"),
        ("Bob", "bob"),
    ];

    fn database() -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, name_key TEXT UNIQUE)")
            .unwrap();
        for (name, _) in USERS {
            // Keys were made like this before.
            let old = name.to_lowercase();
            conn.execute("INSERT INTO users (name, name_key) VALUES (?1, ?2)", (name, old)).unwrap();
        }
        conn
    }

    fn rows(conn: &Connection) -> Vec<(String, String)> {
        let mut users = conn.prepare("SELECT name, name_key FROM users ORDER BY id").unwrap();
        let rows = users.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn the_first_of_one_key_keeps_it_and_doing_it_again_changes_nothing() {
        let conn = database();
        for _ in 0..2 {
            rekey(&conn).unwrap();
            let rows = rows(&conn);
            let rows: Vec<_> = rows.iter().map(|(name, key)| (name.as_str(), key.as_str())).collect();
            assert_eq!(rows, USERS);
        }
        assert!(is_same_name(USERS[0].0, USERS[1].0));
    }
}
