//! What a jail's manifest says about entering it: the profile's command, variables and binds.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::cli::enter::EntryOptions;
use crate::model::{BindEntry, MANIFEST, Manifest, RootPath};
use crate::root::{self, Tree};

/// A manifest of a million files has about 300 MiB; more is none of ours.
const LIMIT: usize = 1 << 30;

/// What the jail adds to the command line; empty for a root that is no jail.
#[derive(Debug, Default)]
pub(super) struct Jail {
    pub(super) command: Vec<OsString>,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) binds: Vec<BindEntry>,
}

/// Reads the manifest of `tree`. The words of the command line win over the profile's command.
/// A damaged manifest is `jail check`'s to report: the jail can be entered all the same.
pub(super) fn read(tree: &dyn Tree, words: &[OsString]) -> Jail {
    let manifest = root::read(tree, &RootPath::new(MANIFEST), LIMIT)
        .ok()
        .and_then(|bytes| Manifest::parse(&bytes).ok());
    let mut jail = Jail::default();
    if let Some(manifest) = manifest {
        jail.command = manifest.command.iter().map(OsString::from).collect();
        jail.environment = manifest
            .environment
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        jail.binds = manifest.binds;
    }
    if !words.is_empty() {
        jail.command = words.to_vec();
    }
    jail
}

/// The options with the jail's binds before the user's own, so that his lie on top.
pub(super) fn with_binds(options: &EntryOptions, binds: &[BindEntry]) -> EntryOptions {
    let mut all = options.clone();
    let own = std::mem::take(&mut all.bind);
    all.bind = binds.iter().map(as_option).chain(own).collect();
    all
}

/// `SRC:DST[:ro]`, with the colons of names escaped.
fn as_option(bind: &BindEntry) -> OsString {
    let mut text = escape(&bind.source.0);
    text.push(b':');
    text.extend(escape(bind.target.as_path().as_os_str().as_bytes()));
    if bind.read_only {
        text.extend(b":ro");
    }
    OsString::from_vec(text)
}

fn escape(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    for byte in name {
        if *byte == b':' {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Text;

    #[test]
    fn a_bind_of_a_manifest_reads_like_an_option() {
        let bind = BindEntry {
            source: Text(b"/srv/a:b".to_vec()),
            target: RootPath::new("/data"),
            read_only: true,
        };
        assert_eq!(as_option(&bind), "/srv/a\\:b:/data:ro");
    }
}
