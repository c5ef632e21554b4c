//! The fence: the writer looks in every transaction whether another process has written to the database.
//!
//! The locks of [`ownership`](super::ownership) keep other servers out. They do not bind other programs, and not
//! every file system keeps them.

use rusqlite::{Connection, ErrorCode, ffi};

use super::reads;
use super::terms::{self, Terms};
use crate::ids::Position;

/// Another process writes to the database, so this server must not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "another process has written to the database, so this server has stopped: two writers would number their events \
     alike.\nFind that process (`fuser DATABASE` lists those that use the file), stop it, and start this server again."
)]
pub struct ForeignWriter;

/// Why a transaction wrote nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommitError {
    #[error("{0}")]
    Storage(rusqlite::Error),
    #[error(transparent)]
    Foreign(#[from] ForeignWriter),
}

impl From<rusqlite::Error> for CommitError {
    /// The log has the next position for this process alone, so that another event is there says who wrote it.
    fn from(error: rusqlite::Error) -> Self {
        let taken = [ffi::SQLITE_CONSTRAINT_PRIMARYKEY, ffi::SQLITE_CONSTRAINT_ROWID];
        match error.sqlite_error() {
            Some(ffi::Error { code: ErrorCode::ConstraintViolation, extended_code })
                if taken.contains(extended_code) =>
            {
                Self::Foreign(ForeignWriter)
            }
            _ => Self::Storage(error),
        }
    }
}

/// What the writer knows of other connections' commits.
pub(super) struct Fence {
    /// SQLite's count of changes by other connections, as this connection saw it last:
    /// <https://sqlite.org/pragma.html#pragma_data_version>.
    data_version: i64,
    has_warned: bool,
}

impl Fence {
    /// Call before the head is read.
    pub(super) fn new(conn: &Connection) -> Result<Self, rusqlite::Error> {
        Ok(Self { data_version: data_version(conn)?, has_warned: false })
    }

    /// Fails if another process has written to the log. Call within the transaction that is to write.
    ///
    /// `has_begun`: whether this run's own term is in the table.
    pub(super) fn check(
        &mut self,
        conn: &Connection,
        head: Position,
        terms: &Terms,
        has_begun: bool,
    ) -> Result<(), CommitError> {
        let now = data_version(conn)?;
        if now == self.data_version {
            return Ok(());
        }
        if reads::head(conn)? != head || terms::newest(conn)? != terms.newest(has_begun) {
            return Err(ForeignWriter.into());
        }
        self.data_version = now;
        if !std::mem::replace(&mut self.has_warned, true) {
            tracing::warn!(
                "another process has written to the database, but not to the log; only backup tools should touch it"
            );
        }
        Ok(())
    }
}

fn data_version(conn: &Connection) -> Result<i64, rusqlite::Error> {
    conn.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}
