//! Where the database is, and why it cannot be served.

use std::path::{Path, PathBuf};

use super::fault::Fault;
use super::health::{directory, is_full};

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
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            // SQLite would make a temporary file, which is removed at exit.
            "" => Err("it is empty; name a file, such as switchboard.db, or :memory:"),
            ":memory:" => Ok(Self::Temporary),
            path => Ok(Self::File(path.into())),
        }
    }
}

/// Why a database cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// This process serves it.
    #[error(
        "this process serves the database {database} already, perhaps under another name.\n\
         Share the chat that is open, or choose a database of its own with --database PATH."
    )]
    OwnedHere {
        /// The database.
        database: PathBuf,
    },
    /// The file has another name, under which another server might serve it.
    #[error(
        "the database {database} has {links} names (hard links), and under each of them it would have a log of its \
         own.\nRemove the other names (`find / -xdev -samefile {database}` lists them), or give --database a copy \
         that was made while no server ran.", database = database.display()
    )]
    Linked {
        /// The database.
        database: PathBuf,
        /// How many names it has.
        links: u64,
    },
    /// It is a directory, or something else that holds no data.
    #[error("{database} is not a file. Choose another one with --database PATH.")]
    NotAFile {
        /// What was named.
        database: PathBuf,
    },
    /// The file itself cannot be opened or locked.
    #[error(
        "cannot use the database {database}: {source}.\n\
         It must be a file that this user may read and write; choose another one with --database PATH."
    )]
    Unusable {
        /// The database.
        database: PathBuf,
        /// Why.
        source: std::io::Error,
    },
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
    /// There is no directory for a temporary database.
    #[error(
        "cannot make a temporary database in {directory}: {source}.\n\
         Set TMPDIR to a directory that can be written, or keep the chat in a file with --database PATH."
    )]
    NoTemporary {
        /// Where temporary files are to be made.
        directory: PathBuf,
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
    /// The database does not have the settings that make acknowledged commands durable.
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
    /// SQLite has more than one error for a full disk, so the disk itself is tested.
    pub(super) fn of_a_full_disk(self, database: &Path) -> Self {
        match self {
            Self::Sqlite(_) if is_full(directory(database)) => Self::Full,
            other => other,
        }
    }
}
