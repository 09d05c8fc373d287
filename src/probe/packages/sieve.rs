//! A quick no for most of the hundred thousand paths that packages list, before one is spelled and
//! hashed as a whole: by the end of its last name, which no spelling changes.

/// A bit for each value of the hash.
const BITS: usize = 1 << 16;

/// Which ends of names are wanted.
#[derive(Debug)]
pub(super) struct Sieve(Vec<u64>);

impl Default for Sieve {
    fn default() -> Self {
        Self(vec![0; BITS / 64])
    }
}

impl Sieve {
    pub(super) fn add(&mut self, path: &[u8]) {
        let bit = bit(path);
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    /// `false`: it was not added. `true`: it, or one whose name ends alike.
    pub(super) fn may_have(&self, path: &[u8]) -> bool {
        let bit = bit(path);
        self.0[bit / 64] & (1 << (bit % 64)) != 0
    }
}

/// A hash of the last name's last eight bytes, all at once: this is asked for every path that any
/// package lists.
fn bit(path: &[u8]) -> usize {
    const SLASHES: u64 = u64::from_le_bytes([b'/'; 8]);
    const LOW: u64 = u64::from_le_bytes([0x7f; 8]);
    // Little endian: the path's last byte is the word's highest.
    let word = path.last_chunk().map_or_else(
        || {
            let mut padded = [b'/'; 8];
            padded[8 - path.len()..].copy_from_slice(path);
            u64::from_le_bytes(padded)
        },
        |last| u64::from_le_bytes(*last),
    );
    let differs = word ^ SLASHES;
    // The top bit of each byte that is a slash.
    let slashes = !(((differs & LOW) + LOW) | differs | LOW);
    let name = word
        & u64::MAX
            .checked_shl(64 - slashes.leading_zeros())
            .unwrap_or(0);
    (name.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize % BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn whatever_was_added_is_held_however_its_directory_is_spelled(
            one in "/([a-c]{0,9}/){0,3}", other in "/([a-c]{0,9}/){0,3}", name in "[a-c.]{0,12}",
        ) {
            let path = |directory: &str| [directory.as_bytes(), name.as_bytes()].concat();
            let mut sieve = Sieve::default();
            sieve.add(&path(&one));
            proptest::prop_assert!(sieve.may_have(&path(&other)));
        }
    }

    #[test]
    fn most_others_are_not() {
        let mut sieve = Sieve::default();
        sieve.add(b"/bin/sh");
        sieve.add(b"/usr/lib/x86_64-linux-gnu/libcrypto.so.3");
        for path in [
            "/usr/bin/bash",
            "/",
            "/sh/",
            "/bin/ash",
            "/lib/libssl.so.3",
            "/s",
            "h",
        ] {
            assert!(!sieve.may_have(path.as_bytes()), "{path}");
        }
    }
}
