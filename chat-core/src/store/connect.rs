//! The connections to the database, and the settings that acknowledgements rest on.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::fault::{Fault, Part};
use super::health::Health;
use super::{OpenError, READERS, check, schema};

/// How long a busy database is waited for; only a backup tool's short locks are expected.
const BUSY: Duration = Duration::from_secs(2);

/// The writer's connection, after the database was found to be ours and brought up to date; and the readers'.
pub(super) fn connect_all(
    path: &Path,
    check_first_bytes: u64,
    health: &Health,
) -> Result<(Connection, Vec<Connection>), OpenError> {
    let mut conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    // Until it is known to be whole, nothing is written to it, not even at the end of the connection.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    if schema::is_ours(&conn)? && check::bytes(path) <= check_first_bytes {
        match check::whole(&conn) {
            Err(OpenError::Damaged(found)) if health.accepts_damage() => {
                health.fails(Part::Reading, Fault::Damaged, &found);
            }
            checked => checked?,
        }
    }
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    schema::prepare(&mut conn)?;
    be_durable(&conn)?;
    let readers = (0..READERS).map(|_| connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY));
    Ok((conn, readers.collect::<Result<_, _>>()?))
}

pub(super) fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, rusqlite::Error> {
    let conn = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(BUSY)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

/// Acknowledgements rest on these two settings, so they are set and then looked at.
pub(super) fn be_durable(conn: &Connection) -> Result<(), OpenError> {
    let journal: String = conn.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "foreign_keys", "ON")?;
    let synchronous: i64 = conn.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    // 2 is FULL: https://sqlite.org/pragma.html#pragma_synchronous
    if journal != "wal" || synchronous != 2 {
        return Err(OpenError::NotDurable { journal, synchronous });
    }
    Ok(())
}
