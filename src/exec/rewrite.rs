//! Replacing what is there, and the manifest with the record of a change: made under another name
//! first, so that a program that runs keeps its file, and nobody ever reads half of one.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::io::Errno;

use super::files::{missing_is_fine, undone_on_error, write};
use super::leftover::clear_leftovers;
use super::stage::MARKER;
use super::{Files, Outcome, StageError, clear};
use crate::model::{Entry, MANIFEST, MANIFEST_VERSION, ManifestError, PENDING, Pending, RootPath};
use crate::plan::FileOp;
use crate::sys::{SysError, SysResult, file, fs};

/// Begins the name of a new file beside the manifest.
const NEW: &str = "new-";

impl Files<'_> {
    /// Removes what a killed build left once the jail was complete, and what a killed change left
    /// beside the manifest. The record of such a change stays: the plan knows it.
    ///
    /// # Errors
    /// The errno of unlinkat(2).
    pub fn clear_unfinished(&mut self) -> Result<(), StageError> {
        missing_is_fine(file::unlink(self.target().fd(), Path::new(MARKER)))?;
        let top = file::open_directory(self.target().fd(), Path::new("."))?;
        clear_leftovers(&top, Path::new("."))?;
        let hidden = RootPath::new(MANIFEST).parent();
        let directory = fs::open_real_directory(self.target().fd(), hidden.relative());
        let Ok(directory) = directory else {
            return Ok(());
        };
        for name in clear::names(directory.as_fd())? {
            let bytes = name.as_os_str().as_encoded_bytes();
            if bytes.starts_with(NEW.as_bytes()) {
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
        let bytes = manifest.to_json();
        self.manifest = Some(manifest);
        self.write_record(path, bytes)?;
        // One that stays is another manifest's, and says nothing.
        self.forget_pending().ok();
        Ok(())
    }

    /// Writes down what is about to be made.
    pub(super) fn write_pending(&mut self, path: &RootPath, entries: &[Entry]) -> SysResult<()> {
        let pending = Pending {
            version: MANIFEST_VERSION,
            manifest: self.began_from.clone(),
            entries: entries.to_vec(),
        };
        self.write_record(path, pending.to_json())
    }

    /// The jail is as its manifest says: there is nothing to know about a change.
    ///
    /// # Errors
    /// The errno of unlinkat(2).
    pub fn forget_pending(&mut self) -> SysResult<()> {
        let (parent, name) = self.parent_of(&RootPath::new(PENDING))?;
        missing_is_fine(file::unlink(&parent, &name))
    }

    fn write_record(
        &mut self,
        path: &RootPath,
        json: Result<Vec<u8>, ManifestError>,
    ) -> SysResult<()> {
        let bytes = json.map_err(|error| {
            SysError::new("write", format_args!("{path}: {error}"), Errno::INVAL)
        })?;
        let (parent, name) = self.parent_of(path)?;
        let new = format!("{NEW}{}", name.display());
        let new = Path::new(&new);
        missing_is_fine(file::unlink(&parent, new))?;
        let done = write(&parent, new, &bytes, 0o644)
            .and_then(|()| file::rename(&parent, new, &parent, &name));
        undone_on_error(&parent, new, done)
    }
}
