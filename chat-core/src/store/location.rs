//! Where the database is, and why it cannot be served.

use std::path::PathBuf;

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
            // SQLite would take it for a file that is gone at exit.
            "" => Err("it is empty; name a file, such as switchboard.db, or :memory:"),
            ":memory:" => Ok(Self::Temporary),
            path => Ok(Self::File(path.into())),
        }
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
        "cannot use {path} beside the database: {source}.\n\
         The directory must exist and be writable; choose another file with --database PATH."
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
    /// SQLite refuses it.
    #[error(
        "SQLite cannot open the database: {0}.\n\
         If the file is damaged, restore a copy or move it away; choose another file with --database PATH."
    )]
    Sqlite(#[from] rusqlite::Error),
}
