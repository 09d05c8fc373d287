//! What is in the root and on the host: everything that `plan::enter` decides from.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::binds;
use crate::cli::enter::{DevKind, EntryOptions, Mode as CliMode};
use crate::cmd::target::is_for_root;
use crate::error::Failure;
use crate::model::{FileId, HostPath, Kind, MANIFEST, RootPath};
use crate::plan::enter::{Bind, Devices, Entry, Facts, Resolver, merged_usr};
use crate::plan::{Command, Mode};
use crate::root::{Host, InRoot, Mounted, Tree, canonical, read};
use crate::sys;

/// resolv.conf(5) is a few lines.
const RESOLVER_LIMIT: usize = 64 << 10;

/// A root that was opened.
#[derive(Debug)]
pub(crate) struct Root {
    /// Absolute, as the user knows it.
    pub(crate) path: HostPath,
    pub(crate) tree: InRoot,
    pub(crate) id: FileId,
}

/// Opens ROOT.
///
/// # Errors
/// A [`Failure`] that says what it is instead of a directory.
pub(crate) fn open(path: &Path) -> anyhow::Result<Root> {
    let path = HostPath::new(std::path::absolute(path)?);
    let cannot = |why: String| Failure::new(format!("cannot enter {path}"), why);
    let tree = InRoot::open(&path).map_err(|error| {
        let errno = sys::errno_of(&error);
        let failure = cannot(sys::describe(errno));
        match errno {
            rustix::io::Errno::NOTDIR => failure
                .detail("a root is a directory that serves as /")
                .hint("the root comes first", "newroot enter ROOT COMMAND"),
            errno if is_for_root(errno) => failure.hint("become root", "sudo newroot ..."),
            _ => failure.hint("find an installed system", "newroot scan"),
        }
    })?;
    let meta = sys::fs::meta_of_fd(tree.fd())?;
    Ok(Root {
        path,
        tree,
        id: meta.id,
    })
}

/// Gathers. The command is filled in later: it is chosen by how the root will look.
///
/// # Errors
/// A `--bind` that cannot be read, or whose source is not there.
pub(crate) fn gather(
    tree: &dyn Tree,
    root: &HostPath,
    options: &EntryOptions,
    privileged: bool,
) -> anyhow::Result<Facts> {
    let is_jail = tree.stat(&RootPath::new(MANIFEST)).is_ok();
    let devices = match options.dev {
        Some(DevKind::Host) => Devices::Host,
        Some(DevKind::Minimal) => Devices::Minimal,
        None if is_jail => Devices::Minimal,
        None => Devices::Host,
    };
    let host_has = |path: &str| {
        Host.stat(&RootPath::new(path))
            .is_ok_and(|meta| meta.kind == Kind::Directory)
    };
    let binds = binds::gather(tree, root, &options.bind, devices)?;
    Ok(Facts {
        root: root.clone(),
        entries: entries(tree),
        host_links: host_links(),
        privileged,
        udev: host_has("/run/udev"),
        efi_variables: host_has("/sys/firmware/efi/efivars"),
        resolver: resolver(tree, &binds),
        shell_can_pivot: has_program(tree, "umount") && has_program(tree, "env"),
        mode: match options.mode {
            CliMode::Pivot => Mode::Pivot,
            CliMode::Chroot => Mode::Chroot,
        },
        devices,
        writable_sys: options.sys_rw,
        binds,
        lent: None,
        rescue: None,
        command: Command::default(),
    })
}

/// The root as it will be: with what is bound into it.
///
/// # Errors
/// A source that cannot be opened.
pub(crate) fn as_entered<'t>(tree: &'t dyn Tree, facts: &Facts) -> anyhow::Result<Mounted<'t>> {
    let mut view = Mounted::over(tree);
    for (name, target) in merged_usr(facts) {
        view.link(RootPath::new(name), target.clone());
    }
    for bind in &facts.binds {
        if bind.source_kind == Kind::Directory {
            view.mount(&bind.target, Box::new(InRoot::open(&bind.source)?));
        }
    }
    Ok(view)
}

fn entries(tree: &dyn Tree) -> Vec<(OsString, Entry)> {
    let names = tree.list(&RootPath::root()).unwrap_or_default();
    names
        .into_iter()
        .map(|name| {
            let path = RootPath::new(&name);
            let entry = match tree.lstat(&path).map(|meta| meta.kind) {
                Ok(Kind::Directory) => Entry::Directory,
                Ok(Kind::File) => Entry::File,
                Ok(Kind::Link) => tree.read_link(&path).map_or(Entry::Other, Entry::Link),
                _ => Entry::Other,
            };
            (name, entry)
        })
        .collect()
}

fn host_links() -> Vec<(OsString, PathBuf)> {
    entries(&Host)
        .into_iter()
        .filter_map(|(name, entry)| match entry {
            Entry::Link(target) => Some((name, target)),
            _ => None,
        })
        .collect()
}

fn has_program(tree: &dyn Tree, name: &str) -> bool {
    ["/usr/bin", "/bin", "/usr/sbin", "/sbin"]
        .iter()
        .any(|directory| tree.stat(&RootPath::new(directory).join(name)).is_ok())
}

/// Where a link of resolv.conf leads when it leads into /run, which will be ours and empty; the
/// directories on the way may be links themselves (`/var/run`).
fn resolver(tree: &dyn Tree, binds: &[Bind]) -> Resolver {
    let path = RootPath::new("/etc/resolv.conf");
    let own_run = !binds
        .iter()
        .any(|bind| bind.target.normalized() == RootPath::new("/run"));
    let Ok(meta) = tree.lstat(&path) else {
        return Resolver::Leave(None);
    };
    let host = match read(&Host, &path, RESOLVER_LIMIT) {
        Ok(content) => content,
        Err(error) => {
            let why = sys::describe(sys::errno_of(&error));
            let note = format!("the host has no /etc/resolv.conf ({why}): names will not resolve");
            return Resolver::Leave(Some(note));
        }
    };
    match meta.kind {
        Kind::File => Resolver::Cover { link: false },
        Kind::Link => match into_run(tree, &path) {
            Some(path) if own_run => Resolver::Write {
                path,
                content: host,
            },
            _ => Resolver::Cover { link: true },
        },
        _ => Resolver::Leave(Some(String::from(
            "/etc/resolv.conf of the root is neither file nor link: left alone",
        ))),
    }
}

fn into_run(tree: &dyn Tree, link: &RootPath) -> Option<RootPath> {
    let mut at = link.clone();
    for _ in 0..8 {
        let target = tree.read_link(&at).ok()?;
        let next = if target.is_absolute() {
            RootPath::new(target)
        } else {
            at.parent().join(target)
        };
        // The directory is resolved as it is in the root now; what it lacks is in our /run.
        let next = next.normalized();
        let parts: Vec<&OsStr> = next.as_path().iter().skip(1).collect();
        if parts.first() == Some(&OsStr::new("run")) {
            return (parts.len() > 1).then_some(next);
        }
        let var_run = parts.starts_with(&[OsStr::new("var"), OsStr::new("run")]);
        let leads = canonical(tree, &RootPath::new("/var/run"));
        if var_run && parts.len() > 2 && leads.is_ok_and(|real| real == RootPath::new("/run")) {
            let rest: PathBuf = parts.iter().skip(2).collect();
            return Some(RootPath::new("/run").join(rest));
        }
        at = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Mem;

    #[test]
    fn links_into_run_are_seen_through_var_run() {
        let table = [
            (
                "../run/systemd/resolve/stub-resolv.conf",
                Some("/run/systemd/resolve/stub-resolv.conf"),
            ),
            ("/run/x", Some("/run/x")),
            ("/var/run/x/y", Some("/run/x/y")),
            ("/run", None),
            ("resolv.conf.real", None),
            ("../../../../run/x", Some("/run/x")),
            ("resolv.conf", None),
        ];
        for (target, expected) in table {
            let tree = Mem::new()
                .with_link("/etc/resolv.conf", target)
                .with_link("/var/run", "/run")
                .with_dir("/run");
            let found = into_run(&tree, &RootPath::new("/etc/resolv.conf"));
            assert_eq!(found, expected.map(RootPath::new), "{target}");
        }
    }
}
