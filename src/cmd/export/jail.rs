//! What DIR is: a jail with its manifest, or at least something that looks like a root.

use std::path::Path;
use std::sync::Arc;

use crate::error::Failure;
use crate::model::{HostPath, MANIFEST, Manifest, RootPath};
use crate::root::{InRoot, Tree, read};
use crate::ui::shell_quote;

/// One entry for each file of the jail; a whole distribution has some 100 MB.
const MANIFEST_LIMIT: usize = 512 * 1024 * 1024;

/// One of these makes a directory look like a root.
const ROOT_SIGNS: &[&str] = &["/bin", "/sbin", "/usr/bin", "/usr/sbin", "/init"];

/// Left out of every image.
pub(super) fn manifest_directory() -> RootPath {
    RootPath::new(MANIFEST).parent()
}

pub(super) fn open(dir: &Path) -> Result<Arc<InRoot>, Failure> {
    let opened = InRoot::open(&HostPath::new(dir));
    opened.map(Arc::new).map_err(|error| {
        let what = format!("cannot export {}", shell_quote(dir));
        Failure::new(what, error.to_string()).caused_by(error)
    })
}

/// Reads the manifest; an empty one where there is none and this looks like a root all the same. A
/// home directory exported by a mistyped name would be a leak.
pub(super) fn describe(root: &InRoot, dir: &Path) -> Result<Manifest, Failure> {
    let what = || format!("cannot export {}", shell_quote(dir));
    match read(root, &RootPath::new(MANIFEST), MANIFEST_LIMIT) {
        Ok(bytes) => Manifest::parse(&bytes).map_err(|error| {
            Failure::new(what(), format!("its manifest: {error}")).hint(
                "see what differs",
                format!("newroot jail check {}", shell_quote(dir)),
            )
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let signs = ROOT_SIGNS.iter().map(RootPath::new);
            if signs.into_iter().any(|path| root.lstat(&path).is_ok()) {
                return Ok(Manifest::default());
            }
            let dir = shell_quote(dir);
            Err(
                Failure::new(what(), "it is no jail, and does not look like a root")
                    .detail(format!(
                        "it has no {MANIFEST}, and none of {}",
                        ROOT_SIGNS.join(", ")
                    ))
                    .hint(
                        "make a jail in it",
                        format!("newroot jail build {dir} PROGRAM"),
                    )
                    .hint(
                        "archive a plain directory",
                        format!("tar -C {dir} -cf FILE ."),
                    ),
            )
        }
        Err(error) => Err(Failure::new(what(), format!("its manifest: {error}")).caused_by(error)),
    }
}

/// The normal user who built the jail, told by who owns its top directory: everything of theirs
/// belongs to root in the image.
pub(super) fn builder(root: &InRoot) -> std::io::Result<Option<u32>> {
    let owner = root.lstat(&RootPath::root())?.uid;
    Ok((owner != 0).then_some(owner))
}

/// What to start when nobody says: the profiles' command, else the first program.
pub(super) fn default_command(manifest: &Manifest) -> Vec<String> {
    if !manifest.command.is_empty() {
        return manifest.command.clone();
    }
    let first = manifest.programs.first();
    // A name that is no text cannot stand in a JSON config.
    let first = first.and_then(|path| path.as_path().to_str());
    first.map(str::to_string).into_iter().collect()
}
