//! What is measured: the dynamic programs of /usr/bin, and the files they load.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every regular file in /usr/bin that is an ELF program of this machine with an interpreter.
pub(crate) fn dynamic_programs() -> Vec<PathBuf> {
    let entries = fs::read_dir("/usr/bin")
        .unwrap()
        .map(|entry| entry.unwrap());
    let mut programs: Vec<PathBuf> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink()))
        .map(|entry| entry.path())
        .filter(|path| is_dynamic(path))
        .collect();
    programs.sort();
    programs
}

fn is_dynamic(path: &Path) -> bool {
    let Ok(bytes) = fs::read(path) else {
        return false;
    };
    bytes.starts_with(b"\x7fELF")
        && goblin::elf::Elf::parse(&bytes).is_ok_and(|elf| elf.interpreter.is_some() && elf.is_64)
}

/// The programs, their loader and every object, by real path, each once: what newroot says.
pub(crate) fn closure(newroot: &Path, programs: &[PathBuf]) -> Vec<PathBuf> {
    let output = Command::new(newroot)
        .args(["closure", "--format", "paths"])
        .args(programs)
        .output()
        .unwrap();
    let lines = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let found = lines.map(|line| Path::new(OsStr::from_bytes(line)));
    let real: BTreeSet<PathBuf> = found
        .chain(programs.iter().map(PathBuf::as_path))
        .filter_map(|path| path.canonicalize().ok())
        .collect();
    real.into_iter().collect()
}

/// A file with one path a line.
pub(crate) fn write_list(files: &[PathBuf], list: &Path) {
    let lines: Vec<&[u8]> = files
        .iter()
        .map(|path| path.as_os_str().as_bytes())
        .collect();
    fs::write(list, lines.join(&b'\n')).unwrap();
}
