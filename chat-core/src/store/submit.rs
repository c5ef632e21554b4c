//! How a command reaches the writer, and how its result comes back in time.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;
use tokio::time::{Sleep, timeout};

use super::health::Health;
use super::task::{Task, Work, WriteError};
use super::writer::Job;
use super::{Append, Store, shutting_down};
use crate::refusal::Refusal;

impl Store {
    /// Hands work to the writer, which runs it inside the transaction of a batch.
    ///
    /// Returns once the work has its place in the order of commits. The future that it returns is ready after the
    /// commit, or at the deadline.
    pub(crate) async fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Append<'_>) -> Result<T, WriteError> + Send + 'static,
    ) -> Written<T> {
        self.submit_within(self.0.health.timeout(), work).await
    }

    /// Like [`submit`](Self::submit), with less time.
    pub(crate) async fn submit_within<T: Send + 'static>(
        &self,
        time: Duration,
        work: impl FnOnce(&mut Append<'_>) -> Result<T, WriteError> + Send + 'static,
    ) -> Written<T> {
        let deadline = Instant::now() + time;
        let (task, answer) = Task::new(work, deadline);
        let place = match self.0.jobs.try_reserve() {
            // If the disk hangs and the queue is full, no place will be free in time.
            Err(TrySendError::Full(())) if self.0.health.is_stalled() => None,
            Err(TrySendError::Full(())) => timeout(time, self.0.jobs.reserve()).await.ok(),
            Ok(place) => Some(Ok(place)),
            Err(TrySendError::Closed(())) => Some(self.0.jobs.reserve().await),
        };
        match place {
            Some(Ok(place)) => {
                self.0.health.metrics().queued.inc();
                place.send(Job::Write(Box::new(task)));
            }
            // The task is dropped, and `answer` says so.
            Some(Err(_closed)) => {}
            None => Box::new(task).settle(Err(Refusal::unknown_outcome())),
        }
        let late = Box::pin(tokio::time::sleep_until(deadline.into()));
        Written { answer, late, health: Arc::clone(&self.0.health) }
    }
}

/// The result from the writer, or a refusal if there is none in time.
pub(crate) struct Written<T> {
    answer: oneshot::Receiver<Result<T, Refusal>>,
    late: Pin<Box<Sleep>>,
    health: Arc<Health>,
}

impl<T> Written<T> {
    /// Waits for the outcome, however late it is. With a disk that never answers, it waits for ever.
    pub(crate) async fn in_the_end(self) -> Result<T, Refusal> {
        self.answer.await.unwrap_or_else(|_| Err(shutting_down()))
    }
}

impl<T> Future for Written<T> {
    type Output = Result<T, Refusal>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(answer) = Pin::new(&mut self.answer).poll(cx) {
            return Poll::Ready(answer.unwrap_or_else(|_| Err(shutting_down())));
        }
        self.late.as_mut().poll(cx).map(|()| {
            self.health.look_at_the_clock();
            Err(Refusal::unknown_outcome())
        })
    }
}
