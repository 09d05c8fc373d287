//! A jail that exists: its manifest, its lock, and everything in it as it is now.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::ffi::OsStrExt;

use rustix::io::Errno;

use crate::error::Failure;
use crate::model::{
    Entry, EntryKind, HostPath, Kind, MANIFEST, Manifest, Meta, RootPath, Text, hex,
};
use crate::plan::jail::Actual;
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
    let manifest = Manifest::parse(&bytes).map_err(|error| {
        Failure::new(what, format!("its manifest is damaged: {error}"))
            .detail(dir.show_inside(&path).display().to_string())
    })?;
    Ok(Jail {
        dir: dir.clone(),
        root,
        manifest,
    })
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
