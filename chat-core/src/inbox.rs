//! A user's newest events in memory, and the subscriptions that read them after a cursor.
//!
//! The inbox is the only buffer between the chat and a client, and it is bounded: events that no longer fit are read
//! from the store. There is no queue per connection, so a slow client delays no other client.

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

/// The most unlogged frames (presence, typing) in an inbox, which keeps them for clients that poll. So few suffice
/// because people type in few conversations at once.
const UNLOGGED: usize = 64;

/// The most presence frames in an inbox. If there are more, one frame that says "read the list again" replaces them.
const PRESENCES: usize = 16;

/// How long a user counts as typing after a typing notice.
const TYPING: Duration = Duration::from_secs(6);

/// What an unlogged frame is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Users came or left. Each frame is a change, so all of them count.
    Presence,
    /// A user types in a conversation. Of these frames only the newest one counts.
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
    /// The ring holds every event after this position that the user may see. Earlier events are read from the store.
    floor: Position,
    ring: VecDeque<Arc<Frame>>,
    ring_bytes: usize,
    /// Unlogged frames up to this number were sent before this inbox existed.
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

    /// Adds the next logged events. Only pointers are added: all inboxes share the frames. A message removes its
    /// writer's typing notice, because a client would show the notice below the message.
    ///
    /// Moves the waiting subscriptions into `waiting`. The caller wakes them once every inbox has its events.
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

    /// Adds an unlogged frame, like [`append`](Self::append). `number` rises across all inboxes of the process.
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
        // Typing notices are dropped first, because presence is worth more.
        while unlogged.len() > UNLOGGED {
            let typing = unlogged.iter().position(|known| known.subject != Subject::Presence);
            typing.map(|oldest| unlogged.remove(oldest));
        }
        waiting.append(&mut state.waiting);
    }

    /// Whether this inbox knows of all unlogged frames after this number.
    pub(crate) fn remembers(&self, number: u64) -> bool {
        number >= self.state().unlogged_floor
    }
}

/// The subscriptions that wait for an event: their numbers and wakers.
pub(crate) type Waiting = Vec<(u64, Waker)>;

/// Some frames, ready to be written to a connection in one write.
///
/// ```
/// use chat_core::inbox::Batch;
/// use chat_core::protocol::Frame;
/// use chat_core::refusal::Close;
///
/// let batch = Batch { frames: vec![Frame::close(Close::Shutdown)], ..Batch::default() };
/// let lines: Vec<String> =
///     batch.frames.iter().map(|frame| String::from_utf8_lossy(frame.json()).into_owned()).collect();
/// assert_eq!(lines, [r#"{"type":"close","code":4001,"name":"shutdown","reconnect":true}"#]);
/// ```
#[derive(Debug, Default)]
pub struct Batch {
    /// The frames, in order; never none.
    pub frames: Vec<Arc<Frame>>,
    /// The client's cursor once it has these frames; `None`: they do not move it.
    pub cursor: Option<Cursor>,
    /// Whether more frames are ready already.
    pub more: bool,
}

/// Why a subscription cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The cursor cannot be used.
    Reset(ResetReason),
    /// The connection ends; the client may try the same cursor again.
    Close(Close),
}

type Reading = Pin<Box<dyn Future<Output = Result<Page, ReadError>> + Send>>;

/// Where a new subscription starts.
pub(crate) struct Entry {
    /// Distinguishes this reader from the user's other ones.
    pub(crate) number: u64,
    pub(crate) inbox: Arc<Inbox>,
    /// The position up to which all inboxes have their events. It is set after they have them.
    pub(crate) published: Arc<AtomicU64>,
    /// How far the client has seen: in the log, and among the unlogged frames.
    pub(crate) start: (Position, Mark),
    /// Who is here now, if the client's mark cannot be used.
    pub(crate) presence: Option<Arc<Frame>>,
}

/// One reader of an inbox, with a position of its own.
pub(crate) struct Subscription {
    inbox: Arc<Inbox>,
    store: Store,
    published: Arc<AtomicU64>,
    /// Distinguishes this reader's waker from those of other readers.
    number: u64,
    position: Position,
    seen: Mark,
    /// Delivered before anything else: who is here now, for a client that missed changes.
    first: Option<Arc<Frame>>,
    /// The page that the store is reading, if the ring does not reach back far enough.
    reading: Option<Reading>,
    /// Whether the last poll left this reader's waker in the inbox.
    is_waiting: bool,
}

impl Subscription {
    pub(crate) fn new(entry: Entry, store: Store) -> Self {
        let Entry { number, inbox, published, start: (position, seen), presence } = entry;
        let (first, reading, is_waiting) = (presence, None, false);
        Self { inbox, store, published, number, position, seen, first, reading, is_waiting }
    }

    /// The client's cursor.
    pub(crate) fn cursor(&self) -> Cursor {
        Cursor { mark: Some(self.seen), ..self.store.cursor(self.position) }
    }

    /// Returns the client's cursor. If the client has seen all its events, the cursor first moves to the end of the
    /// log, past events for other users.
    pub(crate) fn catch_up(&mut self) -> Cursor {
        // Loaded before the inbox is read, so all events up to `published` are in the inbox by then.
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

    /// Whether the store is being read. Until it answers, it is unknown whether there are events.
    pub(crate) fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    /// Whether the task that polled last will be woken when more arrives.
    pub(crate) fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    /// The next events after this reader's position, at most one batch.
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
            // Counted from the end, because a reader that keeps up lacks only the newest events.
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

/// Takes frames until a batch is full; `true`: some are left.
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

    /// Retention may remove events while a reader is catching up. A gap must never look like the end of the log.
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

    /// However many users type, a client that polls still gets the presence frames.
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
