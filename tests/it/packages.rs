//! The package databases of this machine, against what its own package manager says.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use newroot::model::RootPath;
use newroot::probe::Packages;
use newroot::root::Host;

use crate::support::{Need, need};

/// The path with its directory's links resolved, as the database reader gives it.
fn real(path: &str) -> Option<PathBuf> {
    let path = Path::new(path);
    let directory = fs::canonicalize(path.parent()?).ok()?;
    Some(directory.join(path.file_name()?))
}

/// What dpkg-query(1) lists for a package and is there, directories left out.
fn listed(package: &str) -> Option<BTreeSet<PathBuf>> {
    let output = Command::new("dpkg-query")
        .args(["-L", package])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    // "diverted by X to: PATH" follows a path that is elsewhere; "package diverts others".
    let diverted = text.contains("diverted by ") || text.contains("locally diverted");
    (output.status.success() && !diverted).then(|| {
        text.lines()
            .filter(|line| line.starts_with('/') && *line != "/.")
            .filter(|line| fs::symlink_metadata(line).is_ok_and(|meta| !meta.is_dir()))
            // Listed as the directories that they were.
            .filter(|line| !["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"].contains(line))
            .filter_map(real)
            .collect()
    })
}

#[test]
fn files_and_owners_are_those_of_dpkg() {
    if !need(&[Need::Command("dpkg-query")]) {
        return;
    }
    let packages = Packages::open(&Host);
    let mut compared = 0;
    for package in [
        "coreutils",
        "libc6",
        "util-linux",
        "passwd",
        "tar",
        "base-files",
        "mount",
    ] {
        let Some(want) = listed(package) else {
            continue;
        };
        let found = packages.files_of(package).unwrap();
        // Deeper links than a merged /usr's may give a directory two names.
        let have: BTreeSet<PathBuf> = found
            .files
            .iter()
            .filter_map(|path| real(&path.to_string()))
            .collect();
        let differ: Vec<_> = have.symmetric_difference(&want).collect();
        assert!(differ.is_empty(), "{package}: {differ:?}");
        let owners = packages.owners_of(&found.files).unwrap();
        for path in &found.files {
            assert_eq!(
                owners.get(path).map(String::as_str),
                Some(package),
                "{path}"
            );
        }
        compared += found.files.len();
    }
    assert!(compared > 300, "only {compared} files were compared");
    let nobody = RootPath::new("/etc/passwd");
    assert_eq!(packages.owner_of(&nobody).unwrap(), None);
}
