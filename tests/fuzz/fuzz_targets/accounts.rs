//! See bodies/accounts.rs.
#![no_main]

#[path = "../bodies/accounts.rs"]
mod body;
#[path = "../bodies/named.rs"]
mod named;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
