//! Memory that the allocator keeps when a crowd of connections or users has left.
//!
//! By itself, glibc gives memory back to the system only from the end of its heap, and something long-lived is always
//! near the end. When it is asked, it gives back every free page.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A smaller crowd is not worth a walk through the heap.
const CROWD: usize = 256;

/// A count of what comes and goes in large numbers and takes memory meanwhile: connections, and users who are here.
#[derive(Debug, Default)]
pub struct Crowd {
    here: AtomicUsize,
    most: AtomicUsize,
}

impl Crowd {
    /// One more is here, until what this returns is dropped.
    pub fn join(self: &Arc<Self>) -> Joined {
        let before = self.here.fetch_add(1, Ordering::Relaxed);
        self.most.fetch_max(before + 1, Ordering::Relaxed);
        Joined(Arc::clone(self))
    }

    /// Whether more than half of a crowd has left since this last returned `true`.
    pub fn has_left(&self) -> bool {
        let (here, most) = (self.here.load(Ordering::Relaxed), self.most.load(Ordering::Relaxed));
        let has_left = most >= CROWD && here < most / 2;
        if has_left {
            self.most.store(here, Ordering::Relaxed);
        }
        has_left
    }
}

/// One of a crowd.
#[derive(Debug)]
pub struct Joined(Arc<Crowd>);

impl Drop for Joined {
    fn drop(&mut self) {
        self.0.here.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Gives free pages back to the system ([malloc_trim(3)]). For some milliseconds, no other thread gets memory.
///
/// [malloc_trim(3)]: https://man7.org/linux/man-pages/man3/malloc_trim.3.html
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "a function of the C library that no crate of this workspace wraps")]
pub fn give_back() {
    // SAFETY: it asks nothing of its caller, and any thread may call it.
    let some = unsafe { libc::malloc_trim(0) } == 1;
    tracing::debug!(some, "gave free memory back to the system");
}

/// Does nothing: other allocators give memory back in their own way.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn give_back() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_has_left_once_fewer_than_half_are_here() {
        let crowd = Arc::new(Crowd::default());
        let mut here = Vec::new();
        let told: Vec<usize> = [255, 0, 256, 128, 127, 0, 1_000, 499, 300, 249, 248, 0]
            .into_iter()
            .filter(|&count| {
                here.resize_with(count, || crowd.join());
                crowd.has_left()
            })
            .collect();
        assert_eq!(told, [127, 499, 248]);
    }

    #[test]
    fn a_crowd_between_two_looks_has_left_too() {
        let crowd = Arc::new(Crowd::default());
        drop((0..CROWD).map(|_| crowd.join()).collect::<Vec<_>>());
        assert!(crowd.has_left());
    }
}
