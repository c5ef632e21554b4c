//! The end of a connection: how it is cut from outside, and why it ended, counted once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use crate::refusal::Close;
use crate::signal::Signal;

/// Why a connection ended, or a stream on it: the label `reason` of `chat_closed_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The server ended it, for a reason that has a close code.
    Closed(Close),
    /// The client said goodbye, or closed its side.
    Left,
    /// The client's system reset the connection.
    Aborted,
    /// The client's system no longer answers.
    Gone,
    /// The next request did not arrive in time.
    HeaderTimeout,
    /// What arrived is not HTTP.
    BadRequest,
    /// It carried the answer after which it was to end.
    Answered,
    /// The server had no room for it.
    Busy,
}

impl End {
    /// Every reason, so that each is counted from zero.
    pub fn all() -> impl Iterator<Item = Self> {
        let others = [
            Self::Left,
            Self::Aborted,
            Self::Gone,
            Self::HeaderTimeout,
            Self::BadRequest,
            Self::Answered,
            Self::Busy,
        ];
        Close::ALL.iter().copied().map(Self::Closed).chain(others)
    }

    /// The label of the metric that counts it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed(why) => why.name(),
            Self::Left => "left",
            Self::Aborted => "aborted",
            Self::Gone => "gone",
            Self::HeaderTimeout => "header_timeout",
            Self::BadRequest => "bad_request",
            Self::Answered => "answered",
            Self::Busy => "busy",
        }
    }

    /// What an error of the system says about the client.
    pub fn of_error(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected => Self::Aborted,
            io::ErrorKind::UnexpectedEof => Self::Left,
            _ => Self::Gone,
        }
    }
}

/// Cuts a connection, and notes its end.
pub type Cut = Arc<Ending>;

/// The end of one connection.
///
/// Several layers may notice it. Only the first report is counted, because the first layer knows the reason.
#[derive(Debug, Default)]
pub struct Ending {
    cut: Signal<Close>,
    is_counted: AtomicBool,
}

impl Ending {
    /// Cuts the connection. Later calls change nothing.
    pub fn give(&self, why: Close) {
        self.cut.give(why);
    }

    /// Why the connection is to be cut, if it is.
    pub fn given(&self) -> Option<Close> {
        self.cut.given()
    }

    /// Ready once the connection is to be cut. Only the task that polled last is woken.
    pub fn poll(&self, cx: &Context<'_>) -> Poll<Close> {
        self.cut.poll(cx)
    }

    /// Whether the end is to be counted now; `false` if it was counted already.
    pub fn is_news(&self) -> bool {
        !self.is_counted.swap(true, Ordering::Relaxed)
    }

    /// The connection carries another request, so its next end is counted again.
    pub fn goes_on(&self) {
        self.is_counted.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn an_end_has_a_name_that_no_close_code_has() {
        let others: Vec<_> = End::all().skip(Close::ALL.len()).map(End::name).collect();
        let names: HashSet<_> = Close::ALL.iter().map(|close| close.name()).chain(others.clone()).collect();
        let closes: HashSet<_> = Close::ALL.iter().map(|close| close.name()).collect();
        assert_eq!(names.len(), closes.len() + others.len());
    }
}
