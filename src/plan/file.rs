//! Operations on the files of a root: what a jail is built with.
//!
//! Every path is a [`RootPath`]; the executor resolves it below a directory that it holds open.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use crate::model::{Entry, HostPath, Kind, RootPath, shell_text, shell_word};

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
    /// Owner, mode and times of something that is there already: of a directory when everything
    /// in it is done, of a link when it is made.
    Finish {
        /// Where.
        path: RootPath,
        /// Permission bits; `None` for a link, which has none.
        mode: Option<u32>,
        /// Owner; `None` leaves it as it is.
        owner: Option<Owner>,
        /// Seconds and nanoseconds since 1970; `None` leaves it as it is.
        modified: Option<(i64, u32)>,
        /// Extended attributes are taken from here.
        like: Option<Source>,
    },
    /// The same under a name nobody knows, then renamed over what is there: a program that runs
    /// keeps the file it has open.
    Replace {
        /// [`Self::Copy`], [`Self::HardLink`], [`Self::Symlink`] or [`Self::Write`].
        with: Box<Self>,
    },
    /// The manifest, which needs what the copying found out (BLAKE3 sums).
    Manifest {
        /// Where.
        path: RootPath,
    },
    /// The record of what comes next, for the case that this is killed; the manifest ends it.
    Pending {
        /// Where.
        path: RootPath,
        /// What will be made or replaced, as it shall be.
        entries: Vec<Entry>,
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
            | Self::Write { path, .. }
            | Self::Manifest { path } => Some(Self::Remove { path: path.clone() }),
            // What was replaced is gone: doing it again is the way forward, not back.
            Self::Finish { .. }
            | Self::Replace { .. }
            // It says what may have been left until the jail is as a manifest says.
            | Self::Pending { .. }
            | Self::Remove { .. }
            | Self::RemoveDir { .. } => None,
        }
    }

    /// The path that it makes, changes or takes away.
    #[must_use]
    pub fn path(&self) -> &RootPath {
        match self {
            Self::MakeDir { path, .. }
            | Self::Copy { path, .. }
            | Self::HardLink { path, .. }
            | Self::Symlink { path, .. }
            | Self::Node { path, .. }
            | Self::Write { path, .. }
            | Self::Finish { path, .. }
            | Self::Manifest { path }
            | Self::Pending { path, .. }
            | Self::Remove { path }
            | Self::RemoveDir { path } => path,
            Self::Replace { with } => with.path(),
        }
    }

    /// The same operation on another path.
    #[must_use]
    pub fn at(&self, place: &RootPath) -> Self {
        let mut op = self.clone();
        match &mut op {
            Self::MakeDir { path, .. }
            | Self::Copy { path, .. }
            | Self::HardLink { path, .. }
            | Self::Symlink { path, .. }
            | Self::Node { path, .. }
            | Self::Write { path, .. }
            | Self::Finish { path, .. }
            | Self::Manifest { path }
            | Self::Pending { path, .. }
            | Self::Remove { path }
            | Self::RemoveDir { path } => *path = place.clone(),
            Self::Replace { with } => **with = with.at(place),
        }
        op
    }

    /// Bytes that it copies, for the progress bar.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Copy { size, .. } => *size,
            Self::Replace { with } => with.bytes(),
            _ => 0,
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
                shell_text(bytes),
                at(path),
                at(path)
            ),
            Self::Finish {
                path,
                mode,
                owner,
                modified,
                ..
            } => finish(f, &at(path), *mode, *owner, *modified),
            Self::Replace { with } => replace(f, with, base),
            Self::Manifest { path } => write!(
                f,
                "# write {}: what is in here, from where and why, with BLAKE3 sums",
                at(path)
            ),
            Self::Pending { path, .. } => write!(
                f,
                "# write {}: what comes next, for the case that this is cut short",
                at(path)
            ),
            Self::Remove { path } => write!(f, "rm {}", at(path)),
            Self::RemoveDir { path } => write!(f, "rmdir {}", at(path)),
        }
    }
}

fn finish(
    f: &mut fmt::Formatter<'_>,
    at: &str,
    mode: Option<u32>,
    owner: Option<Owner>,
    modified: Option<(i64, u32)>,
) -> fmt::Result {
    let mut parts = Vec::new();
    if let Some(Owner { uid, gid }) = owner {
        parts.push(format!("chown -h {uid}:{gid} {at}"));
    }
    if let Some(mode) = mode {
        parts.push(format!("chmod {mode:o} {at}"));
    }
    if let Some((seconds, _)) = modified {
        parts.push(format!("touch -h -d @{seconds} {at}"));
    }
    if parts.is_empty() {
        parts.push(format!("# {at} is done"));
    }
    f.write_str(&parts.join(" && "))
}

fn replace(f: &mut fmt::Formatter<'_>, with: &FileOp, base: &HostPath) -> fmt::Result {
    let path = with.path();
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    let new = path.parent().join(name);
    with.at(&new).shell(base, f)?;
    write!(
        f,
        " && mv -T {} {}",
        word(base.show_inside(&new).into_os_string()),
        word(base.show_inside(path).into_os_string())
    )
}

fn word(text: OsString) -> String {
    use std::os::unix::ffi::OsStringExt;
    shell_word(&text.into_vec())
}
