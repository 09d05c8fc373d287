//! See bodies/superblocks.rs.
#![no_main]

#[path = "../bodies/superblocks.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
