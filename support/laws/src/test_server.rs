//! The test server: each law gets a server of its own, with users and their connections.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use chat_client::{Client, ClientError, Events, Sender, Target};
use chat_core::Location;
use chat_core::auth::Token;
use chat_core::chat::Chat;
use chat_core::ids::{ConversationId, Cursor, UserId};
use chat_core::limits::Limits;
use chat_core::model::{Message, User};
use chat_core::protocol::{Command, Done, Event, Request, To};
use chat_core::refusal::Refusal;
use chat_core::text::{Cid, Name, Text};
use chat_http::server::{Running, start};
use chat_http::{Origins, Server, Site};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::timeout;

/// How long a law waits for something that must come. It is long, because only a broken law waits that long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The password of every user.
const PASSWORD: &str = "correct horse battery";

/// One server around one chat, with a database of its own.
pub struct TestServer<S> {
    /// The chat.
    pub chat: Chat,
    /// How to reach the server.
    pub target: Target,
    running: Option<Running>,
    directory: TempDir,
    limits: Limits,
    server: PhantomData<fn() -> S>,
}

impl<S: Server> TestServer<S> {
    /// A test server with limits that suit tests: hashing is cheap, and rate limits are high.
    pub async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    /// A test server whose limits are changed by a function.
    pub async fn open_with(change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = Limits {
            hash_memory: 8,
            messages_per_second: 100_000,
            message_burst: 100_000,
            sign_ins_per_minute: 1_000,
            failed_sign_ins_per_minute: 1_000,
            registrations_per_minute: 100_000,
            ..Limits::default()
        };
        change(&mut limits);
        let directory = tempfile::tempdir().expect("tests may write to the temporary directory");
        Self::serve(directory, limits).await
    }

    async fn serve(directory: TempDir, limits: Limits) -> Self {
        let location = Location::File(database(&directory));
        let chat = Chat::open(&location, limits.clone()).expect("a database in a new directory");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound port has an address");
        let site = Site { origins: Origins::new([address], []), ..Site::default() };
        let running = start::<S>(listener, &chat, site, Router::new()).expect("a bound listener");
        let target = Target::new(&format!("http://{address}")).with_chat(&chat);
        Self { chat, target, running: Some(running), directory, limits, server: PhantomData }
    }

    /// A new user.
    pub async fn user(&self, name: &str) -> TestUser<S> {
        let (user, token) = self.target.register(name, PASSWORD).await.expect("a free name");
        TestUser { user, token, target: self.target.apart(), server: PhantomData }
    }

    /// The same user, with one more sign-in.
    pub async fn sign_in(&self, user: &User) -> TestUser<S> {
        let (user, token) = self.target.sign_in(user.name.as_str(), PASSWORD).await.expect("a user");
        TestUser { user, token, target: self.target.apart(), server: PhantomData }
    }

    /// The sign-in cookie of a user, as a browser sends it.
    pub fn cookie(&self, member: &TestUser<S>) -> String {
        format!("switchboard_{}={}", self.chat.identity(), member.token.as_str())
    }

    /// Stops the server in order, and starts another one on the same database after `between`.
    pub async fn restart_after(mut self, between: impl FnOnce(PathBuf)) -> Self {
        self.stop().await;
        let (directory, limits) = (self.directory, self.limits);
        drop((self.chat, self.target));
        between(database(&directory));
        Self::serve(directory, limits).await
    }

    /// Where its database is.
    pub fn database(&self) -> PathBuf {
        database(&self.directory)
    }

    /// Stops the server in order.
    pub async fn stop(&mut self) {
        self.chat.end_sessions();
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
        self.chat.close().await;
    }

    /// The value of a metric of this transport, such as `chat_sessions`.
    pub fn metric(&self, name: &str, labels: &str) -> u64 {
        let text = self.chat.metrics().render();
        let series = format!("{name}{{{labels}transport=\"{}\"}} ", S::NAME);
        text.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap_or(0)
    }

    /// How many connections were ended for a reason.
    pub fn closed(&self, reason: &str) -> u64 {
        self.metric("chat_closed_total", &format!("reason=\"{reason}\","))
    }

    /// How many connections have ended for each reason. Reasons without any are left out.
    pub fn ends(&self) -> BTreeMap<String, u64> {
        let text = self.chat.metrics().render();
        let own = format!("\",transport=\"{}\"}} ", S::NAME);
        let series = text.lines().filter_map(|line| line.strip_prefix("chat_closed_total{reason=\""));
        let ends = series.filter_map(|line| line.split_once(&own));
        let ends = ends.map(|(reason, times)| (reason.to_owned(), times.parse().expect("a number")));
        ends.filter(|(_, times)| *times > 0).collect()
    }

    /// Waits until something is true that no event announces.
    pub async fn eventually(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let looking = async {
            while !holds(self) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(timeout(PATIENCE, looking).await.is_ok(), "{what}: it did not come about");
    }
}

/// Whether this transport polls: each of its answers ends, with news or without.
pub(super) fn polls<S: Server>() -> bool {
    S::PATH.is_some_and(|path| path.starts_with("/poll"))
}

/// Whether it polls with `wait=0`, so that the server answers at once.
pub(super) fn asks_once<S: Server>() -> bool {
    S::PATH.is_some_and(|path| path.ends_with("wait=0"))
}

fn database(directory: &TempDir) -> PathBuf {
    directory.path().join("chat.db")
}

/// A user of a test server.
pub struct TestUser<S> {
    /// The user's id and name.
    pub user: User,
    /// The token of the user's sign-in.
    pub token: Token,
    /// The server, over connections that only this user uses.
    pub target: Target,
    server: PhantomData<fn() -> S>,
}

impl<S> Clone for TestUser<S> {
    fn clone(&self) -> Self {
        Self {
            user: self.user.clone(),
            token: self.token.clone(),
            target: self.target.apart(),
            server: PhantomData,
        }
    }
}

impl<S: Server> TestUser<S> {
    /// The user's id.
    pub fn id(&self) -> UserId {
        self.user.id
    }

    /// A cursor at the end of the log.
    pub async fn cursor(&self) -> Cursor {
        self.target.snapshot(&self.token).await.expect("a snapshot").cursor
    }

    /// A connection over the transport, from now on.
    pub async fn connect(&self) -> TestConnection<S> {
        self.resume(None).await
    }

    /// A connection over the transport, after a cursor.
    pub async fn resume(&self, after: Option<Cursor>) -> TestConnection<S> {
        self.try_resume(after).await.expect("a connection")
    }

    /// A connection over the transport, or the reason why there is none.
    ///
    /// # Errors
    /// The error of the client's end.
    pub async fn try_resume(&self, after: Option<Cursor>) -> Result<TestConnection<S>, ClientError> {
        let (sender, events) = S::Client::connect(&self.target, &self.token, after).await?;
        Ok(TestConnection { sender, events })
    }
}

/// One connection of a user.
pub struct TestConnection<S: Server> {
    /// The half that sends requests.
    pub sender: <S::Client as Client>::Sender,
    /// The half that receives events.
    pub events: <S::Client as Client>::Events,
}

impl<S: Server> TestConnection<S> {
    /// Sends a command, and waits for its outcome.
    ///
    /// # Errors
    /// The refusal.
    pub async fn ask(&self, command: Command) -> Result<Done, Refusal> {
        self.sender.ask(command).await
    }

    /// Sends a message with a cid of its own.
    pub async fn send(&self, to: To, text: &str) -> Done {
        self.sender.say(to, text).await
    }

    /// Creates a group.
    pub async fn create_group(&self, name: &str) -> ConversationId {
        let name = Name::try_from(name.to_owned()).expect("a name");
        match self.ask(Command::CreateGroup { name, cid: new_cid() }).await {
            Ok(Done::GroupCreated { conversation, .. }) => conversation,
            other => panic!("no group: {other:?}"),
        }
    }

    /// Keeps only the half that sends requests.
    pub fn into_sender(self) -> <S::Client as Client>::Sender {
        self.sender
    }

    /// The next event of any kind.
    pub async fn next(&mut self) -> Event {
        self.try_next().await.expect("an event")
    }

    /// The next event, or how the connection ended.
    ///
    /// # Errors
    /// The connection has ended.
    pub async fn try_next(&mut self) -> Result<Event, ClientError> {
        timeout(PATIENCE, self.events.next()).await.expect("something should have come by now")
    }

    /// The next event that is in the log.
    pub async fn next_logged(&mut self) -> Event {
        loop {
            let event = self.next().await;
            if event.id().is_some() {
                return event;
            }
            assert!(
                matches!(event, Event::Presence { .. } | Event::Typing { .. } | Event::Tick { .. }),
                "the connection ended: {event:?}"
            );
        }
    }

    /// The next message.
    pub async fn next_message(&mut self) -> Message {
        loop {
            if let Event::Message(message) = self.next_logged().await {
                return message;
            }
        }
    }

    /// All logged events up to the message with this text, that one included.
    pub async fn until_text(&mut self, text: &str) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.next_logged().await;
            let found = matches!(&event, Event::Message(message) if message.text.as_str() == text);
            events.push(event);
            if found {
                return events;
            }
        }
    }

    /// The code with which the server ends the connection. Earlier events are skipped.
    pub async fn end(&mut self) -> u16 {
        loop {
            if let Event::Close { code, .. } = self.next().await {
                return code;
            }
        }
    }
}

/// How the laws send commands, over any transport.
pub trait Ask: Sender {
    /// Sends a command, and waits for its outcome.
    ///
    /// # Errors
    /// The refusal.
    fn ask(&self, command: Command) -> impl Future<Output = Result<Done, Refusal>> + Send {
        async {
            let request = Request { request_id: None, command };
            let reply = timeout(PATIENCE, self.send(request)).await.expect("a reply should have come by now");
            match reply {
                Ok(reply) => reply.into_result(),
                Err(ClientError::Refused(refusal)) => Err(refusal),
                Err(error) => panic!("no reply: {error}"),
            }
        }
    }

    /// Sends a message with a cid of its own.
    fn say(&self, to: To, text: &str) -> impl Future<Output = Done> + Send {
        let asking = self.ask(message(to, text));
        async { asking.await.expect("a message that may be sent") }
    }
}

impl<T: Sender> Ask for T {}

/// A message with a cid of its own.
pub(super) fn message(to: To, text: &str) -> Command {
    Command::Send { to, cid: new_cid(), text: Text::try_from(text.to_owned()).expect("a text") }
}

/// A cid that no other message of the process has.
pub(super) fn new_cid() -> Cid {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    Cid::try_from(format!("law-{}", NEXT.fetch_add(1, Ordering::Relaxed))).expect("a cid")
}

/// The id of the user with this number. There need not be such a user.
pub(super) fn user_id(number: u32) -> UserId {
    format!("u{number}").parse().expect("a user's id")
}

/// The history and the position in a cursor, without its mark for unlogged events.
pub(super) fn position(cursor: Cursor) -> (String, u64) {
    let text = cursor.to_string();
    let mut parts = text.split('.');
    let term = parts.next().expect("a history").to_owned();
    (term, parts.next().and_then(|position| position.parse().ok()).expect("a position"))
}

/// The texts of the messages among events.
pub(super) fn texts(events: &[Event]) -> Vec<&str> {
    fn text(event: &Event) -> Option<&str> {
        match event {
            Event::Message(message) => Some(message.text.as_str()),
            _ => None,
        }
    }
    events.iter().filter_map(text).collect()
}
