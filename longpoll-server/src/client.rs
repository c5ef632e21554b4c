//! The client's end of polling: sends one poll after another, and each request in a POST.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use chat_client::{Client, ClientError, Events, PostSender, Target, read};
use chat_core::auth::Token;
use chat_core::ids::Cursor;
use chat_core::protocol::Event;
use reqwest::Method;
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};

/// How a client polls.
pub trait Pace: Send + 'static {
    /// How long the server may wait before it answers, in seconds; `None`: the server decides.
    const WAIT: Option<u64>;
    /// How long the client waits after an answer before it polls again. It does not wait if the server has more.
    const PAUSE: Duration;
}

/// Polls again at once, and lets the server wait.
pub struct Long;

impl Pace for Long {
    const WAIT: Option<u64> = None;
    const PAUSE: Duration = Duration::ZERO;
}

/// Polls at intervals, and never lets the server wait.
pub struct Short;

impl Pace for Short {
    const WAIT: Option<u64> = Some(0);
    /// Shorter than the page's pause of two seconds, so that people and tests do not wait for it.
    const PAUSE: Duration = Duration::from_millis(100);
}

/// One long-polling client.
pub type LongPollClient = PollClient<Long>;

/// One short-polling client.
pub type ShortPollClient = PollClient<Short>;

/// One polling client.
pub struct PollClient<P>(PhantomData<P>);

impl<P: Pace> Client for PollClient<P> {
    type Sender = PostSender;
    type Events = PollEvents<P>;

    async fn connect(
        target: &Target,
        token: &Token,
        after: Option<Cursor>,
    ) -> Result<(PostSender, PollEvents<P>), ClientError> {
        let (target, token) = (target.clone(), token.clone());
        let sender = PostSender::new(&target, &token);
        // Without a cursor, a first poll asks for the current one. The polls after it miss nothing that comes later.
        let first = if after.is_none() {
            Some(poll(target.clone(), token.clone(), None, Some(0)).await?)
        } else {
            None
        };
        let mut events = PollEvents {
            target,
            token,
            ready: VecDeque::new(),
            polled: after,
            cursor: after,
            asking: None,
            pace: PhantomData,
        };
        if let Some(first) = first {
            events.take(first);
        }
        Ok((sender, events))
    }
}

/// The answer to a poll.
#[derive(Deserialize)]
struct Answer {
    events: Vec<Event>,
    cursor: Option<Cursor>,
    more: bool,
}

type Asking = Pin<Box<dyn Future<Output = Result<Answer, ClientError>> + Send>>;

/// The half that receives events.
pub struct PollEvents<P> {
    target: Target,
    token: Token,
    ready: VecDeque<Event>,
    /// The cursor that the next poll sends.
    polled: Option<Cursor>,
    /// The cursor of the last event that the caller took: behind `polled` while some events are ready.
    cursor: Option<Cursor>,
    /// The poll that is under way. It is kept here, so that nothing is lost when `next` is dropped.
    asking: Option<Asking>,
    pace: PhantomData<P>,
}

impl<P: Pace> PollEvents<P> {
    /// Takes the answer to a poll, and decides when to poll again.
    fn take(&mut self, answer: Answer) {
        self.polled = answer.cursor.or(self.polled);
        if answer.events.is_empty() {
            self.cursor = self.polled;
        }
        self.ready.extend(answer.events);
        self.asking = Some(self.ask(if answer.more { Duration::ZERO } else { P::PAUSE }));
    }

    fn ask(&self, pause: Duration) -> Asking {
        let (target, token, cursor) = (self.target.clone(), self.token.clone(), self.polled);
        let due = Instant::now() + pause;
        Box::pin(async move {
            // A timer counts whole milliseconds, so it would delay a poll that is due now by one.
            if due > Instant::now() {
                sleep_until(due).await;
            }
            poll(target, token, cursor, P::WAIT).await
        })
    }
}

impl<P: Pace> Events for PollEvents<P> {
    async fn next(&mut self) -> Result<Event, ClientError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.cursor = match self.ready.is_empty() {
                    true => self.polled,
                    false => event.reached().or(self.cursor),
                };
                return Ok(event);
            }
            if self.asking.is_none() {
                self.asking = Some(self.ask(Duration::ZERO));
            }
            let Some(asking) = &mut self.asking else { continue };
            let answer = asking.as_mut().await;
            self.asking = None;
            self.take(answer?);
        }
    }

    fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }
}

async fn poll(
    target: Target,
    token: Token,
    after: Option<Cursor>,
    wait: Option<u64>,
) -> Result<Answer, ClientError> {
    let after = after.map(|cursor| format!("after={cursor}"));
    let wait = wait.map(|seconds| format!("wait={seconds}"));
    let query: Vec<String> = after.into_iter().chain(wait).collect();
    let request = target.request(Method::GET, &format!("/poll?{}", query.join("&")), &token);
    read(request.send().await?).await
}
