//! The chat's own tasks: they send presence, end grace periods and sessions, and look after memory and disk.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::Chat;
use crate::heap;
use crate::publisher::Publisher;
use crate::refusal::Close;
use crate::store::Store;

/// How often the watermark is synced and what is too old is removed.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

impl Chat {
    /// Starts the chat's own tasks; they end with it.
    pub(super) fn start_tasks(&self) {
        let (store, publisher) = (|| self.0.store.clone(), || Arc::clone(&self.0.publisher));
        let mut tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(keep_presence(publisher(), self.0.limits.presence_interval));
        tasks.spawn(end_graces(publisher()));
        tasks.spawn(self.keep_house());
        tasks.spawn(end_with_the_database(store(), publisher()));
        tasks.spawn(watch(store()));
    }

    /// Syncs the watermark, applies retention, and frees the memory and rate limits of clients that have left.
    fn keep_house(&self) -> impl Future<Output = ()> + Send + use<> {
        let (store, auth) = (self.0.store.clone(), Arc::clone(&self.0.auth));
        let (messages, notices) = (Arc::clone(&self.0.messages), Arc::clone(&self.0.notices));
        let crowd = Arc::clone(&self.0.crowd);
        async move {
            let mut ticks = interval(HOUSEKEEPING);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for second in 0_u64.. {
                ticks.tick().await;
                store.keep_house();
                if crowd.has_left() {
                    // No task waits for it, so it may take its time.
                    let _ = tokio::task::spawn_blocking(heap::give_back).await;
                }
                if second % 60 == 59 {
                    auth.sign_ins.forget_idle();
                    auth.failures.forget_idle();
                    auth.registrations.forget_idle();
                    messages.forget_idle();
                    notices.forget_idle();
                }
            }
        }
    }
}

/// Ends all sessions once another process writes to the database, because later events would mix two histories.
async fn end_with_the_database(store: Store, publisher: Arc<Publisher>) {
    store.foreign_writer().await;
    publisher.close(Close::ServerError);
}

/// Sends presence when it has changed, at most once an `interval`: n users who come at once cost n frames, not n².
async fn keep_presence(publisher: Arc<Publisher>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        publisher.changed.notified().await;
        publisher.tell_presence();
    }
}

/// Finds out every second whether the disk answers.
async fn watch(store: Store) {
    let mut ticks = interval(HOUSEKEEPING);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        store.watch().await;
    }
}

/// Removes users when their grace period is over.
async fn end_graces(publisher: Arc<Publisher>) {
    loop {
        match publisher.let_go() {
            Some(then) => tokio::time::sleep_until(then.into()).await,
            None => publisher.left.notified().await,
        }
    }
}
