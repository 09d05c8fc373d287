//! A profile's text: no panic, no endless loop; what parses renders and reads back the same, and
//! its globs can be matched.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| newroot_fuzz::profile(data));
