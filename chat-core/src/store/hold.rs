//! A disk that hangs, simulated for tests: the writer or the readers wait until they are released.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{Append, READERS, Store};

/// Longer than any test holds a thread.
const LONG: Duration = Duration::from_secs(3_600);

/// Keeps one or more threads waiting until it is dropped.
#[derive(Debug)]
pub struct Held {
    releases: Vec<SyncSender<()>>,
    begun: Vec<oneshot::Receiver<()>>,
}

impl Held {
    fn new() -> Self {
        Self { releases: Vec::new(), begun: Vec::new() }
    }

    /// The work that makes one thread wait.
    fn hold(&mut self) -> impl FnOnce() -> bool + Send + use<> {
        let (release, released): (SyncSender<()>, Receiver<()>) = sync_channel(0);
        let (begin, begun) = oneshot::channel();
        self.releases.push(release);
        self.begun.push(begun);
        move || {
            let _ = begin.send(());
            // Nothing is ever sent: this waits until the other end is dropped.
            released.recv().is_err()
        }
    }

    /// Waits until all held threads are waiting.
    pub async fn begun(&mut self) {
        for begun in self.begun.drain(..) {
            let _ = begun.await;
        }
    }
}

impl Store {
    /// Stops the writer in its next batch, before the commit.
    pub(crate) async fn hold_writer(&self) -> Held {
        let mut held = Held::new();
        let hold = held.hold();
        let held_up = |_: &mut Append<'_>| {
            hold();
            Ok(())
        };
        drop(self.submit_within(LONG, held_up).await);
        held
    }

    /// Stops all readers.
    pub(crate) fn hold_readers(&self) -> Held {
        let mut held = Held::new();
        for _ in 0..READERS {
            let (store, hold) = (self.clone(), held.hold());
            let held_up = |_: &Connection| {
                hold();
                Ok(())
            };
            tokio::spawn(async move { store.read(held_up).await });
        }
        held
    }
}
