//! rpm's database: package headers in an SQLite table (every rpm since 4.16), in openSUSE's own
//! "ndb" file, or in a hash of Berkeley DB (releases before 2020).
//!
//! Header format: <https://rpm-software-management.github.io/rpm/manual/format_header.html>.

use super::sqlite::{Damaged, Database, Value};
use super::sum::{Algorithm, Sum};
use super::{PackageError, Visit, bdb, is_absent, ndb, recorded};
use crate::model::{Kind, RootPath};
use crate::root::{Tree, TreeFile};

/// Where the distributions put it; the first is often a link to the second.
const DATABASES: [&str; 2] = [
    "/var/lib/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
];
/// What openSUSE has instead.
const NDB: [&str; 2] = [
    "/usr/lib/sysimage/rpm/Packages.db",
    "/var/lib/rpm/Packages.db",
];
/// What older releases have.
const BERKELEY: &str = "/var/lib/rpm/Packages";

const NAME: u32 = 1000;
const ARCH: u32 = 1022;
const OLD_FILE_NAMES: u32 = 1027;
const FILE_STATES: u32 = 1029;
const FILE_DIGESTS: u32 = 1035;
const FILE_FLAGS: u32 = 1037;
const DIR_INDEXES: u32 = 1116;
const BASE_NAMES: u32 = 1117;
const DIR_NAMES: u32 = 1118;
const FILE_DIGEST_ALGORITHM: u32 = 5011;
/// RPMFILE_CONFIG, RPMFILE_MISSINGOK, RPMFILE_GHOST: to be changed, to be left out, to be made
/// later.
const LOOSE: u32 = 1 | 1 << 3 | 1 << 6;
/// RPMFILE_STATE_NORMAL; the others were not installed (documentation left out, a file that
/// another architecture's package gave).
const NORMAL: u8 = 0;

fn is_file(tree: &dyn Tree, path: &str) -> bool {
    let meta = tree.stat(&RootPath::new(path));
    meta.is_ok_and(|meta| meta.kind == Kind::File && meta.size > 0)
}

pub(super) fn present(tree: &dyn Tree) -> bool {
    DATABASES
        .into_iter()
        .chain(NDB)
        .chain([BERKELEY])
        .any(|path| is_file(tree, path))
}

/// `package` is `NAME` or `NAME.ARCH`; several of one name (kernels) are taken together.
pub(super) fn files_of(
    tree: &dyn Tree,
    package: &str,
) -> Result<Option<Vec<Vec<u8>>>, PackageError> {
    let mut found = None;
    headers(tree, &mut |header| {
        let name = header.string(NAME).unwrap_or_default();
        let arch = header.string(ARCH).unwrap_or_default();
        let full = [name, arch].join(&b'.');
        if package.as_bytes() == name || package.as_bytes() == full {
            let paths: &mut Vec<Vec<u8>> = found.get_or_insert_default();
            header.paths(&mut |_, path| paths.push(path.to_vec()));
        }
    })?;
    Ok(found)
}

pub(super) fn each(tree: &dyn Tree, visit: &mut Visit<'_>) -> Result<(), PackageError> {
    headers(tree, &mut |header| {
        let name = String::from_utf8_lossy(header.string(NAME).unwrap_or_default());
        header.paths(&mut |_, path| visit(&name, path));
    })
}

/// What the packages recorded; documentation that was not installed is not among it.
pub(super) fn sums(
    tree: &dyn Tree,
    wanted: &dyn Fn(&str) -> bool,
    visit: &mut recorded::Visit<'_>,
) -> Result<(), PackageError> {
    headers(tree, &mut |header| {
        let name = String::from_utf8_lossy(header.string(NAME).unwrap_or_default());
        // PGPHASHALGO_*; headers before 4.6 have no such entry.
        let algorithm = match header.numbers(FILE_DIGEST_ALGORITHM).next() {
            None | Some(1) => Algorithm::Md5,
            Some(2) => Algorithm::Sha1,
            Some(8) => Algorithm::Sha256,
            Some(9) => Algorithm::Sha384,
            Some(10) => Algorithm::Sha512,
            Some(_) => return,
        };
        if !wanted(&name) {
            return;
        }
        let digests: Vec<&[u8]> = header.strings(FILE_DIGESTS).collect();
        let flags: Vec<u32> = header.numbers(FILE_FLAGS).collect();
        header.paths(&mut |index, path| {
            // What is no regular file has an empty one.
            let sum = digests
                .get(index)
                .and_then(|hex| Sum::from_hex(algorithm, hex));
            let loose = flags.get(index).is_some_and(|flags| flags & LOOSE != 0);
            if let Some(sum) = sum.filter(|_| !loose) {
                visit(&name, path, sum);
            }
        });
    })
}

fn headers(tree: &dyn Tree, visit: &mut dyn FnMut(&Header<'_>)) -> Result<(), PackageError> {
    let mut blob = |blob: &[u8]| {
        if let Some(header) = Header::new(blob) {
            visit(&header);
        }
    };
    if let Some(path) = DATABASES.into_iter().find(|path| is_file(tree, path)) {
        return sqlite(tree, path, &mut blob);
    }
    let ndb = NDB.into_iter().map(|path| (path, ndb::each as Reader));
    let mut others = ndb.chain([(BERKELEY, bdb::each as Reader)]);
    let Some((path, read)) = others.find(|(path, _)| is_file(tree, path)) else {
        return Ok(());
    };
    let path = RootPath::new(path);
    match tree.open(&path) {
        Ok(file) => {
            read(&file, &mut blob).map_err(|Damaged(why)| PackageError::Format { path, why })
        }
        Err(error) => Err(PackageError::Read { path, error }),
    }
}

type Reader = fn(&TreeFile, &mut dyn FnMut(&[u8])) -> Result<(), Damaged>;

fn sqlite(tree: &dyn Tree, path: &str, visit: &mut dyn FnMut(&[u8])) -> Result<(), PackageError> {
    let path = RootPath::new(path);
    let file = tree.open(&path).map_err(|error| PackageError::Read {
        path: path.clone(),
        error,
    })?;
    let log_path = RootPath::from_bytes(&[path.as_bytes(), b"-wal"].concat());
    let log = match tree.open(&log_path) {
        Ok(log) => Some(log),
        Err(error) if is_absent(&error) => None,
        Err(error) => {
            return Err(PackageError::Read {
                path: log_path,
                error,
            });
        }
    };
    let damaged = |Damaged(why)| PackageError::Format {
        path: path.clone(),
        why,
    };
    let database = Database::open(file, log).map_err(damaged)?;
    // CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)
    database
        .rows("Packages", &mut |row| {
            if let [_, Value::Bytes(blob), ..] = row {
                visit(blob);
            }
        })
        .map_err(damaged)
}

/// A header as the database holds it: without the magic bytes that a package file has before it.
struct Header<'b> {
    index: &'b [u8],
    data: &'b [u8],
}

impl<'b> Header<'b> {
    fn new(blob: &'b [u8]) -> Option<Self> {
        let entries = usize::try_from(be32(blob, 0)?).ok()?;
        let length = usize::try_from(be32(blob, 4)?).ok()?;
        let (index, rest) = blob.get(8..)?.split_at_checked(entries.checked_mul(16)?)?;
        Some(Self {
            index,
            data: rest.get(..length)?,
        })
    }

    /// `(count, the data from the entry's offset on)` of the entry with this tag and type.
    fn entry(&self, tag: u32, kind: u32) -> Option<(usize, &'b [u8])> {
        let entry = self
            .index
            .chunks_exact(16)
            .find(|entry| be32(entry, 0) == Some(tag) && be32(entry, 4) == Some(kind))?;
        let offset = usize::try_from(be32(entry, 8)?).ok()?;
        let count = usize::try_from(be32(entry, 12)?).ok()?;
        Some((count, self.data.get(offset..)?))
    }

    fn string(&self, tag: u32) -> Option<&'b [u8]> {
        let (_, data) = self.entry(tag, 6)?;
        data.split(|byte| *byte == 0).next()
    }

    /// Ends where the data ends, whatever the count claims.
    fn strings(&self, tag: u32) -> impl Iterator<Item = &'b [u8]> {
        let (count, data) = self.entry(tag, 8).unwrap_or((0, &[]));
        data.split(|byte| *byte == 0).take(count)
    }

    fn numbers(&self, tag: u32) -> impl Iterator<Item = u32> {
        let (count, data) = self.entry(tag, 4).unwrap_or((0, &[]));
        data.chunks_exact(4)
            .take(count)
            .map(|raw| u32::from_be_bytes([raw[0], raw[1], raw[2], raw[3]]))
    }

    /// Each file that was installed, with its number in the other lists.
    fn paths(&self, visit: &mut dyn FnMut(usize, &[u8])) {
        let (count, states) = self.entry(FILE_STATES, 1).unwrap_or((0, &[]));
        let states = &states[..count.min(states.len())];
        let installed = |index: usize| states.get(index).is_none_or(|state| *state == NORMAL);
        let directories: Vec<&[u8]> = self.strings(DIR_NAMES).collect();
        let mut path = Vec::new();
        let names = self.strings(BASE_NAMES).zip(self.numbers(DIR_INDEXES));
        for (index, (name, directory)) in names.enumerate() {
            let directory = usize::try_from(directory).ok();
            let Some(directory) = directory.and_then(|index| directories.get(index)) else {
                continue;
            };
            path.clear();
            path.extend_from_slice(directory);
            path.extend_from_slice(name);
            if installed(index) && path.starts_with(b"/") {
                visit(index, &path);
            }
        }
        for (index, path) in self.strings(OLD_FILE_NAMES).enumerate() {
            if installed(index) && path.starts_with(b"/") {
                visit(index, path);
            }
        }
    }
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let raw = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*raw))
}
