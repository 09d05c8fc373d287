//! Where an image is written: beside its place, then renamed onto it; nobody ever sees half of
//! one, and a failure leaves nothing.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use super::ImageError;
use crate::model::FileId;
use crate::root::InRoot;
use crate::sys::{self, unnamed};

/// A file on its way to its name.
#[derive(Debug)]
pub struct Output {
    target: PathBuf,
    state: State,
}

#[derive(Debug)]
enum State {
    /// O_TMPFILE: nothing to clean up, even after SIGKILL.
    Unnamed(File),
    /// Where O_TMPFILE is not to be had.
    Named(tempfile::NamedTempFile),
}

impl Output {
    /// Starts a file that shall become `target`.
    ///
    /// # Errors
    /// The directory cannot be written to.
    pub fn create(target: &Path) -> Result<Self, ImageError> {
        // Without /proc an unnamed file could not be given its name at the end.
        if sys::fs::stat_at(rustix::fs::CWD, Path::new("/proc/self/fd")).is_ok()
            && let Ok(file) = unnamed::create(&parent(target))
        {
            return Ok(Self {
                target: target.to_path_buf(),
                state: State::Unnamed(file),
            });
        }
        Self::create_named(target)
    }

    fn create_named(target: &Path) -> Result<Self, ImageError> {
        use std::os::unix::fs::PermissionsExt;
        let mut builder = tempfile::Builder::new();
        let file = builder
            .prefix(&beside(target))
            // As open(2) has it: less the umask.
            .permissions(std::fs::Permissions::from_mode(0o666))
            .tempfile_in(parent(target))
            .map_err(|source| host(target, source))?;
        Ok(Self {
            target: target.to_path_buf(),
            state: State::Named(file),
        })
    }

    /// A path under which a program that we start can open it, as long as we live.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        use std::os::fd::AsRawFd;
        match &self.state {
            State::Unnamed(file) => {
                let (process, number) = (std::process::id(), file.as_raw_fd());
                PathBuf::from(format!("/proc/{process}/fd/{number}"))
            }
            State::Named(file) => file.path().to_path_buf(),
        }
    }

    /// The open file.
    pub fn file(&mut self) -> &mut File {
        match &mut self.state {
            State::Unnamed(file) => file,
            State::Named(file) => file.as_file_mut(),
        }
    }

    /// Writes it to the disk and gives it its name, in the place of a file that has it.
    ///
    /// # Errors
    /// The errno of fsync(2), linkat(2) or rename(2); the target is as it was then.
    pub fn commit(self) -> Result<(), ImageError> {
        let target = self.target;
        match self.state {
            State::Named(file) => {
                let synced = file.as_file().sync_all();
                synced.map_err(|source| host(&target, source))?;
                file.persist(&target)
                    .map_err(|error| host(&target, error.error))?;
            }
            State::Unnamed(file) => {
                file.sync_all().map_err(|source| host(&target, source))?;
                let path = link_beside(&file, &target)?;
                if let Err(error) = std::fs::rename(&path, &target) {
                    // The first error is the one to tell; the name is ours to remove.
                    std::fs::remove_file(&path).ok();
                    return Err(host(&target, error));
                }
            }
        }
        Ok(())
    }

    /// Copies what was written to `out`, and gives it no name.
    ///
    /// # Errors
    /// It cannot be read again, or `out` cannot take it.
    pub fn copy_to(mut self, out: &mut dyn Write) -> Result<(), ImageError> {
        let file = self.file();
        file.rewind()?;
        let mut buffer = vec![0; 128 * 1024];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => out.write_all(&buffer[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// rename(2) replaces, linkat(2) does not: so a free name beside the target first.
fn link_beside(file: &File, target: &Path) -> Result<PathBuf, ImageError> {
    let mut number = 0;
    loop {
        let mut name = beside(target);
        name.push(format!("{}.{number}", std::process::id()));
        let path = parent(target).join(name);
        match unnamed::link(file, &path) {
            Ok(()) => return Ok(path),
            Err(error) if error.errno == rustix::io::Errno::EXIST && number < 100 => number += 1,
            Err(error) => return Err(host(target, io::Error::other(error))),
        }
    }
}

fn host(target: &Path, source: io::Error) -> ImageError {
    ImageError::Host {
        path: target.to_path_buf(),
        source,
    }
}

/// `.FILE.newroot-`, cut so that the name stays below NAME_MAX.
pub(super) fn beside(target: &Path) -> OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let name = target
        .file_name()
        .map(OsStrExt::as_bytes)
        .unwrap_or_default();
    let mut beside = b".".to_vec();
    beside.extend_from_slice(&name[..name.len().min(200)]);
    beside.extend_from_slice(b".newroot-");
    OsString::from_vec(beside)
}

/// The directory of a path as it was typed.
#[must_use]
pub fn parent(target: &Path) -> PathBuf {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// A file without a name in `directory`, for what has to be known before it can be written.
///
/// # Errors
/// The directory cannot be written to.
pub fn spool(directory: &Path) -> Result<File, ImageError> {
    tempfile::tempfile_in(directory).map_err(|source| host(directory, source))
}

/// Whether `target` would lie inside `root`: the image would hold itself the next time.
///
/// # Errors
/// The errno of open(2) on the directory of `target`.
pub fn is_inside(target: &Path, root: &InRoot) -> io::Result<bool> {
    let root = sys::fs::meta_of_fd(root.fd())?.id;
    let mut at = sys::fs::open_directory_path(rustix::fs::CWD, &parent(target))?;
    let mut below: Option<FileId> = None;
    loop {
        let here = sys::fs::meta_of_fd(&at)?.id;
        if here == root {
            return Ok(true);
        }
        // `..` of the top is the top.
        if below == Some(here) {
            return Ok(false);
        }
        below = Some(here);
        at = sys::fs::open_directory_path(&at, Path::new(".."))?;
    }
}
