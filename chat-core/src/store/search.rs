//! The search for damage in a long database, while it is served.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::{InterruptHandle, OpenFlags};

use super::fault::{Fault, Part};
use super::health::Health;
use super::open::connect;
use super::ownership::Ownership;
use super::{OpenError, check};

/// A search on a thread of its own, or none.
#[derive(Default)]
pub(super) struct Search {
    thread: Option<JoinHandle<()>>,
    /// Guards the handle that interrupts the search, once it has begun.
    handle: Arc<Mutex<Option<InterruptHandle>>>,
}

impl Search {
    /// Begins to search a database for damage.
    pub(super) fn start(ownership: Arc<Ownership>, health: Arc<Health>) -> std::io::Result<Self> {
        let handle = Arc::new(Mutex::new(None));
        let shared = Arc::clone(&handle);
        health.checking(true);
        let search = move || {
            let conn =
                connect(ownership.database(), OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(OpenError::from);
            let searched = conn.and_then(|conn| {
                *shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(conn.get_interrupt_handle());
                check::whole(&conn)
            });
            match searched {
                Err(OpenError::Damaged(found)) => health.fails(Part::Reading, Fault::Damaged, &found),
                Err(error) => tracing::warn!(%error, "the search for damage ended early"),
                Ok(()) => {}
            }
            health.checking(false);
        };
        let thread = std::thread::Builder::new().name("check".to_owned()).spawn(search)?;
        Ok(Self { thread: Some(thread), handle })
    }

    /// Interrupts the search. The thread that it returns ends soon.
    pub(super) fn stop(&mut self) -> Option<JoinHandle<()>> {
        if let Some(handle) = &*self.handle.lock().unwrap_or_else(PoisonError::into_inner) {
            handle.interrupt();
        }
        self.thread.take()
    }
}
