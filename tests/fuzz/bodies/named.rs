//! A file that the first line of the data names.

use newroot::root::Mem;

/// `PATH`, a newline, the content: lays it into `tree`. Where the first line is none of `paths`,
/// the first byte chooses one, and all of the data is the content.
pub(crate) fn lay(tree: Mem, paths: &[&str], data: &[u8]) -> Mem {
    let line = data.iter().position(|byte| *byte == b'\n');
    let (first, rest) = line.map_or((data, &[][..]), |at| (&data[..at], &data[at + 1..]));
    let named = paths.iter().find(|path| path.as_bytes() == first);
    let chosen = usize::from(data.first().copied().unwrap_or(0)) % paths.len();
    match named {
        Some(path) => tree.with_file(path, rest),
        None => tree.with_file(paths[chosen], data),
    }
}
