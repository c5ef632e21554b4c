//! Waking up on time. The runtime's timer counts whole milliseconds and rounds up. That would make every message
//! late, by more than most transports need to deliver it.

use std::thread::sleep;
use std::time::Instant;

use tokio::task::spawn_blocking;

/// Waits until a moment, as exactly as the kernel can, by sleeping on a thread of its own.
pub(crate) async fn wait_until(due: Instant) {
    if let Some(time) = due.checked_duration_since(Instant::now()) {
        spawn_blocking(move || sleep(time)).await.expect("a thread that sleeps does not panic");
    }
}
