//! A command on its way through the writer: what it does, its deadline, and where its result goes.

use std::borrow::Cow;
use std::time::Instant;

use tokio::sync::oneshot;

use super::Append;
use crate::refusal::{Code, Refusal};

/// Why a command wrote nothing.
pub(crate) enum WriteError {
    /// It is not allowed, or makes no sense: the caller's mistake.
    Refused(Refusal),
    /// The disk failed: the whole batch is undone.
    Storage(rusqlite::Error),
}

pub(super) fn refused(code: Code, message: impl Into<Cow<'static, str>>) -> WriteError {
    WriteError::Refused(Refusal::new(code, message))
}

impl From<Refusal> for WriteError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<rusqlite::Error> for WriteError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Storage(error)
    }
}

/// A command as the writer sees it.
pub(super) trait Work: Send {
    /// Runs inside the transaction. `false`: undo what it did.
    fn run(&mut self, append: &mut Append<'_>) -> Result<bool, rusqlite::Error>;
    /// Sends the result once the batch was committed, or the reason why it was not.
    fn settle(self: Box<Self>, committed: Result<(), Refusal>);
}

/// A command, its result, and where the result goes.
pub(super) struct Task<T, F> {
    work: Option<F>,
    /// When the caller stops waiting. A command whose deadline has passed is not run.
    deadline: Instant,
    result: Option<Result<T, Refusal>>,
    asker: oneshot::Sender<Result<T, Refusal>>,
}

impl<T, F> Task<T, F>
where
    F: FnOnce(&mut Append<'_>) -> Result<T, WriteError>,
{
    pub(super) fn new(work: F, deadline: Instant) -> (Self, oneshot::Receiver<Result<T, Refusal>>) {
        let (asker, answer) = oneshot::channel();
        (Self { work: Some(work), deadline, result: None, asker }, answer)
    }
}

impl<T: Send, F> Work for Task<T, F>
where
    F: FnOnce(&mut Append<'_>) -> Result<T, WriteError> + Send,
{
    fn run(&mut self, append: &mut Append<'_>) -> Result<bool, rusqlite::Error> {
        if Instant::now() >= self.deadline {
            return Ok(false);
        }
        let work = self.work.take().expect("a task runs once");
        let result = match work(append) {
            Ok(value) => Ok(value),
            Err(WriteError::Refused(refusal)) => Err(refusal),
            Err(WriteError::Storage(error)) => return Err(error),
        };
        let keep = result.is_ok();
        self.result = Some(result);
        Ok(keep)
    }

    fn settle(self: Box<Self>, committed: Result<(), Refusal>) {
        let Self { result, asker, .. } = *self;
        // Without a result, the command was not run: its deadline had passed.
        let result = committed.and_then(|()| result.unwrap_or_else(|| Err(Refusal::unknown_outcome())));
        // The caller may have stopped waiting; what was committed stays committed.
        let _ = asker.send(result);
    }
}
