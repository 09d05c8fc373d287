//! See bodies/ld_so_cache.rs.
#![no_main]

#[path = "../bodies/ld_so_cache.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
