//! Package databases: every one ends in an answer or an error, and names no more than it has.

use newroot::model::RootPath;
use newroot::probe::Packages;
use newroot::probe::health::pkgstate;
use newroot::root::Mem;

use super::named;

const PATHS: &[&str] = &[
    "/var/lib/dpkg/status",
    "/var/lib/dpkg/info/a.list",
    "/var/lib/dpkg/info/a.md5sums",
    "/var/lib/dpkg/diversions",
    "/var/lib/rpm/rpmdb.sqlite",
    "/var/lib/rpm/rpmdb.sqlite-wal",
    "/usr/lib/sysimage/rpm/Packages.db",
    "/var/lib/rpm/Packages",
    "/var/lib/pacman/local/a-1-1/files",
    "/var/lib/pacman/local/a-1-1/mtree",
    "/lib/apk/db/installed",
];

/// Fails by panicking.
pub(crate) fn run(data: &[u8]) {
    let tree = Mem::new()
        .with_file("/usr/bin/a", "a")
        .with_file("/var/lib/dpkg/info/a.list", "/.\n/usr/bin/a\n");
    let tree = named::lay(tree, PATHS, data);
    let packages = Packages::open(&tree);
    let path = RootPath::new("/usr/bin/a");
    if let Ok(files) = packages.files_of("a") {
        let all = files.files.len() + files.directories.len() + files.absent.len();
        assert!(all <= data.len() + 2);
    }
    if let Ok(Some(owner)) = packages.owner_of(&path) {
        assert_eq!(packages.records_of(&[(&owner, &path)]).len(), 1);
    }
    for lost in packages.lost_files().packages.values() {
        assert!(!lost.names.is_empty() && lost.names.len() <= 6);
    }
    let _state = pkgstate::look(&tree);
}
