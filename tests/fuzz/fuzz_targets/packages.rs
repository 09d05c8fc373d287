//! See bodies/packages.rs.
#![no_main]

#[path = "../bodies/packages.rs"]
mod body;
#[path = "../bodies/named.rs"]
mod named;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
