//! The fence: in every transaction, the writer checks whether another process has written to the database.
//!
//! The locks of [`ownership`](super::ownership) keep other servers out. They do not bind other programs, and not every
//! file system supports them.

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
    /// Only this process may use the next position of the log. If an event is there already, another process wrote it.
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
    /// Whether a transaction of this process failed since then: SQLite may count that too.
    is_excused: bool,
    has_warned: bool,
}

impl Fence {
    /// Call before the head is read.
    pub(super) fn new(conn: &Connection) -> Result<Self, rusqlite::Error> {
        Ok(Self { data_version: data_version(conn)?, is_excused: false, has_warned: false })
    }

    /// Notes that a transaction of this process failed. The next change then causes no warning if it is not an event.
    pub(super) fn excuse(&mut self) {
        self.is_excused = true;
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
        let is_excused = std::mem::replace(&mut self.is_excused, false);
        if !is_excused && !std::mem::replace(&mut self.has_warned, true) {
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

#[cfg(test)]
mod tests {
    use super::super::connect::be_durable;
    use super::super::schema;
    use super::*;

    const EVENT: &str = "INSERT INTO events (audience, body) VALUES (0, '{}')";

    /// A database with one event in term 1, seen by two processes. The second one has not begun its own term, 2.
    struct Twice {
        ours: Connection,
        other: Connection,
        fence: Fence,
        terms: Terms,
        _directory: tempfile::TempDir,
    }

    impl Twice {
        fn open() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("chat.db");
            let mut ours = Connection::open(&path).unwrap();
            schema::prepare(&mut ours).unwrap();
            be_durable(&ours).unwrap();
            ours.execute(EVENT, []).unwrap();
            let terms = Terms::of_test(&[(1, 1), (2, 2)]);
            ours.execute("INSERT INTO terms (first, term) VALUES (1, '00000001')", []).unwrap();
            let other = Connection::open(&path).unwrap();
            Self { fence: Fence::new(&ours).unwrap(), ours, other, terms, _directory: directory }
        }

        /// What a transaction finds.
        fn check(&mut self, head: u64, has_begun: bool) -> Result<(), CommitError> {
            self.ours.execute_batch("BEGIN IMMEDIATE").unwrap();
            let result = self.fence.check(&self.ours, Position(head), &self.terms, has_begun);
            self.ours.execute_batch("ROLLBACK").unwrap();
            result
        }
    }

    fn is_foreign(result: Result<(), CommitError>) -> bool {
        matches!(result, Err(CommitError::Foreign(_)))
    }

    #[test]
    fn what_this_process_writes_is_its_own() {
        let mut twice = Twice::open();
        twice.check(1, false).unwrap();
        twice.ours.execute(EVENT, []).unwrap();
        twice.terms.begin(&twice.ours).unwrap();
        twice.ours.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        twice.ours.execute(EVENT, []).unwrap();
        twice.check(3, true).unwrap();
        assert!(!twice.fence.has_warned);
    }

    #[test]
    fn another_change_is_a_warning() {
        let mut twice = Twice::open();
        twice.other.execute("INSERT INTO meta (name, value) VALUES ('x', 1)", []).unwrap();
        twice.fence.excuse();
        twice.check(1, false).unwrap();
        assert!(!twice.fence.has_warned, "after a transaction of our own that failed");
        for number in 0..2 {
            twice
                .other
                .execute("INSERT INTO meta (name, value) VALUES (?1, 1)", [number.to_string()])
                .unwrap();
            twice.check(1, false).unwrap();
            assert!(twice.fence.has_warned);
        }
        twice.other.execute(EVENT, []).unwrap();
        assert!(is_foreign(twice.check(1, false)), "a warning is no permission");
    }

    #[test]
    fn anothers_event_is_found() {
        let mut twice = Twice::open();
        twice.other.execute(EVENT, []).unwrap();
        assert!(is_foreign(twice.check(1, false)));
        assert!(is_foreign(twice.check(1, false)), "and it is not forgotten");
    }

    #[test]
    fn anothers_term_is_found_though_the_log_has_the_same_length() {
        let mut twice = Twice::open();
        twice.other.execute("INSERT INTO terms (first, term) VALUES (2, '00000009')", []).unwrap();
        assert!(is_foreign(twice.check(1, false)));
    }

    #[test]
    fn a_position_that_is_taken_says_that_another_process_writes() {
        let twice = Twice::open();
        let insert = "INSERT INTO events (position, audience, body) VALUES (1, 0, '{}')";
        let error = twice.ours.execute(insert, []).unwrap_err();
        assert!(is_foreign(Err(error.into())));
        let error = twice.ours.execute("INSERT INTO events (audience) VALUES (NULL)", []).unwrap_err();
        assert!(matches!(CommitError::from(error), CommitError::Storage(_)));
    }
}
