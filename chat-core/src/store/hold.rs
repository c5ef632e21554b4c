//! A disk that hangs, as tests make one: the writer or the readers stand still until they are released.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{Append, READERS, Store};

/// Longer than any test holds something.
const LONG: Duration = Duration::from_secs(3_600);

/// What stands still until this is dropped.
#[derive(Debug)]
pub struct Held {
    releases: Vec<SyncSender<()>>,
    begun: Vec<oneshot::Receiver<()>>,
}

impl Held {
    fn new() -> Self {
        Self { releases: Vec::new(), begun: Vec::new() }
    }

    /// What one thread does to stand still.
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

    /// Waits until everything stands still.
    pub async fn begun(&mut self) {
        for begun in self.begun.drain(..) {
            let _ = begun.await;
        }
    }
}

impl Store {
    /// Stops the writer within a batch, before its commit, when it comes to it.
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
