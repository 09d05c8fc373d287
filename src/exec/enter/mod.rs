//! Entering a root: the supervisor S, the init I, the program.
//!
//! ```text
//! S  the process that was started: host's root, terminal, record. Own mount namespace, slave.
//! └─ I  process 1 of a PID namespace, own mount namespace: mounts, pivots, reaps.
//!    └─ the program, in a process group of its own
//! ```
//!
//! S and I talk over a [`crate::sys::wire::Wire`]. When S ends, however it ends, I ends (PR_SET_PDEATHSIG, and the
//! wire at its end), and the kernel kills everything in I's PID namespace; the mounts go with the
//! namespace. So a SIGKILL of newroot leaves nothing.
//!
//! A command of a rescue has a terminal of its own, which S joins to the user's (`exec::relay`), and
//! so has whatever is entered in a nested PID namespace: I is the leader of its session then.
//!
//! In a rescue I stays in the host's root ([`InitRoot::Host`]): the program gets a third mount
//! namespace, mounts and pivots there by itself. `/proc/1/root` is then not its `/`, which is
//! what ischroot(1) and systemd-detect-virt(1) look at, and /proc is still the truth.

mod apart;
mod files;
mod init;
mod join;
mod leave;
mod message;
mod mounting;
mod payload;
mod supervise;
mod unshare;

pub use join::Target;
pub use payload::Trouble;
pub use supervise::{join, run};
pub use unshare::{Namespaces, UserNamespaceError, unshare};

use supervise::GRACE;

use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};

use super::Holder;
use crate::model::{Ended, FileId, HostPath};
use crate::plan::Step;
use crate::session::SessionError;
use crate::sys::SysError;

/// The directory that becomes `/`.
#[derive(Debug)]
pub enum RootDirectory {
    /// A directory of the host. It is opened again by its name in the new namespace, and must
    /// then be the same.
    Path {
        /// Absolute.
        path: HostPath,
        /// What was looked at.
        id: FileId,
    },
    /// A mount that is attached nowhere yet (a jail built in a tmpfs); made after [`unshare()`].
    Detached(OwnedFd),
}

/// Everything that is needed to enter.
#[derive(Debug)]
pub struct Entry {
    /// What becomes `/`.
    pub root: RootDirectory,
    /// What is done, in order; those of [`crate::plan::Place::Payload`] by the init.
    pub steps: Vec<Step>,
    /// The tmpfs of lent tools, filled and attached nowhere; made after [`unshare()`].
    pub lent: Option<OwnedFd>,
    /// Whether the end of the terminal ends the session (an interactive shell).
    pub ends_on_hangup: bool,
    /// Where the init is.
    pub init: InitRoot,
}

/// Which root the init of a session has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitRoot {
    /// That of the program: the init pivots.
    Program,
    /// The host's: the program pivots, in a mount namespace of its own. Where the session does
    /// not end with the terminal, the program ignores SIGHUP as with nohup(1): a connection that
    /// is lost must not cut a repair in two.
    Host,
}

/// Where a program can leave a word that [`Outcome::wish`] gives: a file in the root.
pub const WISH: &str = "/run/newroot/wish";

/// What a program in a rescue asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wish {
    /// Start the machine again.
    Reboot,
    /// Switch it off.
    PowerOff,
    /// Stop it.
    Halt,
}

impl Wish {
    /// Reads the word that was left.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "reboot" => Some(Self::Reboot),
            "poweroff" => Some(Self::PowerOff),
            "halt" => Some(Self::Halt),
            _ => None,
        }
    }

    /// The command that does it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Reboot => "reboot",
            Self::PowerOff => "poweroff",
            Self::Halt => "halt",
        }
    }
}

/// How it ended.
#[derive(Debug)]
pub struct Outcome {
    /// The program's end.
    pub ended: Ended,
    /// The signal that told newroot to end it, if one did.
    pub told: Option<i32>,
    /// Who still holds the session's namespaces or filesystems.
    pub holders: Vec<Holder>,
    /// What the program left in [`WISH`], or asked the kernel for by reboot(2), which in a PID
    /// namespace ends that namespace only. The second was not confirmed by anybody.
    pub wish: Option<(Wish, Confirmed)>,
}

/// Whether a person was asked already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// Inside, with a typed yes.
    Yes,
    /// Not yet.
    No,
}

/// Why the program did not run, or how it was lost.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// The namespaces.
    #[error(transparent)]
    Sys(#[from] SysError),
    /// The record.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A step failed in the init.
    #[error("{text}")]
    Step {
        /// Its place in [`Entry::steps`].
        step: usize,
        /// The call, with its errno.
        text: String,
        /// The errno.
        errno: i32,
    },
    /// The program could not be started.
    #[error("{0}")]
    Program(Trouble),
    /// A signal came before the program ran.
    #[error("ended by a signal before the program ran")]
    Told(i32),
    /// The init ended without a word.
    #[error("the init of the session was killed")]
    InitLost(Ended),
}
