//! Whose database it is, and whether it is whole.
//!
//! A lock file beside the database keeps a second process out; SQLite's own exclusive mode would keep out
//! our readers too. A watermark beside it remembers how far the log had come: when the database comes back
//! with less (a lost write-ahead log, an older copy put in place), the epoch changes, and cursors from the
//! lost future are told so instead of skipping what is written in its place.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::{OpenError, hex, meta_or, random, set_meta};
use crate::ids::{Epoch, Position};

/// The right to write to a database, until it is dropped or the process ends.
pub(super) struct Ownership {
    _lock: File,
    /// The lock file, if it was not there before.
    fresh: Option<PathBuf>,
    watermark: PathBuf,
    /// The head that the watermark file holds.
    noted: Option<Position>,
}

impl Ownership {
    /// Takes the lock beside `database`, or says who has it.
    pub(super) fn take(database: &Path) -> Result<Self, OpenError> {
        let lock_path = beside(database, "lock");
        let unwritable = |source| OpenError::Unwritable { path: lock_path.clone(), source };
        let fresh = (!lock_path.exists()).then(|| lock_path.clone());
        let lock =
            File::options().create(true).truncate(false).write(true).open(&lock_path).map_err(unwritable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { _lock: lock, fresh, watermark: beside(database, "watermark"), noted: None }),
            Err(TryLockError::WouldBlock) => {
                Err(OpenError::Owned { database: database.to_owned(), lock: lock_path })
            }
            Err(TryLockError::Error(source)) => Err(unwritable(source)),
        }
    }

    /// Leaves no trace beside a file that turned out not to be our database.
    pub(super) fn give_up(self) {
        if let Some(lock) = &self.fresh {
            // A lock file that stays hurts nobody.
            let _ = std::fs::remove_file(lock);
        }
    }

    /// The database's epoch; a new one if the log is shorter than the watermark remembers.
    pub(super) fn epoch(&self, conn: &Connection, head: Position) -> Result<Epoch, OpenError> {
        let known = meta_or(conn, "epoch", || hex(random()))?;
        let epoch = Epoch(u32::from_str_radix(&known, 16).unwrap_or_default());
        let lost = match self.remembered() {
            Some((noted_epoch, noted_head)) => noted_epoch != epoch || noted_head > head,
            None => false,
        };
        if !lost {
            return Ok(epoch);
        }
        tracing::error!(
            head = head.0,
            "the log is shorter than it was: cursors of the lost events will be reset"
        );
        let epoch = Epoch(random());
        set_meta(conn, "epoch", &hex(epoch.0))?;
        Ok(epoch)
    }

    fn remembered(&self) -> Option<(Epoch, Position)> {
        let text = std::fs::read_to_string(&self.watermark).ok()?;
        let (epoch, head) = text.trim_end().split_once(' ')?;
        Some((Epoch(u32::from_str_radix(epoch, 16).ok()?), Position(head.parse().ok()?)))
    }

    /// Notes how far the log has come. Call only with a head that is committed.
    ///
    /// The file is replaced, never rewritten: half a watermark would be worse than an old one.
    pub(super) fn note(&mut self, epoch: Epoch, head: Position) -> std::io::Result<()> {
        if self.noted == Some(head) {
            return Ok(());
        }
        let fresh = self.watermark.with_extension("watermark-new");
        let mut file = File::create(&fresh)?;
        writeln!(file, "{} {}", hex(epoch.0), head.0)?;
        file.sync_data()?;
        std::fs::rename(&fresh, &self.watermark)?;
        self.noted = Some(head);
        Ok(())
    }
}

/// `chat.db` → `chat.db.lock`.
fn beside(database: &Path, extension: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}
