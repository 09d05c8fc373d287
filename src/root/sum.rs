//! BLAKE3 of a file in a tree.

use std::io;

use super::{Tree, TreeFile};
use crate::model::RootPath;

/// What is read at once.
const PIECE: usize = 256 * 1024;

/// The sum of the whole content. Not for what is no regular file: it may never end.
///
/// # Errors
/// The errno of pread(2).
pub fn sum(file: &TreeFile) -> io::Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; PIECE];
    let mut offset = 0;
    loop {
        match file.read_at(&mut piece, offset) {
            Ok(0) => return Ok(*hasher.finalize().as_bytes()),
            Ok(count) => {
                hasher.update(&piece[..count]);
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The same by path, with the look whether it is a regular file.
///
/// # Errors
/// The errno of openat2(2) or pread(2); EINVAL for what is no regular file.
pub fn sum_of(tree: &dyn Tree, path: &RootPath) -> io::Result<[u8; 32]> {
    let file = tree.open(path)?;
    if file.meta()?.kind != crate::model::Kind::File {
        return Err(rustix::io::Errno::INVAL.into());
    }
    sum(&file)
}
