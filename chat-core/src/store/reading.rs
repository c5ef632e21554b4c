//! A read: off the async threads, on a connection of its own, and with a deadline.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, InterruptHandle};

use super::fault::{Fault, Part};
use super::ownership::Ownership;
use super::{Store, shutting_down};
use crate::refusal::Refusal;

/// Nothing was read; the log says why.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("{0}")]
    Refused(Refusal),
    #[error("the reader was stopped")]
    Stopped,
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Refused(refusal) => refusal,
            ReadError::Stopped => shutting_down(),
        }
    }
}

/// A read-only connection. It must be closed before the ownership is given up, so the order of the fields matters.
pub(super) struct Reader {
    pub(super) conn: Connection,
    pub(super) _ownership: Arc<Ownership>,
}

impl Store {
    /// Reads on one of the read-only connections, off the async threads.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, ReadError> {
        let health = &self.0.health;
        if let Some(refusal) = health.refuses_reads() {
            return Err(ReadError::Refused(refusal));
        }
        let deadline = tokio::time::Instant::now() + health.timeout();
        let late = |_| {
            health.fails(
                Part::Reading,
                Fault::Late,
                &format!("a read took more than {:?}", health.timeout()),
            );
            ReadError::Refused(Refusal::unreadable())
        };
        let turn = tokio::time::timeout_at(deadline, Arc::clone(&self.0.turns).acquire_owned()).await;
        let turn = turn.map_err(late)?.map_err(|_| ReadError::Stopped)?;
        let reading = Arc::new(Reading::default());
        let (store, shared) = (self.clone(), Arc::clone(&reading));
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let reader = store.readers().pop().ok_or(ReadError::Stopped)?;
            let result = shared.run(&reader.conn, work);
            store.readers().push(reader);
            match result {
                Some(Ok(value)) => {
                    store.0.health.works(Part::Reading);
                    Ok(value)
                }
                Some(Err(error)) => Err(ReadError::Refused(store.0.health.refused(Part::Reading, &error))),
                None => Err(ReadError::Refused(Refusal::unreadable())),
            }
        });
        match tokio::time::timeout_at(deadline, read).await {
            Ok(read) => read.map_err(|_| ReadError::Stopped)?,
            Err(elapsed) => {
                reading.stop();
                Err(late(elapsed))
            }
        }
    }

    pub(super) fn readers(&self) -> MutexGuard<'_, Vec<Reader>> {
        self.0.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A read under way, so that it can be stopped.
#[derive(Default)]
struct Reading(Mutex<Stop>);

/// How to stop a read.
#[derive(Default)]
enum Stop {
    /// It waits for a thread.
    #[default]
    Waiting,
    /// Its connection is at work.
    Running(InterruptHandle),
    /// It has ended, or its deadline has passed.
    Over,
}

impl Reading {
    fn replace(&self, stop: Stop) -> Stop {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), stop)
    }

    /// Reads, unless the deadline passed before the read began.
    fn run<T>(&self, conn: &Connection, work: impl FnOnce(&Connection) -> T) -> Option<T> {
        if let Stop::Over = self.replace(Stop::Running(conn.get_interrupt_handle())) {
            return None;
        }
        let result = work(conn);
        // From here on, another read may use the connection.
        self.replace(Stop::Over);
        Some(result)
    }

    /// Stops it between two steps of SQLite. A call of the operating system is not interrupted.
    fn stop(&self) {
        let mut stop = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Stop::Running(handle) = &*stop {
            handle.interrupt();
        }
        *stop = Stop::Over;
    }
}
