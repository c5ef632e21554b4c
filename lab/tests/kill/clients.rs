//! The clients of all users: writers that retry until they know the outcome, and readers that resume after each cut.

use std::sync::Arc;
use std::time::Duration;

use chat_client::any::AnySender;
use chat_client::{Events, Sender};
use chat_core::protocol::{Command, Done, Event, Request, To};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use transports::Transport;

use crate::world::{Submission, World, ask_by_post, cid, text};

/// How many writers each user has at the same time.
const WRITERS: usize = 4;

/// How long one attempt may take. It must end with its connection.
const ATTEMPT: Duration = Duration::from_secs(10);

/// How long a client waits before it tries again, unless its connection changes before that.
const BACKOFF: Duration = Duration::from_millis(50);

/// The last message of all.
const THE_END: &str = "the end";

/// The clients of all users.
pub(crate) struct Clients {
    writers: JoinSet<()>,
    /// Streams. Each ends with the last message, and gives its user, its first transport, and all events that it got.
    readers: JoinSet<(usize, Transport, Vec<Event>)>,
}

impl Clients {
    /// Each user has two clients: one stays on its transport, and one takes the next transport at each connection.
    /// The user's writers try the two in turn.
    pub(crate) fn start(world: &Arc<World>) -> Self {
        let (mut writers, mut readers) = (JoinSet::new(), JoinSet::new());
        for (user, transport) in Transport::all().iter().copied().enumerate() {
            let [fixed, roving] = [(); 2].map(|()| watch::Sender::new(None));
            for writer in 0..WRITERS {
                let askers = [fixed.subscribe(), roving.subscribe()];
                writers.spawn(write(Arc::clone(world), user, writer, askers));
            }
            readers.spawn(read(Arc::clone(world), user, transport, |transport| transport, fixed));
            readers.spawn(read(Arc::clone(world), user, transport.next(), Transport::next, roving));
        }
        Self { writers, readers }
    }

    /// Ends when a client fails.
    pub(crate) async fn fail(&mut self) {
        tokio::select! {
            Some(ended) = self.writers.join_next() => ended.unwrap(),
            Some(ended) = self.readers.join_next() => drop(ended.unwrap()),
        }
    }

    /// Lets the writers finish and the readers read to the end.
    pub(crate) async fn finish(mut self, world: &World) -> Vec<(usize, Transport, Vec<Event>)> {
        world.finishing.send_replace(true);
        while let Some(ended) = self.writers.join_next().await {
            ended.unwrap();
        }
        let target = world.server(Transport::all()[0]).await;
        let (cid, to, text) = (cid(THE_END), To::Conversation(world.group), text(THE_END));
        let submission = Submission { from: world.users[0].id, to, text: text.clone() };
        world.book.lock().unwrap().submitted.insert(cid.clone(), submission);
        let command = Command::Send { to, cid: cid.clone(), text };
        let done = ask_by_post(&target, &world.users[0].token, command).await;
        world.book.lock().unwrap().acknowledged.insert(cid, done);
        let mut streams = Vec::new();
        while let Some(stream) = self.readers.join_next().await {
            streams.push(stream.unwrap());
        }
        streams
    }
}

/// Writes one message after the other, each until its outcome is known.
async fn write(
    world: Arc<World>,
    user: usize,
    writer: usize,
    mut askers: [watch::Receiver<Option<AnySender>>; 2],
) {
    let me = &world.users[user];
    for number in 0_u64.. {
        if *world.finishing.borrow() {
            return;
        }
        let to = match number % 2 {
            0 => To::Conversation(world.group),
            _ => To::User(world.users[(user + 1) % world.users.len()].id),
        };
        let (cid, text) = (cid(&format!("{}-{writer}-{number}", me.id)), text(&format!("{writer} {number}")));
        let submission = Submission { from: me.id, to, text: text.clone() };
        world.book.lock().unwrap().submitted.insert(cid.clone(), submission);
        let command = Command::Send { to, cid: cid.clone(), text };
        for attempt in number.. {
            let asker = &mut askers[usize::try_from(attempt % 2).unwrap()];
            let there =
                timeout(ATTEMPT, asker.wait_for(Option::is_some)).await.expect("the client comes back");
            let connection = there.unwrap().clone().expect("waited for");
            let request = Request { request_id: None, command: command.clone() };
            let answer = timeout(ATTEMPT, connection.send(request)).await;
            let answer = answer.unwrap_or_else(|_| panic!("attempt {attempt} of {cid:?} has no end"));
            match answer {
                Ok(reply) => {
                    let done = reply.into_result().unwrap();
                    let mut book = world.book.lock().unwrap();
                    book.duplicates += u64::from(matches!(done, Done::Sent { duplicate: true, .. }));
                    book.acknowledged.insert(cid, done);
                    break;
                }
                Err(_) => {
                    world.book.lock().unwrap().unknown += 1;
                    let _ = timeout(BACKOFF, asker.changed()).await;
                }
            }
        }
        world.acknowledged.send_modify(|acknowledged| *acknowledged += 1);
    }
}

/// Reads to the last message, over as many connections as it takes, each from where the one before ended.
async fn read(
    world: Arc<World>,
    user: usize,
    first: Transport,
    next: fn(Transport) -> Transport,
    asker: watch::Sender<Option<AnySender>>,
) -> (usize, Transport, Vec<Event>) {
    let (mut transport, mut cursor, mut told) = (first, world.start, Vec::new());
    loop {
        let target = world.server(transport).await;
        let Ok((sender, mut listener)) =
            (transport.connect)(&target, &world.users[user].token, Some(cursor)).await
        else {
            let _ = timeout(BACKOFF, world.addresses.subscribe().changed()).await;
            continue;
        };
        asker.send_replace(Some(sender));
        while let Ok(event) = listener.next().await {
            cursor = listener.cursor().unwrap_or(cursor);
            match event {
                Event::Reset { reason } => panic!("{transport:?} gave up cursor {cursor}: {reason:?}"),
                Event::Close { name, .. } => panic!("{transport:?} closed in good health: {name}"),
                Event::Message(message) if message.text.as_str() == THE_END => {
                    told.push(Event::Message(message));
                    return (user, first, told);
                }
                event => told.push(event),
            }
        }
        asker.send_replace(None);
        transport = next(transport);
    }
}
