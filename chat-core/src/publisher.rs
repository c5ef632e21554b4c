//! Fan-out: who is here, who is a member of what, and whose inbox an event goes into.
//!
//! Everything here follows the log: membership changes only while publishing, in the order of commits, so an
//! event reaches exactly those who were members at its present. An inbox is made under the same lock, with its
//! floor at the last published event; what lies before it is the store's to give.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::runtime::Handle as Runtime;
use tokio::sync::Notify;

use crate::ending::Cut;
use crate::heap::{Crowd, Joined};
use crate::ids::{ConversationId, Cursor, Mark, Position, UserId};
use crate::inbox::{Entry, Inbox, Subject, Waiting};
use crate::limits::Limits;
use crate::protocol::{Event, Frame};
use crate::refusal::{Close, Code, Refusal};
use crate::signal::Signal;
use crate::store::{Audience, Logged, TokenHash, random};

/// So many sessions are woken at once by the thread that writes. More would keep it from its next commit, and each
/// would cost more than within the runtime, where no lock is taken for it.
const FEW: usize = 8;

/// How a session is reached from elsewhere.
#[derive(Clone)]
pub(crate) struct Handle {
    /// The sign-in that it rests on.
    pub(crate) token: TokenHash,
    /// Asks the session to end.
    pub(crate) ending: Arc<Signal<Close>>,
    /// Cuts the connection under it, if it has one.
    pub(crate) cut: Option<Cut>,
}

impl Handle {
    /// Asks the session to end, and cuts its connection if it does not in time.
    pub(crate) fn end(self, why: Close) {
        self.ending.give(why);
        if let Some(cut) = self.cut {
            let session = self.ending;
            tokio::spawn(async move {
                tokio::time::sleep(Limits::ENDING).await;
                // A session that has ended no longer holds the signal, and its connection may serve others now.
                if Arc::strong_count(&session) > 1 {
                    cut.give(why);
                }
            });
        }
    }
}

/// A user who is here: sessions, or a grace period since the last one.
struct OnlineUser {
    inbox: Arc<Inbox>,
    /// By number: few, so a list takes less than a map.
    sessions: Vec<(u64, Handle)>,
    left: Option<Instant>,
    /// Counts the user among the crowd.
    _joined: Joined,
}

/// The publisher. One per chat.
pub(crate) struct Publisher {
    limits: Arc<Limits>,
    crowd: Arc<Crowd>,
    /// Tells the marks of this process from those of an earlier one.
    run: u32,
    /// What all inboxes have been given.
    published: Arc<AtomicU64>,
    /// Guards who is here and who is a member, and with it the order of publishing.
    state: Mutex<State>,
    /// Where sessions run.
    runtime: Runtime,
    /// Rung when somebody has come or is gone, so that presence is to be told.
    pub(crate) changed: Notify,
    /// Rung when somebody has left, so that a grace period runs.
    pub(crate) left: Notify,
}

#[derive(Default)]
struct State {
    members: HashMap<ConversationId, HashSet<UserId>>,
    online: HashMap<UserId, OnlineUser>,
    /// Users are numbered from 1 to this.
    users: i64,
    /// Counts unlogged frames and sessions.
    numbers: u64,
    /// Users who left, each once, in the order in which their grace ends.
    leaving: BTreeSet<(Instant, UserId)>,
    /// Who may have come or gone since presence was last told.
    restless: HashSet<UserId>,
    /// Whom the others believe to be here.
    told_online: HashSet<UserId>,
    closing: Option<Close>,
}

impl Publisher {
    pub(crate) fn new(limits: Arc<Limits>, crowd: Arc<Crowd>) -> Self {
        Self {
            limits,
            crowd,
            run: random(),
            published: Arc::default(),
            state: Mutex::default(),
            runtime: Runtime::current(),
            changed: Notify::new(),
            left: Notify::new(),
        }
    }

    /// Where the log was when the store was opened. Call before the first write.
    pub(crate) fn start(&self, head: Position, members: Vec<(ConversationId, UserId)>, users: i64) {
        let mut state = self.state();
        for (conversation, user) in members {
            state.members.entry(conversation).or_default().insert(user);
        }
        state.users = users;
        self.published.store(head.0, Ordering::Release);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What all inboxes have been given.
    pub(crate) fn published(&self) -> Position {
        Position(self.published.load(Ordering::Acquire))
    }

    /// Gives committed events to those who may see them. Called by the writer, in the order of commits.
    pub(crate) fn publish(&self, events: &[Logged]) {
        let mut waiting = Waiting::new();
        let mut state = self.state();
        // Messages in a row to the same people go into each inbox at once.
        let in_a_row = |one: &Logged, next: &Logged| {
            let are_messages = matches!((&one.event, &next.event), (Event::Message(_), Event::Message(_)));
            are_messages && one.audience == next.audience
        };
        for row in events.chunk_by(in_a_row) {
            state.admit(&row[0].event);
            state.deliver(row, &mut waiting);
            state.dismiss(&row[0].event);
        }
        if let Some(last) = events.last() {
            self.published.store(last.position.0, Ordering::Release);
        }
        drop(state);
        if waiting.len() <= FEW {
            wake(waiting);
        } else {
            self.runtime.spawn(async move { wake(waiting) });
        }
    }

    /// Enters a session: it gets the inbox and where to start reading it.
    pub(crate) fn enter(
        &self,
        user: UserId,
        after: Option<Cursor>,
        handle: Handle,
    ) -> Result<Entry, Refusal> {
        let mut state = self.state();
        if let Some(why) = state.closing {
            handle.ending.give(why);
        }
        let (published, told) = (self.published(), state.numbers);
        let limits = &self.limits;
        let present = state.online.entry(user).or_insert_with(|| OnlineUser {
            inbox: Arc::new(Inbox::new(user, published, told, limits)),
            sessions: Vec::new(),
            left: None,
            _joined: self.crowd.join(),
        });
        if present.sessions.len() >= limits.connections_per_user {
            return Err(Refusal::retry_after(
                Code::TooManyConnections,
                limits.grace,
                format!("{user} has {} connections, and no user may have more", present.sessions.len()),
            ));
        }
        let number = told + 1;
        present.sessions.push((number, handle));
        let (inbox, left) = (Arc::clone(&present.inbox), present.left.take());
        if let Some(until) = left {
            state.leaving.remove(&(until, user));
        }
        state.numbers = number;
        state.restless.insert(user);
        self.changed.notify_one();

        let now = Mark { run: self.run, number };
        let (seen, presence) = match after.and_then(|cursor| cursor.mark) {
            Some(mark) if mark.run == self.run && mark.number <= number && inbox.remembers(mark.number) => {
                (mark, None)
            }
            Some(_) => (now, Some(state.presence(limits.presence_list))),
            None => (now, None),
        };
        let position = after.map_or(published, |cursor| cursor.position);
        let published = Arc::clone(&self.published);
        Ok(Entry { number, inbox, published, start: (position, seen), presence })
    }

    /// A session leaves; the user stays online for the grace period.
    pub(crate) fn leave(&self, user: UserId, number: u64) {
        let mut state = self.state();
        let Some(present) = state.online.get_mut(&user) else { return };
        present.sessions.retain(|(known, _)| *known != number);
        if present.sessions.is_empty() {
            let until = Instant::now() + self.limits.grace;
            present.left = Some(until);
            state.leaving.insert((until, user));
            self.left.notify_one();
        }
    }

    /// Lets go of users whose grace is over. Returns when the next grace ends.
    pub(crate) fn let_go(&self) -> Option<Instant> {
        let mut state = self.state();
        let now = Instant::now();
        while let Some(&(until, user)) = state.leaving.first().filter(|(until, _)| *until <= now) {
            state.leaving.remove(&(until, user));
            state.online.remove(&user);
            state.restless.insert(user);
            self.changed.notify_one();
        }
        state.leaving.first().map(|(until, _)| *until)
    }

    /// Tells everybody who came and went.
    pub(crate) fn tell_presence(&self) {
        let mut state = self.state();
        let (mut online, mut offline) = (Vec::new(), Vec::new());
        for user in std::mem::take(&mut state.restless) {
            let here = state.online.contains_key(&user);
            if here && state.told_online.insert(user) {
                online.push(user);
            } else if !here && state.told_online.remove(&user) {
                offline.push(user);
            }
        }
        let mut waiting = Waiting::new();
        if !online.is_empty() || !offline.is_empty() {
            let frame = presence_frame(online, offline, self.limits.presence_list);
            state.tell(None, Subject::Presence, &frame, &mut waiting);
        }
        drop(state);
        wake(waiting);
    }

    /// Tells a conversation's other members that somebody types there. `false`: they are not a member.
    pub(crate) fn tell_typing(&self, conversation: ConversationId, user: UserId) -> bool {
        let mut state = self.state();
        let Some(members) = state.members.get(&conversation).filter(|members| members.contains(&user)) else {
            return false;
        };
        let others: Vec<UserId> = members.iter().copied().filter(|&member| member != user).collect();
        let frame = Frame::of_event(&Event::Typing { conversation, user });
        let mut waiting = Waiting::new();
        state.tell(Some(&others), Subject::Typing(conversation, user), &frame, &mut waiting);
        drop(state);
        wake(waiting);
        true
    }

    /// Who is here, and the mark after which changes to it are told.
    pub(crate) fn online(&self) -> (HashSet<UserId>, Mark) {
        let state = self.state();
        (state.online.keys().copied().collect(), Mark { run: self.run, number: state.numbers })
    }

    /// The sessions of one sign-in.
    pub(crate) fn sessions_of(&self, user: UserId, token: &TokenHash) -> Vec<Handle> {
        let state = self.state();
        let sessions = state.online.get(&user).into_iter().flat_map(|present| &present.sessions);
        sessions.map(|(_, handle)| handle).filter(|handle| handle.token == *token).cloned().collect()
    }

    /// Asks all sessions to end, those that begin from now on included.
    pub(crate) fn close(&self, why: Close) {
        let mut state = self.state();
        state.closing = Some(why);
        for (_, handle) in state.online.values().flat_map(|present| &present.sessions) {
            handle.ending.give(why);
        }
    }
}

impl State {
    /// Before an event goes out: who becomes a member with it gets it too.
    fn admit(&mut self, event: &Event) {
        match event {
            Event::UserRegistered { .. } => self.users += 1,
            Event::GroupCreated { conversation, by: user, .. }
            | Event::MemberJoined { conversation, user, .. } => {
                self.members.entry(*conversation).or_default().insert(*user);
            }
            Event::DirectStarted { conversation, members, .. } => {
                self.members.insert(*conversation, members.iter().copied().collect());
            }
            Event::Message(_)
            | Event::GroupJoined { .. }
            | Event::MemberLeft { .. }
            | Event::Read { .. }
            | Event::Presence { .. }
            | Event::Typing { .. }
            | Event::Tick { .. }
            | Event::Reset { .. }
            | Event::Close { .. } => {}
        }
    }

    /// After an event went out: who stops being a member with it was the last time among them.
    fn dismiss(&mut self, event: &Event) {
        if let Event::MemberLeft { conversation, user, .. } = event
            && let Some(members) = self.members.get_mut(conversation)
        {
            members.remove(user);
        }
    }

    /// Events for the same people, of which only the first may change who they are.
    fn deliver(&self, row: &[Logged], waiting: &mut Waiting) {
        let mut append = |present: &OnlineUser| present.inbox.append(row, waiting);
        match row[0].audience {
            Audience::Everyone => self.online.values().for_each(append),
            Audience::Conversation(conversation) => {
                let members = self.members.get(&conversation).into_iter().flatten();
                members.filter_map(|user| self.online.get(user)).for_each(append);
            }
            Audience::User(user) => {
                self.online.get(&user).into_iter().for_each(&mut append);
            }
        }
    }

    /// Hands an unlogged frame to some users, or to everybody.
    fn tell(&mut self, whom: Option<&[UserId]>, subject: Subject, frame: &Arc<Frame>, waiting: &mut Waiting) {
        self.numbers += 1;
        let number = self.numbers;
        let tell = |present: &OnlineUser| present.inbox.tell(number, subject, frame, waiting);
        match whom {
            Some(users) => users.iter().filter_map(|user| self.online.get(user)).for_each(tell),
            None => self.online.values().for_each(tell),
        }
    }

    /// Who is here and who is not.
    fn presence(&self, most: usize) -> Arc<Frame> {
        let is_online = |user: &UserId| self.online.contains_key(user);
        if usize::try_from(self.users).is_ok_and(|users| users > most) {
            return presence_frame(Vec::new(), Vec::new(), 0);
        }
        let (online, offline) = (1..=self.users).map(UserId).partition(is_online);
        presence_frame(online, offline, most)
    }
}

/// Wakes whom an event waits for now. Under no lock, so that nobody wakes up only to wait for it.
fn wake(waiting: Waiting) {
    waiting.into_iter().for_each(|(_, waker)| waker.wake());
}

/// Who came and went; beyond `most` people, the advice to read the list again.
fn presence_frame(mut online: Vec<UserId>, mut offline: Vec<UserId>, most: usize) -> Arc<Frame> {
    online.sort_unstable();
    offline.sort_unstable();
    let refetch = most == 0 || online.len() + offline.len() > most;
    Frame::of_event(&Event::Presence {
        online: (!refetch).then_some(online),
        offline: (!refetch).then_some(offline),
        refetch,
    })
}
