//! The connections to the database, and the settings that make acknowledged commands durable.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::fault::{Fault, Part};
use super::health::Health;
use super::open::connect;
use super::{OpenError, READERS, check, schema};

/// Opens the writer's connection, checks the database and brings it up to date. Then opens the readers' connections.
pub(super) fn connect_all(
    path: &Path,
    check_first_bytes: u64,
    health: &Health,
) -> Result<(Connection, Vec<Connection>), OpenError> {
    let mut conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    // Until the database is known to be whole, nothing is written to it, not even when the connection closes.
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

/// Acknowledged commands are durable only with these `journal_mode` and `synchronous`, so both are set and read back.
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
