//! TARGET, as every verb of the rescue side takes it, and the failures on the way to it.

use std::io;

use rustix::io::Errno;

use crate::error::Failure;
use crate::model::HostPath;
use crate::probe::peek::PeekError;
use crate::probe::scan::{Found, ScanError};
use crate::sys::{describe, errno_of};
use crate::tool::ToolError;
use crate::ui::scan::place;

const SEE_ALL: (&str, &str) = ("see what there is", "newroot scan");

/// A scan that could not be made.
pub(super) fn scan_failure(error: &ScanError) -> Failure {
    let what = "cannot look for installed systems";
    match error {
        ScanError::Tool(ToolError::Missing { program, package }) => {
            Failure::new(what, format!("{program} is not installed"))
                .hint("install the package", *package)
        }
        ScanError::Open { path, source } => {
            let what = format!("cannot look at {}", path.display());
            refused(what, source.errno).caused_by(source.clone())
        }
        ScanError::NotADevice(path) => Failure::new(
            format!("cannot look at {}", path.display()),
            "it is neither a block device nor an image file",
        )
        .hint(SEE_ALL.0, SEE_ALL.1),
        ScanError::Tool(_) => Failure::new(what, error.to_string()),
    }
}

/// Whether it was refused to this user, and root may do it.
pub(super) fn is_for_root(errno: Errno) -> bool {
    matches!(errno, Errno::ACCESS | Errno::PERM) && !rustix::process::geteuid().is_root()
}

/// A look that is still open after it was closed: nothing may be mounted read-write now.
pub(super) fn left_open(left: &[PeekError]) -> Failure {
    let failure = Failure::new("the scan did not close what it looked at", "");
    left.iter()
        .fold(failure, |failure, error| failure.detail(error.to_string()))
        .hint("see who holds it", "newroot scan")
}

/// A directory that cannot be opened as a root.
pub(super) fn no_directory(path: &HostPath, error: &io::Error) -> Failure {
    refused(format!("cannot look at {path}"), errno_of(error))
}

/// What was named cannot be opened: where to find what can.
pub(super) fn refused(what: String, errno: Errno) -> Failure {
    let failure = Failure::new(what, describe(errno));
    if is_for_root(errno) {
        return failure.hint("become root", "sudo newroot ...");
    }
    failure.hint(SEE_ALL.0, SEE_ALL.1)
}

/// A TARGET that leads nowhere: what there is instead.
pub(super) fn nothing_fits(found: &Found, typed: &str) -> Failure {
    let what = format!("no system fits \"{typed}\"");
    let failure = match found.systems.len() + found.locked.len() {
        0 => Failure::new(what, "no installed system was found at all"),
        _ => Failure::new(what, "these were found"),
    };
    let failure = found.systems.iter().fold(failure, |failure, system| {
        let host = system.facts.hostname.as_deref().unwrap_or("?");
        failure.detail(format!(
            "{}  {}  {host}  {}",
            system.id,
            system.facts.os.short(),
            place(&found.inventory, system)
        ))
    });
    let failure = found.locked.iter().fold(failure, |failure, locked| {
        let name = &found.inventory.volumes[locked.volume].name;
        failure.detail(format!("{}  locked, {}  {name}", locked.id, locked.what))
    });
    let notes = found.notes.iter();
    let failure = notes.fold(failure, |failure, note| failure.detail(note.clone()));
    // With a slash it was taken for a file already.
    let is_file = !typed.contains('/') && crate::probe::target::kind_of(typed.as_ref()).is_some();
    let failure = failure.hint("see what was left out, and why", "newroot scan");
    if is_file {
        return failure.hint(
            "if a file or directory is meant",
            format!("newroot scan ./{typed}"),
        );
    }
    failure
}
