//! A session that sets its own deadlines for writes, because no server watches its connection.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::timeout;

use super::{Received, Session, Transport};
use crate::auth::Token;
use crate::chat::Chat;
use crate::ending::{Cut, End};
use crate::ids::Cursor;
use crate::inbox::Batch;
use crate::refusal::{Close, Refusal};

impl Chat {
    /// Gives a client a session after the cursor `after`, or at the end of the log. The metrics count it under the name
    /// `transport`.
    ///
    /// This is the way in for a transport that does not begin with an HTTP request.
    ///
    /// # Errors
    /// `unauthenticated`, `too_many_connections`, `storage_unavailable`.
    pub async fn session(
        &self,
        token: &Token,
        after: Option<Cursor>,
        transport: &'static str,
    ) -> Result<UnwatchedSession, Refusal> {
        let sign_in = self.authenticate(token).await?;
        let (metrics, cut) = (self.metrics().transport(transport), Cut::default());
        let session = Session::open(self, sign_in, after, metrics, Some(Arc::clone(&cut))).await?;
        Ok(UnwatchedSession { session, cut, write_timeout: self.limits().write_timeout })
    }
}

/// A session that also ends when its client reads nothing for too long, or when its connection is cut.
pub struct UnwatchedSession {
    session: Box<Session>,
    cut: Cut,
    write_timeout: Duration,
}

impl UnwatchedSession {
    /// Serves one client until the connection can carry nothing more, the client leaves, or the chat ends the session.
    ///
    /// # Errors
    /// An error of the transport. No event is lost: the client resumes after its cursor.
    pub async fn serve<T: Transport>(self, transport: &mut T) -> Result<(), T::Error> {
        let Self { session, cut, write_timeout } = self;
        let metrics = Arc::clone(&session.metrics);
        let mut paced = Paced { transport, write_timeout };
        let mut serving = pin!(session.serve(&mut paced));
        let (why, ended) = poll_fn(|cx| {
            if let Poll::Ready(ended) = serving.as_mut().poll(cx) {
                return Poll::Ready(match ended {
                    Err(PacedError::Slow) => (End::Closed(Close::Slow), Ok(())),
                    Err(PacedError::Transport(error)) => (End::Left, Err(error)),
                    Ok(()) => (End::Answered, Ok(())),
                });
            }
            cut.poll(cx).map(|why| (End::Closed(why), Ok(())))
        })
        .await;
        metrics.ended(&cut, why);
        ended
    }
}

/// A transport whose writes have a deadline.
struct Paced<'a, T> {
    transport: &'a mut T,
    write_timeout: Duration,
}

#[derive(Debug, thiserror::Error)]
enum PacedError<E> {
    #[error("the client took nothing for too long")]
    Slow,
    #[error(transparent)]
    Transport(E),
}

impl<T> Paced<'_, T> {
    async fn in_time<O, E>(
        write_timeout: Duration,
        writing: impl Future<Output = Result<O, E>>,
    ) -> Result<O, PacedError<E>> {
        match timeout(write_timeout, writing).await {
            Ok(written) => written.map_err(PacedError::Transport),
            Err(_) => Err(PacedError::Slow),
        }
    }
}

impl<T: Transport> Transport for Paced<'_, T> {
    type Error = PacedError<T::Error>;

    fn patience(&self) -> Duration {
        self.transport.patience()
    }

    async fn deliver(&mut self, batch: &Batch) -> Result<ControlFlow<()>, Self::Error> {
        Self::in_time(self.write_timeout, self.transport.deliver(batch)).await
    }

    async fn keep_alive(&mut self, cursor: &Cursor) -> Result<ControlFlow<Option<Close>>, Self::Error> {
        Self::in_time(self.write_timeout, self.transport.keep_alive(cursor)).await
    }

    async fn receive(&mut self) -> Result<Received, Self::Error> {
        self.transport.receive().await.map_err(PacedError::Transport)
    }

    async fn close(&mut self, why: Close, cursor: Option<&Cursor>) -> Result<(), Self::Error> {
        Self::in_time(self.write_timeout, self.transport.close(why, cursor)).await
    }
}
