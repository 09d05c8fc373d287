//! The shim that each lent tool is started through: newroot under the tool's name.
//!
//! It runs before anything else of newroot, in a root that may have no libraries, and does one
//! thing: read the table beside it and become the tool.

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::model::{Kind, LENT, LENT_TABLE, LentCall, LentError, LentTable, Meta, RootPath};
use crate::root::{Host, Tree, TreeFile};
use crate::sys::{self, SysError};

/// A table of a thousand tools has about 200 KiB.
const TABLE_LIMIT: u64 = 8 << 20;
/// What the kernel reads of a `#!` line (BINPRM_BUF_SIZE).
const LINE_LIMIT: usize = 256;

/// Why a lent tool did not start.
#[derive(Debug, thiserror::Error)]
pub enum ShimError {
    /// The table is gone, or nobody's who may say what is executed.
    #[error("cannot start the lent {name}: {why}")]
    Table {
        /// The tool.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// The table has no such tool.
    #[error("cannot start the lent {name}: {source}")]
    Call {
        /// The tool.
        name: String,
        /// What is wrong.
        source: LentError,
    },
    /// execve(2) failed.
    #[error("cannot start the lent {name}: {source}")]
    Execute {
        /// The tool.
        name: String,
        /// The call.
        source: SysError,
    },
}

/// The name of the tool that this process was started as: the program lies in the lent tools'
/// own directory, under that name. `None` for newroot itself, whatever its name is.
#[must_use]
pub fn lent_name() -> Option<String> {
    let program = Host.read_link(&RootPath::new("/proc/self/exe")).ok()?;
    name_of(&program)
}

fn name_of(program: &Path) -> Option<String> {
    let name = program.strip_prefix(LENT).ok()?.strip_prefix("bin").ok()?;
    let is_one = name.components().count() == 1;
    name.to_str().filter(|_| is_one).map(str::to_owned)
}

/// Becomes the tool.
///
/// # Errors
/// Why not.
pub fn become_lent(name: &str, arguments: Vec<OsString>) -> Result<Infallible, ShimError> {
    let table = read_table().map_err(|why| ShimError::Table {
        name: name.to_owned(),
        why,
    })?;
    let call = table
        .call(name, arguments, &first_line)
        .map_err(|source| ShimError::Call {
            name: name.to_owned(),
            source,
        })?;
    Err(ShimError::Execute {
        name: name.to_owned(),
        source: execute(&call),
    })
}

fn execute(call: &LentCall) -> SysError {
    let text = |bytes: &[u8]| CString::new(bytes).ok();
    let program = text(call.program.as_bytes());
    let arguments: Option<Vec<CString>> = call
        .arguments
        .iter()
        .map(|word| text(word.as_bytes()))
        .collect();
    let environment: Vec<CString> = std::env::vars_os()
        .filter_map(|(name, value)| text(&[name.as_bytes(), b"=", value.as_bytes()].concat()))
        .collect();
    let shown = format_args!("{:?}", call.program).to_string();
    let (Some(program), Some(arguments)) = (program, arguments) else {
        return SysError::new("execve", format_args!("{shown}"), rustix::io::Errno::INVAL);
    };
    // Rust ignores it at start, and what is ignored stays so across execve(2).
    sys::signal::restore_broken_pipe();
    let Err::<Infallible, _>(errno) = sys::process::execute(&program, &arguments, &environment);
    SysError::new("execve", format_args!("{shown}"), errno)
}

/// The table says what is executed: it must be root's alone.
fn read_table() -> Result<LentTable, String> {
    let path = RootPath::new(PathBuf::from(LENT).join(LENT_TABLE));
    let failed =
        |error: std::io::Error| format!("{path}: {}", sys::describe(sys::errno_of(&error)));
    let file = Host.open(&path).map_err(failed)?;
    let meta = file.meta().map_err(failed)?;
    if !is_trusted(&meta) {
        return Err(format!("{path} is not root's alone"));
    }
    let length = usize::try_from(meta.size.min(TABLE_LIMIT)).unwrap_or(0);
    let bytes = start_of(&file, length).map_err(failed)?;
    serde_json::from_slice(&bytes).map_err(|error| format!("{path}: {error}"))
}

fn is_trusted(meta: &Meta) -> bool {
    meta.kind == Kind::File && meta.uid == 0 && meta.mode & 0o022 == 0
}

fn start_of(file: &TreeFile, length: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match file.read_at(&mut bytes[filled..], filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

fn first_line(script: &str) -> Vec<u8> {
    let mut bytes = Host
        .open(&RootPath::new(script))
        .and_then(|file| start_of(&file, LINE_LIMIT))
        .unwrap_or_default();
    let end = bytes.iter().position(|byte| *byte == b'\n');
    bytes.truncate(end.unwrap_or(bytes.len()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_program_in_the_lent_directory_is_a_shim() {
        let table = [
            ("/run/newroot/lent/bin/ls", Some("ls")),
            ("/run/newroot/lent/bin/[", Some("[")),
            ("/run/newroot/lent/bin", None),
            ("/run/newroot/lent/bin/a/b", None),
            ("/run/newroot/lent/shim", None),
            ("/run/newroot/lent/binary/ls", None),
            ("/tmp/run/newroot/lent/bin/ls", None),
            ("/usr/bin/newroot", None),
        ];
        for (path, expected) in table {
            assert_eq!(name_of(Path::new(path)).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a_table_that_others_may_write_is_not_trusted() {
        let meta = |kind, uid, mode| Meta {
            kind,
            uid,
            mode,
            ..Host.stat(&RootPath::root()).unwrap()
        };
        assert!(is_trusted(&meta(Kind::File, 0, 0o644)));
        assert!(!is_trusted(&meta(Kind::File, 1000, 0o644)));
        assert!(!is_trusted(&meta(Kind::File, 0, 0o664)));
        assert!(!is_trusted(&meta(Kind::Fifo, 0, 0o644)));
    }
}
