//! The state of the storage: what fails at this moment, and what the server's log has said about it.
//!
//! It is kept in memory, so `/healthz` answers even if the disk hangs. The server's log gets one line when a fault
//! begins and one when it ends, however many commands and reads fail in between.

use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::fault::{Fault, Part};
use super::{OpenError, check, shutting_down};
use crate::metrics::{Metrics, StorageMetrics};
use crate::refusal::{Code, Refusal};

/// The shortest time between two log lines that say that the same part of the storage fails. An almost full disk may
/// accept a small write and refuse the next long one, many times a second.
const QUIET: Duration = Duration::from_secs(10);

/// How often a server without writes tests the disk.
const IDLE: Duration = Duration::from_secs(5);

/// How many bytes are written to find out whether a disk has room: more than a file system puts into a file's own
/// entry.
const TRIAL_BYTES: usize = 65_536;

/// What the storage can do now, and what fails.
pub(crate) struct Health {
    /// How long a command or a read may take: `--storage-timeout`.
    timeout: Duration,
    database: PathBuf,
    /// Whether reads go on in a damaged database: `--accept-damage`.
    accepts_damage: bool,
    metrics: StorageMetrics,
    /// When the last check of the whole database ended. The lock allows one check at a time.
    looked: Mutex<Option<Instant>>,
    is_checking: AtomicBool,
    /// Whether the writer was asked to keep house and has not done so yet.
    is_asked: AtomicBool,
    is_draining: AtomicBool,
    /// Guards what fails. It is never held across a call of the file system.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What is damaged.
    damage: Option<String>,
    parts: [Trouble; Part::ALL.len()],
    /// Since when the writer has been at work on the database, if it is.
    busy_since: Option<Instant>,
    /// When something was last committed.
    committed: Option<Instant>,
}

/// One part of the storage.
#[derive(Default)]
struct Trouble {
    /// What fails now.
    now: Option<Episode>,
    /// When the log last said that this part fails.
    told: Option<Instant>,
}

/// A fault from its beginning to its end.
#[derive(Clone, Copy)]
struct Episode {
    fault: Fault,
    since: Instant,
    errors: u64,
    /// Whether the log says that it began.
    is_told: bool,
}

impl Health {
    pub(super) fn new(timeout: Duration, database: &Path, accepts_damage: bool, metrics: &Metrics) -> Self {
        Self {
            timeout,
            database: database.to_owned(),
            accepts_damage,
            metrics: metrics.storage(Fault::ALL.iter().map(|fault| fault.name())),
            looked: Mutex::default(),
            is_checking: AtomicBool::new(false),
            is_asked: AtomicBool::new(false),
            is_draining: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) fn metrics(&self) -> &StorageMetrics {
        &self.metrics
    }

    /// Whether reads go on in a damaged database.
    pub(super) fn accepts_damage(&self) -> bool {
        self.accepts_damage
    }

    /// Whether the database is still being searched for damage.
    pub(crate) fn is_checking(&self) -> bool {
        self.is_checking.load(Ordering::Relaxed)
    }

    pub(super) fn checking(&self, is_checking: bool) {
        self.is_checking.store(is_checking, Ordering::Relaxed);
    }

    /// Notes that the writer is asked to keep house. `false`: it was asked already.
    pub(super) fn asks_to_keep_house(&self) -> bool {
        !self.is_asked.swap(true, Ordering::Relaxed)
    }

    pub(super) fn house_is_kept(&self) {
        self.is_asked.store(false, Ordering::Relaxed);
    }

    /// Notes that the server is shutting down.
    pub(crate) fn drain(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    /// Why this server should get no more clients, if it should not.
    pub(crate) fn trouble(&self) -> Option<Refusal> {
        if self.is_draining.load(Ordering::Relaxed) {
            return Some(shutting_down());
        }
        let state = self.state();
        if let Some(damage) = &state.damage {
            return Some(damaged(damage));
        }
        let parts = [Part::File, Part::Writing, Part::Reading];
        let failing = parts.into_iter().find_map(|part| {
            let late = (part == Part::Writing && state.is_stalled(self.timeout)).then_some(Fault::Late);
            Some(state.parts[part as usize].fault().or(late)?.text(part))
        });
        failing.map(|text| Refusal::storage_unavailable(format!("{text}; the server's log says more")))
    }

    /// Why no command is run, if none is.
    pub(super) fn refuses_commands(&self) -> Option<Refusal> {
        let state = self.state();
        match &state.damage {
            Some(damage) => Some(damaged(damage)),
            None => state.parts[Part::File as usize].fault().map(|_| Refusal::unknown_outcome()),
        }
    }

    /// Why nothing is read, if nothing is.
    pub(super) fn refuses_reads(&self) -> Option<Refusal> {
        self.state().damage.as_deref().filter(|_| !self.accepts_damage).map(damaged)
    }

    /// Notes that the writer is at work on the database, until the value that this returns is dropped.
    pub(super) fn busy(&self) -> Busy<'_> {
        let since = Instant::now();
        self.state().busy_since = Some(since);
        Busy { health: self, since }
    }

    /// Whether the writer has been at work for longer than a command may take.
    pub(super) fn is_stalled(&self) -> bool {
        self.state().is_stalled(self.timeout)
    }

    /// Whether a small commit is due: something fails, or nothing was written for a while.
    pub(super) fn wants_a_trial(&self) -> bool {
        let state = self.state();
        state.parts.iter().any(|part| part.now.is_some())
            || state.committed.is_none_or(|last| last.elapsed() >= IDLE)
    }

    /// Notes a commit that took this long.
    pub(super) fn committed(&self, took: Duration) {
        self.state().committed = Some(Instant::now());
        match took < self.timeout {
            true => self.works(Part::Writing),
            false => self.fails(Part::Writing, Fault::Late, &format!("a commit took {took:.1?}")),
        }
    }

    /// Notes an error of SQLite, and returns the refusal for it.
    pub(super) fn refused(&self, part: Part, error: &rusqlite::Error) -> Refusal {
        let (mut fault, mut text) = (Fault::of(error), error.to_string());
        if fault == Fault::Damaged && error.sqlite_error().is_some() && !self.is_damaged() {
            fault = Fault::Failing;
            text = "the disk did not give a page".to_owned();
        }
        // SQLite has other errors for a full disk too: no room for the index of the log, a quota. Check once, when a
        // fault begins.
        if fault == Fault::Failing && !self.is_failing(part) && is_full(directory(&self.database)) {
            fault = Fault::Full;
        }
        self.fails(part, fault, &text);
        match (fault, part) {
            (Fault::Damaged, _) => damaged(&text),
            (_, Part::Reading) => Refusal::unreadable(),
            (_, Part::Writing | Part::File | Part::Watermark) => Refusal::unknown_outcome(),
        }
    }

    /// Whether the database is really damaged: SQLite reports damage also when the disk cannot read a page.
    fn is_damaged(&self) -> bool {
        // Other threads need not wait for the one that checks.
        let Ok(mut looked) = self.looked.try_lock() else { return false };
        if looked.is_some_and(|last| last.elapsed() < QUIET) {
            return self.state().damage.is_some();
        }
        let found = check::again(&self.database);
        *looked = Some(Instant::now());
        matches!(found, Err(OpenError::Damaged(_)))
    }

    /// Whether a part of the storage fails.
    pub(super) fn is_failing(&self, part: Part) -> bool {
        self.state().parts[part as usize].now.is_some()
    }

    /// Notes that a part of the storage failed. The server's log says so if it is news.
    pub(super) fn fails(&self, part: Part, fault: Fault, error: &dyn fmt::Display) {
        self.metrics.error(fault.name());
        // The server's log may be on the same disk, so a line is written only after the lock is released.
        if fault == Fault::Damaged {
            let is_news = self.state().damage.replace(error.to_string()).is_none();
            if is_news {
                tracing::error!(
                    %error,
                    "the database is damaged: no command is run any more. Stop the server and restore a copy; \
                     with --accept-damage it serves what can still be read"
                );
            }
        } else if self.state().parts[part as usize].fails(fault) {
            tracing::error!(%error, "{}: {}", fault.text(part), part.consequence());
        }
    }

    /// Notes that a part of the storage works. The server's log says so if it said that the part fails.
    pub(super) fn works(&self, part: Part) {
        let over = std::mem::take(&mut self.state().parts[part as usize].now);
        if let Some(Episode { fault, since, errors, is_told: true }) = over {
            let seconds = since.elapsed().as_secs();
            tracing::warn!(seconds, errors, "it is over: {}", fault.text(part));
        }
    }

    /// Notes a disk that hangs: only the clock shows it.
    pub(super) fn look_at_the_clock(&self) {
        if self.is_stalled() {
            let waited = format!("a commit has waited for more than {:?}", self.timeout);
            self.fails(Part::Writing, Fault::Late, &waited);
        }
    }
}

impl Trouble {
    fn fault(&self) -> Option<Fault> {
        self.now.map(|now| now.fault)
    }

    /// Notes an error; `true`: the log has to say so.
    fn fails(&mut self, fault: Fault) -> bool {
        let fresh = Episode { fault, since: Instant::now(), errors: 0, is_told: false };
        let now = self.now.get_or_insert(fresh);
        if now.fault != fault {
            *now = Episode { since: now.since, errors: now.errors, ..fresh };
        }
        now.errors += 1;
        if now.is_told || self.told.is_some_and(|told| told.elapsed() < QUIET) {
            return false;
        }
        now.is_told = true;
        self.told = Some(Instant::now());
        true
    }
}

impl State {
    fn is_stalled(&self, timeout: Duration) -> bool {
        self.busy_since.is_some_and(|since| since.elapsed() >= timeout)
    }
}

/// The writer at work.
pub(super) struct Busy<'a> {
    health: &'a Health,
    pub(super) since: Instant,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.health.state().busy_since = None;
    }
}

/// A refusal without a time to retry: no later attempt will find the database whole.
fn damaged(what: &str) -> Refusal {
    let text = format!("the server's database is damaged ({what}); its operator has to restore a copy");
    Refusal::new(Code::StorageDamaged, text)
}

/// The directory of a file.
pub(super) fn directory(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Whether a directory has no room: tested with a file that has no name.
pub(super) fn is_full(directory: &Path) -> bool {
    let trial = || {
        let mut file = tempfile::tempfile_in(directory)?;
        file.write_all(&[1; TRIAL_BYTES])?;
        file.sync_data()
    };
    trial().is_err_and(|error| Fault::of_io(&error) == Fault::Full)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> Health {
        let timeout = Duration::from_secs(5);
        Health::new(timeout, Path::new("chat.db"), false, &Metrics::default())
    }

    fn code(health: &Health) -> Option<Code> {
        health.trouble().map(|refusal| refusal.code)
    }

    #[test]
    fn each_part_recovers_for_itself() {
        let health = health();
        assert_eq!(code(&health), None);
        health.fails(Part::Writing, Fault::Full, &"full");
        health.fails(Part::Reading, Fault::Failing, &"unreadable");
        health.committed(Duration::ZERO);
        assert_eq!(code(&health), Some(Code::StorageUnavailable));
        health.works(Part::Reading);
        assert_eq!(code(&health), None);
        health.committed(Duration::from_secs(5));
        assert!(health.trouble().unwrap().message.contains("does not answer in time"));
    }

    #[test]
    fn damage_stays_and_is_never_retried() {
        let health = health();
        health.fails(Part::Reading, Fault::Damaged, &"page 7");
        health.works(Part::Reading);
        health.committed(Duration::ZERO);
        for refusal in [health.trouble(), health.refuses_commands(), health.refuses_reads()] {
            let refusal = refusal.unwrap();
            assert_eq!((refusal.code, refusal.retry_after_ms), (Code::StorageDamaged, None));
            assert!(refusal.message.contains("page 7"));
        }
    }

    #[test]
    fn a_fault_that_comes_and_goes_is_logged_now_and_then() {
        let health = health();
        let told =
            |health: &Health| health.state().parts[Part::Writing as usize].now.is_some_and(|now| now.is_told);
        health.fails(Part::Writing, Fault::Full, &"full");
        assert!(told(&health));
        for _ in 0..1_000 {
            health.works(Part::Writing);
            health.fails(Part::Writing, Fault::Full, &"full");
            assert!(!told(&health), "a thousand lines in a second");
        }
        // The log says it in the end, if the fault goes on.
        let long_ago = Instant::now().checked_sub(QUIET).unwrap();
        health.state().parts[Part::Writing as usize].told = Some(long_ago);
        health.fails(Part::Writing, Fault::Full, &"full");
        assert!(told(&health));
    }
}
