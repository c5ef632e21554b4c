//! The chat: users, commands, snapshots, sessions. It never names a transport.

mod accounts;
mod commands;
mod tasks;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::auth::{Auth, Rate};
use crate::ending::Cut;
use crate::heap::Crowd;
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

/// One chat. Clones share it; several servers may serve it at once.
///
/// ```
/// use std::net::{IpAddr, Ipv4Addr};
///
/// use chat_core::Location;
/// use chat_core::chat::Chat;
/// use chat_core::limits::Limits;
/// use chat_core::protocol::{Command, Request, To};
/// use chat_core::text::{Cid, Password, Text};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let chat = Chat::open(&Location::Temporary, Limits { hash_memory: 8, ..Limits::default() })?;
/// let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// let (ann, _) = chat.register("Ann".to_owned(), Password::from("correct horse"), here).await?;
/// let (bob, _) = chat.register("Bob".to_owned(), Password::from("battery staple"), here).await?;
///
/// let (cid, text) = (Cid::try_from("1".to_owned())?, Text::try_from("hello, Bob".to_owned())?);
/// let command = Command::Send { to: To::User(bob.id), cid, text };
/// chat.execute(ann.id, Request { request_id: None, command }).await.into_result()?;
///
/// let snapshot = chat.snapshot(bob.id).await?;
/// assert_eq!(snapshot.conversations[0].last_seq, 1);
/// chat.close().await;
/// # Ok(())
/// # }
/// ```
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
    /// Limits read marks and typing notices: they are cheap, but not free.
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

    /// Like [`open`](Self::open), but a database that is found to be damaged is served too: it is read, never written.
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
        chat.start_tasks();
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
        // Presence is read first, so later changes to it are sent after this mark.
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

    /// All users.
    ///
    /// # Errors
    /// `storage_unavailable`, `storage_damaged`.
    pub async fn users(&self) -> Result<Vec<Person>, Refusal> {
        let (online, _) = self.0.publisher.online();
        let mut users = self.read(self.0.store.users().await)?;
        users.iter_mut().for_each(|person| person.online = online.contains(&person.id));
        Ok(users)
    }

    /// All groups, as a user sees them.
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

    /// Gives a client its seat: after the cursor `after`, or at the end of the log.
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
        // Events are committed before they are published, so only the store knows what is ahead of the log.
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

    /// Waits until the chat cannot go on, because another process writes to its database. All sessions are ended then,
    /// and the caller has to end the program.
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

    /// Distinguishes this database from others on the same host.
    pub fn identity(&self) -> &str {
        self.0.store.identity()
    }

    /// What the storage cannot do at the moment, if anything.
    #[must_use]
    pub fn trouble(&self) -> Option<Refusal> {
        self.health().trouble()
    }

    /// Whether a long database is still being searched for damage.
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

    /// A count of what comes and goes in large numbers, and takes memory.
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

    /// Stops the writer in its next batch, as a disk that hangs does. For tests.
    pub async fn hold_writer(&self) -> Held {
        self.0.store.hold_writer().await
    }

    /// Stops all readers, as a disk that hangs does. For tests.
    #[must_use]
    pub fn hold_readers(&self) -> Held {
        self.0.store.hold_readers()
    }

    fn read<T>(&self, result: Result<T, ReadError>) -> Result<T, Refusal> {
        Ok(result?)
    }
}

/// A client's place in the chat, from which a session is served.
pub(crate) struct Seat {
    /// Distinguishes the session from the user's other ones.
    pub(crate) number: u64,
    pub(crate) subscription: Subscription,
    /// Given when the session is to end.
    pub(crate) ending: Arc<Signal<Close>>,
    /// Why the client's cursor cannot be used, if it cannot.
    pub(crate) lost: Option<ResetReason>,
}

#[cfg(test)]
mod tests;
