//! From a fork to the program: group, terminal, ids, directory, descriptors, signals, exec.

use std::convert::Infallible;
use std::ffi::CString;
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::plan::{Command, Credentials};
use crate::sys::{self, SysError, SysResult};

/// Why a program was not started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// The call, with its arguments and errno.
    pub text: String,
    /// The errno.
    pub errno: i32,
    /// Whether it was execve(2) itself.
    pub at_exec: bool,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Trouble {
    fn new(error: &SysError, at_exec: bool) -> Self {
        Self {
            text: error.to_string(),
            errno: error.errno.raw_os_error(),
            at_exec,
        }
    }
}

/// A command as execve(2) wants it, made before the fork.
#[derive(Debug)]
pub(super) struct Prepared {
    program: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    directory: PathBuf,
    user: Option<Credentials>,
}

impl Prepared {
    /// # Errors
    /// EINVAL for a NUL inside a string.
    pub(super) fn new(command: &Command) -> SysResult<Self> {
        let text = |bytes: &[u8]| {
            CString::new(bytes).map_err(|error| {
                let shown = String::from_utf8_lossy(&error.into_vec()).into_owned();
                SysError::new("execve", format_args!("{shown:?}"), Errno::INVAL)
            })
        };
        let pair = |(name, value): &(std::ffi::OsString, std::ffi::OsString)| {
            text(&[name.as_bytes(), b"=", value.as_bytes()].concat())
        };
        Ok(Self {
            program: text(&command.program)?,
            arguments: command
                .arguments
                .iter()
                .map(|argument| text(argument.as_bytes()))
                .collect::<SysResult<_>>()?,
            environment: command
                .environment
                .iter()
                .map(pair)
                .collect::<SysResult<_>>()?,
            directory: PathBuf::from(&command.directory),
            user: command.user.clone(),
        })
    }
}

/// In the child: becomes the program. `terminal` is handed over to the program's group when it is
/// given. Comes back only with what went wrong.
pub(super) fn exec_here(
    prepared: &Prepared,
    terminal: Option<&OwnedFd>,
    signals: &sys::signal::Held,
    umask: rustix::fs::Mode,
) -> Trouble {
    if let Err(error) = prepare(prepared, terminal, signals, umask) {
        return Trouble::new(&error, false);
    }
    let Err::<Infallible, _>(errno) = sys::process::execute(
        &prepared.program,
        &prepared.arguments,
        &prepared.environment,
    );
    let error = SysError::new("execve", format_args!("{:?}", prepared.program), errno);
    Trouble::new(&error, true)
}

fn prepare(
    prepared: &Prepared,
    terminal: Option<&OwnedFd>,
    signals: &sys::signal::Held,
    umask: rustix::fs::Mode,
) -> SysResult<()> {
    // A group of its own: Ctrl-C and Ctrl-Z reach the program, and not newroot.
    sys::process::own_group()?;
    if let Some(terminal) = terminal {
        sys::tty::give_to(terminal.as_fd(), None)?;
    }
    if let Some(user) = &prepared.user {
        sys::process::become_user(user.uid, user.gid, user.groups.as_deref())?;
    }
    // The ids clear it. In a session that was joined nothing else ends this process with newroot.
    sys::process::die_with_parent()?;
    // After the ids: the directory must be one that the user may enter.
    sys::ns::change_directory_to(Path::new(&prepared.directory))?;
    rustix::process::umask(umask);
    sys::process::close_on_exec_from(3);
    sys::signal::restore_broken_pipe();
    signals.release_for_program()
}
