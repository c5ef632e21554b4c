//! Waking up on time. The runtime's timer counts whole milliseconds, and rounds up: a message that it makes late
//! would be late on every transport, by more than most transports need.

use std::thread::sleep;
use std::time::Instant;

use tokio::task::spawn_blocking;

/// Waits for a moment as exactly as the kernel can: on a thread of its own.
pub(crate) async fn wait_until(due: Instant) {
    if let Some(time) = due.checked_duration_since(Instant::now()) {
        spawn_blocking(move || sleep(time)).await.expect("a thread that sleeps does not panic");
    }
}
