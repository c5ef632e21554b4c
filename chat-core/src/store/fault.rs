//! The kinds of faults that a storage has, and the parts of it that have them.

use std::io::{self, ErrorKind};

use rusqlite::{ErrorCode, ffi};

/// A kind of fault; its name is a label in the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The disk has no room.
    Full,
    /// The disk, or SQLite, reports an error.
    Failing,
    /// The disk does not answer within `--storage-timeout`.
    Late,
    /// The database file was deleted or replaced.
    Lost,
    /// The database is damaged. This fault does not end.
    Damaged,
}

impl Fault {
    /// Every fault, for the metrics.
    pub(crate) const ALL: &[Self] = &[Self::Full, Self::Failing, Self::Late, Self::Lost, Self::Damaged];

    /// The label in the metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Failing => "failing",
            Self::Late => "late",
            Self::Lost => "lost",
            Self::Damaged => "damaged",
        }
    }

    /// The fault behind an error of SQLite.
    pub(super) fn of(error: &rusqlite::Error) -> Self {
        // This program writes only UTF-8 and one type in each column, so it did not write a value of another kind.
        if let rusqlite::Error::Utf8Error(..) | rusqlite::Error::InvalidColumnType(..) = error {
            return Self::Damaged;
        }
        // The index of the write-ahead log could not grow.
        if error.sqlite_extended_error_code() == Some(ffi::SQLITE_IOERR_SHMSIZE) {
            return Self::Full;
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged,
            Some(ErrorCode::DiskFull) => Self::Full,
            // A read is interrupted when its time is over.
            Some(ErrorCode::OperationInterrupted) => Self::Late,
            _ => Self::Failing,
        }
    }

    /// The fault behind an error of the file system.
    pub(super) fn of_io(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Self::Full,
            _ => Self::Failing,
        }
    }

    /// What fails, for people.
    pub(super) fn text(self, part: Part) -> &'static str {
        match (self, part) {
            (Self::Damaged, _) => "the database is damaged",
            (Self::Lost, _) | (_, Part::File) => "the database file was deleted or replaced",
            (Self::Full, _) => "the disk is full",
            (Self::Failing, Part::Writing) => "the database cannot be written",
            (Self::Failing, Part::Reading) => "the database cannot be read",
            (Self::Failing, Part::Watermark) => "the watermark beside the database cannot be written",
            (Self::Late, _) => "the disk does not answer in time",
        }
    }
}

/// The parts of the storage. Each fails and recovers independently of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Commits.
    Writing,
    /// The read-only connections.
    Reading,
    /// The database file in its place.
    File,
    /// The file that remembers how long the log is. Nothing is lost without it.
    Watermark,
}

impl Part {
    pub(super) const ALL: [Self; 4] = [Self::Writing, Self::Reading, Self::File, Self::Watermark];

    /// What it means for clients.
    pub(super) fn consequence(self) -> &'static str {
        match self {
            Self::Writing => "commands are refused until it ends",
            Self::Reading => "reads are refused until it ends",
            Self::File => "commands are refused; put the file back, or stop the server and restore a copy",
            Self::Watermark => "the next start could not say how many events are missing",
        }
    }
}

/// The error for a value that this program does not store.
pub(super) fn unreadable(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_sqlite_has_its_fault() {
        for (code, fault) in [
            (ffi::SQLITE_FULL, Fault::Full),
            (ffi::SQLITE_IOERR_SHMSIZE, Fault::Full),
            (ffi::SQLITE_CORRUPT, Fault::Damaged),
            (ffi::SQLITE_CORRUPT_INDEX, Fault::Damaged),
            (ffi::SQLITE_NOTADB, Fault::Damaged),
            (ffi::SQLITE_IOERR_WRITE, Fault::Failing),
            (ffi::SQLITE_BUSY, Fault::Failing),
        ] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            assert_eq!(Fault::of(&error), fault, "{error}");
        }
    }
}
