//! The chat with all its users, and the model beside it.

use std::time::Duration;

use axum::Router;
use chat_client::any::{AnyEvents, AnySender};
use chat_client::{ClientError, Events, PostSender, Sender, Target};
use chat_core::Location;
use chat_core::auth::Token;
use chat_core::chat::Chat;
use chat_core::ids::{Cursor, UserId};
use chat_core::limits::Limits;
use chat_core::protocol::{Command, Done, Event, Request};
use chat_core::refusal::Code;
use chat_core::text::RequestId;
use chat_http::server::Running;
use chat_http::{Site, Way};
use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use transports::Transport;

use crate::client::State;
use crate::cursor::position;
use crate::sequential::Model;
use crate::steps::{Act, FIRST, NAMES, Step, TABS, name_of, text_of};

/// Longer than anything that works takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// The chat with all its users, and the model beside it.
pub(crate) struct World {
    chat: Chat,
    /// A server for each transport, in the order of the list, and how to reach it.
    servers: Vec<Running>,
    targets: Vec<Target>,
    model: Model,
    people: Vec<Person>,
    asked: Vec<Act>,
}

struct Person {
    id: UserId,
    token: Token,
    tabs: [Tab; TABS],
    /// The states that a client started from, each with its position in the log.
    states: Vec<(u64, State)>,
}

/// One session, over all its connections.
struct Tab {
    start: u64,
    told: watch::Sender<Told>,
    connection: Option<(AnySender, JoinHandle<()>)>,
}

/// What a session got.
struct Told {
    logged: Vec<Event>,
    typing: Vec<Event>,
    cursor: Cursor,
    /// Why it ended, if it did: it should not.
    failure: Option<String>,
}

async fn serve(transport: Transport, chat: &Chat) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (transport.program.start)(Way::Takeover, listener, chat, Site::default(), Router::new()).unwrap()
}

impl World {
    pub(crate) async fn new() -> Self {
        let limits = Limits {
            messages_per_second: 1_000_000,
            message_burst: 1_000_000,
            connections_per_user: 1_000,
            registrations_per_minute: 1_000_000,
            hash_memory: 8,
            // So small and short that every way of reading is taken: the ring, the disk, and a new inbox.
            inbox_events: 6,
            grace: Duration::from_millis(20),
            presence_interval: Duration::from_millis(5),
            keep_alive: Duration::from_millis(10),
            ping_after: Duration::from_millis(10),
            ..Limits::default()
        };
        let chat = Chat::open(&Location::Temporary, limits).unwrap();
        let servers = join_all(Transport::all().iter().map(|transport| serve(*transport, &chat))).await;
        let targets =
            servers.iter().map(|server| Target::new(&format!("http://{}", server.address()))).collect();
        let mut world = Self {
            chat,
            servers,
            targets,
            model: Model::new("00000000"),
            people: Vec::new(),
            asked: Vec::new(),
        };
        for user in 0..FIRST {
            world.register(user).await;
            for (tab, transport) in [(0, Transport::all()[user]), (1, Transport::all()[user].next())] {
                world.connect(user, tab, transport).await;
            }
        }
        world
    }

    pub(crate) async fn run(&mut self, step: Step) {
        let present = self.people.len();
        match step {
            Step::Register(name) => self.register(name).await,
            Step::Ask(acts, switch) => {
                let acts = acts.into_iter().map(|act| Act { user: act.user % present, ..act });
                self.ask(
                    acts.collect(),
                    switch.map(|(user, tab, transport)| (user % present, tab, transport)),
                )
                .await;
            }
            Step::Again { which, reworded } => {
                let Some(mut act) = self.asked.get(which % self.asked.len().max(1)).cloned() else { return };
                if let (Command::Send { text, .. }, true) = (&mut act.command, reworded) {
                    *text = text_of("something else");
                }
                self.ask((0..TABS).map(|tab| Act { tab, ..act.clone() }).collect(), None).await;
            }
            Step::Disconnect(user, tab) => self.disconnect(user % present, tab).await,
            Step::Connect(user, tab, transport) => self.connect(user % present, tab, transport).await,
            Step::Snapshot(user) => self.take_snapshot(user % present).await,
        }
    }

    async fn register(&mut self, name: usize) {
        let result = self.targets[name % self.targets.len()].register(NAMES[name], "correct horse").await;
        if self.people.is_empty() {
            let (_, token) = result.as_ref().expect("the first one registers");
            let cursor = self.targets[0].snapshot(token).await.unwrap().cursor.to_string();
            self.model = Model::new(cursor.split('.').next().unwrap());
        }
        match (self.model.register(&name_of(NAMES[name])), result) {
            (Ok(expected), Ok((user, token))) => {
                assert_eq!(user, expected);
                let start = self.model.head();
                let told = || Told {
                    logged: Vec::new(),
                    typing: Vec::new(),
                    cursor: self.model.cursor(start),
                    failure: None,
                };
                let tabs =
                    [(); TABS].map(|()| Tab { start, told: watch::Sender::new(told()), connection: None });
                self.people.push(Person { id: user.id, token, tabs, states: Vec::new() });
                self.take_snapshot(self.people.len() - 1).await;
            }
            (Err(expected), Err(ClientError::Refused(refusal))) => assert_eq!(refusal.code, expected),
            (expected, result) => panic!("{expected:?} was expected, not {result:?}"),
        }
    }

    /// Runs all commands at once, and finds the order that explains the replies.
    async fn ask(&mut self, acts: Vec<Act>, switch: Option<(usize, usize, Transport)>) {
        if let Some((user, tab, _)) = switch {
            self.disconnect(user, tab).await;
        }
        let asking = join_all(acts.iter().map(|act| {
            let person = &self.people[act.user];
            let asker = match &person.tabs[act.tab].connection {
                Some((asker, _)) => asker.clone(),
                // A tab without a stream can still post.
                None => AnySender::new(PostSender::new(&self.targets[act.tab], &person.token)),
            };
            let request_id = Some(RequestId::try_from(format!("r{}", act.user)).unwrap());
            let request = Request { request_id: request_id.clone(), command: act.command.clone() };
            async move {
                let reply = timeout(PATIENCE, asker.send(request)).await.expect("a reply in time").unwrap();
                assert_eq!(reply.request_id, request_id);
                reply.into_result().map_err(|refusal| refusal.code)
            }
        }));
        let switching = async {
            let (user, tab, transport) = switch?;
            Some((user, tab, self.open(user, tab, transport).await))
        };
        let (replies, switched) = tokio::join!(asking, switching);
        if let Some((user, tab, connection)) = switched {
            self.people[user].tabs[tab].connection = Some(connection);
        }
        let observed: Vec<_> = acts.iter().zip(replies).collect();
        let model = explain(&self.model, &self.people, &observed);
        self.model = model.unwrap_or_else(|| {
            let mut model = self.model.clone();
            for (act, reply) in &observed {
                let expected = model.run(self.people[act.user].id, &act.command, None);
                eprintln!("{} on tab {}: {:?}", self.people[act.user].id, act.tab, act.command);
                eprintln!("    the reply was {reply:?}\n    in this order: {expected:?}");
            }
            panic!("no order of these commands explains their replies");
        });
        self.asked.extend(acts);
    }

    async fn disconnect(&mut self, user: usize, tab: usize) {
        if let Some((_, task)) = self.people[user].tabs[tab].connection.take() {
            task.abort();
            // The task ends at its next wait, or has ended.
            let _ = task.await;
        }
    }

    async fn connect(&mut self, user: usize, tab: usize, transport: Transport) {
        self.disconnect(user, tab).await;
        self.people[user].tabs[tab].connection = Some(self.open(user, tab, transport).await);
    }

    /// Connects a tab from its cursor, and listens until the task is aborted.
    async fn open(&self, user: usize, tab: usize, transport: Transport) -> (AnySender, JoinHandle<()>) {
        let (target, person) = (&self.targets[transport.place()], &self.people[user]);
        let told = &person.tabs[tab].told;
        let cursor = told.borrow().cursor;
        let (asker, listener) = (transport.connect)(target, &person.token, Some(cursor)).await.unwrap();
        (asker, tokio::spawn(listen(listener, told.clone(), transport)))
    }

    /// Checks that a snapshot is what the model says, and keeps it as a state that events carry on.
    async fn take_snapshot(&mut self, user: usize) {
        let person = &mut self.people[user];
        let snapshot = self.targets[user % self.targets.len()].snapshot(&person.token).await.unwrap();
        assert_eq!(position(snapshot.cursor), self.model.head());
        assert_eq!(snapshot.me.id, person.id);
        assert!(
            snapshot.users.iter().map(|p| (p.id, &p.name)).eq(self
                .model
                .users
                .iter()
                .map(|u| (u.id, &u.name)))
        );
        assert_eq!(snapshot.groups, self.model.groups(person.id));
        assert_eq!(snapshot.conversations, self.model.conversations(person.id));
        person.states.push((self.model.head(), State::new(&snapshot)));
    }

    /// Checks everything that every user got: by streams, by snapshots and by resumes.
    pub(crate) async fn check(mut self) {
        for user in 0..self.people.len() {
            for tab in 0..TABS {
                if self.people[user].tabs[tab].connection.is_none() {
                    self.connect(user, tab, Transport::all()[(user + tab) % Transport::all().len()]).await;
                }
            }
        }
        // Every client gets this event last.
        self.targets[0].register("Zoe", "correct horse").await.unwrap();
        self.model.register(&name_of("Zoe")).unwrap();
        for user in 0..self.people.len() {
            self.take_snapshot(user).await;
        }
        for person in &self.people {
            for tab in &person.tabs {
                self.check_tab(person, tab).await;
            }
            self.check_states(person);
        }
        join_all(self.people.iter().map(|person| self.check_resumes(person))).await;
        self.chat.end_sessions();
        join_all(self.servers.into_iter().map(Running::stop)).await;
        self.chat.close().await;
    }

    /// I4, I5, I7, I8, I11: a session got all events that its user may see, each once, in order, and nothing else.
    async fn check_tab(&self, person: &Person, tab: &Tab) {
        let head = self.model.head();
        let mut told = tab.told.subscribe();
        let at_end = |told: &Told| {
            told.failure.is_some()
                || told.logged.last().and_then(Event::id).is_some_and(|id| position(id) >= head)
        };
        let waited = timeout(PATIENCE, told.wait_for(at_end)).await.map(drop);
        let told = tab.told.borrow();
        assert_eq!(told.failure, None, "a session of {}", person.id);
        assert_same(&told.logged, &self.model.visible(person.id, tab.start), person.id, tab.start);
        waited.expect("all events arrive in time");
        for event in &told.typing {
            let Event::Typing { conversation, user } = *event else { unreachable!("kept as typing") };
            let allowed = self.model.may_see_typing.contains(&(person.id, conversation, user));
            assert!(allowed, "{} was told of {event:?}", person.id);
        }
    }

    /// I6: every snapshot with the events after it equals the last snapshot.
    fn check_states(&self, person: &Person) {
        let (_, last) = person.states.last().expect("one was just taken");
        for (taken, state) in &person.states {
            let mut state = state.clone();
            self.model.visible(person.id, *taken).iter().for_each(|event| state.apply(event));
            assert_eq!(state, *last, "the snapshot of {} at {taken}, carried on", person.id);
        }
    }

    /// I7: a resume gives exactly what is visible after the cursor, on every transport.
    async fn check_resumes(&self, person: &Person) {
        let head = self.model.head();
        // No server gives out a cursor from before the first event.
        let places = [1, head / 3, head * 2 / 3, head - 1].map(|place| place.max(1));
        let resumes = Transport::all().iter().copied().zip(places.into_iter().cycle()).map(
            |(transport, after)| async move {
                let (target, cursor) = (&self.targets[transport.place()], self.model.cursor(after));
                let (_asker, mut listener) =
                    (transport.connect)(target, &person.token, Some(cursor)).await.unwrap();
                let mut told = Vec::new();
                let reading = async {
                    while told.last().and_then(Event::id).map(position) != Some(head) {
                        let event = listener.next().await.unwrap();
                        assert!(
                            !matches!(event, Event::Reset { .. } | Event::Close { .. }),
                            "{transport:?}: {event:?}"
                        );
                        told.extend(event.id().is_some().then_some(event));
                    }
                };
                let in_time = timeout(PATIENCE, reading).await;
                assert_same(&told, &self.model.visible(person.id, after), person.id, after);
                in_time.expect("a resume arrives in time");
            },
        );
        join_all(resumes).await;
    }
}

fn assert_same(told: &[Event], visible: &[Event], user: UserId, after: u64) {
    for (told, visible) in told.iter().zip(visible) {
        assert_eq!(told, visible, "told {user} after {after}, and visible");
    }
    let (told_count, count) = (told.len(), visible.len());
    assert_eq!(told_count, count, "events told {user} after {after}, the last one {:?}", told.last());
}

/// The model after these acts, in an order in which it gives the same replies.
fn explain(model: &Model, people: &[Person], observed: &[(&Act, Result<Done, Code>)]) -> Option<Model> {
    if observed.is_empty() {
        return Some(model.clone());
    }
    (0..observed.len()).find_map(|first| {
        let (act, reply) = &observed[first];
        let at = if let Ok(Done::Sent { at, .. }) = reply { Some(*at) } else { None };
        let mut next = model.clone();
        if next.run(people[act.user].id, &act.command, at) != *reply {
            return None;
        }
        let mut rest = observed.to_vec();
        drop(rest.remove(first));
        explain(&next, people, &rest)
    })
}

/// Records what a listener gets.
async fn listen(mut listener: AnyEvents, told: watch::Sender<Told>, transport: Transport) {
    loop {
        let event = listener.next().await;
        let cursor = listener.cursor();
        let failure = match &event {
            Ok(Event::Reset { .. } | Event::Close { .. }) | Err(_) => {
                Some(format!("{transport:?}: {event:?}"))
            }
            Ok(_) => None,
        };
        let ended = failure.is_some();
        told.send_modify(|told| {
            told.failure = failure;
            told.cursor = cursor.unwrap_or(told.cursor);
            match event {
                Ok(event @ Event::Typing { .. }) => told.typing.push(event),
                Ok(event) if event.id().is_some() => told.logged.push(event),
                Ok(_) | Err(_) => {}
            }
        });
        if ended {
            return;
        }
        // Events come in batches. A client may disconnect between any two events.
        tokio::task::yield_now().await;
    }
}
