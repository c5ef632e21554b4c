//! The trait that each transport implements, and the one loop that drives them all: [`Session::serve`].

mod unwatched;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep};

use crate::chat::{Answer, Chat, Seat, SignIn};
use crate::ending::{Cut, End};
use crate::ids::Cursor;
use crate::inbox::{Batch, Lost};
use crate::limits::Limits;
use crate::metrics::TransportMetrics;
use crate::protocol::{Event, Frame, Outcome, ResetReason};
use crate::refusal::{Close, Code, Refusal};

pub use self::unwatched::UnwatchedSession;

/// What a transport receives from a client.
#[derive(Debug)]
pub enum Received {
    /// A request: one JSON value.
    Request(Bytes),
    /// The client sends no more, but may still read: it has closed one half of its connection
    /// ([RFC 9293 §3.6](https://www.rfc-editor.org/rfc/rfc9293#section-3.6)).
    HalfClosed,
    /// The client has left: it no longer sends or reads.
    Left,
    /// Something that the transport's own protocol forbids.
    Broken(Close),
}

/// One client's connection over one kind of transport.
///
/// [`Session::serve`] calls these methods; a transport never calls the chat.
///
/// The smallest transport keeps lines in memory, and ends after the first batch:
///
/// ```
/// use std::convert::Infallible;
/// use std::net::{IpAddr, Ipv4Addr};
/// use std::ops::ControlFlow;
/// use std::time::Duration;
///
/// use chat_core::Location;
/// use chat_core::chat::Chat;
/// use chat_core::ids::Cursor;
/// use chat_core::inbox::Batch;
/// use chat_core::limits::Limits;
/// use chat_core::refusal::Close;
/// use chat_core::text::Password;
/// use chat_core::transport::{Received, Transport};
///
/// struct Lines(Vec<String>);
///
/// impl Transport for Lines {
///     type Error = Infallible;
///
///     fn patience(&self) -> Duration {
///         Duration::from_secs(15)
///     }
///
///     async fn deliver(&mut self, batch: &Batch) -> Result<ControlFlow<()>, Infallible> {
///         self.0.extend(batch.frames.iter().map(|frame| String::from_utf8_lossy(frame.json()).into_owned()));
///         Ok(ControlFlow::Break(()))
///     }
///
///     async fn keep_alive(&mut self, _: &Cursor) -> Result<ControlFlow<Option<Close>>, Infallible> {
///         Ok(ControlFlow::Continue(()))
///     }
///
///     async fn receive(&mut self) -> Result<Received, Infallible> {
///         std::future::pending().await
///     }
///
///     async fn close(&mut self, _: Close, _: Option<&Cursor>) -> Result<(), Infallible> {
///         Ok(())
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let chat = Chat::open(&Location::Temporary, Limits { hash_memory: 8, ..Limits::default() })?;
/// let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// let (ann, token) = chat.register("Ann".to_owned(), Password::from("correct horse"), here).await?;
/// let start = chat.snapshot(ann.id).await?.cursor;
///
/// let mut lines = Lines(Vec::new());
/// chat.session(&token, Some(start), "lines").await?.serve(&mut lines).await?;
/// assert!(lines.0[0].starts_with(r#"{"type":"presence","online":["u1"]"#));
/// # chat.close().await;
/// # Ok(())
/// # }
/// ```
pub trait Transport: Send {
    /// An error of the connection. It ends the session.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The time between two calls of [`keep_alive`](Self::keep_alive). For a poll, the longest time that it waits.
    fn patience(&self) -> Duration;

    /// Writes the frames, in order, in one write. `Break`: this connection can carry nothing more, as after the answer
    /// of a poll.
    fn deliver(&mut self, batch: &Batch)
    -> impl Future<Output = Result<ControlFlow<()>, Self::Error>> + Send;

    /// Tells the client that the server is alive and that the client is at `cursor`. `Break(None)`: this connection can
    /// carry nothing more. `Break(Some(why))`: the client did not answer, so close the connection.
    fn keep_alive(
        &mut self,
        cursor: &Cursor,
    ) -> impl Future<Output = Result<ControlFlow<Option<Close>>, Self::Error>> + Send;

    /// Waits for the next thing that the client sends.
    ///
    /// Cancel safe, and cheap to poll again: it is polled once for each delivery. The task that polled it last is woken
    /// when something arrives, even if the future was dropped before.
    fn receive(&mut self) -> impl Future<Output = Result<Received, Self::Error>> + Send;

    /// Ends the connection from the server's side, and tells the client why if the transport has a way to do so.
    fn close(
        &mut self,
        why: Close,
        cursor: Option<&Cursor>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// One client's seat in the chat: a user and a cursor, served over one transport.
pub struct Session {
    chat: Chat,
    sign_in: SignIn,
    seat: Seat,
    metrics: Arc<TransportMetrics>,
    /// How the connection under the session ends.
    cut: Cut,
    /// Whether the client sends no more.
    is_half_closed: bool,
    /// Replies that are not on the wire yet, in the order of their requests.
    answers: VecDeque<Answer>,
    /// How many requests in a row were rate limited.
    consecutive_rate_limits: u32,
    /// Whether the keep-alive timer holds this task's waker (the handle that wakes the task).
    timer_armed: bool,
    /// Whether every wake source held this task's waker when the last batch was ready.
    all_wakers_armed: bool,
}

/// What a session does next.
enum Turn {
    Deliver(Batch),
    Submit(Bytes),
    /// The client has left.
    Left,
    Reset(ResetReason),
    Close(Close),
    KeepAlive,
}

impl Session {
    /// Gives a client its seat in the chat: after the cursor `after`, or at the end of the log.
    pub async fn open(
        chat: &Chat,
        sign_in: SignIn,
        after: Option<Cursor>,
        metrics: Arc<TransportMetrics>,
        cut: Option<Cut>,
    ) -> Result<Box<Self>, Refusal> {
        let seat = chat.enter(&sign_in, after, cut.clone()).await?;
        metrics.sessions.inc();
        // In a box, because each future that passes the session on would otherwise reserve room for all of it.
        Ok(Box::new(Self {
            chat: chat.clone(),
            sign_in,
            seat,
            metrics,
            cut: cut.unwrap_or_default(),
            is_half_closed: false,
            answers: VecDeque::new(),
            consecutive_rate_limits: 0,
            timer_armed: false,
            all_wakers_armed: false,
        }))
    }

    /// Serves one client until the connection can carry nothing more, the client leaves, or the chat ends the session.
    ///
    /// This is the only caller of [`Transport`].
    ///
    /// # Errors
    /// An error of the connection. No event is lost: the client resumes after its cursor.
    pub async fn serve<T: Transport>(mut self: Box<Self>, transport: &mut T) -> Result<(), T::Error> {
        if let Some(reason) = self.seat.lost {
            return Box::pin(self.reset(reason, transport)).await;
        }
        // One timer for the whole session, reset when it fires. A short poll waits for no event and does not use it.
        let asks_once = transport.patience().is_zero();
        let mut silence = pin!(tokio::time::sleep(self.patience(transport)));
        loop {
            let turn = self.next(transport, silence.as_mut(), asks_once).await?;
            let flow = match turn {
                Turn::Deliver(batch) => {
                    self.count(&batch);
                    let (mut delivering, mut polls) = (pin!(transport.deliver(&batch)), 0);
                    let flow = poll_fn(|cx| {
                        polls += 1;
                        delivering.as_mut().poll(cx)
                    });
                    let flow = flow.await?;
                    // Every wake source already holds this task's waker, so polling again now would find nothing.
                    // A write that had to wait may have used up a wake-up, so then the session polls again.
                    if self.all_wakers_armed && polls == 1 && flow.is_continue() {
                        next_wake().await;
                    }
                    flow
                }
                // Boxed from here on: most connections do this rarely or never, so no session should keep room for it.
                Turn::Submit(json) => match Box::pin(self.submit(&json)).await {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(why) => return Box::pin(self.close(why, transport)).await,
                },
                Turn::Left => {
                    self.metrics.ended(&self.cut, End::Left);
                    return Ok(());
                }
                Turn::Reset(reason) => return Box::pin(self.reset(reason, transport)).await,
                Turn::Close(why) => return Box::pin(self.close(why, transport)).await,
                Turn::KeepAlive if self.chat.time_left(&self.sign_in).is_zero() => {
                    return Box::pin(self.close(Close::Unauthenticated, transport)).await;
                }
                Turn::KeepAlive => {
                    let cursor = self.seat.subscription.catch_up();
                    match Box::pin(transport.keep_alive(&cursor)).await? {
                        ControlFlow::Break(Some(why)) => return Box::pin(self.close(why, transport)).await,
                        ControlFlow::Break(None) => return Ok(()),
                        ControlFlow::Continue(()) => {}
                    }
                    silence.as_mut().reset(Instant::now() + self.patience(transport));
                    self.timer_armed = false;
                    ControlFlow::Continue(())
                }
            };
            if flow.is_break() {
                return Ok(());
            }
        }
    }

    /// The transport's patience, but not beyond the end of the sign-in.
    fn patience<T: Transport>(&self, transport: &T) -> Duration {
        transport.patience().min(self.chat.time_left(&self.sign_in))
    }

    /// Waits for the first of these: an end, something from the client, something to deliver, the keep-alive timer.
    ///
    /// The client is asked before the inbox, so a flood of events cannot keep its requests out. A flood of requests
    /// stops at [`Limits::REQUESTS_IN_FLIGHT`].
    async fn next<T: Transport>(
        &mut self,
        transport: &mut T,
        mut silence: Pin<&mut Sleep>,
        asks_once: bool,
    ) -> Result<Turn, T::Error> {
        let mut receive = pin!(transport.receive());
        poll_fn(|cx| {
            if let Poll::Ready(why) = self.seat.ending.poll(cx) {
                return Poll::Ready(Ok(Turn::Close(why)));
            }
            let mut accepts_requests =
                !self.is_half_closed && self.answers.len() < Limits::REQUESTS_IN_FLIGHT;
            if accepts_requests && let Poll::Ready(received) = receive.as_mut().poll(cx) {
                match received? {
                    Received::Request(json) => return Poll::Ready(Ok(Turn::Submit(json))),
                    Received::Left => return Poll::Ready(Ok(Turn::Left)),
                    Received::Broken(why) => return Poll::Ready(Ok(Turn::Close(why))),
                    // The client still gets the replies to its requests.
                    Received::HalfClosed => (self.is_half_closed, accepts_requests) = (true, false),
                }
            }
            let mut batch = Batch::default();
            while let Some(Poll::Ready(reply)) = self.answers.front_mut().map(|answer| answer.poll(cx)) {
                self.answers.pop_front();
                if let Outcome::Refusal(refusal) = &reply.outcome {
                    self.metrics.refused(refusal.code);
                }
                batch.frames.push(Frame::of_reply(&reply));
            }
            match self.seat.subscription.poll_batch(cx) {
                Poll::Ready(Ok(events)) if batch.frames.is_empty() => batch = events,
                Poll::Ready(Ok(events)) => {
                    batch.frames.extend(events.frames);
                    (batch.cursor, batch.more) = (events.cursor, events.more);
                }
                Poll::Ready(Err(Lost::Reset(reason))) => return Poll::Ready(Ok(Turn::Reset(reason))),
                Poll::Ready(Err(Lost::Close(why))) => return Poll::Ready(Ok(Turn::Close(why))),
                Poll::Pending => {}
            }
            if !batch.frames.is_empty() {
                let timer_armed = self.timer_armed && !silence.is_elapsed();
                self.all_wakers_armed =
                    accepts_requests && timer_armed && self.seat.subscription.is_waiting();
                return Poll::Ready(Ok(Turn::Deliver(batch)));
            }
            // While the store is read, there may be something to deliver, so the timer does not count yet.
            if self.seat.subscription.is_reading() {
                return Poll::Pending;
            }
            if asks_once {
                return Poll::Ready(Ok(Turn::KeepAlive));
            }
            if self.is_half_closed && self.answers.is_empty() {
                return Poll::Ready(Ok(Turn::Left));
            }
            // Nor does the timer count while no requests are read.
            if accepts_requests {
                if silence.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Ok(Turn::KeepAlive));
                }
                self.timer_armed = true;
            }
            Poll::Pending
        })
        .await
    }

    /// Submits one request. Its reply is delivered after the replies to earlier requests.
    async fn submit(&mut self, json: &[u8]) -> Result<(), Close> {
        self.metrics.requests.inc();
        let answer = self.chat.submit(&self.sign_in, json).await.map_err(|_| Close::ProtocolError)?;
        match answer.refusal() {
            Some(Code::RateLimited) => self.consecutive_rate_limits += 1,
            Some(_) => {}
            None => self.consecutive_rate_limits = 0,
        }
        if self.consecutive_rate_limits > Limits::MAX_CONSECUTIVE_RATE_LIMITS {
            return Err(Close::RateLimited);
        }
        self.answers.push_back(answer);
        Ok(())
    }

    fn count(&self, batch: &Batch) {
        self.metrics.frames.inc_by(batch.frames.len() as u64);
        self.metrics.bytes.inc_by(batch.frames.iter().map(|frame| frame.json().len() as u64).sum());
    }

    async fn close<T: Transport>(&mut self, why: Close, transport: &mut T) -> Result<(), T::Error> {
        self.metrics.ended(&self.cut, End::Closed(why));
        let cursor = self.seat.subscription.cursor();
        transport.close(why, Some(&cursor)).await
    }

    /// Tells the client to start again from a snapshot, and ends the connection.
    async fn reset<T: Transport>(&mut self, reason: ResetReason, transport: &mut T) -> Result<(), T::Error> {
        let frames = vec![Frame::of_event(&Event::Reset { reason })];
        // No cursor: with a valid one, a client would silently skip events that it never saw.
        let batch = Batch { frames, cursor: None, more: false };
        self.count(&batch);
        match transport.deliver(&batch).await? {
            ControlFlow::Continue(()) => self.close(reason.close(), transport).await,
            ControlFlow::Break(()) => {
                self.metrics.ended(&self.cut, End::Closed(reason.close()));
                Ok(())
            }
        }
    }
}

/// Waits until any wake source wakes this task.
async fn next_wake() {
    let mut woken = false;
    poll_fn(|_| if std::mem::replace(&mut woken, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

impl Drop for Session {
    fn drop(&mut self) {
        self.metrics.sessions.dec();
        self.chat.leave(self.sign_in.user, self.seat.number);
    }
}

#[cfg(test)]
mod tests;
