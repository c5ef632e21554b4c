//! Where the database is, and why it cannot be served.

use std::path::{Path, PathBuf};

use super::health::{Fault, directory, is_full};

/// What to do about a disk without room.
const FULL: &str = "Make room on that disk: a start needs some hundred KiB";

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A file that stays.
    File(PathBuf),
    /// A file in a temporary directory, gone when the process ends.
    Temporary,
}

impl std::str::FromStr for Location {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == ":memory:" { Self::Temporary } else { Self::File(text.into()) })
    }
}

/// Why a database cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process serves it.
    #[error(
        "another process is using the database {database}: it holds the lock {lock}.\n\
         Stop that process, or give this one a database of its own with --database PATH."
    )]
    Owned {
        /// The database.
        database: PathBuf,
        /// The file that is locked.
        lock: PathBuf,
    },
    /// It cannot be created or opened.
    #[error(
        "cannot use {path} beside the database: {source}.\n{}; choose another file with --database PATH.",
        if Fault::of_io(source) == Fault::Full { FULL } else { "The directory must exist and be writable" }
    )]
    Unwritable {
        /// The file that could not be made.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is a database, but of another program.
    #[error("the file is an SQLite database of another program. Choose another file with --database PATH.")]
    Foreign,
    /// A newer Switchboard wrote it.
    #[error("the database has version {found}, and this program knows up to {known}. Use a newer program.")]
    Newer {
        /// The version found.
        found: usize,
        /// The newest version that this program reads.
        known: usize,
    },
    /// The disk does not promise what acknowledgements rest on.
    #[error("the database runs with journal mode {journal} and synchronous {synchronous}, not WAL and FULL")]
    NotDurable {
        /// What SQLite reports.
        journal: String,
        /// What SQLite reports.
        synchronous: i64,
    },
    /// Some of its pages are damaged.
    #[error(
        "the database is damaged: {0}.\n\
         It was left as it is: restore a copy or move it away, or choose another file with --database PATH.\n\
         With --accept-damage this program serves what can still be read of it, and writes nothing."
    )]
    Damaged(String),
    /// There is no room for it.
    #[error("the disk of the database is full.\n{FULL}, or choose another file with --database PATH.")]
    Full,
    /// SQLite refuses it.
    #[error(
        "SQLite cannot open the database: {0}.\n\
         The disk must be readable and writable; choose another file with --database PATH."
    )]
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        match Fault::of(&error) {
            Fault::Damaged => Self::Damaged(error.to_string()),
            Fault::Full => Self::Full,
            Fault::Failing | Fault::Late | Fault::Lost => Self::Sqlite(error),
        }
    }
}

impl OpenError {
    /// SQLite has more than one name for a disk without room, so the disk itself is asked.
    pub(super) fn of_a_full_disk(self, database: &Path) -> Self {
        match self {
            Self::Sqlite(_) if is_full(directory(database)) => Self::Full,
            other => other,
        }
    }
}
