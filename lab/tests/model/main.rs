//! Random histories of several users over all transports at once, against a model that does one thing after the other.
//!
//! Commands that run at the same time must look as if they had run in some order: the model finds one that explains
//! all replies. In the end, every client must have got exactly the events that the model says. From there, the model
//! also knows what every snapshot and every resume must say.
//!
//! `PROPTEST_CASES=1000` tries more histories; a failure prints the shortest one that still fails.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod client;
#[path = "../cursor/mod.rs"]
mod cursor;
mod sequential;
mod steps;
mod world;

use proptest::prelude::*;

use steps::{Step, step};
use world::World;

/// Histories in one run, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 20;

fn cases() -> ProptestConfig {
    let cases =
        if std::env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default().cases } else { CASES };
    // A failure depends on timing, too, so a seed would not reproduce it.
    ProptestConfig { cases, failure_persistence: None, max_shrink_time: 60_000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn every_history_has_a_simple_explanation(steps in prop::collection::vec(step(), 10..60)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(live(steps));
        runtime.shutdown_background();
    }
}

/// Runs a history, and checks what every client got.
async fn live(steps: Vec<Step>) {
    let mut world = World::new().await;
    for step in steps {
        world.run(step).await;
    }
    world.check().await;
}
