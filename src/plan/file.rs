//! Operations on the files of a root: what a jail is built with.
//!
//! Every path is a [`RootPath`]; the executor resolves it below a directory that it holds open.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use crate::model::{HostPath, Kind, RootPath, shell_word};

/// Owner and group as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// Where a copied file comes from: a path inside the `--from` root, and where that lies on the
/// host (for the shell form).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The path inside the `--from` root, without a link in it.
    pub path: RootPath,
    /// The same on the host.
    pub shown: HostPath,
}

/// One operation on files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileOp {
    /// A directory; its times are set when everything in it is done.
    MakeDir {
        /// Where.
        path: RootPath,
        /// Permission bits.
        mode: u32,
        /// Owner; `None` leaves it the caller's.
        owner: Option<Owner>,
    },
    /// A regular file with mode, owner, times, xattrs and holes; a reflink where possible.
    Copy {
        /// From.
        source: Source,
        /// To.
        path: RootPath,
        /// Length in bytes, for the progress bar.
        size: u64,
        /// Permission bits to give it, already without what is dropped.
        mode: u32,
        /// Owner; `None` leaves it the caller's.
        owner: Option<Owner>,
        /// Whether `security.capability` is copied.
        keep_capabilities: bool,
    },
    /// Another name for a file that was copied before.
    HardLink {
        /// The name that exists.
        existing: RootPath,
        /// The new name.
        path: RootPath,
    },
    /// A symbolic link.
    Symlink {
        /// Where.
        path: RootPath,
        /// Its text.
        target: PathBuf,
    },
    /// A device node; bound from the host where mknod(2) is not allowed.
    Node {
        /// Where.
        path: RootPath,
        /// [`Kind::CharDevice`] or [`Kind::BlockDevice`].
        kind: Kind,
        /// Device number.
        major: u32,
        /// Device number.
        minor: u32,
        /// Permission bits.
        mode: u32,
    },
    /// A small file that newroot makes.
    Write {
        /// Where.
        path: RootPath,
        /// Content.
        bytes: Vec<u8>,
        /// Permission bits.
        mode: u32,
    },
    /// Takes away a file, link or node that newroot made.
    Remove {
        /// Where.
        path: RootPath,
    },
    /// Takes away an empty directory that newroot made.
    RemoveDir {
        /// Where.
        path: RootPath,
    },
}

impl FileOp {
    /// What takes it back.
    #[must_use]
    pub fn inverse(&self) -> Option<Self> {
        match self {
            Self::MakeDir { path, .. } => Some(Self::RemoveDir { path: path.clone() }),
            Self::Copy { path, .. }
            | Self::HardLink { path, .. }
            | Self::Symlink { path, .. }
            | Self::Node { path, .. }
            | Self::Write { path, .. } => Some(Self::Remove { path: path.clone() }),
            Self::Remove { .. } | Self::RemoveDir { .. } => None,
        }
    }

    /// The shell command that does the same below `base`.
    ///
    /// # Errors
    /// Those of the formatter.
    pub fn shell(&self, base: &HostPath, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |path: &RootPath| word(base.show_inside(path).into_os_string());
        match self {
            Self::MakeDir { path, mode, .. } => write!(f, "mkdir -p -m {mode:o} {}", at(path)),
            Self::Copy { source, path, .. } => write!(
                f,
                "cp -a --reflink=auto {} {}",
                word(source.shown.as_path().as_os_str().to_os_string()),
                at(path)
            ),
            Self::HardLink { existing, path } => write!(f, "ln {} {}", at(existing), at(path)),
            Self::Symlink { path, target } => write!(
                f,
                "ln -s {} {}",
                word(target.clone().into_os_string()),
                at(path)
            ),
            Self::Node {
                path,
                kind,
                major,
                minor,
                mode,
            } => {
                let letter = if *kind == Kind::BlockDevice { 'b' } else { 'c' };
                write!(f, "mknod -m {mode:o} {} {letter} {major} {minor}", at(path))
            }
            Self::Write { path, bytes, mode } => write!(
                f,
                "printf %s {} > {} && chmod {mode:o} {}",
                shell_word(bytes),
                at(path),
                at(path)
            ),
            Self::Remove { path } => write!(f, "rm {}", at(path)),
            Self::RemoveDir { path } => write!(f, "rmdir {}", at(path)),
        }
    }
}

fn word(text: OsString) -> String {
    use std::os::unix::ffi::OsStringExt;
    shell_word(&text.into_vec())
}
