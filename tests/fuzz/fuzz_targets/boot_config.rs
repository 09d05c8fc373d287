//! See bodies/boot_config.rs.
#![no_main]

#[path = "../bodies/boot_config.rs"]
mod body;
#[path = "../bodies/named.rs"]
mod named;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
