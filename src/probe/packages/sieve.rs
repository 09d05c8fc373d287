//! A quick no for most of the hundred thousand paths that packages list, before one is spelled and
//! hashed as a whole: by the end of its last name, which no spelling changes.

/// A bit for each value of the hash.
const BITS: usize = 1 << 16;
/// As many bytes of the name as count.
const TAIL: usize = 8;

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

/// FNV-1a of the last name's last bytes, folded.
fn bit(path: &[u8]) -> usize {
    let name = path.iter().rev().take_while(|byte| **byte != b'/');
    let hash = name.take(TAIL).fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    (hash ^ (hash >> 16)) as usize % BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_held_however_its_directory_is_spelled() {
        let mut sieve = Sieve::default();
        sieve.add(b"/bin/sh");
        assert!(sieve.may_have(b"/bin/sh") && sieve.may_have(b"/usr/bin/sh"));
        assert!(!sieve.may_have(b"/usr/bin/bash") && !sieve.may_have(b"/"));
    }
}
