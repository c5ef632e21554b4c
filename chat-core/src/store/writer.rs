//! The one thread that writes: as many commands as are waiting share one commit, and one `fsync`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tokio::sync::{mpsc, watch};

use super::append::Append;
use super::fault::{Fault, Part};
use super::fence::{CommitError, Fence};
use super::health::{Busy, Health};
use super::ownership::Ownership;
use super::task::Work;
use super::terms::Terms;
use super::watermark::Watermark;
use super::{Age, Logged, set_meta};
use crate::ids::Position;
use crate::model::Timestamp;
use crate::refusal::Refusal;

/// The most commands in one commit. Beyond some hundred, more make no command cheaper, but all of them later.
const BATCH: usize = 256;

/// How many steps retention takes over its span: for a week, a step is an hour.
const RETENTION_STEPS: u32 = 168;

/// The most events that are removed in one transaction, so that no command waits long for retention.
const TRIM: i64 = 10_000;

/// What the writer is asked to do.
pub(super) enum Job {
    /// Run a command.
    Write(Box<dyn Work>),
    /// Sync the watermark; remove what is too old.
    KeepHouse,
    /// End.
    Stop,
}

/// The writing end of the database.
pub(super) struct Writer {
    pub(super) conn: Connection,
    /// It must be dropped after the connection, so it is declared after it.
    pub(super) _ownership: Arc<Ownership>,
    pub(super) watermark: Watermark,
    pub(super) fence: Fence,
    pub(super) found_foreign: watch::Sender<bool>,
    pub(super) terms: Arc<Terms>,
    /// Whether this run's own term is in the table.
    pub(super) has_begun: bool,
    /// The newest committed event.
    pub(super) head: Position,
    pub(super) age: Age,
    pub(super) retention: Duration,
    /// The age at which the log's age was last noted.
    pub(super) noted_age: Option<Duration>,
    pub(super) trimmed: Arc<AtomicU64>,
    pub(super) health: Arc<Health>,
}

impl Writer {
    /// Works until it is stopped, its chat is dropped, or another process writes to the database.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Job>, mut publish: impl FnMut(&[Logged])) {
        let mut batch = Vec::with_capacity(BATCH);
        let (mut stop, mut keep_house) = (false, false);
        while !stop && let Some(job) = queue.blocking_recv() {
            let mut next = Some(job);
            while let Some(job) = next {
                match job {
                    Job::Write(work) => {
                        self.health.metrics().queued.dec();
                        batch.push(work);
                    }
                    Job::KeepHouse => keep_house = true,
                    Job::Stop => stop = true,
                }
                next = if batch.len() < BATCH && !stop { queue.try_recv().ok() } else { None };
            }
            if !batch.is_empty() {
                self.write(&mut batch, &mut publish);
            }
            // On a disk that fails or is slow, commands come first, because their commits test the disk too.
            if keep_house
                && !self.is_foreign()
                && (queue.is_empty() || !self.health.is_failing(Part::Writing))
            {
                keep_house = false;
                self.keep_house();
            }
            if self.is_foreign() {
                // `finish` writes too, so it is left out.
                return;
            }
        }
        self.finish();
    }

    /// Commits a batch, publishes its events, and only then sends the results.
    fn write(&mut self, batch: &mut Vec<Box<dyn Work>>, publish: &mut impl FnMut(&[Logged])) {
        let committed = self.try_write(batch, publish);
        for work in batch.drain(..) {
            work.settle(committed.clone());
        }
    }

    fn try_write(
        &mut self,
        batch: &mut [Box<dyn Work>],
        publish: &mut impl FnMut(&[Logged]),
    ) -> Result<(), Refusal> {
        if let Some(refusal) = self.health.refuses_commands() {
            return Err(refusal);
        }
        let health = Arc::clone(&self.health);
        let busy = health.busy();
        match self.commit(batch) {
            Ok(events) => {
                self.committed(&busy, !events.is_empty());
                publish(&events);
                Ok(())
            }
            Err(error) => {
                // SQLite may have rolled back by itself; then there is nothing left to roll back.
                let _ = self.conn.execute_batch("ROLLBACK");
                Err(self.refused(&error))
            }
        }
    }

    /// Notes a commit. One that wrote nothing says nothing about the disk.
    fn committed(&self, busy: &Busy<'_>, wrote: bool) {
        let took = busy.since.elapsed();
        self.health.metrics().commit.observe(took.as_secs_f64());
        if wrote || took >= self.health.timeout() {
            self.health.committed(took);
        }
    }

    fn commit(&mut self, batch: &mut [Box<dyn Work>]) -> Result<Vec<Logged>, CommitError> {
        self.begin()?;
        let mut append = Append {
            conn: &self.conn,
            now: Timestamp::now(),
            terms: &self.terms,
            head: self.head,
            events: Vec::new(),
        };
        for work in batch {
            append.run(work.as_mut())?;
        }
        let Append { head, events, .. } = append;
        let begins = !self.has_begun && head > self.head;
        if begins {
            self.terms.begin(&self.conn)?;
        }
        self.conn.prepare_cached("COMMIT")?.execute([])?;
        self.head = head;
        self.has_begun |= begins;
        Ok(events)
    }

    /// Begins a transaction. Fails if another process has written to the log.
    fn begin(&mut self) -> Result<(), CommitError> {
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        self.fence.check(&self.conn, self.head, &self.terms, self.has_begun)
    }

    fn is_foreign(&self) -> bool {
        *self.found_foreign.borrow()
    }

    /// The refusal for an error. If the error says that another process writes, this process stops writing.
    fn refused(&mut self, error: &CommitError) -> Refusal {
        match error {
            CommitError::Storage(error) => {
                self.fence.excuse();
                self.health.refused(Part::Writing, error)
            }
            CommitError::Foreign(_) => {
                tracing::error!(
                    head = self.head.0,
                    "nothing more is written: another process writes to the database"
                );
                self.found_foreign.send_replace(true);
                Refusal::unknown_outcome()
            }
        }
    }

    fn keep_house(&mut self) {
        self.health.house_is_kept();
        if self.health.refuses_commands().is_some() {
            return;
        }
        let health = Arc::clone(&self.health);
        let busy = health.busy();
        if health.wants_a_trial() {
            match self.try_the_disk() {
                Ok(()) => self.committed(&busy, true),
                Err(error) => return drop(self.refused(&error)),
            }
        }
        if health.is_failing(Part::Writing) {
            // The disk is slow, and commands may be waiting by now.
            return;
        }
        match self.watermark.note(&self.terms, self.head) {
            Ok(()) => health.works(Part::Watermark),
            Err(error) => health.fails(Part::Watermark, Fault::of_io(&error), &error),
        }
        if let Err(error) = self.let_go() {
            self.refused(&error);
        }
    }

    /// Tests the disk with the smallest possible commit.
    fn try_the_disk(&mut self) -> Result<(), CommitError> {
        let age = self.age.now().as_secs().to_string();
        self.transact(|conn| set_meta(conn, "age", &age))
    }

    /// Removes what is too old.
    fn let_go(&mut self) -> Result<(), CommitError> {
        let age = self.age.now();
        let due = self.noted_age.is_none_or(|noted| age >= noted + self.retention / RETENTION_STEPS);
        if due {
            self.note_age(age)?;
            self.noted_age = Some(age);
        }
        self.trim(age)
    }

    /// Notes the age of the database at the current end of the log, and removes expired sign-ins.
    fn note_age(&mut self, age: Duration) -> Result<(), CommitError> {
        let seconds = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        let head = self.head.to_sql();
        self.transact(|conn| {
            set_meta(conn, "age", &seconds.to_string())?;
            conn.prepare_cached("INSERT INTO ages (position, age) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
                .execute((head, seconds))?;
            conn.prepare_cached("DELETE FROM sign_ins WHERE expires <= ?1")?.execute([seconds])?;
            Ok(())
        })
    }

    /// Runs work that adds no event to the log, in a transaction of its own.
    fn transact(
        &mut self,
        work: impl FnOnce(&Connection) -> Result<(), rusqlite::Error>,
    ) -> Result<(), CommitError> {
        let run = || {
            self.begin()?;
            work(&self.conn)?;
            Ok(self.conn.execute_batch("COMMIT")?)
        };
        let result = run();
        result.inspect_err(|_| drop(self.conn.execute_batch("ROLLBACK")))
    }

    /// Removes the oldest events if they are too old, a limited number at a time.
    fn trim(&mut self, age: Duration) -> Result<(), CommitError> {
        let Some(limit) = age.checked_sub(self.retention) else { return Ok(()) };
        let limit = i64::try_from(limit.as_secs()).unwrap_or(i64::MAX);
        let too_old: Option<i64> = self
            .conn
            .prepare_cached("SELECT max(position) FROM ages WHERE age <= ?1")?
            .query_row([limit], |row| row.get(0))?;
        let trimmed = Position(self.trimmed.load(Ordering::Acquire)).to_sql();
        let Some(too_old) = too_old.filter(|&position| position > trimmed) else { return Ok(()) };
        let up_to = too_old.min(trimmed + TRIM);
        self.transact(|conn| {
            conn.prepare_cached("DELETE FROM events WHERE position <= ?1")?.execute([up_to])?;
            conn.prepare_cached("DELETE FROM ages WHERE position < ?1")?.execute([up_to])?;
            set_meta(conn, "trimmed", &up_to.to_string())
        })?;
        // From now on, older cursors are expired.
        self.trimmed.store(Position::from_sql(up_to).0, Ordering::Release);
        Ok(())
    }

    /// Leaves the database tidy for the next start.
    fn finish(&mut self) {
        if self.health.refuses_commands().is_some() {
            // What is damaged or lost is left as it is.
            let _ = self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
            return;
        }
        let age = self.age.now();
        let tidy = self.note_age(age).and_then(|()| {
            // https://sqlite.org/pragma.html#pragma_wal_checkpoint: the log moves into the main file.
            Ok(self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
        });
        match tidy {
            Err(error @ CommitError::Foreign(_)) => return drop(self.refused(&error)),
            Err(error) => {
                tracing::warn!(%error, "the database could not be tidied up; the next start does it");
            }
            Ok(()) => {}
        }
        if let Err(error) = self.watermark.note(&self.terms, self.head) {
            tracing::warn!(%error, "the watermark could not be written");
        }
    }
}
