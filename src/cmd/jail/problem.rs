//! What stands in the way of a jail, and what is worth knowing about it.

use std::ffi::OsString;

use rustix::io::Errno;

use super::gather::Need;
use crate::elf::{CutOff, DlopenNote};
use crate::model::RootPath;
use crate::sys::describe;

/// A reason why there is no jail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// No program of that name.
    NoProgram {
        name: String,
        by: String,
        searched: Vec<RootPath>,
        nearest: Option<String>,
        /// A file of that name in the working directory.
        here: bool,
    },
    /// A path that cannot be looked at or read.
    Unreadable {
        path: RootPath,
        errno: Errno,
        /// What there is with a name like that.
        nearest: Option<RootPath>,
    },
    /// An ELF file that nothing can start.
    Broken { path: RootPath, reason: String },
    /// A script whose interpreter is not there.
    NoInterpreter {
        script: RootPath,
        name: OsString,
        need: Need,
    },
    /// A script whose interpreter is there and of no use.
    NotRunBy {
        script: RootPath,
        program: RootPath,
        reason: String,
        need: Need,
    },
    /// The loader that a program names is not there.
    NoLoader {
        program: RootPath,
        loader: RootPath,
        need: Need,
    },
    /// A library that no rule finds.
    NoLibrary {
        program: RootPath,
        name: String,
        needed_by: RootPath,
        searched: Vec<String>,
        need: Need,
    },
    /// A file that is shorter than its headers say.
    CutOff {
        program: RootPath,
        file: CutOff,
        need: Need,
    },
    /// A package that is not installed, or whose database cannot be read.
    Package { by: String, why: String },
    /// A user that `--from` does not have.
    NoUser { name: String },
    /// A glob or path of a profile that finds nothing.
    NoMatch { pattern: String, by: String },
}

impl Problem {
    pub(super) fn is_required(&self) -> bool {
        match self {
            Self::NoInterpreter { need, .. }
            | Self::NotRunBy { need, .. }
            | Self::NoLoader { need, .. }
            | Self::NoLibrary { need, .. }
            | Self::CutOff { need, .. } => *need == Need::Required,
            _ => true,
        }
    }

    /// One line.
    pub(super) fn line(&self) -> String {
        match self {
            Self::NoProgram { name, by, .. } => format!("{by}: there is no program {name}"),
            Self::Unreadable { path, errno, .. } if *errno == Errno::OPNOTSUPP => {
                format!("{path} is neither a file nor a directory nor a device")
            }
            Self::Unreadable { path, errno, .. } => format!("{path}: {}", describe(*errno)),
            Self::Broken { path, reason } => format!("{path} cannot be started: {reason}"),
            Self::NoInterpreter { script, name, .. } => format!(
                "{script} is run by {}, which is not there",
                name.to_string_lossy()
            ),
            Self::NotRunBy {
                script,
                program,
                reason,
                ..
            } => format!("{script} cannot be run by {program}: {reason}"),
            Self::NoLoader {
                program, loader, ..
            } => format!("{program} asks for the loader {loader}, which is not there"),
            Self::NoLibrary {
                program,
                name,
                needed_by,
                ..
            } if program == needed_by => format!("{program} needs {name}, which is not found"),
            Self::NoLibrary {
                program,
                name,
                needed_by,
                ..
            } => format!("{program}: {needed_by} needs {name}, which is not found"),
            Self::CutOff { program, file, .. } if *program == file.path => {
                format!("{program}: {file}")
            }
            Self::CutOff { program, file, .. } => {
                format!("{program} needs {}: {file}", file.path)
            }
            Self::Package { by, why } => format!("{by}: {why}"),
            Self::NoUser { name } => format!("there is no user {name} in its /etc/passwd"),
            Self::NoMatch { pattern, by } => format!("{by}: nothing matches {pattern}"),
        }
    }
}

/// Something to know about a jail that was built.
#[derive(Clone, Debug)]
pub(super) enum Note {
    /// A path that was not taken.
    LeftOut { path: RootPath, errno: Errno },
    /// Something that came along and will not work.
    Incomplete(Problem),
    /// An optional thing that is not installed.
    Absent { what: String, by: String },
    /// None of a profile's users is known.
    NoUsers { by: String, names: String },
    /// A program in a directory that the profile's PATH does not name.
    NotInPath { program: RootPath, path: String },
    /// A program that this machine does not start.
    WillNotStart { program: RootPath, why: String },
    /// A library that every program would load first, and that is not found.
    NotPreloaded { name: String },
    /// A library that is loaded later, if it is there.
    Dlopen { program: RootPath, note: DlopenNote },
}
