//! The chat: users, commands, snapshots, sessions. It never names a transport.

mod accounts;
mod commands;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::auth::{Auth, Rate};
use crate::ending::Cut;
use crate::heap::{self, Crowd};
use crate::ids::{ConversationId, Cursor, UserId};
use crate::inbox::Subscription;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::model::{Group, History, Person, Snapshot, User};
use crate::protocol::ResetReason;
use crate::publisher::{Handle, Publisher};
use crate::refusal::{Close, Refusal};
use crate::signal::Signal;
use crate::store::{ForeignWriter, Health, Held, Location, OpenError, ReadError, Store};

pub use self::commands::Answer;
pub use crate::auth::SignIn;

/// How often the watermark is synced and what is too old is let go.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// One chat. Clones share it; several servers may serve it at once.
#[derive(Clone)]
pub struct Chat(Arc<Inner>);

struct Inner {
    store: Store,
    publisher: Arc<Publisher>,
    auth: Arc<Auth>,
    limits: Arc<Limits>,
    metrics: Metrics,
    crowd: Arc<Crowd>,
    messages: Arc<Rate<UserId>>,
    /// Read marks and typing: cheap, but not free.
    notices: Arc<Rate<UserId>>,
    /// Guards the chat's own tasks; they end with it.
    tasks: Mutex<JoinSet<()>>,
}

impl Chat {
    /// Opens the chat in this database, creating it if need be. Call within a tokio runtime.
    ///
    /// # Errors
    /// The database cannot be used; the message says what to do.
    pub fn open(location: &Location, limits: Limits) -> Result<Self, OpenError> {
        Self::open_with(location, limits, false)
    }

    /// The same, but a database that is found to be damaged is served all the same: it is read, never written.
    ///
    /// # Errors
    /// The database cannot be used; the message says what to do.
    pub fn open_damaged(location: &Location, limits: Limits) -> Result<Self, OpenError> {
        Self::open_with(location, limits, true)
    }

    fn open_with(location: &Location, limits: Limits, accepts_damage: bool) -> Result<Self, OpenError> {
        let (limits, metrics) = (Arc::new(limits), Metrics::default());
        let crowd = Arc::default();
        let publisher = Arc::new(Publisher::new(Arc::clone(&limits), Arc::clone(&crowd)));
        let publish = {
            let publisher = Arc::clone(&publisher);
            move |events: &[_]| publisher.publish(events)
        };
        let opened = Store::open(location, &limits, accepts_damage, &metrics, publish)?;
        publisher.start(opened.head, opened.members, opened.users);
        let every = Duration::from_secs(1) / limits.messages_per_second;
        let chat = Self(Arc::new(Inner {
            store: opened.store,
            publisher,
            auth: Arc::new(Auth::new(&limits)),
            metrics,
            crowd,
            messages: Arc::new(Rate::new(every, limits.message_burst, "messages")),
            notices: Arc::new(Rate::new(every, limits.message_burst, "read marks and typing notices")),
            limits,
            tasks: Mutex::default(),
        }));
        let mut tasks = chat.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(keep_presence(Arc::clone(&chat.0.publisher), chat.0.limits.presence_interval));
        tasks.spawn(keep_places(Arc::clone(&chat.0.publisher)));
        tasks.spawn(chat.keep_house());
        tasks.spawn(end_with_the_database(chat.0.store.clone(), Arc::clone(&chat.0.publisher)));
        tasks.spawn(watch(chat.0.store.clone()));
        drop(tasks);
        Ok(chat)
    }

    /// The limits that this chat was opened with.
    #[must_use]
    pub fn limits(&self) -> &Arc<Limits> {
        &self.0.limits
    }

    /// Everything that a user sees, and the cursor from which events carry on.
    ///
    /// # Errors
    /// `storage_unavailable`, `storage_damaged`.
    pub async fn snapshot(&self, user: UserId) -> Result<Snapshot, Refusal> {
        // Presence first: what changes afterwards is told after this mark.
        let (online, mark) = self.0.publisher.online();
        let mut snapshot = self.read(self.0.store.snapshot(user).await)?;
        snapshot.cursor.mark = Some(mark);
        snapshot.users.iter_mut().for_each(|person| person.online = online.contains(&person.id));
        Ok(snapshot)
    }

    /// Who a user is.
    ///
    /// # Errors
    /// `storage_unavailable`, `storage_damaged`.
    pub async fn user(&self, user: UserId) -> Result<User, Refusal> {
        self.read(self.0.store.user(user).await)
    }

    /// Everybody.
    ///
    /// # Errors
    /// `storage_unavailable`, `storage_damaged`.
    pub async fn users(&self) -> Result<Vec<Person>, Refusal> {
        let (online, _) = self.0.publisher.online();
        let mut users = self.read(self.0.store.users().await)?;
        users.iter_mut().for_each(|person| person.online = online.contains(&person.id));
        Ok(users)
    }

    /// All groups, as a user finds them.
    ///
    /// # Errors
    /// `storage_unavailable`, `storage_damaged`.
    pub async fn groups(&self, user: UserId) -> Result<Vec<Group>, Refusal> {
        self.read(self.0.store.groups(user).await)
    }

    /// A page of the messages that a user may see in a conversation: the last `limit` before `before`.
    ///
    /// # Errors
    /// `not_a_member`, `unknown_conversation`, `storage_unavailable`, `storage_damaged`.
    pub async fn history(
        &self,
        user: UserId,
        conversation: ConversationId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<History, Refusal> {
        self.read(self.0.store.history(user, conversation, before, limit).await)?
    }

    /// Gives a client its place: after `after`, or at the end of the log.
    pub(crate) async fn enter(
        &self,
        sign_in: &SignIn,
        after: Option<Cursor>,
        cut: Option<Cut>,
    ) -> Result<Seat, Refusal> {
        let lost = match after {
            Some(cursor) => self.read(self.judge(cursor).await)?,
            None => None,
        };
        let ending = Arc::new(Signal::default());
        let handle = Handle { token: sign_in.token, ending: Arc::clone(&ending), cut };
        let entry = self.0.publisher.enter(sign_in.user, after, handle)?;
        let number = entry.number;
        let subscription = Subscription::new(entry, self.0.store.clone());
        if self.was_ended(sign_in).await {
            ending.give(Close::Revoked);
        }
        Ok(Seat { number, subscription, ending, lost })
    }

    /// Why a cursor cannot be used, if it cannot.
    async fn judge(&self, cursor: Cursor) -> Result<Option<ResetReason>, ReadError> {
        let (store, published) = (&self.0.store, self.0.publisher.published());
        // A commit may be ahead of its publication; only the store knows what is ahead of the log.
        let head = if cursor.position > published { store.head().await? } else { published };
        Ok(store.terms().judge(cursor, store.trimmed(), head))
    }

    pub(crate) fn leave(&self, user: UserId, session: u64) {
        self.0.publisher.leave(user, session);
    }

    /// Asks all sessions to end; new ones end at once.
    pub fn end_sessions(&self) {
        let is_lost = self.0.store.has_foreign_writer();
        self.0.store.health().drain();
        self.0.publisher.close(if is_lost { Close::ServerError } else { Close::Shutdown });
    }

    /// Waits until the chat cannot go on, because another process writes to its database. All sessions are ended then;
    /// what is left is to end the program.
    ///
    /// Cancel safe: it only waits.
    pub async fn failed(&self) -> ForeignWriter {
        self.0.store.foreign_writer().await
    }

    /// Writes what is queued and closes the database. Commands that come later are refused.
    pub async fn close(&self) {
        self.end_sessions();
        self.0.store.close().await;
        self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }

    /// What tells this database from others on the same host.
    pub fn identity(&self) -> &str {
        self.0.store.identity()
    }

    /// What the storage cannot do now, if there is something.
    #[must_use]
    pub fn trouble(&self) -> Option<Refusal> {
        self.health().trouble()
    }

    /// Whether a long database is still looked through for damage.
    #[must_use]
    pub fn is_checking(&self) -> bool {
        self.health().is_checking()
    }

    fn health(&self) -> &Health {
        self.0.store.health()
    }

    /// The counts of this chat.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Everything that comes and goes in numbers, and takes memory.
    #[must_use]
    pub fn crowd(&self) -> &Arc<Crowd> {
        &self.0.crowd
    }

    /// Removes every event so far from the log, as retention does with old ones. Messages stay in the history.
    ///
    /// # Errors
    /// `storage_unavailable`, `storage_damaged`.
    pub async fn trim(&self) -> Result<(), Refusal> {
        self.0.store.forget_all().await
    }

    /// Stops the writer in the batch that it comes to next, as a disk does that hangs. For tests.
    pub async fn hold_writer(&self) -> Held {
        self.0.store.hold_writer().await
    }

    /// Stops all readers, as a disk does that hangs. For tests.
    #[must_use]
    pub fn hold_readers(&self) -> Held {
        self.0.store.hold_readers()
    }

    fn read<T>(&self, result: Result<T, ReadError>) -> Result<T, Refusal> {
        Ok(result?)
    }

    /// Watermark, retention, and the memory and rate limits of those who have gone.
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
                    // Nobody waits for it, and it may take its time.
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

/// A client's place in the chat, from which a session is served.
pub(crate) struct Seat {
    /// Tells the session from the user's others.
    pub(crate) number: u64,
    pub(crate) subscription: Subscription,
    /// Given when the session is to end.
    pub(crate) ending: Arc<Signal<Close>>,
    /// The cursor it came with is of no use.
    pub(crate) lost: Option<ResetReason>,
}

/// Ends all sessions once another process writes to the database: what comes after would be a mix of two histories.
async fn end_with_the_database(store: Store, publisher: Arc<Publisher>) {
    store.foreign_writer().await;
    publisher.close(Close::ServerError);
}

/// Tells presence when it has changed, at most once an `interval`: a storm of n people costs n frames, not n².
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

/// Lets go of users when their grace is over.
async fn keep_places(publisher: Arc<Publisher>) {
    loop {
        match publisher.let_go() {
            Some(then) => tokio::time::sleep_until(then.into()).await,
            None => publisher.left.notified().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::refusal::Code;
    use crate::text::Password;

    /// A client that was told "unknown" may go on with its token until the disk answers, and not longer.
    #[tokio::test]
    async fn a_sign_in_ends_when_the_disk_answers_though_nobody_waited_for_it() {
        let limits =
            Limits { hash_memory: 8, storage_timeout: Duration::from_millis(500), ..Limits::default() };
        let chat = Chat::open(&Location::Temporary, limits).unwrap();
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let (_, token) =
            chat.register("Ann".to_owned(), Password::from("correct horse"), here).await.unwrap();
        let ann = chat.authenticate(&token).await.unwrap();
        let mut first = chat.hold_writer().await;
        first.begun().await;
        let leaving = tokio::spawn({
            let chat = chat.clone();
            async move { chat.sign_out(ann).await }
        });
        while !chat.metrics().render().contains("chat_queue_depth 1") {
            tokio::task::yield_now().await;
        }
        let mut second = chat.hold_writer().await;
        drop(first);
        second.begun().await;
        assert_eq!(leaving.await.unwrap().unwrap_err().code, Code::StorageUnavailable);
        assert!(chat.authenticate(&token).await.is_ok());
        drop(second);
        let ended = async {
            while chat.authenticate(&token).await.is_ok() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(10), ended).await.unwrap();
    }

    /// Presence may be told seldom; who is gone takes no room until then.
    #[tokio::test]
    async fn a_user_is_let_go_after_the_grace_though_presence_is_told_seldom() {
        let (seldom, soon) = (Duration::from_secs(3_600), Duration::from_millis(20));
        let limits = Limits { hash_memory: 8, presence_interval: seldom, grace: soon, ..Limits::default() };
        let chat = Chat::open(&Location::Temporary, limits).unwrap();
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let (_, token) =
            chat.register("Ann".to_owned(), Password::from("correct horse"), here).await.unwrap();
        let ann = chat.authenticate(&token).await.unwrap();
        let seat = chat.enter(&ann, None, None).await.unwrap();
        assert_eq!(chat.0.publisher.online().0.len(), 1);
        chat.leave(ann.user, seat.number);
        let gone = async {
            while !chat.0.publisher.online().0.is_empty() {
                sleep(soon).await;
            }
        };
        timeout(Duration::from_secs(10), gone).await.unwrap();
    }
}
