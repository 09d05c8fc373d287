//! What DIR is: a jail with its manifest, or at least something that looks like a root.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use crate::error::Failure;
use crate::model::{HostPath, RootPath};
use crate::root::{InRoot, Tree, read};
use crate::ui::shell_quote;

/// What the manifest says about starting the jail's program; all empty without one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct About {
    /// From the profiles.
    pub command: Vec<String>,
    /// From the profiles.
    pub environment: BTreeMap<String, String>,
    /// What the jail was built for, in the order asked for.
    pub programs: Vec<serde_json::Value>,
}

const MANIFEST: &str = "/.newroot/manifest.json";
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

/// Reads the manifest, or looks whether this is a root at all: a home directory exported by a
/// mistyped name would be a leak.
pub(super) fn describe(root: &InRoot, dir: &Path) -> Result<About, Failure> {
    let what = || format!("cannot export {}", shell_quote(dir));
    match read(root, &RootPath::new(MANIFEST), MANIFEST_LIMIT) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
            Failure::new(what(), format!("its manifest is damaged: {error}")).hint(
                "see what differs",
                format!("newroot jail check {}", shell_quote(dir)),
            )
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let signs = ROOT_SIGNS.iter().map(RootPath::new);
            if signs.into_iter().any(|path| root.lstat(&path).is_ok()) {
                return Ok(About::default());
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

impl About {
    /// What to start when nobody says: the profiles' command, else the first program.
    pub(super) fn default_command(&self) -> Vec<String> {
        if !self.command.is_empty() {
            return self.command.clone();
        }
        let first = self.programs.first().and_then(|path| path.as_str());
        first.map(str::to_string).into_iter().collect()
    }
}
