//! See bodies/elf_object.rs.
#![no_main]

#[path = "../bodies/elf_object.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
