//! The gate: a transport that breaks a law of the chat is not measured.
//!
//! Whoever may lose a message, or tell it twice, is easily fast.

use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use chat_core::conformance::Law;

use crate::Transport;

/// Laws that are looked at together. They mostly wait: for the disk, or for half a second to pass.
const AT_ONCE: usize = 16;

/// The transports that keep all laws; for the others it is said which ones they break.
pub(crate) fn lawful(all: impl IntoIterator<Item = Transport>) -> Vec<Transport> {
    let begun = Instant::now();
    let all: Vec<Transport> = all.into_iter().collect();
    let laws: Vec<_> = all.iter().flat_map(|of| of.laws.iter().map(|law| (of.name, *law))).collect();
    let number = laws.len();
    // Which law is next, and which did not hold.
    let (waiting, broken) = (Mutex::new(laws.into_iter()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().expect("nobody panics with it").next();
                    let Some((transport, law)) = next else { return };
                    if !holds(transport, law) {
                        broken.lock().expect("nobody panics with it").push((transport, law));
                    }
                }
            });
        }
    });
    let mut broken = broken.into_inner().expect("nobody panics with it");
    // Some laws count milliseconds, which a busy machine may not have: they get a second look, alone.
    broken.retain(|(transport, law)| !holds(transport, *law));
    println!("{number} laws looked at in {:.1} s, {} broken", begun.elapsed().as_secs_f64(), broken.len());
    for (transport, law) in &broken {
        eprintln!("{transport} gets no row: it breaks the law {}", law.name);
    }
    let keeps_all = |transport: &Transport| broken.iter().all(|(name, _)| *name != transport.name);
    all.into_iter().filter(keeps_all).collect()
}

/// Whether a law holds. It panics if not, in a thread that is named after it, so that what it says has a name.
fn holds(transport: &str, law: Law) -> bool {
    let thread = thread::Builder::new().name(format!("{transport}: {}", law.name));
    thread.spawn(law.check).expect("a thread for a law").join().is_ok()
}
