//! See bodies/tables.rs.
#![no_main]

#[path = "../bodies/tables.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
