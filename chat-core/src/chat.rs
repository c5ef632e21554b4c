//! The chat: users, commands, snapshots, sessions. It never names a transport.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::auth::{Auth, Rate, Token};
use crate::ids::{ConversationId, Cursor, UserId};
use crate::inbox::Subscription;
use crate::limits::Limits;
use crate::metrics::{Metrics, WireMetrics};
use crate::model::{Group, History, Person, Snapshot, User};
use crate::protocol::{Command, Done, Reply, Request, ResetReason};
use crate::publisher::{Cut, Handle, Publisher};
use crate::refusal::{Close, Code, Refusal};
use crate::signal::Signal;
use crate::store::{Location, OpenError, ReadError, Store, Written, shutting_down};
use crate::text::{Name, Password, RequestId};
use crate::transport::Session;

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
        let limits = Arc::new(limits);
        let publisher = Arc::new(Publisher::new(Arc::clone(&limits)));
        let publish = {
            let publisher = Arc::clone(&publisher);
            move |events: &[_]| publisher.publish(events)
        };
        let opened = Store::open(location, limits.retention, publish)?;
        publisher.start(opened.head, opened.members, opened.users);
        let every = Duration::from_secs(1) / limits.messages_per_second;
        let chat = Self(Arc::new(Inner {
            store: opened.store,
            publisher,
            auth: Arc::new(Auth::new(&limits)),
            metrics: Metrics::new(),
            messages: Arc::new(Rate::new(every, limits.message_burst, "messages")),
            notices: Arc::new(Rate::new(every, limits.message_burst, "read marks and typing notices")),
            limits,
            tasks: Mutex::default(),
        }));
        let mut tasks = chat.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(keep_presence(Arc::clone(&chat.0.publisher), chat.0.limits.presence_interval));
        tasks.spawn(chat.keep_house());
        drop(tasks);
        Ok(chat)
    }

    /// The limits that this chat was opened with.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Makes a new user and signs them in. `address` is where the request came from.
    ///
    /// # Errors
    /// `invalid_name`, `invalid_password`, `name_taken`, `rate_limited`, `busy`, `storage_unavailable`.
    pub async fn register(
        &self,
        name: String,
        password: Password,
        address: IpAddr,
    ) -> Result<(User, Token), Refusal> {
        let name = Name::try_from(name)?;
        password.check()?;
        self.0.auth.registrations.check(&address)?;
        // Hashing is dear; a name that is taken already need not wait for it. The commit decides.
        if self.read(self.0.store.account(&name).await)?.is_some() {
            return Err(Refusal::new(Code::NameTaken, "somebody has this name already; choose another one"));
        }
        let password = self.0.auth.hash(password).await?;
        let (token, expires) = self.new_token();
        let hash = token.hash();
        let work = self.0.store.submit(move |append| append.register(name, &password, hash, expires));
        let user = work.await.await?;
        Ok((user, token))
    }

    /// Signs a user in. `address` is where the request came from.
    ///
    /// # Errors
    /// `wrong_credentials`, `rate_limited`, `busy`, `storage_unavailable`.
    pub async fn sign_in(
        &self,
        name: String,
        password: Password,
        address: IpAddr,
    ) -> Result<(User, Token), Refusal> {
        let name = Name::try_from(name).ok();
        let key = name.as_ref().map(Name::key).unwrap_or_default();
        self.0.auth.sign_ins.check(&(key, address))?;
        let account = match &name {
            Some(name) => self.read(self.0.store.account(name).await)?,
            None => None,
        };
        let verified = self.0.auth.verify(account.as_ref(), password).await?;
        let Some(account) = account.filter(|_| verified) else {
            return Err(Refusal::new(
                Code::WrongCredentials,
                "this name and this password do not belong together",
            ));
        };
        let (token, expires) = self.new_token();
        let (user, hash) = (account.user.id, token.hash());
        self.0.store.submit(move |append| append.sign_in(user, hash, expires)).await.await?;
        Ok((account.user, token))
    }

    fn new_token(&self) -> (Token, Duration) {
        (Token::random(), self.0.store.age() + self.0.limits.sign_in_lifetime)
    }

    /// Ends a sign-in, and all sessions that rest on it within a second.
    ///
    /// # Errors
    /// `storage_unavailable`: the sign-in goes on.
    pub async fn sign_out(&self, sign_in: SignIn) -> Result<(), Refusal> {
        self.0.store.submit(move |append| append.sign_out(sign_in.token)).await.await?;
        self.0.auth.forget(&sign_in.token);
        for handle in self.0.publisher.sessions_of(sign_in.user, &sign_in.token) {
            handle.end(Close::Revoked);
        }
        Ok(())
    }

    /// Whose token this is.
    ///
    /// # Errors
    /// `unauthenticated`: it is unknown, expired or ended.
    pub async fn authenticate(&self, token: &Token) -> Result<SignIn, Refusal> {
        let hash = token.hash();
        let known = match self.0.auth.known(&hash) {
            Some(known) => Some(known),
            None => {
                let row = self.read(self.0.store.sign_in(hash).await)?;
                row.map(|row| SignIn { user: row.user, token: hash, expires: row.expires })
            }
        };
        let Some(sign_in) = known.filter(|sign_in| !self.time_left(sign_in).is_zero()) else {
            self.0.auth.forget(&hash);
            return Err(Refusal::unauthenticated());
        };
        self.0.auth.remember(sign_in);
        Ok(sign_in)
    }

    /// How long a sign-in still lasts.
    pub(crate) fn time_left(&self, sign_in: &SignIn) -> Duration {
        let expires = Duration::from_secs(u64::try_from(sign_in.expires).unwrap_or(0));
        expires.saturating_sub(self.0.store.age())
    }

    /// Runs one request to its end.
    pub async fn execute(&self, user: UserId, request: Request) -> Reply {
        let mut answer = self.submit_request(user, request).await;
        std::future::poll_fn(|cx| answer.poll(cx)).await
    }

    /// Takes a request in, as a wire brings it. Its place in the order of commits is settled on return.
    pub(crate) async fn submit(&self, user: UserId, json: &[u8]) -> Result<Answer, serde_json::Error> {
        match Request::parse(json)? {
            Ok(request) => Ok(self.submit_request(user, request).await),
            Err(bad) => Ok(Answer::Ready(bad.reply())),
        }
    }

    async fn submit_request(&self, user: UserId, request: Request) -> Answer {
        let Request { request_id, command } = request;
        let refused = match &command {
            Command::Typing { .. } | Command::MarkRead { .. } => self.0.notices.check(&user),
            _ => self.0.messages.check(&user),
        };
        if let Err(refusal) = refused {
            return Answer::Ready(Reply::new(request_id, Err(refusal)));
        }
        if let Command::Typing { conversation } = command {
            return Answer::Ready(Reply::new(request_id, self.typing(user, conversation).await));
        }
        let written = self.0.store.submit(move |append| append.execute(user, command)).await;
        Answer::Waiting(request_id, written)
    }

    /// Membership is known in memory, so typing costs no look at the database.
    async fn typing(&self, user: UserId, conversation: ConversationId) -> Result<Done, Refusal> {
        if self.0.publisher.tell_typing(conversation, user) {
            return Ok(Done::Typing);
        }
        // Somebody else's direct conversation does not exist for them; the store knows.
        self.history(user, conversation, None, 0).await?;
        Err(Refusal::new(Code::NotAMember, "only members may do that; join the group first"))
    }

    /// Everything that a user sees, and the cursor from which events carry on.
    ///
    /// # Errors
    /// `storage_unavailable`.
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
    /// `storage_unavailable`.
    pub async fn user(&self, user: UserId) -> Result<User, Refusal> {
        self.read(self.0.store.user(user).await)
    }

    /// Everybody.
    ///
    /// # Errors
    /// `storage_unavailable`.
    pub async fn users(&self) -> Result<Vec<Person>, Refusal> {
        let (online, _) = self.0.publisher.online();
        let mut users = self.read(self.0.store.users().await)?;
        users.iter_mut().for_each(|person| person.online = online.contains(&person.id));
        Ok(users)
    }

    /// All groups, as a user finds them.
    ///
    /// # Errors
    /// `storage_unavailable`.
    pub async fn groups(&self, user: UserId) -> Result<Vec<Group>, Refusal> {
        self.read(self.0.store.groups(user).await)
    }

    /// A page of the messages that a user may see in a conversation: the last `limit` before `before`.
    ///
    /// # Errors
    /// `not_a_member`, `unknown_conversation`, `storage_unavailable`.
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
    pub(crate) async fn session(
        &self,
        sign_in: SignIn,
        after: Option<Cursor>,
        wire: Arc<WireMetrics>,
        cut: Option<Cut>,
    ) -> Result<Session, Refusal> {
        let lost = match after {
            Some(cursor) => self.read(self.judge(cursor).await)?,
            None => None,
        };
        let ending = Arc::new(Signal::default());
        let handle = Handle { token: sign_in.token, ending: Arc::clone(&ending), cut };
        let seat = self.0.publisher.enter(sign_in.user, after, handle)?;
        let store = self.0.store.clone();
        let subscription =
            Subscription::new(seat.inbox, store, seat.published, seat.number, seat.start, seat.presence);
        Ok(Session::new(self.clone(), sign_in, (seat.number, subscription), wire, ending, lost))
    }

    /// Why a cursor is of no use, if it is not.
    async fn judge(&self, cursor: Cursor) -> Result<Option<ResetReason>, ReadError> {
        let store = &self.0.store;
        if cursor.epoch != store.epoch() {
            return Ok(Some(ResetReason::Unknown));
        }
        if cursor.position < store.trimmed() {
            return Ok(Some(ResetReason::Expired));
        }
        // A commit may be ahead of its publication; only the store knows what is ahead of the log.
        if cursor.position > self.0.publisher.published() && cursor.position > store.head().await? {
            return Ok(Some(ResetReason::Unknown));
        }
        Ok(None)
    }

    pub(crate) fn leave(&self, user: UserId, session: u64) {
        self.0.publisher.leave(user, session);
    }

    /// Asks all sessions to end; new ones end at once.
    pub fn end_sessions(&self) {
        self.0.publisher.close(Close::Shutdown);
    }

    /// Writes what is queued and closes the database. Commands that come later are refused.
    pub async fn close(&self) {
        self.end_sessions();
        self.0.store.close().await;
        self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }

    /// What tells this database from others on the same host.
    pub(crate) fn identity(&self) -> &str {
        self.0.store.identity()
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Lets go of all events so far, as retention will some day.
    #[cfg(any(test, feature = "conformance"))]
    pub(crate) async fn forget_events(&self) -> Result<(), Refusal> {
        self.0.store.forget_all().await
    }

    fn read<T>(&self, result: Result<T, ReadError>) -> Result<T, Refusal> {
        result.map_err(|error| match error {
            ReadError::Stopped => shutting_down(),
            ReadError::Sqlite(_) => {
                tracing::error!(%error, "a read failed");
                let wait = Duration::from_secs(1);
                Refusal::retry_after(
                    Code::StorageUnavailable,
                    wait,
                    "the server cannot read its disk just now",
                )
            }
        })
    }

    /// Watermark, retention, and rate limits of those who have gone.
    fn keep_house(&self) -> impl Future<Output = ()> + Send + use<> {
        let (store, auth) = (self.0.store.clone(), Arc::clone(&self.0.auth));
        let (messages, notices) = (Arc::clone(&self.0.messages), Arc::clone(&self.0.notices));
        async move {
            let mut ticks = interval(HOUSEKEEPING);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for second in 0_u64.. {
                ticks.tick().await;
                store.keep_house().await;
                if second % 60 == 59 {
                    auth.sign_ins.forget_idle();
                    auth.registrations.forget_idle();
                    messages.forget_idle();
                    notices.forget_idle();
                }
            }
        }
    }
}

/// Tells presence when it has changed, at most once an `interval`: a storm of n people costs n frames, not n².
async fn keep_presence(publisher: Arc<Publisher>, interval: Duration) {
    loop {
        let next_departure = publisher.tell_presence();
        tokio::time::sleep(interval).await;
        let changed = publisher.changed.notified();
        match next_departure {
            Some(then) => drop(tokio::time::timeout_at(then.into(), changed).await),
            None => changed.await,
        }
    }
}

/// The reply to a request: there already, or waiting for its commit.
pub(crate) enum Answer {
    Ready(Reply),
    Waiting(Option<RequestId>, Written<Done>),
}

impl Answer {
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Reply> {
        match self {
            Self::Ready(reply) => Poll::Ready(reply.clone()),
            Self::Waiting(request_id, written) => {
                let request_id = request_id.clone();
                Pin::new(written).poll(cx).map(|result| Reply::new(request_id, result))
            }
        }
    }

    /// Why it was refused, if it was refused at once.
    pub(crate) fn refusal(&self) -> Option<Code> {
        match self {
            Self::Ready(Reply { outcome: crate::protocol::Outcome::Refusal(refusal), .. }) => {
                Some(refusal.code)
            }
            Self::Ready(_) | Self::Waiting(..) => None,
        }
    }
}
