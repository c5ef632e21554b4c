//! A signal that is given once, with a reason, and wakes the one task that waits for it.

use std::sync::OnceLock;
use std::task::{Context, Poll};

use atomic_waker::AtomicWaker;

/// Given at most once; the first reason stays.
#[derive(Debug)]
pub struct Signal<T> {
    given: OnceLock<T>,
    waiting: AtomicWaker,
}

impl<T> Default for Signal<T> {
    fn default() -> Self {
        Self { given: OnceLock::new(), waiting: AtomicWaker::new() }
    }
}

impl<T: Copy> Signal<T> {
    /// Gives the signal. Later calls change nothing.
    pub fn give(&self, reason: T) {
        if self.given.set(reason).is_ok() {
            self.waiting.wake();
        }
    }

    /// The reason, once the signal was given.
    pub fn given(&self) -> Option<T> {
        self.given.get().copied()
    }

    /// Ready with the reason once the signal was given. Only the task that polled last is woken.
    pub fn poll(&self, cx: &Context<'_>) -> Poll<T> {
        if let Some(reason) = self.given.get() {
            return Poll::Ready(*reason);
        }
        self.waiting.register(cx.waker());
        // It may have been given between the check and the registration.
        self.given.get().map_or(Poll::Pending, |reason| Poll::Ready(*reason))
    }
}
