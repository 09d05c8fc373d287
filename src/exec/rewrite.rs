//! Replacing what is there, and the manifest: made under another name first, so that a program
//! that runs keeps its file, and nobody ever reads half of one.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::PathBuf;

use rustix::io::Errno;

use super::files::{missing_is_fine, undone_on_error, write};
use super::{ExecError, Files, Outcome, clear};
use crate::model::{MANIFEST, RootPath};
use crate::plan::FileOp;
use crate::sys::{SysError, SysResult, file, fs};

/// Begins the name of a new file beside the manifest.
const NEW: &str = "new-";

impl Files<'_> {
    /// Removes what a killed update left beside the manifest.
    ///
    /// # Errors
    /// The errno of unlinkat(2).
    pub fn clear_unfinished(&mut self) -> Result<(), ExecError> {
        let hidden = RootPath::new(MANIFEST).parent();
        let directory = fs::open_real_directory(self.target().fd(), hidden.relative());
        let Ok(directory) = directory else {
            return Ok(());
        };
        for name in clear::names(directory.as_fd())? {
            if name
                .as_os_str()
                .as_encoded_bytes()
                .starts_with(NEW.as_bytes())
            {
                missing_is_fine(file::unlink(&directory, &name))?;
            }
        }
        Ok(())
    }

    /// Makes it under another name beside the manifest, then renames it over what is there.
    pub(super) fn replace(&mut self, with: &FileOp) -> SysResult<()> {
        let path = with.path().clone();
        let stage = RootPath::new(MANIFEST)
            .parent()
            .join(format!("{NEW}{}", std::process::id()));
        let (stage_parent, stage_name) = self.parent_of(&stage)?;
        missing_is_fine(file::unlink(&stage_parent, &stage_name))?;
        let before = self.outcomes.len();
        self.perform_at(with, &stage_parent, &stage_name)?;
        let (parent, name) = self.parent_of(&path)?;
        let done = file::rename(&stage_parent, &stage_name, &parent, &name);
        if done.is_err() {
            self.outcomes.truncate(before);
        }
        undone_on_error(&stage_parent, &stage_name, done)
    }

    pub(super) fn write_manifest(&mut self, path: &RootPath) -> SysResult<()> {
        self.complete_manifest();
        let mut manifest = self.manifest.take().unwrap_or_default();
        manifest.take_sums(self.outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Copied {
                path,
                blake3,
                bytes,
                ..
            } => Some((path, *blake3, *bytes)),
            _ => None,
        }));
        manifest.forget(self.outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::NodeRefused(path) => Some(path),
            _ => None,
        }));
        let bytes = manifest.to_json().map_err(|error| {
            SysError::new("write", format_args!("{path}: {error}"), Errno::INVAL)
        })?;
        self.manifest = Some(manifest);
        let (parent, name) = self.parent_of(path)?;
        let mut new = OsString::from(name.as_os_str());
        new.push(".new");
        let new = PathBuf::from(new);
        missing_is_fine(file::unlink(&parent, &new))?;
        let done = write(&parent, &new, &bytes, 0o644)
            .and_then(|()| file::rename(&parent, &new, &parent, &name));
        undone_on_error(&parent, &new, done)
    }
}
