//! Fan-out: who is here, who is a member of which conversation, and which inboxes an event goes into.
//!
//! Everything here follows the log. Membership changes only while events are published, in the order of commits. So an
//! event reaches exactly the users who were members when it happened. An inbox is made under the same lock. It begins
//! after the last published event; earlier events are read from the store.

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

/// Up to so many sessions are woken by the writer thread itself. More would delay its next commit. Each would also cost
/// more than a wake-up within the runtime, which takes no lock.
const FEW: usize = 8;

/// How the rest of the chat reaches a session.
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
    /// Asks the session to end, and cuts its connection if the session has not ended in time.
    pub(crate) fn end(self, why: Close) {
        self.ending.give(why);
        if let Some(cut) = self.cut {
            let session = self.ending;
            tokio::spawn(async move {
                tokio::time::sleep(Limits::ENDING).await;
                // A session that has ended no longer holds the signal. Its connection may carry other requests by now.
                if Arc::strong_count(&session) > 1 {
                    cut.give(why);
                }
            });
        }
    }
}

/// A user who is here: they have sessions, or the grace period after their last one still runs.
struct OnlineUser {
    inbox: Arc<Inbox>,
    /// By number. A user has few, so a list takes less memory than a map.
    sessions: Vec<(u64, Handle)>,
    left: Option<Instant>,
    /// Counts the user among the crowd.
    _joined: Joined,
}

/// The publisher. One per chat.
pub(crate) struct Publisher {
    limits: Arc<Limits>,
    crowd: Arc<Crowd>,
    /// Distinguishes the marks of this process from those of an earlier one.
    run: u32,
    /// The position up to which all inboxes have their events.
    published: Arc<AtomicU64>,
    /// Guards who is here and who is a member, and so the order of publishing.
    state: Mutex<State>,
    /// Where sessions run.
    runtime: Runtime,
    /// Notified when a user may have come or left, so that presence is sent.
    pub(crate) changed: Notify,
    /// Notified when a user's last session has ended, so that a grace period begins.
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
    /// Users who may have come or left since presence was last sent.
    restless: HashSet<UserId>,
    /// Users who are here, according to the presence frames so far.
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

    /// Sets where the log was when the store was opened. Call before the first write.
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

    /// The position up to which all inboxes have their events.
    pub(crate) fn published(&self) -> Position {
        Position(self.published.load(Ordering::Acquire))
    }

    /// Puts committed events into the inboxes of the users who may see them. The writer calls it in the order of
    /// commits.
    pub(crate) fn publish(&self, events: &[Logged]) {
        let mut waiting = Waiting::new();
        let mut state = self.state();
        // Consecutive messages to the same audience go into each inbox in one step.
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

    /// Removes users whose grace period is over. Returns when the next one ends.
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

    /// Sends all users a frame that says who came and who left.
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

    /// Tells a conversation's other members that `user` types there. `false`: `user` is not a member.
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

    /// Who is here, and the mark after which changes to it are sent.
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

    /// Asks all sessions to end, including those that begin from now on.
    pub(crate) fn close(&self, why: Close) {
        let mut state = self.state();
        state.closing = Some(why);
        for (_, handle) in state.online.values().flat_map(|present| &present.sessions) {
            handle.ending.give(why);
        }
    }
}

impl State {
    /// Before an event is delivered: adds a user who becomes a member by it, so that they get it too.
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

    /// After an event was delivered: removes a user who left by it, because it is the last one that they get.
    fn dismiss(&mut self, event: &Event) {
        if let Event::MemberLeft { conversation, user, .. } = event
            && let Some(members) = self.members.get_mut(conversation)
        {
            members.remove(user);
        }
    }

    /// Delivers events for one audience. Only the first of them may change who is a member.
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

    /// Puts an unlogged frame into the inboxes of some users, or of everybody.
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

/// Wakes the subscriptions that now have an event. Call it without a lock, so that no task wakes only to wait for that
/// lock.
fn wake(waiting: Waiting) {
    waiting.into_iter().for_each(|(_, waker)| waker.wake());
}

/// Who came and who left; beyond `most` users, the advice to read the list again.
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
