//! Checksums as package databases record them, and those of files.

use std::io;

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::root::TreeFile;

/// What is read at once.
const PIECE: usize = 256 << 10;

/// How a checksum is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Md5,
    Sha1,
    Sha256,
    /// Its first 20 bytes: apk 3, where the field of apk 2 has no room for more.
    Sha256Short,
    Sha384,
    Sha512,
}

impl Algorithm {
    fn length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 | Self::Sha256Short => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// A recorded checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sum {
    algorithm: Algorithm,
    digest: [u8; 64],
}

impl Sum {
    /// `None`: the length is not this algorithm's.
    pub(super) fn new(algorithm: Algorithm, bytes: &[u8]) -> Option<Self> {
        let mut digest = [0; 64];
        (bytes.len() == algorithm.length()).then(|| {
            digest[..bytes.len()].copy_from_slice(bytes);
            Self { algorithm, digest }
        })
    }

    /// From hexadecimal digits.
    pub(super) fn from_hex(algorithm: Algorithm, hex: &[u8]) -> Option<Self> {
        let mut digest = [0; 64];
        if hex.len() != 2 * algorithm.length() {
            return None;
        }
        for (byte, pair) in digest.iter_mut().zip(hex.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Some(Self { algorithm, digest })
    }

    fn bytes(&self) -> &[u8] {
        &self.digest[..self.algorithm.length()]
    }

    /// Whether an empty file is what was recorded.
    pub(super) fn is_of_nothing(&self) -> bool {
        self.is_of(|_| Ok(0)).unwrap_or(false)
    }

    /// Whether `file` has the content that was recorded.
    ///
    /// # Errors
    /// The errno of pread(2).
    pub(super) fn holds(&self, file: &TreeFile) -> io::Result<bool> {
        let mut at = 0;
        self.is_of(|buffer| {
            let count = file.read_at(buffer, at)?;
            at += count as u64;
            Ok(count)
        })
    }

    fn is_of(&self, read: impl FnMut(&mut [u8]) -> io::Result<usize>) -> io::Result<bool> {
        let digest = match self.algorithm {
            Algorithm::Md5 => digest::<Md5>(read),
            Algorithm::Sha1 => digest::<Sha1>(read),
            Algorithm::Sha256 | Algorithm::Sha256Short => digest::<Sha256>(read),
            Algorithm::Sha384 => digest::<Sha384>(read),
            Algorithm::Sha512 => digest::<Sha512>(read),
        }?;
        Ok(digest.starts_with(self.bytes()))
    }
}

fn digest<D: Digest>(mut read: impl FnMut(&mut [u8]) -> io::Result<usize>) -> io::Result<Vec<u8>> {
    let mut sum = D::new();
    let mut buffer = vec![0; PIECE];
    loop {
        match read(&mut buffer)? {
            0 => return Ok(sum.finalize().to_vec()),
            count => sum.update(&buffer[..count]),
        }
    }
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// RFC 4648, section 4, padded.
pub(super) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.trim_ascii_end();
    let padding = digits
        .iter()
        .rev()
        .take_while(|byte| **byte == b'=')
        .count();
    if !digits.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3);
    for four in digits.chunks_exact(4) {
        let mut word = 0_u32;
        for digit in four {
            word = word << 6
                | match digit {
                    b'A'..=b'Z' => u32::from(digit - b'A'),
                    b'a'..=b'z' => u32::from(digit - b'a') + 26,
                    b'0'..=b'9' => u32::from(digit - b'0') + 52,
                    b'+' => 62,
                    b'/' => 63,
                    b'=' => 0,
                    _ => return None,
                };
        }
        bytes.extend(&word.to_be_bytes()[1..]);
    }
    bytes.truncate(bytes.len() - padding);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RootPath;
    use crate::root::{Mem, Tree};

    /// What md5sum(1), sha1sum(1) and so on print for "data\n" and for nothing.
    const TOOLS: &[(Algorithm, &str, &str)] = &[
        (
            Algorithm::Md5,
            "6137cde4893c59f76f005a8123d8e8e6",
            "d41d8cd98f00b204e9800998ecf8427e",
        ),
        (
            Algorithm::Sha1,
            "c5d84736ba451747dd5f0eb9d17e104f3697ef47",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        ),
        (
            Algorithm::Sha256,
            "6667b2d1aab6a00caa5aee5af8ad9f1465e567abf1c209d15727d57b3e8f6e5f",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        (
            Algorithm::Sha256Short,
            "6667b2d1aab6a00caa5aee5af8ad9f1465e567ab",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4",
        ),
        (
            Algorithm::Sha384,
            "d038d2d827d8f625e231cc0efc8be7d7755df07578be151e2ac80eabbcd6bea387a9c975ea9a7ceabf203f4fc86fc1f9",
            "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b",
        ),
        (
            Algorithm::Sha512,
            "73651d654c5ba73dd4b687f9dbbbdfc00884bf3dc1674e4cdcf762ff31778b2911e61e02b2a97c4055523eed2c4e6051b9902b0f91b4ca5b95e4c53cdf940b3d",
            "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
        ),
    ];

    #[test]
    fn every_algorithm_says_what_its_own_tool_says() {
        let tree = Mem::new()
            .with_file("/data", "data\n")
            .with_file("/none", "");
        let open = |path: &str| tree.open(&RootPath::new(path)).unwrap();
        for (algorithm, data, nothing) in TOOLS {
            let sum = |hex: &str| Sum::from_hex(*algorithm, hex.as_bytes()).unwrap();
            let (data, nothing) = (sum(data), sum(nothing));
            assert!(data.holds(&open("/data")).unwrap(), "{algorithm:?}");
            assert!(!data.holds(&open("/none")).unwrap(), "{algorithm:?}");
            assert!(nothing.holds(&open("/none")).unwrap(), "{algorithm:?}");
            assert!(nothing.is_of_nothing() && !data.is_of_nothing());
        }
    }

    #[test]
    fn what_is_no_checksum_is_none() {
        let md5 = |hex: &str| Sum::from_hex(Algorithm::Md5, hex.as_bytes());
        assert!(md5("6137CDE4893c59f76f005a8123d8e8e6").is_some());
        for bad in [
            "",
            "6137",
            "6137cde4893c59f76f005a8123d8e8eg",
            "+137cde4893c59f76f005a8123d8e8e6",
        ] {
            assert_eq!(md5(bad), None, "{bad}");
        }
        let sha1 = b"xdhHNrpFF0fdXw650X4QTzaX70c=";
        let (_, hex, _) = TOOLS[1];
        assert_eq!(
            Sum::new(Algorithm::Sha1, &base64(sha1).unwrap()),
            Sum::from_hex(Algorithm::Sha1, hex.as_bytes())
        );
        for bad in [&b"xdh"[..], b"xd-HNrpF", b"x===", b"===="] {
            assert_eq!(base64(bad), None);
        }
    }
}
