//! What the allocator keeps when a crowd has left.
//!
//! glibc gives memory back to the system by itself only from the end of its heap, and something that lives long
//! is always near the end. Asked, it gives back every page that is free.

/// Fewer people than this are not worth a walk through the heap.
const CROWD: usize = 256;

/// How many people are here, and how many there have been.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    most: usize,
}

impl Crowd {
    /// Takes note of how many are here now. `true`: more than half of a crowd have left since the last time.
    pub(crate) fn has_left(&mut self, here: usize) -> bool {
        let has_left = self.most >= CROWD && here < self.most / 2;
        self.most = if has_left { here } else { self.most.max(here) };
        has_left
    }
}

/// Gives free pages back to the system ([malloc_trim(3)]); for some milliseconds nobody else gets memory.
///
/// [malloc_trim(3)]: https://man7.org/linux/man-pages/man3/malloc_trim.3.html
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "a function of the C library, and the only one of this workspace")]
pub(crate) fn give_back() {
    // SAFETY: it asks nothing of its caller, and any thread may call it.
    let some = unsafe { libc::malloc_trim(0) } == 1;
    tracing::debug!(some, "gave free memory back to the system");
}

/// Other allocators have ways of their own.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn give_back() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_has_left_once_fewer_than_half_are_here() {
        let mut crowd = Crowd::default();
        let told: Vec<usize> = [255, 0, 256, 128, 127, 0, 1_000, 499, 300, 249, 248, 0]
            .into_iter()
            .filter(|&here| crowd.has_left(here))
            .collect();
        assert_eq!(told, [127, 499, 248]);
    }
}
