//! A user's newest events in memory, and the subscriptions that read them after a cursor.
//!
//! The inbox is the only buffer between the chat and a client, and it is bounded: what no longer fits is
//! read from the store. There is no queue per connection, so nobody waits for a slow client.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::ids::{ConversationId, Cursor, Mark, Position, UserId};
use crate::limits::Limits;
use crate::protocol::{Event, Frame, ResetReason};
use crate::refusal::Close;
use crate::store::{Logged, Page, ReadError, Store};

/// Unlogged frames kept for those who poll: people type in few conversations at once.
const UNLOGGED: usize = 64;

/// Presence frames kept for those who poll; older ones are summed up as "read the list again".
const PRESENCES: usize = 16;

/// How long somebody counts as typing after they said so.
const TYPING: Duration = Duration::from_secs(6);

/// What an unlogged frame is about: of each subject only the newest one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Changes, so each of them counts.
    Presence,
    /// Somebody types somewhere.
    Typing(ConversationId, UserId),
}

/// A frame that never reaches the log.
struct Unlogged {
    number: u64,
    subject: Subject,
    told: Instant,
    frame: Arc<Frame>,
}

/// The newest events of one user.
pub(crate) struct Inbox {
    user: UserId,
    max_events: usize,
    max_bytes: usize,
    state: Mutex<State>,
}

struct State {
    /// Everything visible after the floor is in the ring; what is older is the store's to give.
    floor: Position,
    ring: VecDeque<Arc<Frame>>,
    ring_bytes: usize,
    /// Unlogged frames up to this number were told before there was this inbox.
    unlogged_floor: u64,
    unlogged: VecDeque<Unlogged>,
    waiting: Waiting,
}

impl Inbox {
    /// An inbox for events after `floor` and unlogged frames after `unlogged_floor`.
    pub(crate) fn new(user: UserId, floor: Position, unlogged_floor: u64, limits: &Limits) -> Self {
        Self {
            user,
            max_events: limits.inbox_events,
            max_bytes: limits.inbox_bytes,
            state: Mutex::new(State {
                floor,
                ring: VecDeque::new(),
                ring_bytes: 0,
                unlogged_floor,
                unlogged: VecDeque::new(),
                waiting: Vec::new(),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the next logged events. Pointers are pushed; the frames are shared with all who get them.
    /// A typing notice that its message follows is dropped: a client would show it below that message.
    ///
    /// Whoever waits is to be woken by the caller, once all that came with these events is in its place.
    pub(crate) fn append(&self, row: &[Logged], waiting: &mut Waiting) {
        let mut state = self.state();
        for Logged { event, frame, .. } in row {
            state.ring_bytes += frame.json().len();
            state.ring.push_back(Arc::clone(frame));
            if let Event::Message(message) = event {
                let written = Subject::Typing(message.conversation, message.from);
                state.unlogged.retain(|known| known.subject != written);
            }
        }
        while state.ring.len() > self.max_events || state.ring_bytes > self.max_bytes {
            let Some(oldest) = state.ring.pop_front() else { break };
            state.ring_bytes -= oldest.json().len();
            state.floor = oldest.position().unwrap_or(state.floor);
        }
        waiting.append(&mut state.waiting);
    }

    /// Adds an unlogged frame, like [`append`](Self::append). `number` rises over all inboxes of the process.
    pub(crate) fn tell(&self, number: u64, subject: Subject, frame: &Arc<Frame>, waiting: &mut Waiting) {
        let mut state = self.state();
        let (now, unlogged) = (Instant::now(), &mut state.unlogged);
        unlogged.retain(|known| match known.subject {
            Subject::Presence => true,
            Subject::Typing(..) => known.subject != subject && now.duration_since(known.told) < TYPING,
        });
        unlogged.push_back(Unlogged { number, subject, told: now, frame: Arc::clone(frame) });
        if unlogged.iter().filter(|known| known.subject == Subject::Presence).count() > PRESENCES {
            unlogged.retain(|known| known.subject != Subject::Presence);
            let frame = Frame::of_event(&Event::Presence { online: None, offline: None, refetch: true });
            unlogged.push_back(Unlogged { number, subject: Subject::Presence, told: now, frame });
        }
        // Who types is worth less than who is here.
        while unlogged.len() > UNLOGGED {
            let typing = unlogged.iter().position(|known| known.subject != Subject::Presence);
            typing.map(|oldest| unlogged.remove(oldest));
        }
        waiting.append(&mut state.waiting);
    }

    /// Whether unlogged frames after this number are still known.
    pub(crate) fn remembers(&self, number: u64) -> bool {
        number >= self.state().unlogged_floor
    }
}

/// The subscriptions that wait for something: their numbers and wakers.
pub(crate) type Waiting = Vec<(u64, Waker)>;

/// Some frames, ready to be put on a wire in one write.
#[derive(Debug, Default)]
pub struct Batch {
    /// The frames, in order; never none.
    pub frames: Vec<Arc<Frame>>,
    /// Where the client is once it has them, if it gets there.
    pub cursor: Option<Cursor>,
    /// Whether more is waiting already.
    pub more: bool,
}

/// Why a subscription cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The cursor is of no use.
    Reset(ResetReason),
    /// The connection ends, and the same cursor may be tried again.
    Close(Close),
}

type Reading = Pin<Box<dyn Future<Output = Result<Page, ReadError>> + Send>>;

/// Where a new subscription starts.
pub(crate) struct Entry {
    /// Tells this reader from the user's others.
    pub(crate) number: u64,
    pub(crate) inbox: Arc<Inbox>,
    /// What all inboxes have been given, set after they were.
    pub(crate) published: Arc<AtomicU64>,
    /// What the client has seen: of the log, and of what is not logged.
    pub(crate) start: (Position, Mark),
    /// The presence of the moment, if the client's mark is of no use.
    pub(crate) presence: Option<Arc<Frame>>,
}

/// One reader of an inbox, with a place of its own.
pub(crate) struct Subscription {
    inbox: Arc<Inbox>,
    store: Store,
    published: Arc<AtomicU64>,
    /// Tells this reader's waker from the others'.
    number: u64,
    position: Position,
    seen: Mark,
    /// Goes out before anything else: the presence of the moment, for a client that missed changes.
    first: Option<Arc<Frame>>,
    /// The page that the store is reading, if the ring does not reach back far enough.
    reading: Option<Reading>,
    /// Whether the inbox was asked, when it was last looked at, to wake this reader for what comes next.
    is_waiting: bool,
}

impl Subscription {
    pub(crate) fn new(entry: Entry, store: Store) -> Self {
        let Entry { number, inbox, published, start: (position, seen), presence } = entry;
        let (first, reading, is_waiting) = (presence, None, false);
        Self { inbox, store, published, number, position, seen, first, reading, is_waiting }
    }

    /// Where the client is.
    pub(crate) fn cursor(&self) -> Cursor {
        Cursor { mark: Some(self.seen), ..self.store.cursor(self.position) }
    }

    /// Moves a client that has seen everything on to where the log is, past what is not for it.
    pub(crate) fn catch_up(&mut self) -> Cursor {
        // In this order: what was published before the look at the inbox is in the inbox.
        let published = Position(self.published.load(Ordering::Acquire));
        let state = self.inbox.state();
        let seen_all = state.floor <= self.position
            && state.ring.back().and_then(|f| f.position()) <= Some(self.position);
        drop(state);
        if seen_all && self.reading.is_none() {
            self.position = self.position.max(published);
        }
        self.cursor()
    }

    /// Whether the store is being asked; until it has answered, nobody knows whether there is something.
    pub(crate) fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    /// Whether the task that looked last will be woken for what comes after what it got.
    pub(crate) fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    /// The next events after this reader's place, at most a batch of them.
    pub(crate) fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Result<Batch, Lost>> {
        self.is_waiting = false;
        loop {
            if let Some(reading) = &mut self.reading {
                let Poll::Ready(page) = reading.as_mut().poll(cx) else { return Poll::Pending };
                self.reading = None;
                match self.turn(page) {
                    Ok(batch) if batch.frames.is_empty() => continue,
                    result => return Poll::Ready(result),
                }
            }
            let mut state = self.inbox.state();
            if self.position < state.floor {
                let (user, after, upto) = (self.inbox.user, self.position, state.floor);
                drop(state);
                let store = self.store.clone();
                self.reading =
                    Some(Box::pin(async move { store.page(user, after, upto, Limits::BATCH_FRAMES).await }));
                continue;
            }
            // From the end: a reader who keeps up has all but the newest.
            let is_new = |frame: &&Arc<Frame>| frame.position() > Some(self.position);
            let new = state.ring.iter().rev().take_while(is_new).count();
            let mut batch = Batch::default();
            batch.frames.reserve_exact(new.min(Limits::BATCH_FRAMES));
            batch.frames.extend(self.first.take());
            batch.more = take_some(&mut batch.frames, state.ring.range(state.ring.len() - new..));
            if let Some(position) = batch.frames.iter().rev().find_map(|frame| frame.position()) {
                self.position = position;
            }
            if !batch.more {
                let new = |unlogged: &&Unlogged| unlogged.number > self.seen.number;
                let now = Instant::now();
                for unlogged in state.unlogged.iter().filter(new) {
                    let stale =
                        unlogged.subject != Subject::Presence && now.duration_since(unlogged.told) >= TYPING;
                    if !stale {
                        batch.frames.push(Arc::clone(&unlogged.frame));
                    }
                }
                self.seen.number =
                    state.unlogged.back().map_or(self.seen.number, |last| last.number.max(self.seen.number));
            }
            if !batch.more {
                state.waiting.retain(|(number, _)| *number != self.number);
                state.waiting.push((self.number, cx.waker().clone()));
                self.is_waiting = true;
            }
            if batch.frames.is_empty() {
                return Poll::Pending;
            }
            drop(state);
            batch.cursor = Some(self.cursor());
            return Poll::Ready(Ok(batch));
        }
    }

    /// A page from the store as a batch.
    fn turn(&mut self, page: Result<Page, ReadError>) -> Result<Batch, Lost> {
        // The store has logged why, once for all readers.
        let page = page.map_err(|_| Lost::Close(Close::ServerError))?;
        if self.position < page.trimmed {
            return Err(Lost::Reset(ResetReason::Expired));
        }
        let mut batch = Batch::default();
        let cut = take_some(&mut batch.frames, page.frames.iter());
        self.position = match batch.frames.last().and_then(|frame| frame.position()) {
            Some(last) if cut => last,
            _ => page.upto,
        };
        batch.more = cut || self.inbox.state().has_after(self.position);
        batch.cursor = Some(self.cursor());
        Ok(batch)
    }
}

impl State {
    fn has_after(&self, position: Position) -> bool {
        position < self.floor || self.ring.back().and_then(|frame| frame.position()) > Some(position)
    }
}

/// Takes frames until a batch is full; `true`: some were left.
fn take_some<'a>(batch: &mut Vec<Arc<Frame>>, frames: impl Iterator<Item = &'a Arc<Frame>>) -> bool {
    let mut bytes: usize = batch.iter().map(|frame| frame.json().len()).sum();
    for frame in frames {
        bytes += frame.json().len();
        if batch.len() == Limits::BATCH_FRAMES || (bytes > Limits::BATCH_BYTES && !batch.is_empty()) {
            return true;
        }
        batch.push(Arc::clone(frame));
    }
    false
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.inbox.state().waiting.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::chat::{Chat, SignIn};
    use crate::protocol::{Command, Request, To};
    use crate::store::Location;
    use crate::text::{Cid, Password, Text};

    /// Retention may overtake a reader who is in the middle of catching up: a gap must never look like an end.
    #[tokio::test]
    async fn a_reader_that_retention_overtakes_is_reset() {
        let limits = Limits { hash_memory: 8, message_burst: 100_000, ..Limits::default() };
        let chat = Chat::open(&Location::Temporary, limits).unwrap();
        let (ann, bob) = (join(&chat, "Ann").await, join(&chat, "Bob").await);
        let start = chat.snapshot(bob.user).await.unwrap().cursor;
        for number in 0..2 * Limits::BATCH_FRAMES {
            let cid = Cid::try_from(number.to_string()).unwrap();
            let text = Text::try_from("hi".to_owned()).unwrap();
            let command = Command::Send { to: To::User(bob.user), cid, text };
            chat.execute(ann.user, Request { request_id: None, command }).await.into_result().unwrap();
        }
        let mut seat = chat.enter(&bob, Some(start), None).await.unwrap();
        let first = poll_fn(|cx| seat.subscription.poll_batch(cx)).await.unwrap();
        assert_eq!((first.frames.len(), first.more), (Limits::BATCH_FRAMES, true));

        chat.trim().await.unwrap();
        let lost = poll_fn(|cx| seat.subscription.poll_batch(cx)).await.unwrap_err();
        assert_eq!(lost, Lost::Reset(ResetReason::Expired));
    }

    /// However many type, a client that polls hears who came and went.
    #[test]
    fn presence_is_kept_though_many_are_typing() {
        let inbox = Inbox::new(UserId(1), Position(0), 0, &Limits::default());
        let mut waiting = Waiting::new();
        let presence = Event::Presence { online: Some(vec![UserId(2)]), offline: None, refetch: false };
        inbox.tell(1, Subject::Presence, &Frame::of_event(&presence), &mut waiting);
        for number in 2..200 {
            let (conversation, user) = (ConversationId(number), UserId(2));
            let frame = Frame::of_event(&Event::Typing { conversation, user });
            inbox.tell(number.unsigned_abs(), Subject::Typing(conversation, user), &frame, &mut waiting);
        }
        let state = inbox.state();
        assert_eq!(state.unlogged.len(), UNLOGGED);
        assert_eq!(state.unlogged[0].subject, Subject::Presence);
    }

    async fn join(chat: &Chat, name: &str) -> SignIn {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let password = Password::from("correct horse");
        let (_, token) = chat.register(name.to_owned(), password, here).await.unwrap();
        chat.authenticate(&token).await.unwrap()
    }
}
