//! gzip without a clock, a file name or an operating system in its header.

use std::io::{self, Write};

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

/// Compresses what is written to it. End it with [`Gzip::finish`].
#[derive(Debug)]
pub struct Gzip<W: Write> {
    encoder: GzEncoder<W>,
}

impl<W: Write> Gzip<W> {
    /// Starts a gzip member on `out`.
    pub fn new(out: W) -> Self {
        let encoder = GzBuilder::new().mtime(0).write(out, Compression::default());
        Self { encoder }
    }

    /// Writes the rest and the checksum.
    ///
    /// # Errors
    /// The errno of the writer below.
    pub fn finish(self) -> io::Result<W> {
        self.encoder.finish()
    }
}

impl<W: Write> Write for Gzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.encoder.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.encoder.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_the_same_on_every_machine_and_day() {
        let mut gzip = Gzip::new(Vec::new());
        gzip.write_all(b"hello").unwrap();
        let bytes = gzip.finish().unwrap();
        // RFC 1952: magic, deflate, no flags (no name), mtime 0, extra flags 0, OS unknown.
        assert_eq!(bytes[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    }
}
