//! A jail that exists: its manifest, its lock, and everything in it as it is now.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::io::Errno;

use crate::error::Failure;
use crate::exec::{StageError, lock_jail};
use crate::model::{
    Entry, EntryKind, HostPath, Kind, MANIFEST, Manifest, ManifestError, Meta, PENDING, Pending,
    RootPath, Text, hex,
};
use crate::plan::jail::{Actual, half_made};
use crate::root::{self, InRoot, Tree};
use crate::sys::{describe, errno_of};
use crate::ui::shell_quote;

/// A manifest of a million files has about 300 MiB; more is none of ours.
const MANIFEST_LIMIT: usize = 1 << 30;

/// A jail.
#[derive(Debug)]
pub(super) struct Jail {
    pub(super) dir: HostPath,
    pub(super) root: InRoot,
    pub(super) manifest: Manifest,
    /// BLAKE3 of the manifest's text.
    pub(super) sum: String,
    /// What a change that was cut short was to make.
    pub(super) pending: Vec<Entry>,
}

/// What a walk through a jail found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) actual: BTreeMap<RootPath, Actual>,
    /// Where something else is mounted; nothing below is looked at.
    pub(super) mounted: Vec<RootPath>,
    /// `(st_dev, st_ino)` of everything.
    pub(super) ids: std::collections::HashSet<crate::model::FileId>,
}

/// Opens the jail in `dir`. `verb` is for the error.
pub(super) fn open(verb: &str, dir: &HostPath) -> anyhow::Result<Jail> {
    let what = format!("cannot {verb} {dir}");
    let root = InRoot::open(dir).map_err(|error| {
        let why = match errno_of(&error) {
            Errno::NOENT => String::from("it does not exist"),
            Errno::NOTDIR => String::from("it is not a directory"),
            errno => describe(errno),
        };
        Failure::new(what.clone(), why)
    })?;
    let path = RootPath::new(MANIFEST);
    let bytes = root::read(&root, &path, MANIFEST_LIMIT).map_err(|error| {
        match errno_of(&error) {
            Errno::NOENT | Errno::NOTDIR => {
                Failure::new(what.clone(), "it is no jail of newroot's")
                    .detail(format!("there is no {}", dir.show_inside(&path).display()))
            }
            errno => Failure::new(
                what.clone(),
                format!("its manifest cannot be read: {}", describe(errno)),
            ),
        }
        .hint(
            "a new jail",
            format!("newroot jail build {} PROGRAM", shell_quote(dir)),
        )
    })?;
    let manifest = Manifest::parse(&bytes).map_err(|error| damaged(what, dir, &bytes, &error))?;
    let sum = hex(blake3::hash(&bytes).as_bytes());
    let pending = pending(&root, &sum);
    Ok(Jail {
        dir: dir.clone(),
        root,
        manifest,
        sum,
        pending,
    })
}

/// What is in the jail is not known any more: the way out is a new one.
fn damaged(what: String, dir: &HostPath, bytes: &[u8], error: &ManifestError) -> Failure {
    let path = dir.show_inside(&RootPath::new(MANIFEST));
    let failure = match error {
        ManifestError::Version(_) => Failure::new(what, format!("its manifest: {error}")),
        ManifestError::Json(_) => Failure::new(what, format!("its manifest is damaged: {error}")),
    };
    let mut aside = dir.as_path().as_os_str().to_owned();
    aside.push(".old");
    failure
        .detail(path.display().to_string())
        .detail("nothing was changed; it can still be entered")
        .hint(
            "set it aside",
            format!("mv {} {}", shell_quote(dir), shell_quote(&aside)),
        )
        .hint("build it again", rebuild(dir, bytes))
}

/// The command that built it, as far as the manifest still says.
fn rebuild(dir: &HostPath, bytes: &[u8]) -> String {
    use std::ffi::OsStr;
    let Some(request) = Manifest::salvage_request(bytes) else {
        return format!("newroot jail build {} PROGRAM", shell_quote(dir));
    };
    let mut words = vec![String::from("newroot jail build")];
    if request.from != RootPath::root() {
        words.push(format!("--from {}", shell_quote(request.from.as_path())));
    }
    let named = |option: &str, value: &String| format!("{option} {}", shell_quote(value));
    words.extend(request.profiles.iter().map(|one| named("--profile", one)));
    words.extend(request.users.iter().map(|one| named("--with-user", one)));
    words.extend(
        request
            .keep_privileges
            .then(|| String::from("--keep-privileges")),
    );
    words.push(shell_quote(dir));
    let items = request.items.iter();
    words.extend(items.map(|item| shell_quote(OsStr::from_bytes(&item.0))));
    words.join(" ")
}

/// What a change of this very manifest was to make when it was cut short.
fn pending(root: &InRoot, sum: &str) -> Vec<Entry> {
    root::read(root, &RootPath::new(PENDING), MANIFEST_LIMIT)
        .ok()
        .and_then(|bytes| Pending::parse(&bytes).ok())
        .filter(|pending| pending.manifest == sum)
        .map(|pending| pending.entries)
        .unwrap_or_default()
}

impl Jail {
    /// Every path that the manifest or the record of a change names.
    pub(super) fn known(&self) -> BTreeSet<&RootPath> {
        let entries = self.manifest.entries.iter().chain(&self.pending);
        entries.map(|entry| &entry.path).collect()
    }

    /// What a change that was cut short left.
    pub(super) fn half_made(&self, found: &Survey) -> BTreeMap<RootPath, Entry> {
        half_made(&self.pending, &self.manifest.entries, &found.actual)
    }

    /// Takes the lock of those who change a jail. What was read before it was taken must hold.
    pub(super) fn lock(&self, what: &str) -> anyhow::Result<OwnedFd> {
        let busy = |error: StageError| Failure::new(what, error.to_string());
        let lock = lock_jail(self.root.fd()).map_err(busy)?;
        let bytes = root::read(&self.root, &RootPath::new(MANIFEST), MANIFEST_LIMIT);
        if bytes.is_ok_and(|bytes| hex(blake3::hash(&bytes).as_bytes()) == self.sum) {
            return Ok(lock);
        }
        Err(Failure::new(what, "another newroot changed it just now")
            .detail("nothing was changed here; do it again")
            .into())
    }
}

/// Looks at everything in the jail; sums are taken of what `wants_sum` names.
pub(super) fn survey(
    root: &InRoot,
    wants_sum: &dyn Fn(&RootPath) -> bool,
) -> anyhow::Result<Survey> {
    let top = root.lstat(&RootPath::root())?;
    let hidden = RootPath::new(MANIFEST).parent();
    let mut out = Survey::default();
    out.actual.insert(
        RootPath::root(),
        actual(root, &RootPath::root(), &top, false)?,
    );
    let mut pending = vec![RootPath::root()];
    while let Some(directory) = pending.pop() {
        let names = match root.list(&directory) {
            Ok(names) => names,
            // What may not be listed is compared as far as it can be seen.
            Err(error) if errno_of(&error) == Errno::ACCESS => continue,
            Err(error) => return Err(failed(&directory, &error)),
        };
        for name in names {
            let path = directory.join(name);
            let meta = match root.lstat(&path) {
                Ok(meta) => meta,
                Err(error) if errno_of(&error) == Errno::NOENT => continue,
                Err(error) => return Err(failed(&path, &error)),
            };
            if meta.id.device != top.id.device {
                out.mounted.push(path);
                continue;
            }
            out.ids.insert(meta.id);
            if path == hidden {
                continue;
            }
            if meta.kind == Kind::Directory {
                pending.push(path.clone());
            }
            let found = actual(root, &path, &meta, wants_sum(&path))
                .map_err(|error| failed(&path, &error))?;
            out.actual.insert(path, found);
        }
    }
    out.ids.insert(top.id);
    Ok(out)
}

fn failed(path: &RootPath, error: &io::Error) -> anyhow::Error {
    anyhow::anyhow!(
        "cannot look at {path} in the jail: {}",
        describe(errno_of(error))
    )
}

fn actual(root: &InRoot, path: &RootPath, meta: &Meta, with_sum: bool) -> io::Result<Actual> {
    let kind = match meta.kind {
        Kind::Directory => Some(EntryKind::Directory),
        Kind::File => Some(EntryKind::File),
        Kind::Link => Some(EntryKind::Link),
        Kind::CharDevice => Some(EntryKind::Char),
        Kind::BlockDevice => Some(EntryKind::Block),
        Kind::Fifo | Kind::Socket | Kind::Other => None,
    };
    let target = if meta.kind == Kind::Link {
        let target = root.read_link(path)?;
        Some(Text(target.as_os_str().as_bytes().to_vec()))
    } else {
        None
    };
    // Without the right to read it the size has to do.
    let blake3 = (with_sum && meta.kind == Kind::File)
        .then(|| root::sum_of(root, path).ok())
        .flatten()
        .map(|sum| hex(&sum));
    let device = matches!(kind, Some(EntryKind::Char | EntryKind::Block))
        .then(|| (rustix::fs::major(meta.rdev), rustix::fs::minor(meta.rdev)));
    Ok(Actual {
        kind,
        mode: if meta.kind == Kind::Link {
            0
        } else {
            meta.mode
        },
        uid: meta.uid,
        gid: meta.gid,
        size: if meta.kind == Kind::File {
            meta.size
        } else {
            0
        },
        blake3,
        target,
        device,
    })
}

impl Survey {
    /// Whether something is mounted at this path or above it.
    pub(super) fn is_covered(&self, path: &RootPath) -> bool {
        self.mounted.iter().any(|mount| path.starts_with(mount))
    }

    /// The entries that can be compared.
    pub(super) fn visible(&self, entries: &[Entry]) -> Vec<Entry> {
        entries
            .iter()
            .filter(|entry| !self.is_covered(&entry.path))
            .cloned()
            .collect()
    }
}
