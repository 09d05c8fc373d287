//! An ld.so.cache: whatever it holds, a search ends, and gives no more than the file has.

use std::cmp::Ordering;

use newroot::elf::cache::{Cache, compare};

/// Fails by panicking.
pub(crate) fn run(data: &[u8]) {
    // The first bytes are a name, so that the fuzzer can aim at an entry.
    let (name, bytes) = data.split_at(data.len().min(8));
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    for (little, word64) in [(true, true), (true, false), (false, true)] {
        for bytes in [bytes, data] {
            let Some(cache) = Cache::parse(bytes.to_vec(), little, word64) else {
                continue;
            };
            assert!(cache.len() <= bytes.len());
            for wanted in [name, b"libc.so.6", b""] {
                let found = cache.entries(wanted, |_| true).count();
                assert!(found <= cache.len());
            }
        }
    }
    let (one, other) = data.split_at(data.len() / 2);
    assert_eq!(compare(one, one), Ordering::Equal);
    // Numbers may wrap, as the loader's do; apart from that the order is one.
    if !data.iter().any(|byte| byte.is_ascii_digit() || *byte == 0) {
        assert_eq!(compare(one, other), compare(other, one).reverse());
    }
}
