//! What a package database recorded of a file's content, and whether the file still has it.

use super::sum::Sum;
use crate::model::{Kind, RootPath};
use crate::root::Tree;

/// No program is longer; such a file is not compared.
const LONGEST: u64 = 1 << 30;

/// Called with each package, each regular file it brought, and the checksum it recorded.
/// Configuration, and files that are made later, are left out where the database tells them.
pub(super) type Visit<'v> = dyn FnMut(&str, &[u8], Sum) + 'v;

/// A file against its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// It has the recorded content.
    Holds,
    /// It has other content.
    Differs,
    /// It is not there, or no regular file.
    Gone,
    /// The database records no checksum for it, or one of a kind that is not read.
    Unknown,
}

/// Compares `path` with what was recorded.
pub(super) fn compare(tree: &dyn Tree, path: &RootPath, wanted: Option<&Sum>) -> Record {
    let Ok(file) = tree.open(path) else {
        return Record::Gone;
    };
    let size = match file.meta() {
        Ok(meta) if meta.kind == Kind::File => meta.size,
        _ => return Record::Gone,
    };
    match wanted.filter(|_| size <= LONGEST) {
        None => Record::Unknown,
        // What cannot be read is not what was recorded.
        Some(sum) if sum.holds(&file).unwrap_or(false) => Record::Holds,
        Some(_) => Record::Differs,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::probe::packages::{Lost, Packages, System};
    use crate::root::Mem;

    /// Made by rpmbuild(8) and rpm(8) 4.18 and reduced to the table `Packages`: SHA-256, a link,
    /// configuration, documentation and a ghost.
    const RPMDB: &[u8] = include_bytes!("../../../tests/fixtures/rpm/sums.sqlite");

    fn record(tree: &Mem, package: &str, path: &str) -> Record {
        let path = RootPath::new(path);
        let records = Packages::open(tree).records_of(&[(package, &path)]);
        assert_eq!(records.len(), 1);
        records[0]
    }

    fn lost(tree: &Mem, package: &str) -> Option<Lost> {
        let found = Packages::open(tree).lost_files();
        assert_eq!(found.unread, Vec::<String>::new());
        found.packages.get(package).cloned()
    }

    /// `tree` has `path` of `package` as it was recorded, and no file lost.
    fn holds(tree: &Mem, package: &str, path: &str) {
        assert_eq!(record(tree, package, path), Record::Holds);
        assert_eq!(record(tree, "another", path), Record::Unknown);
        assert_eq!(lost(tree, package), None);
        let changed = tree.clone().with_file(path, "changed");
        assert_eq!(record(&changed, package, path), Record::Differs);
        assert_eq!(lost(&changed, package), None);
        let emptied = tree.clone().with_file(path, "");
        assert_eq!(record(&emptied, package, path), Record::Differs);
        let names = vec![path.as_bytes().to_vec()];
        let (gone, empty) = (0, 1);
        let wanted = Lost { gone, empty, names };
        assert_eq!(lost(&emptied, package), Some(wanted));
        let removed = tree.clone().with_dir(path);
        assert_eq!(record(&removed, package, path), Record::Gone);
    }

    fn sums() -> Mem {
        Mem::new()
            .with_file("/usr/bin/sums", "#!/bin/sh\necho sums\n")
            .with_file("/usr/bin/sums-cut", "\x7fELF cut off on purpose\n")
            .with_link("/usr/bin/sums-link", "sums")
            .with_file("/usr/lib/sums/data", "data\n")
            .with_file("/usr/lib/sums/empty", "")
    }

    #[test]
    fn rpm_records_sha256() {
        // Neither the configuration, the documentation nor the ghost is there.
        let tree = sums().with_file("/var/lib/rpm/rpmdb.sqlite", RPMDB);
        holds(&tree, "newroot-sums", "/usr/bin/sums");
        holds(&tree, "newroot-sums", "/usr/lib/sums/data");
        for path in ["/usr/lib/sums/empty", "/usr/bin/sums-link"] {
            assert_eq!(record(&tree, "newroot-sums", path), Record::Holds, "{path}");
        }
        let ghost = tree.with_file("/usr/lib/sums/ghost", "made later");
        let record = record(&ghost, "newroot-sums", "/usr/lib/sums/ghost");
        assert_eq!(record, Record::Unknown);
    }

    #[test]
    fn opensuse_has_the_same_headers_in_ndb() {
        let tree = sums().with_file("/usr/lib/sysimage/rpm/Packages.db", ndb());
        assert_eq!(Packages::open(&tree).systems(), [System::Rpm]);
        holds(&tree, "newroot-sums", "/usr/bin/sums");
        for at in (0..96).chain((4096..4200).step_by(3)) {
            let mut bytes = ndb();
            bytes[at] ^= 0xff;
            let tree = sums().with_file("/usr/lib/sysimage/rpm/Packages.db", bytes);
            let found = Packages::open(&tree).lost_files();
            assert!(found.packages.len() <= 1, "{at}");
        }
        for length in (0..4300).step_by(7) {
            let cut = &ndb()[..length];
            let tree = sums().with_file("/usr/lib/sysimage/rpm/Packages.db", cut);
            let unread = Packages::open(&tree).lost_files().unread;
            assert_eq!(unread.is_empty(), length == 0, "{length}: {unread:?}");
        }
    }

    /// The header of [`RPMDB`] as rpm's ndb backend writes it.
    fn ndb() -> Vec<u8> {
        let tree = Mem::new().with_file("/db", RPMDB);
        let file = tree.open(&RootPath::new("/db")).unwrap();
        let database = crate::probe::packages::sqlite::Database::open(file, None).unwrap();
        let mut blob = Vec::new();
        database
            .rows("Packages", &mut |row| {
                if let [_, crate::probe::packages::sqlite::Value::Bytes(bytes)] = row {
                    blob = bytes.to_vec();
                }
            })
            .unwrap();
        let word = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
        let mut bytes = b"RpmP\0\0\0\0\x02\0\0\0\x01\0\0\0\x02\0\0\0".to_vec();
        bytes.resize(32, 0);
        let blocks = (blob.len() + 28).div_ceil(16);
        bytes.extend([*b"Slot", word(1), word(256), word(blocks)].concat());
        while bytes.len() < 4096 {
            bytes.extend(b"Slot\0\0\0\0\0\0\0\0\0\0\0\0");
        }
        bytes.extend([*b"BlbS", word(1), word(1), word(blob.len())].concat());
        bytes.extend(&blob);
        bytes.resize(4096 + blocks * 16 - 12, 0);
        bytes.extend([word(0), word(blob.len()), *b"BlbE"].concat());
        bytes
    }

    /// The same header, put into a hash by db_load(1) 5.3; rpm 4.18 reads it.
    const BERKELEY: &[u8] = include_bytes!("../../../tests/fixtures/rpm/Packages");

    #[test]
    fn releases_before_2020_have_them_in_berkeley_db() {
        let tree = sums().with_file("/var/lib/rpm/Packages", BERKELEY);
        assert_eq!(Packages::open(&tree).systems(), [System::Rpm]);
        holds(&tree, "newroot-sums", "/usr/bin/sums");
        let read = |bytes: Vec<u8>| {
            let tree = sums().with_file("/var/lib/rpm/Packages", bytes);
            Packages::open(&tree).lost_files()
        };
        for at in (0..BERKELEY.len()).step_by(3) {
            let mut bytes = BERKELEY.to_vec();
            bytes[at] ^= 0xff;
            assert!(read(bytes).packages.len() <= 1, "{at}");
        }
        for length in (1..BERKELEY.len()).step_by(97) {
            let found = read(BERKELEY[..length].to_vec());
            assert_eq!(found.unread.len(), 1, "{length}: {found:?}");
        }
    }

    #[test]
    fn apk_records_sha1_and_sha256() {
        // `Z:` of data\n in every spelling that apk 2 and 3 write.
        let table = [
            ("", "Q1xdhHNrpFF0fdXw650X4QTzaX70c="),
            ("", "X1c5d84736ba451747dd5f0eb9d17e104f3697ef47"),
            ("", "Q2Zmey0aq2oAyqWu5a+K2fFGXlZ6vxwgnRVyfVez6Pbl8="),
            ("", "Q1Zmey0aq2oAyqWu5a+K2fFGXlZ6s=8cIJ0Vcn1Xs+j25f"),
            ("f:S\n", "Q1Zmey0aq2oAyqWu5a+K2fFGXlZ6s="),
        ];
        for (flags, sum) in table {
            let installed = format!(
                "C:Q1x=\nP:a\nV:1\n{flags}F:etc\nR:data\nZ:{sum}\n\
                 F:usr/lib\nM:0:0:755\nR:data\na:0:0:644\nZ:{sum}\nR:link\nZ:{sum}\n\n"
            );
            let tree = Mem::new()
                .with_file("/lib/apk/db/installed", installed)
                .with_link("/usr/lib/link", "data")
                .with_file("/usr/lib/data", "data\n");
            holds(&tree, "a", "/usr/lib/data");
            assert_eq!(record(&tree, "a", "/usr/lib/link"), Record::Holds, "{sum}");
        }
    }

    /// What bsdtar 3.6 writes for makepkg.
    const MTREE: &str = "#mtree\n\
        /set type=file uid=0 gid=0 mode=644\n\
        ./.BUILDINFO time=1.0 size=5 sha256digest=6667b2d1aab6a00caa5aee5af8ad9f1465e567abf1c209d15727d57b3e8f6e5f\n\
        ./etc time=1.0 mode=755 type=dir\n\
        ./etc/a.conf time=1.0 size=5 sha256digest=6667b2d1aab6a00caa5aee5af8ad9f1465e567abf1c209d15727d57b3e8f6e5f\n\
        /set mode=755\n\
        ./usr/lib/a time=1.0 type=dir\n\
        ./usr/lib/a/link time=1.0 mode=777 type=link link=with\\040blank\n\
        ./usr/lib/a/with\\040blank time=1.0 size=5 md5digest=6137cde4893c59f76f005a8123d8e8e6 sha256digest=6667b2d1aab6a00caa5aee5af8ad9f1465e567abf1c209d15727d57b3e8f6e5f\n\
        ./usr/lib/a/old time=1.0 size=5 md5digest=6137cde4893c59f76f005a8123d8e8e6\n";

    fn gzip(text: &str) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        gzip.finish().unwrap()
    }

    #[test]
    fn pacman_records_sha256_and_md5_before() {
        let mtree = "/var/lib/pacman/local/a-1-1/mtree";
        let tree = Mem::new()
            .with_file(mtree, gzip(MTREE))
            .with_link("/usr/lib/a/link", "with blank")
            .with_file("/usr/lib/a/with blank", "data\n")
            .with_file("/usr/lib/a/old", "data\n");
        holds(&tree, "a", "/usr/lib/a/with blank");
        holds(&tree, "a", "/usr/lib/a/old");
        assert_eq!(record(&tree, "a", "/usr/lib/a/link"), Record::Holds);
        assert_eq!(record(&tree, "a", "/.BUILDINFO"), Record::Gone);
        // Cut off, or no gzip: what is there counts, and nothing is invented.
        let whole = gzip(MTREE);
        for length in 0..whole.len() {
            let tree = tree.clone().with_file(mtree, whole[..length].to_vec());
            assert_eq!(lost(&tree, "a"), None, "{length}");
        }
    }
}
