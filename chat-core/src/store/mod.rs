//! The durable log and everything derived from it, in one SQLite file: one writer, a few readers.
//!
//! * `location.rs`: where the database is, and why it cannot be served
//! * `schema.rs`: the tables; `rekey.rs`: the step that gives users the name keys of today
//! * `ownership.rs`: one process owns a database
//! * `terms.rs`: which history a cursor belongs to
//! * `watermark.rs`: how many events a database that went back has lost
//! * `fence.rs`: the writer finds out when another process writes
//! * `writer.rs`: the thread that writes, many commands to a commit
//! * `commands.rs`, `accounts.rs`: what each command does inside the transaction
//! * `reads.rs`: what clients read

mod accounts;
mod commands;
mod fence;
mod location;
mod ownership;
mod reads;
mod rekey;
mod schema;
mod terms;
mod watermark;
mod writer;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, OptionalExtension};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::ids::{ConversationId, Cursor, Position, UserId};
use crate::protocol::{Event, Frame};
use crate::refusal::{Code, Refusal};

pub(crate) use accounts::TokenHash;
use fence::Fence;
pub use fence::ForeignWriter;
pub use location::{Location, OpenError};
use ownership::Ownership;
pub(crate) use reads::{Account, Page};
use terms::Terms;
use watermark::Watermark;
pub(crate) use writer::{Append, WriteError};
use writer::{Job, Task, Writer};

/// Commands that may wait for the writer: some batches, so that it never idles and nobody waits long.
const QUEUE: usize = 1_024;

/// Read-only connections: enough that a long resume does not hold up everybody's history.
const READERS: u32 = 4;

/// How long a busy database is waited for; only a backup tool's short locks are expected.
const BUSY: Duration = Duration::from_secs(2);

/// Reading failed; the message is for the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("the database cannot be read: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("the reader was stopped")]
    Stopped,
}

/// Who may see an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    Everyone,
    Conversation(ConversationId),
    User(UserId),
}

impl Audience {
    fn to_sql(self) -> i64 {
        match self {
            Self::Everyone => 0,
            Self::Conversation(ConversationId(id)) => id,
            Self::User(UserId(id)) => -id,
        }
    }
}

/// An event in its place in the log.
#[derive(Debug, Clone)]
pub(crate) struct Logged {
    pub(crate) position: Position,
    pub(crate) audience: Audience,
    pub(crate) event: Event,
    pub(crate) frame: Arc<Frame>,
}

/// The database, open and owned by this process. Clones share it.
#[derive(Clone)]
pub(crate) struct Store(Arc<Inner>);

struct Inner {
    jobs: mpsc::Sender<Job>,
    /// Guards the connections that are not reading at the moment.
    readers: Mutex<Vec<Reader>>,
    turns: Arc<Semaphore>,
    terms: Arc<Terms>,
    /// Whether another process was found to write to the database.
    is_foreign: watch::Receiver<bool>,
    identity: String,
    age: Age,
    /// The newest event that retention has removed.
    trimmed: Arc<AtomicU64>,
    writer: Mutex<Option<std::thread::JoinHandle<()>>>,
    /// A temporary database's directory, removed with the last clone.
    _directory: Option<tempfile::TempDir>,
}

/// A read-only connection. The database is given up after the last connection is closed, so the order matters.
struct Reader {
    conn: Connection,
    _ownership: Arc<Ownership>,
}

/// How long the database has been served, in all its processes: a clock that nobody can set.
///
/// Retention and sign-ins go by it, so that a wall clock that jumps by days changes only what is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Age {
    before: Duration,
    since: Instant,
}

impl Age {
    pub(crate) fn now(self) -> Duration {
        self.before + self.since.elapsed()
    }
}

/// What the publisher starts from.
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) head: Position,
    pub(crate) members: Vec<(ConversationId, UserId)>,
    pub(crate) users: i64,
}

impl Store {
    /// Opens or creates the database and starts its writer, which hands every committed batch to `publish`.
    pub(crate) fn open(
        location: &Location,
        retention: Duration,
        publish: impl FnMut(&[Logged]) + Send + 'static,
    ) -> Result<Opened, OpenError> {
        let (path, directory) = match location {
            Location::File(path) => (path.clone(), None),
            Location::Temporary => {
                let unwritable = |source| OpenError::Unwritable { path: std::env::temp_dir(), source };
                let directory = tempfile::tempdir().map_err(unwritable)?;
                (directory.path().join("chat.db"), Some(directory))
            }
        };
        let ownership = Arc::new(Ownership::take(&path)?);
        let path = ownership.database().to_owned();
        let (conn, readers) = connect_all(&path).inspect_err(|_| ownership.give_up())?;
        ownership.verify()?;

        let fence = Fence::new(&conn)?;
        let head = reads::head(&conn)?;
        let terms = Arc::new(Terms::load(&conn, head)?);
        let watermark = Watermark::of(&path);
        watermark.compare(&terms, head);
        let identity = match location {
            Location::File(_) => meta_or(&conn, "identity", || hex(random()))?,
            Location::Temporary => "temporary".to_owned(),
        };
        let age = Age {
            before: Duration::from_secs(meta_or(&conn, "age", || 0_u64.to_string())?.parse().unwrap_or(0)),
            since: Instant::now(),
        };
        let trimmed = Arc::new(AtomicU64::new(reads::trimmed(&conn)?.0));
        let (members, users) = (reads::all_members(&conn)?, reads::count_users(&conn)?);

        let (jobs, queue) = mpsc::channel(QUEUE);
        let (found_foreign, is_foreign) = watch::channel(false);
        let writer = Writer {
            conn,
            _ownership: Arc::clone(&ownership),
            watermark,
            fence,
            found_foreign,
            terms: Arc::clone(&terms),
            has_begun: false,
            head,
            age,
            retention,
            noted_age: None,
            trimmed: Arc::clone(&trimmed),
        };
        let reader = |conn| Reader { conn, _ownership: Arc::clone(&ownership) };
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || writer.run(queue, publish))
            .map_err(|source| OpenError::Unwritable { path, source })?;
        let store = Self(Arc::new(Inner {
            jobs,
            turns: Arc::new(Semaphore::new(READERS as usize)),
            readers: Mutex::new(readers.into_iter().map(reader).collect()),
            terms,
            is_foreign,
            identity,
            age,
            trimmed,
            writer: Mutex::new(Some(thread)),
            _directory: directory,
        }));
        Ok(Opened { store, head, members, users })
    }

    /// Hands work to the writer; it runs inside the transaction of a batch.
    ///
    /// Returns once the work has its place in the order of commits. What comes back is ready after the commit.
    pub(crate) async fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Append<'_>) -> Result<T, WriteError> + Send + 'static,
    ) -> Written<T> {
        let (task, written) = Task::new(work);
        // A failed send drops the task, and `written` says so.
        let _ = self.0.jobs.send(Job::Write(Box::new(task))).await;
        Written(written)
    }

    /// Reads on one of the read-only connections, off the async threads.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, ReadError> {
        let turn = Arc::clone(&self.0.turns).acquire_owned().await.map_err(|_| ReadError::Stopped)?;
        let store = self.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let reader = store.readers().pop().ok_or(ReadError::Stopped)?;
            let result = work(&reader.conn);
            store.readers().push(reader);
            Ok(result?)
        });
        reading.await.map_err(|_| ReadError::Stopped)?
    }

    fn readers(&self) -> std::sync::MutexGuard<'_, Vec<Reader>> {
        self.0.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the writer to sync the watermark, and to let go of what is older than the retention.
    pub(crate) async fn keep_house(&self) {
        let _ = self.0.jobs.send(Job::KeepHouse).await;
    }

    /// Writes what is queued, then ends the writer. What is submitted later is refused.
    pub(crate) async fn close(&self) {
        // The last connection to close tidies the write-ahead log away, so the readers go first.
        if let Ok(_all) = self.0.turns.acquire_many(READERS).await {
            self.readers().clear();
            self.0.turns.close();
        }
        let _ = self.0.jobs.send(Job::Stop).await;
        let thread = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    /// Removes all events so far, as retention will some day.
    #[cfg(any(test, feature = "conformance"))]
    pub(crate) async fn forget_all(&self) -> Result<(), Refusal> {
        let forgotten = self.submit(|append| append.forget_all()).await.await?;
        self.0.trimmed.fetch_max(forgotten.0, Ordering::AcqRel);
        Ok(())
    }

    /// Waits until another process is found to write to the database: then nothing is written any more.
    ///
    /// Cancel safe: it only waits.
    pub(crate) async fn foreign_writer(&self) -> ForeignWriter {
        let mut is_foreign = self.0.is_foreign.clone();
        if is_foreign.wait_for(|found| *found).await.is_err() {
            // The writer has ended in order, so nothing will be found.
            std::future::pending::<()>().await;
        }
        ForeignWriter
    }

    pub(crate) fn has_foreign_writer(&self) -> bool {
        *self.0.is_foreign.borrow()
    }

    /// Which history a cursor belongs to.
    pub(crate) fn terms(&self) -> Arc<Terms> {
        Arc::clone(&self.0.terms)
    }

    /// What tells this database from others on the same host.
    pub(crate) fn identity(&self) -> &str {
        &self.0.identity
    }

    pub(crate) fn age(&self) -> Duration {
        self.0.age.now()
    }

    /// The newest event that retention has removed.
    pub(crate) fn trimmed(&self) -> Position {
        Position(self.0.trimmed.load(Ordering::Acquire))
    }

    /// The cursor of an event.
    pub(crate) fn cursor(&self, position: Position) -> Cursor {
        self.0.terms.cursor(position)
    }
}

/// What the writer will answer.
pub(crate) struct Written<T>(oneshot::Receiver<Result<T, Refusal>>);

impl<T> Future for Written<T> {
    type Output = Result<T, Refusal>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0).poll(cx).map(|answer| answer.unwrap_or_else(|_| Err(shutting_down())))
    }
}

/// The writer has ended.
pub(crate) fn shutting_down() -> Refusal {
    Refusal::retry_after(Code::ShuttingDown, Duration::from_secs(1), "the server is shutting down")
}

/// The writer's connection, after the database was found to be ours and brought up to date; and the readers'.
fn connect_all(path: &Path) -> Result<(Connection, Vec<Connection>), OpenError> {
    let mut conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    schema::prepare(&mut conn)?;
    be_durable(&conn)?;
    let readers = (0..READERS).map(|_| connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY));
    Ok((conn, readers.collect::<Result<_, _>>()?))
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, rusqlite::Error> {
    let conn = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(BUSY)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

/// Acknowledgements rest on these two settings, so they are set and then looked at.
fn be_durable(conn: &Connection) -> Result<(), OpenError> {
    let journal: String = conn.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "foreign_keys", "ON")?;
    let synchronous: i64 = conn.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    // 2 is FULL: https://sqlite.org/pragma.html#pragma_synchronous
    if journal != "wal" || synchronous != 2 {
        return Err(OpenError::NotDurable { journal, synchronous });
    }
    Ok(())
}

/// One of the things there is one of, made when it is first asked for.
fn meta_or(conn: &Connection, name: &str, make: impl FnOnce() -> String) -> Result<String, rusqlite::Error> {
    let known: Option<String> =
        conn.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0)).optional()?;
    match known {
        Some(value) => Ok(value),
        None => {
            let value = make();
            set_meta(conn, name, &value)?;
            Ok(value)
        }
    }
}

fn set_meta(conn: &Connection, name: &str, value: &str) -> Result<(), rusqlite::Error> {
    conn.prepare_cached(
        "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2",
    )?
    .execute((name, value))?;
    Ok(())
}

/// 32 bits that nobody can guess.
pub(crate) fn random() -> u32 {
    getrandom::u32().expect("the operating system gives random bits")
}

pub(crate) fn hex(number: u32) -> String {
    format!("{number:08x}")
}
