//! The durable log and everything derived from it, in one SQLite file: one writer, a few readers.
//!
//! * `location.rs`: where the database is, and why it cannot be served
//! * `schema.rs`: the tables; `rekey.rs`: the step that gives users the name keys of today
//! * `ownership.rs`: one process owns a database
//! * `terms.rs`: which history a cursor belongs to
//! * `watermark.rs`: how many events are missing after a database went back to an older state
//! * `fence.rs`: the writer finds out when another process writes
//! * `check.rs`: whether the database is whole, and in its place
//! * `fault.rs`, `health.rs`: kinds of faults; what fails at this moment
//! * `search.rs`: the search for damage while a long database is served
//! * `connect.rs`: the connections, and the settings that make acknowledged commands durable
//! * `submit.rs`, `task.rs`: how a command reaches the writer, and its result comes back in time
//! * `writer.rs`: the thread that writes, many commands to a commit
//! * `append.rs`: the transaction of a batch, as a command sees it
//! * `commands.rs`, `accounts.rs`: what each command does inside the transaction
//! * `reading.rs`: a read, off the async threads, with a deadline
//! * `reads.rs`: what clients read
//! * `hold.rs`: a disk that hangs, for tests

mod accounts;
mod append;
mod check;
mod commands;
mod connect;
mod fault;
mod fence;
mod health;
mod hold;
mod location;
mod open;
mod ownership;
mod reading;
mod reads;
mod rekey;
mod schema;
mod search;
mod submit;
mod task;
mod terms;
mod watermark;
mod writer;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;

use crate::ids::{ConversationId, Cursor, Position, UserId};
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::protocol::{Event, Frame};
use crate::refusal::{Code, Refusal};

pub(crate) use append::Append;
use check::Files;
use connect::connect_all;
use fault::{Fault, Part};
use fence::Fence;
pub use fence::ForeignWriter;
pub(crate) use health::Health;
pub use hold::Held;
pub use location::{Location, OpenError};
use ownership::Ownership;
pub(crate) use reading::ReadError;
use reading::Reader;
pub(crate) use reads::{Account, Page};
use search::Search;
pub(crate) use submit::Written;
pub(crate) use task::WriteError;
use terms::Terms;
use watermark::Watermark;
use writer::{Job, Writer};

/// The SHA-256 of a token. The token itself is not stored.
pub type TokenHash = [u8; 32];

/// Commands that may wait for the writer: some batches, so that it never idles and no command waits long.
const QUEUE: usize = 1_024;

/// Read-only connections: enough that a long resume does not delay the reads of other clients.
const READERS: u32 = 4;

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

/// An event with its place in the log.
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
    health: Arc<Health>,
    files: Files,
    search: Mutex<Search>,
    identity: String,
    age: Age,
    /// The newest event that retention has removed.
    trimmed: Arc<AtomicU64>,
    writer: Mutex<Option<std::thread::JoinHandle<()>>>,
    /// A temporary database's directory, removed with the last clone.
    _directory: Option<tempfile::TempDir>,
}

/// How long the database has been served, over all its processes: a clock that cannot be set.
///
/// Retention and sign-ins use it, so a wall clock that jumps by days changes only what is shown.
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
        limits: &Limits,
        accepts_damage: bool,
        metrics: &Metrics,
        publish: impl FnMut(&[Logged]) + Send + 'static,
    ) -> Result<Opened, OpenError> {
        let (path, directory) = match location {
            Location::File(path) => (path.clone(), None),
            Location::Temporary => {
                let none = |source| OpenError::NoTemporary { directory: std::env::temp_dir(), source };
                let directory = tempfile::tempdir().map_err(none)?;
                (directory.path().join("chat.db"), Some(directory))
            }
        };
        check::not_emptied(&path)?;
        let ownership = Arc::new(Ownership::take(&path)?);
        let path = ownership.database().to_owned();
        let health = Arc::new(Health::new(limits.storage_timeout, &path, accepts_damage, metrics));
        let (conn, readers) = connect_all(&path, limits.check_first_bytes, &health).map_err(|error| {
            ownership.give_up();
            error.of_a_full_disk(&path)
        })?;
        ownership.verify()?;
        let search = match check::bytes(&path) > limits.check_first_bytes {
            true => Search::start(Arc::clone(&ownership), Arc::clone(&health))
                .map_err(|source| OpenError::Unwritable { path: path.clone(), source })?,
            false => Search::default(),
        };

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

        // The write-ahead log exists once something was read.
        let files = Files::of(&path);

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
            retention: limits.retention,
            noted_age: None,
            trimmed: Arc::clone(&trimmed),
            health: Arc::clone(&health),
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
            health,
            files,
            search: Mutex::new(search),
            identity,
            age,
            trimmed,
            writer: Mutex::new(Some(thread)),
            _directory: directory,
        }));
        Ok(Opened { store, head, members, users })
    }

    /// Checks the clock, the files and a page of the database. Call it every second.
    pub(crate) async fn watch(&self) {
        let health = &self.0.health;
        health.look_at_the_clock();
        if health.refuses_reads().is_some() {
            return;
        }
        let store = self.clone();
        let look = self.read(move |conn| {
            let are_in_place = store.0.files.are_in_place();
            conn.prepare_cached("SELECT count(*) FROM meta")?.query_row([], |_| Ok(are_in_place))
        });
        match look.await {
            Ok(true) => health.works(Part::File),
            Ok(false) => health.fails(Part::File, Fault::Lost, &"another file, or none, is in its place"),
            // The read has already noted the fault.
            Err(_) => {}
        }
    }

    pub(crate) fn health(&self) -> &Health {
        &self.0.health
    }

    /// Asks the writer to sync the watermark, and to remove what is older than the retention.
    pub(crate) fn keep_house(&self) {
        // The writer is not asked again until it has done what it was asked last time.
        if self.0.health.asks_to_keep_house() && self.0.jobs.try_send(Job::KeepHouse).is_err() {
            self.0.health.house_is_kept();
        }
    }

    /// Writes what is queued, then ends the writer. Commands that are submitted later are refused.
    ///
    /// If the disk hangs, this stops waiting after `--storage-timeout`; the next start finds what was committed.
    pub(crate) async fn close(&self) {
        let time = self.0.health.timeout();
        let search = self.0.search.lock().unwrap_or_else(PoisonError::into_inner).stop();
        // The last connection to close removes the write-ahead log, so the readers close before the writer.
        let readers = timeout(time, async {
            join(search).await;
            if let Ok(_all) = self.0.turns.acquire_many(READERS).await {
                self.readers().clear();
                self.0.turns.close();
            }
        });
        let readers = readers.await;
        let thread = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let writer = timeout(time, async {
            let _ = self.0.jobs.send(Job::Stop).await;
            join(thread).await;
        });
        if writer.await.is_err() || readers.is_err() {
            tracing::error!("the disk does not answer: the database was left without closing it");
        }
    }

    /// Removes all events so far, as retention does with old ones.
    pub(crate) async fn forget_all(&self) -> Result<(), Refusal> {
        let forgotten = self.submit(|append| append.forget_all()).await.await?;
        self.0.trimmed.fetch_max(forgotten.0, Ordering::AcqRel);
        Ok(())
    }

    /// Waits until another process is found to write to the database. After that, this process writes nothing more.
    ///
    /// Cancel safe: it only waits.
    pub(crate) async fn foreign_writer(&self) -> ForeignWriter {
        let mut is_foreign = self.0.is_foreign.clone();
        if is_foreign.wait_for(|found| *found).await.is_err() {
            // The writer has ended normally, so it will find nothing.
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

    /// Distinguishes this database from others on the same host.
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

/// Waits for a thread, off the async threads.
async fn join(thread: Option<std::thread::JoinHandle<()>>) {
    if let Some(thread) = thread {
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }
}

/// The refusal after the writer has ended.
pub(crate) fn shutting_down() -> Refusal {
    Refusal::retry_after(Code::ShuttingDown, Duration::from_secs(1), "the server is shutting down")
}

/// A value from the table `meta`. If it is not there yet, it is made and stored.
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

/// 32 random bits that cannot be guessed.
pub(crate) fn random() -> u32 {
    getrandom::u32().expect("the operating system gives random bits")
}

pub(crate) fn hex(number: u32) -> String {
    format!("{number:08x}")
}
