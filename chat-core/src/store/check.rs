//! Whether the database is whole: damage is looked for, not stumbled upon.
//!
//! [`quick_check`] walks every page of every table and index, and takes 1.5 s for 256 MiB. `integrity_check` takes
//! 18 s for them (2 cores of AMD EPYC, 25 November 2026): it also looks up each row in each index.
//!
//! [`quick_check`]: https://sqlite.org/pragma.html#pragma_quick_check

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, InterruptHandle, OpenFlags};

use super::health::{Fault, Health, Part};
use super::{OpenError, connect};

/// Looks through the whole database.
pub(super) fn whole(conn: &Connection) -> Result<(), OpenError> {
    let found: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    match found.as_str() {
        "ok" => Ok(()),
        _ => Err(OpenError::Damaged(found.lines().collect::<Vec<_>>().join(", "))),
    }
}

/// How long a database is, with what is still in its write-ahead log.
pub(super) fn bytes(database: &Path) -> u64 {
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    length(database) + length(&wal(database))
}

/// Refuses a file that has lost everything: SQLite would take it for a new database.
pub(super) fn not_emptied(database: &Path) -> Result<(), OpenError> {
    let mut watermark = database.as_os_str().to_owned();
    watermark.push(".watermark");
    let noted = std::fs::read_to_string(watermark).unwrap_or_default();
    let events = noted.trim_end().split_once(' ').and_then(|(_, head)| head.parse::<u64>().ok());
    match (std::fs::metadata(database), events) {
        (Ok(file), Some(events @ 1..)) if file.is_file() && file.len() == 0 => {
            Err(OpenError::Damaged(format!("it is empty, and {events} events were written to it")))
        }
        _ => Ok(()),
    }
}

/// A search for damage beside the work of the server.
#[derive(Default)]
pub(super) struct Search(Option<std::thread::JoinHandle<()>>, Arc<Mutex<Option<InterruptHandle>>>);

impl Search {
    /// Looks through a database on a thread of its own.
    pub(super) fn start(database: PathBuf, health: Arc<Health>) -> std::io::Result<Self> {
        let handle = Arc::new(Mutex::new(None));
        let shared = Arc::clone(&handle);
        health.checking(true);
        let search = move || {
            let searched = connect(&database, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(OpenError::from);
            let searched = searched.and_then(|conn| {
                *shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(conn.get_interrupt_handle());
                whole(&conn)
            });
            match searched {
                Err(OpenError::Damaged(found)) => health.fails(Part::Reading, Fault::Damaged, &found),
                Err(error) => tracing::warn!(%error, "the search for damage was ended"),
                Ok(()) => {}
            }
            health.checking(false);
        };
        Ok(Self(Some(std::thread::Builder::new().name("check".to_owned()).spawn(search)?), handle))
    }

    /// Ends the search before its end.
    pub(super) fn stop(&mut self) -> Option<std::thread::JoinHandle<()>> {
        if let Some(handle) = &*self.1.lock().unwrap_or_else(PoisonError::into_inner) {
            handle.interrupt();
        }
        self.0.take()
    }
}

/// The files of an open database, as the file system tells them from others.
pub(super) struct Files(Vec<(PathBuf, Option<Identity>)>);

/// A device and a number on it.
type Identity = (u64, u64);

impl Files {
    /// Remembers the files that are there now.
    pub(super) fn of(database: &Path) -> Self {
        let paths = [database.to_owned(), wal(database)];
        Self(paths.into_iter().map(|path| (path.clone(), identity(&path).ok())).collect())
    }

    /// Whether the files are where they were. What the file system cannot tell counts as being there.
    pub(super) fn are_in_place(&self) -> bool {
        self.0.iter().all(|(path, before)| match (before, identity(path)) {
            (None, _) => true,
            (Some(before), Ok(now)) => *before == now,
            (Some(_), Err(error)) => error.kind() != std::io::ErrorKind::NotFound,
        })
    }
}

#[cfg(unix)]
fn identity(path: &Path) -> std::io::Result<Identity> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Elsewhere a file that is open can be neither deleted nor replaced.
#[cfg(not(unix))]
fn identity(path: &Path) -> std::io::Result<Identity> {
    std::fs::metadata(path).map(|_| (0, 0))
}

/// `chat.db` → `chat.db-wal`.
fn wal(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}
