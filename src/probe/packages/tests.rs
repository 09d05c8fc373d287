//! Each database as its package manager writes it, the two spellings, and damaged files.

use super::*;
use crate::root::Mem;

fn texts(paths: &[RootPath]) -> Vec<String> {
    paths.iter().map(ToString::to_string).collect()
}

/// A merged-/usr Debian with a diversion, a conffile that was removed, and two architectures.
fn debian() -> Mem {
    let info = "/var/lib/dpkg/info";
    Mem::new()
        .with_link("/bin", "usr/bin")
        .with_link("/lib", "usr/lib")
        .with_file("/usr/bin/ls", "")
        .with_file("/usr/bin/dash", "")
        .with_file("/usr/bin/sh.distrib", "")
        .with_file("/usr/bin/sh", "")
        .with_file("/usr/lib/x86/libc.so.6", "")
        .with_file("/usr/lib/i386/libc.so.6", "")
        .with_dir("/var/cache/coreutils")
        .with_file(
            "/var/lib/dpkg/status",
            "Package: coreutils\nStatus: install ok installed\nArchitecture: amd64\n\n\
             Package: libc6\nStatus: install ok installed\nArchitecture: i386\n\n\
             Package: libc6\nArchitecture: amd64\nStatus: install ok installed\n\n\
             Package: dash\nStatus: install ok installed\nArchitecture: amd64\n\n\
             Package: bash\nStatus: install ok installed\nArchitecture: amd64\n\n\
             Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\n\n\
             Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\n",
        )
        .with_file(
            &format!("{info}/coreutils.list"),
            "/.\n/lib\n/bin\n/bin/ls\n/etc/removed.conf\n/var\n/var/cache\n/var/cache/coreutils\n",
        )
        .with_file(&format!("{info}/libc6:amd64.list"), "/lib/x86/libc.so.6\n")
        .with_file(&format!("{info}/libc6:i386.list"), "/lib/i386/libc.so.6\n")
        .with_file(&format!("{info}/dash.list"), "/bin/dash\n/bin/sh\n")
        .with_file(&format!("{info}/bash.list"), "/bin/sh\n")
        .with_file(&format!("{info}/gone.list"), "/etc/gone.conf\n")
        .with_file(
            "/var/lib/dpkg/diversions",
            "/bin/sh\n/bin/sh.distrib\nbash\ncut\nshort\n",
        )
}

#[test]
fn dpkg_lists_files_as_the_merged_root_has_them() {
    let tree = debian();
    let packages = Packages::open(&tree);
    assert_eq!(packages.systems(), [System::Dpkg]);
    let found = packages.files_of("coreutils").unwrap();
    // Neither /bin nor /lib: the package meant directories.
    assert_eq!(texts(&found.files), ["/usr/bin/ls"]);
    let directories = ["/var", "/var/cache", "/var/cache/coreutils"];
    assert_eq!(texts(&found.directories), directories);
    assert_eq!(texts(&found.absent), ["/etc/removed.conf"]);
}

#[test]
fn dpkg_takes_the_machines_own_architecture_unless_told() {
    let tree = debian();
    let packages = Packages::open(&tree);
    let file = |name: &str| texts(&packages.files_of(name).unwrap().files);
    assert_eq!(file("libc6"), ["/usr/lib/x86/libc.so.6"]);
    assert_eq!(file("libc6:amd64"), ["/usr/lib/x86/libc.so.6"]);
    assert_eq!(file("libc6:i386"), ["/usr/lib/i386/libc.so.6"]);
    for absent in ["libc6:arm64", "nothing", "gone", "../info/dash", ""] {
        let error = packages.files_of(absent).unwrap_err();
        assert!(
            matches!(error, PackageError::NotInstalled { .. }),
            "{absent}"
        );
    }
    let error = packages.files_of("nothing").unwrap_err().to_string();
    assert_eq!(error, "package nothing is not installed, dpkg says");
}

#[test]
fn dpkg_diversions_move_the_file_of_the_other_package() {
    let tree = debian();
    let packages = Packages::open(&tree);
    let file = |name: &str| texts(&packages.files_of(name).unwrap().files);
    assert_eq!(file("dash"), ["/usr/bin/dash", "/usr/bin/sh.distrib"]);
    assert_eq!(file("bash"), ["/usr/bin/sh"]);
    let owner = |path: &str| packages.owner_of(&RootPath::new(path)).unwrap();
    assert_eq!(owner("/usr/bin/sh").as_deref(), Some("bash"));
    assert_eq!(owner("/usr/bin/sh.distrib").as_deref(), Some("dash"));
}

#[test]
fn owners_are_found_under_either_spelling() {
    let tree = debian();
    let packages = Packages::open(&tree);
    let asked = ["/usr/bin/ls", "/bin/ls", "/usr/lib/i386/libc.so.6", "/none"];
    let asked: Vec<RootPath> = asked.iter().map(RootPath::new).collect();
    let owners = packages.owners_of(&asked).unwrap();
    let owners: Vec<_> = asked.iter().map(|path| owners.get(path)).collect();
    let name = |name: &str| name.to_string();
    let (coreutils, libc) = (name("coreutils"), name("libc6"));
    assert_eq!(
        owners,
        [Some(&coreutils), Some(&coreutils), Some(&libc), None]
    );
    // Where /bin is a directory of its own, /bin/ls is another file.
    let split = Mem::new()
        .with_file("/bin/ls", "")
        .with_file("/usr/bin/ls", "")
        .with_file("/var/lib/dpkg/info/coreutils.list", "/bin/ls\n");
    let packages = Packages::open(&split);
    let owner = |path: &str| packages.owner_of(&RootPath::new(path)).unwrap();
    assert_eq!(owner("/bin/ls").as_deref(), Some("coreutils"));
    assert_eq!(owner("/usr/bin/ls"), None);
    // No status file: the list alone counts.
    assert_eq!(
        packages.files_of("coreutils").unwrap().files,
        [RootPath::new("/bin/ls")]
    );
}

#[test]
fn apk_paragraphs() {
    let tree = Mem::new()
        .with_file(
            "/lib/apk/db/installed",
            "C:Q1x=\nP:musl\nV:1.2\nF:lib\nR:ld-musl-x86_64.so.1\nZ:Q1y=\n\n\
             P:alpine-baselayout\nF:\nR:init\nF:etc\nM:0:0:755\nR:motd\nR\n\nP:empty\n",
        )
        .with_file("/lib/ld-musl-x86_64.so.1", "")
        .with_file("/init", "")
        .with_file("/etc/motd", "");
    let packages = Packages::open(&tree);
    assert_eq!(packages.systems(), [System::Apk]);
    let found = packages.files_of("alpine-baselayout").unwrap();
    assert_eq!(texts(&found.files), ["/etc/motd", "/init"]);
    assert_eq!(texts(&found.directories), ["/etc"]);
    assert_eq!(packages.files_of("empty").unwrap(), PackageFiles::default());
    let owner = packages.owner_of(&RootPath::new("/lib/ld-musl-x86_64.so.1"));
    assert_eq!(owner.unwrap().as_deref(), Some("musl"));
}

#[test]
fn pacman_file_lists() {
    let tree = Mem::new()
        .with_file(
            "/var/lib/pacman/local/gcc-libs-13.2.1-3/files",
            "%FILES%\nusr/\nusr/lib/\nusr/lib/libgcc_s.so\n\n%BACKUP%\netc/x\tabc\n",
        )
        .with_file("/var/lib/pacman/local/gcc-13.2.1-3/files", "%FILES%\n")
        .with_file("/var/lib/pacman/local/ALPM_DB_VERSION", "9")
        .with_file("/usr/lib/libgcc_s.so", "");
    let packages = Packages::open(&tree);
    let found = packages.files_of("gcc-libs").unwrap();
    assert_eq!(texts(&found.files), ["/usr/lib/libgcc_s.so"]);
    assert_eq!(texts(&found.directories), ["/usr", "/usr/lib"]);
    let owner = packages.owner_of(&RootPath::new("/usr/lib/libgcc_s.so"));
    assert_eq!(owner.unwrap().as_deref(), Some("gcc-libs"));
}

#[test]
fn a_root_without_a_database_says_so() {
    let tree = Mem::new();
    let packages = Packages::open(&tree);
    assert!(matches!(
        packages.files_of("x"),
        Err(PackageError::NoDatabase)
    ));
    assert_eq!(packages.owner_of(&RootPath::new("/x")).unwrap(), None);
}

/// Made by rpmbuild(8) and rpm(8) 4.18 and reduced to the table `Packages`: newroot-one is in
/// the file, newroot-two only in its write-ahead log. Both were installed without documentation.
const RPMDB: &[u8] = include_bytes!("../../../tests/fixtures/rpm/rpmdb.sqlite");
const RPMDB_LOG: &[u8] = include_bytes!("../../../tests/fixtures/rpm/rpmdb.sqlite-wal");

fn fedora(database: &[u8], log: &[u8]) -> Mem {
    Mem::new()
        .with_file("/usr/lib/sysimage/rpm/rpmdb.sqlite", database)
        .with_file("/usr/lib/sysimage/rpm/rpmdb.sqlite-wal", log)
        .with_link("/var/lib/rpm", "../../usr/lib/sysimage/rpm")
        .with_file("/usr/bin/two", "")
        .with_dir("/etc/two")
        .with_file("/etc/one/part-300", "")
}

#[test]
fn rpm_headers_in_the_database_and_in_its_log() {
    let tree = fedora(RPMDB, RPMDB_LOG);
    let packages = Packages::open(&tree);
    assert_eq!(packages.systems(), [System::Rpm]);
    for name in ["newroot-two", "newroot-two.noarch"] {
        let found = packages.files_of(name).unwrap();
        assert_eq!(texts(&found.files), ["/usr/bin/two"]);
        assert_eq!(texts(&found.directories), ["/etc/two"]);
        // The README was not installed and is not even listed.
        assert_eq!(found.absent.len(), 4, "{:?}", found.absent);
    }
    let one = packages.files_of("newroot-one").unwrap();
    assert_eq!(texts(&one.files), ["/etc/one/part-300"]);
    assert_eq!(one.absent.len(), 301);
    let owner = packages.owner_of(&RootPath::new("/etc/one/part-300"));
    assert_eq!(owner.unwrap().as_deref(), Some("newroot-one"));

    let tree = fedora(RPMDB, b"");
    let packages = Packages::open(&tree);
    assert!(packages.files_of("newroot-one").is_ok());
    assert!(packages.files_of("newroot-two").is_err());
}

#[test]
fn a_log_counts_only_as_far_as_it_is_whole() {
    let mut damaged = RPMDB_LOG.to_vec();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    for log in [&damaged[..], &RPMDB_LOG[..last], &RPMDB_LOG[..40], b"x"] {
        let tree = fedora(RPMDB, log);
        let packages = Packages::open(&tree);
        assert!(packages.files_of("newroot-one").is_ok());
        assert!(packages.files_of("newroot-two").is_err());
    }
}

#[test]
fn a_damaged_rpm_database_ends_in_an_error_or_an_answer() {
    // The whole file header, and bytes all over the rest, are changed one at a time.
    let positions = (0..200)
        .chain((200..8192).step_by(61))
        .chain((8192..RPMDB.len()).step_by(997));
    for position in positions {
        let mut database = RPMDB.to_vec();
        let Some(byte) = database.get_mut(position) else {
            break;
        };
        *byte ^= 0xff;
        let tree = fedora(&database, b"");
        let outcome = Packages::open(&tree).files_of("newroot-one");
        assert!(outcome.is_ok() || !outcome.unwrap_err().to_string().is_empty());
    }
    for length in (0..RPMDB.len()).step_by(4093) {
        let tree = fedora(&RPMDB[..length], RPMDB_LOG);
        let outcome = Packages::open(&tree).files_of("newroot-one");
        assert!(outcome.is_err() || length > 8192, "{length}");
    }
}

#[test]
fn what_is_no_rpm_database_is_said() {
    for (path, word) in [
        ("/var/lib/rpm/Packages", "Berkeley DB"),
        ("/usr/lib/sysimage/rpm/Packages.db", "ndb"),
        ("/var/lib/rpm/rpmdb.sqlite", "SQLite"),
    ] {
        let tree = Mem::new().with_file(path, [b'x'; 600]);
        let error = Packages::open(&tree).files_of("bash").unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
}
