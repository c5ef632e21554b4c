//! The ownership of a database: one server in one process has it, under whatever name the file was given.
//!
//! A lock file beside the database keeps other processes out; SQLite's own exclusive mode would keep out this process's
//! readers too. A name that is a link leads to the same lock file, because the path is made canonical first. The lock
//! file may be deleted, so on Linux the database file itself is locked too.
//!
//! The trap: a process loses all of SQLite's locks on a file as soon as it closes *any* descriptor of that file
//! ([Rollback: how to corrupt, §2.2]). So this process opens the file once, before SQLite does, and closes it after the
//! last connection. It also recognises a file that it serves already, without opening it.
//!
//! [Rollback: how to corrupt, §2.2]: https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_

use std::collections::BTreeSet;
use std::fs::{File, Metadata, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::OpenError;

/// A file, whatever its name: its device and its number on that device.
type Inode = (u64, u64);

/// The databases that this process serves. The lock also keeps two threads from opening one at the same time.
static SERVED: Mutex<BTreeSet<Inode>> = Mutex::new(BTreeSet::new());

fn served() -> MutexGuard<'static, BTreeSet<Inode>> {
    SERVED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The right to serve a database. Every connection to it holds this, and is closed before this is dropped.
pub(super) struct Ownership {
    database: PathBuf,
    /// The one descriptor of the database that is not SQLite's.
    file: Option<File>,
    inode: Option<Inode>,
    _lock: File,
    /// The lock file, if it did not exist before.
    fresh: Option<PathBuf>,
}

impl Ownership {
    /// Takes a database, creating an empty file if there is none.
    ///
    /// # Errors
    /// Another server has it, or it cannot be used.
    pub(super) fn take(database: &Path) -> Result<Self, OpenError> {
        let database = canonical(database)
            .map_err(|source| OpenError::Unwritable { path: beside(database, "lock"), source })?;
        let mut served = served();
        if let Ok(found) = std::fs::metadata(&database) {
            check(&database, &found, &served)?;
        }

        let lock_path = beside(&database, "lock");
        let unwritable = |source| OpenError::Unwritable { path: lock_path.clone(), source };
        let fresh = (!lock_path.exists()).then(|| lock_path.clone());
        let mut options = File::options();
        options.create(true).truncate(false).read(true).write(true);
        let lock = options.open(&lock_path).map_err(unwritable)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                OpenError::Owned { database: database.clone(), lock: lock_path.clone() }
            }
            TryLockError::Error(source) => unwritable(source),
        })?;

        let unusable = |source| OpenError::Unusable { database: database.clone(), source };
        let file = options.open(&database).map_err(unusable)?;
        let inode = inode(&file.metadata().map_err(unusable)?);
        if inode.is_some_and(|inode| served.contains(&inode)) {
            // It was put here after the check above. Closing it would cost SQLite its locks, so it stays open.
            std::mem::forget(file);
            return Err(OpenError::OwnedHere { database });
        }
        // On other systems, this lock and SQLite's would be the same, or it would bind every reader.
        #[cfg(target_os = "linux")]
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                OpenError::Owned { database: database.clone(), lock: database.clone() }
            }
            TryLockError::Error(source) => unusable(source),
        })?;
        served.extend(inode);
        Ok(Self { database, file: Some(file), inode, _lock: lock, fresh })
    }

    /// The database's path without links. The files beside it are named after this path.
    pub(super) fn database(&self) -> &Path {
        &self.database
    }

    /// Fails if another file was put in the database's place after the lock and before SQLite opened it.
    pub(super) fn verify(&self) -> Result<(), OpenError> {
        let unusable = |source| OpenError::Unusable { database: self.database.clone(), source };
        let now = inode(&std::fs::metadata(&self.database).map_err(unusable)?);
        if now == self.inode {
            return Ok(());
        }
        Err(unusable(std::io::Error::other("another file was put in its place just now; start again")))
    }

    /// Removes a new lock file, so that nothing is left beside a file that is not a database of this program.
    pub(super) fn give_up(&self) {
        if let Some(lock) = &self.fresh {
            // A lock file that stays does no harm.
            let _ = std::fs::remove_file(lock);
        }
    }
}

impl Drop for Ownership {
    fn drop(&mut self) {
        let mut served = served();
        drop(self.file.take());
        if let Some(inode) = self.inode {
            served.remove(&inode);
        }
    }
}

/// Refuses a file that is served already, or could be served under another name. Does not open it.
fn check(database: &Path, found: &Metadata, served: &BTreeSet<Inode>) -> Result<(), OpenError> {
    let database = database.to_owned();
    if !found.is_file() {
        return Err(OpenError::NotAFile { database });
    }
    if inode(found).is_some_and(|inode| served.contains(&inode)) {
        return Err(OpenError::OwnedHere { database });
    }
    match links(found) {
        0 | 1 => Ok(()),
        links => Err(OpenError::Linked { database, links }),
    }
}

/// A path without links. The last part of it need not exist yet.
fn canonical(path: &Path) -> std::io::Result<PathBuf> {
    match std::fs::canonicalize(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        known => return known,
    }
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    if let Ok(target) = std::fs::read_link(path) {
        // A link to a file that does not exist yet. A circle of links is another error, so this ends.
        return canonical(&parent.join(target));
    }
    let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
    Ok(std::fs::canonicalize(parent)?.join(name))
}

/// `chat.db` → `chat.db.lock`.
pub(super) fn beside(database: &Path, extension: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

#[cfg(unix)]
fn inode(found: &Metadata) -> Option<Inode> {
    use std::os::unix::fs::MetadataExt;
    Some((found.dev(), found.ino()))
}

#[cfg(unix)]
fn links(found: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(found)
}

/// On other systems, the standard library gives neither number, so only the lock file protects the database.
#[cfg(not(unix))]
fn inode(_found: &Metadata) -> Option<Inode> {
    None
}

#[cfg(not(unix))]
fn links(_found: &Metadata) -> u64 {
    1
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_name_of_a_file_has_one_canonical_path() {
        let directory = tempfile::tempdir().unwrap();
        let place = std::fs::canonicalize(directory.path()).unwrap();
        std::fs::create_dir(place.join("real")).unwrap();
        symlink(place.join("real"), place.join("linked")).unwrap();
        symlink("linked/chat.db", place.join("link")).unwrap();
        symlink("link", place.join("link to a link")).unwrap();
        for exists in [false, true] {
            for name in
                ["real/chat.db", "linked/chat.db", "real/../linked/./chat.db", "link", "link to a link"]
            {
                let found = canonical(&place.join(name)).unwrap();
                assert_eq!(found, place.join("real/chat.db"), "{name}, exists: {exists}");
            }
            std::fs::write(place.join("real/chat.db"), "").unwrap();
        }
    }

    #[test]
    fn links_in_a_circle_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        symlink("b", directory.path().join("a")).unwrap();
        symlink("a", directory.path().join("b")).unwrap();
        canonical(&directory.path().join("a")).unwrap_err();
    }

    #[test]
    fn a_database_is_taken_once_whatever_it_is_called() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("chat.db");
        let owner = Ownership::take(&database).unwrap();
        symlink("chat.db", directory.path().join("symbolic.db")).unwrap();
        std::fs::hard_link(&database, directory.path().join("hard.db")).unwrap();
        for name in ["chat.db", "symbolic.db", "hard.db"] {
            for lock in [true, false] {
                if !lock {
                    let _ = std::fs::remove_file(beside(&database, "lock"));
                }
                let refused = Ownership::take(&directory.path().join(name)).err().unwrap();
                assert!(matches!(refused, OpenError::OwnedHere { .. }), "{name}: {refused}");
            }
        }
        drop(owner);
        // The second name stops the next server too, until it is removed.
        for name in ["chat.db", "hard.db"] {
            let refused = Ownership::take(&directory.path().join(name)).err().unwrap();
            assert!(matches!(refused, OpenError::Linked { links: 2, .. }), "{name}: {refused}");
        }
        std::fs::remove_file(directory.path().join("hard.db")).unwrap();
        Ownership::take(&directory.path().join("symbolic.db")).unwrap();
    }
}
