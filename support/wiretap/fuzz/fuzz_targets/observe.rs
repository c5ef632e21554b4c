//! For any bytes, cut anywhere: there is no panic, the layers add up, and the cuts make no difference.

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
