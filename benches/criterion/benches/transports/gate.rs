//! The gate: a transport that breaks a law of the chat is not measured.
//!
//! It is easy to be fast for a transport that may lose or repeat messages.

use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use laws::Law;

use crate::Transport;

/// How many laws run at the same time. They mostly wait, for the disk or for half a second.
const AT_ONCE: usize = 16;

/// The transports that keep all laws. For the others, it prints which laws they break.
pub(crate) fn lawful(all: impl IntoIterator<Item = Transport>) -> Vec<Transport> {
    let begun = Instant::now();
    let all: Vec<Transport> = all.into_iter().collect();
    let laws: Vec<_> = all.iter().flat_map(|of| of.laws.iter().map(|law| (of.name, *law))).collect();
    let number = laws.len();
    // The next law, and the laws that failed.
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
    // Some laws have short time limits, which a busy machine may exceed: they run a second time, alone.
    broken.retain(|(transport, law)| !holds(transport, *law));
    println!("{number} laws looked at in {:.1} s, {} broken", begun.elapsed().as_secs_f64(), broken.len());
    for (transport, law) in &broken {
        eprintln!("{transport} gets no row: it breaks the law {}", law.name);
    }
    let keeps_all = |transport: &Transport| broken.iter().all(|(name, _)| *name != transport.name);
    all.into_iter().filter(keeps_all).collect()
}

/// Whether a law holds. A law that fails panics in a thread with its name, so the message names it.
fn holds(transport: &str, law: Law) -> bool {
    let thread = thread::Builder::new().name(format!("{transport}: {}", law.name));
    thread.spawn(law.check).expect("a thread for a law").join().is_ok()
}
