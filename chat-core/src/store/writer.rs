//! The one thread that writes: as many commands as are waiting share one commit, and one `fsync`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use super::fence::{CommitError, Fence};
use super::ownership::Ownership;
use super::terms::Terms;
use super::watermark::Watermark;
use super::{Age, Audience, Logged, set_meta};
use crate::ids::{Cursor, Position};
use crate::model::Timestamp;
use crate::protocol::{Event, Frame};
use crate::refusal::Refusal;

/// The most commands in one commit: beyond some hundred, a commit is no cheaper for each, only later for all.
const BATCH: usize = 256;

/// Retention works in steps of this part of its span: an hour of a week.
const RETENTION_STEPS: u32 = 168;

/// Events removed in one go, so that nobody waits long behind retention.
const TRIM: i64 = 10_000;

/// What the writer is asked to do.
pub(super) enum Job {
    /// Run a command.
    Write(Box<dyn Work>),
    /// Sync the watermark; let go of what is too old.
    KeepHouse,
    /// End.
    Stop,
}

/// Why a command wrote nothing.
pub(crate) enum WriteError {
    /// It is not allowed, or makes no sense: the caller's affair.
    Refused(Refusal),
    /// The disk failed: everybody's affair, the whole batch is undone.
    Storage(rusqlite::Error),
}

impl From<Refusal> for WriteError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<rusqlite::Error> for WriteError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Storage(error)
    }
}

/// A command as the writer sees it.
pub(super) trait Work: Send {
    /// Runs inside the transaction. `false`: undo what it did.
    fn run(&mut self, append: &mut Append<'_>) -> Result<bool, rusqlite::Error>;
    /// Answers, once it is known whether the batch was committed.
    fn settle(self: Box<Self>, committed: bool);
}

/// A command, what came of it, and who wants to know.
pub(super) struct Task<T, F> {
    work: Option<F>,
    result: Option<Result<T, Refusal>>,
    asker: oneshot::Sender<Result<T, Refusal>>,
}

impl<T, F> Task<T, F>
where
    F: FnOnce(&mut Append<'_>) -> Result<T, WriteError>,
{
    pub(super) fn new(work: F) -> (Self, oneshot::Receiver<Result<T, Refusal>>) {
        let (asker, answer) = oneshot::channel();
        (Self { work: Some(work), result: None, asker }, answer)
    }
}

impl<T: Send, F> Work for Task<T, F>
where
    F: FnOnce(&mut Append<'_>) -> Result<T, WriteError> + Send,
{
    fn run(&mut self, append: &mut Append<'_>) -> Result<bool, rusqlite::Error> {
        let work = self.work.take().expect("a task runs once");
        let result = match work(append) {
            Ok(value) => Ok(value),
            Err(WriteError::Refused(refusal)) => Err(refusal),
            Err(WriteError::Storage(error)) => return Err(error),
        };
        let keep = result.is_ok();
        self.result = Some(result);
        Ok(keep)
    }

    fn settle(self: Box<Self>, committed: bool) {
        let result = match self.result {
            Some(result) if committed => result,
            _ => Err(Refusal::storage_unavailable()),
        };
        // Whoever asked may have left; what was committed stays committed.
        let _ = self.asker.send(result);
    }
}

/// The transaction of a batch, as a command sees it.
pub(crate) struct Append<'a> {
    pub(super) conn: &'a Connection,
    /// When this batch is written.
    pub(super) now: Timestamp,
    terms: &'a Terms,
    head: Position,
    events: Vec<Logged>,
}

impl Append<'_> {
    /// Gives the next event its place in the log.
    pub(super) fn log(
        &mut self,
        audience: Audience,
        event: impl FnOnce(Cursor) -> Event,
    ) -> Result<Position, rusqlite::Error> {
        let position = self.next_position();
        let event = event(self.cursor(position));
        let body = match &event {
            Event::Message(_) => None,
            event => Some(serde_json::to_string(event).expect("an event always has JSON")),
        };
        self.conn
            .prepare_cached("INSERT INTO events (position, audience, body) VALUES (?1, ?2, ?3)")?
            .execute((position.to_sql(), audience.to_sql(), body))?;
        self.head = position;
        let frame = Frame::of_event(&event);
        self.events.push(Logged { position, audience, event, frame });
        Ok(position)
    }

    /// The place that the next event will get.
    pub(super) fn next_position(&self) -> Position {
        Position(self.head.0 + 1)
    }

    pub(super) fn cursor(&self, position: Position) -> Cursor {
        self.terms.cursor(position)
    }

    /// Runs one command in a savepoint of its own: if it is refused, nothing of it stays.
    fn run(&mut self, work: &mut dyn Work) -> Result<(), rusqlite::Error> {
        let (head, events) = (self.head, self.events.len());
        self.conn.prepare_cached("SAVEPOINT command")?.execute([])?;
        if !work.run(self)? {
            self.conn.prepare_cached("ROLLBACK TO command")?.execute([])?;
            self.events.truncate(events);
            self.head = head;
        }
        self.conn.prepare_cached("RELEASE command")?.execute([])?;
        Ok(())
    }
}

/// The writing end of the database.
pub(super) struct Writer {
    pub(super) conn: Connection,
    /// Given up after the connection is closed, so it comes after it.
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
}

impl Writer {
    /// Works until it is told to stop, nobody is left to tell, or another process writes too.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Job>, mut publish: impl FnMut(&[Logged])) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut stop = false;
        while !stop && let Some(job) = queue.blocking_recv() {
            let (mut next, mut keep_house) = (Some(job), false);
            while let Some(job) = next {
                match job {
                    Job::Write(work) => batch.push(work),
                    Job::KeepHouse => keep_house = true,
                    Job::Stop => stop = true,
                }
                next = if batch.len() < BATCH && !stop { queue.try_recv().ok() } else { None };
            }
            if !batch.is_empty() {
                self.write(&mut batch, &mut publish);
            }
            if keep_house
                && !self.is_foreign()
                && let Err(error) = self.keep_house()
                && !self.is_taken_over(&error)
            {
                tracing::warn!(%error, "the database could not be kept in order; it is tried again");
            }
            if self.is_foreign() {
                // The orderly end writes too, so it is left out.
                return;
            }
        }
        self.finish();
    }

    /// Commits a batch, publishes its events, and only then answers.
    fn write(&mut self, batch: &mut Vec<Box<dyn Work>>, publish: &mut impl FnMut(&[Logged])) {
        let committed = match self.commit(batch) {
            Ok(events) => {
                publish(&events);
                true
            }
            Err(error) => {
                // SQLite may have rolled back by itself; then there is nothing left to roll back.
                let _ = self.conn.execute_batch("ROLLBACK");
                if !self.is_taken_over(&error) {
                    tracing::error!(%error, commands = batch.len(), "a batch could not be written: nothing of it stays");
                }
                false
            }
        };
        for work in batch.drain(..) {
            work.settle(committed);
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

    /// Begins a transaction, if this process alone has written so far.
    fn begin(&mut self) -> Result<(), CommitError> {
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        self.fence.check(&self.conn, self.head, &self.terms, self.has_begun)
    }

    fn is_foreign(&self) -> bool {
        *self.found_foreign.borrow()
    }

    /// Whether an error says that another process writes: then this one must not write any more.
    fn is_taken_over(&mut self, error: &CommitError) -> bool {
        match error {
            CommitError::Storage(_) => {
                self.fence.excuse();
                false
            }
            CommitError::Foreign(_) => {
                tracing::error!(
                    head = self.head.0,
                    "nothing more is written: another process writes to the database"
                );
                self.found_foreign.send_replace(true);
                true
            }
        }
    }

    fn keep_house(&mut self) -> Result<(), CommitError> {
        self.watermark.note(&self.terms, self.head);
        let age = self.age.now();
        let due = self.noted_age.is_none_or(|noted| age >= noted + self.retention / RETENTION_STEPS);
        if due {
            self.note_age(age)?;
            self.noted_age = Some(age);
        }
        self.trim(age)?;
        Ok(())
    }

    /// Notes how old the database is with the log as it is now.
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

    /// Runs work that logs nothing in a transaction of its own.
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

    /// Removes the oldest events if they are too old, a part at a time.
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
        // Those who come with an older cursor are told from now on.
        self.trimmed.store(Position::from_sql(up_to).0, Ordering::Release);
        Ok(())
    }

    /// Leaves the database as a later start would like to find it.
    fn finish(&mut self) {
        let age = self.age.now();
        let tidy = self.note_age(age).and_then(|()| {
            // https://sqlite.org/pragma.html#pragma_wal_checkpoint: the log moves into the main file.
            Ok(self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
        });
        match tidy {
            Err(error) if self.is_taken_over(&error) => return,
            Err(error) => {
                tracing::warn!(%error, "the database could not be tidied up; the next start does it");
            }
            Ok(()) => {}
        }
        self.watermark.note(&self.terms, self.head);
    }
}

impl Append<'_> {
    /// Removes all events so far, as retention will some day.
    #[cfg(any(test, feature = "conformance"))]
    pub(super) fn forget_all(&mut self) -> Result<Position, WriteError> {
        let head = self.head.to_sql();
        self.conn.execute("DELETE FROM events WHERE position <= ?1", [head])?;
        set_meta(self.conn, "trimmed", &head.to_string())?;
        Ok(self.head)
    }
}
