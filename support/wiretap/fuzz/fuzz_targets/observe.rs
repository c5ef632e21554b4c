//! Whatever the bytes and however they are cut: no panic, the layers add up, and the cut makes no difference.

#![no_main]

#[path = "../../tests/support/conversation.rs"]
mod conversation;
#[path = "../../tests/support/noise.rs"]
mod noise;

use conversation::check;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Some((turns, piece)) = noise::from_noise(input) {
        check(&turns, || piece);
    }
});
