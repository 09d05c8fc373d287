//! `--bind`: what is shown where, as the root will be when its turn comes.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rustix::io::Errno;

use crate::cmd::target::is_for_root;
use crate::error::{Exit, Failure};
use crate::model::{HostPath, Kind, RootPath};
use crate::plan::enter::{Bind, Devices};
use crate::root::{Host, InRoot, Mounted, Tree, reach};
use crate::sys;
use crate::ui::shell_quote;

/// What one option says.
struct Asked {
    source: HostPath,
    kind: Kind,
    target: RootPath,
    read_only: bool,
}

/// Reads the options in order: each target is looked for in the root with what was bound into it
/// before, links followed.
///
/// # Errors
/// An option that cannot be read, a source that is not there, a target that cannot be one.
pub(super) fn gather(
    tree: &dyn Tree,
    root: &HostPath,
    texts: &[OsString],
    devices: Devices,
) -> anyhow::Result<Vec<Bind>> {
    let mut view = Mounted::over(tree);
    let mut binds: Vec<Bind> = Vec::new();
    for text in texts {
        let asked = read(text)?;
        let target = reach(&view, &asked.target);
        if target == RootPath::root() {
            return Err(over_everything(&asked.source, root).into());
        }
        let below = binds
            .iter()
            .rfind(|bind| target.starts_with(&bind.target) && bind.target != target);
        let target_kind = match below {
            Some(_) => view.stat(&target).ok().map(|meta| meta.kind),
            None => kind_of(&view, &target, devices),
        };
        if let (Some(below), None) = (below, target_kind) {
            return Err(not_in(&asked, &target, below).into());
        }
        if asked.kind == Kind::Directory {
            let source =
                InRoot::open(&asked.source).map_err(|error| no_source(&asked.source, &error))?;
            view.mount(&target, Box::new(source));
        }
        binds.push(Bind {
            source: asked.source,
            source_kind: asked.kind,
            target,
            target_kind,
            read_only: asked.read_only,
        });
    }
    Ok(binds)
}

/// What is at `target` when everything but the binds is mounted: below /dev, /proc and /sys that
/// is not the root's own.
fn kind_of(view: &dyn Tree, target: &RootPath, devices: Devices) -> Option<Kind> {
    let below = |name: &str| {
        target.starts_with(&RootPath::new(name)) && target.parent() != RootPath::root()
    };
    if below("/run") {
        return None;
    }
    let hosts = below("/proc") || below("/sys") || (below("/dev") && devices == Devices::Host);
    let found = if hosts {
        Host.stat(target)
    } else {
        view.stat(target)
    };
    found.ok().map(|meta| meta.kind)
}

fn over_everything(source: &HostPath, root: &HostPath) -> Failure {
    Failure::new(
        format!("cannot bind {source} over the / of {root}"),
        "nothing of the root would be left",
    )
    .exit(Exit::Usage)
    .hint(
        "to enter it instead",
        format!("newroot enter {}", shell_quote(source)),
    )
}

/// The target lies in what another bind shows, and is not there.
fn not_in(asked: &Asked, target: &RootPath, below: &Bind) -> Failure {
    let rest = target.as_path().strip_prefix(below.target.as_path());
    let place = below
        .source
        .join(rest.unwrap_or_else(|_| target.relative()));
    Failure::new(
        format!("cannot bind {} on {target}", asked.source),
        format!(
            "{} is bound on {} before, and has no such place",
            below.source, below.target
        ),
    )
    .detail("newroot makes no mount point in what is not its own")
    .hint("make it", make(asked.kind, place))
}

/// The command that makes a mount point.
pub(super) fn make(kind: Kind, place: impl AsRef<Path>) -> String {
    let tool = if kind == Kind::Directory {
        "mkdir -p"
    } else {
        "touch"
    };
    format!("{tool} {}", shell_quote(place))
}

/// The option as it is typed.
pub(super) fn option(source: &HostPath, target: &RootPath) -> String {
    let mut word = Vec::new();
    for path in [source.as_path(), target.as_path()] {
        if !word.is_empty() {
            word.push(b':');
        }
        for byte in path.as_os_str().as_bytes() {
            if *byte == b':' {
                word.push(b'\\');
            }
            word.push(*byte);
        }
    }
    let word = OsString::from_vec(word);
    format!("--bind {}", shell_quote(Path::new(&word)))
}

/// Where the source may be instead.
fn no_source(source: &HostPath, error: &std::io::Error) -> Failure {
    let errno = sys::errno_of(error);
    let failure = Failure::new(format!("cannot bind {source}"), sys::describe(errno));
    if is_for_root(errno) {
        return failure.hint("become root", "sudo newroot ...");
    }
    let is_directory = |path: &&Path| {
        let meta = Host.stat(&RootPath::new(path));
        meta.is_ok_and(|meta| meta.kind == Kind::Directory)
    };
    let above = source.as_path().ancestors().skip(1).find(is_directory);
    let above = shell_quote(above.unwrap_or_else(|| Path::new("/")));
    let failure = failure.hint("see what is there", format!("ls -l {above}"));
    if errno != Errno::NOENT {
        return failure;
    }
    match Host.read_link(&RootPath::new(source.as_path())) {
        Ok(target) => failure.detail(format!("it is a link to {}", target.display())),
        Err(_) => failure.hint("if it may be empty", make(Kind::Directory, source)),
    }
}

/// `SRC[:DST[:ro]]`; a backslash keeps a colon in a name.
fn read(text: &OsStr) -> anyhow::Result<Asked> {
    let parts = split_colons(text.as_bytes());
    let shown = text.to_string_lossy();
    let usage = |why: &str| {
        Failure::new(format!("cannot read --bind {shown}"), why)
            .hint("its form", "--bind SRC[:DST[:ro]]")
            .exit(Exit::Usage)
    };
    let (source, target, mode) = match parts.as_slice() {
        [source] => (source, None, None),
        [source, target] if target == b"ro" || target == b"rw" => (source, None, Some(target)),
        [source, target] => (source, Some(target), None),
        [source, target, mode] => (source, Some(target), Some(mode)),
        _ => return Err(usage("it has too many parts").into()),
    };
    let read_only = match mode.map(Vec::as_slice) {
        Some(b"ro") => true,
        Some(b"rw") | None => false,
        Some(_) => return Err(usage("the third part is ro or rw").into()),
    };
    if source.is_empty() {
        return Err(usage("the source is empty").into());
    }
    let source = HostPath::new(std::path::absolute(OsString::from_vec(source.clone()))?);
    let place = RootPath::new(source.as_path());
    let meta = Host
        .stat(&place)
        .map_err(|error| no_source(&source, &error))?;
    let target = match target.filter(|target| !target.is_empty()) {
        Some(target) => RootPath::from_bytes(target),
        None => place,
    };
    Ok(Asked {
        source,
        kind: meta.kind,
        target,
        read_only,
    })
}

fn split_colons(text: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let last = parts.len() - 1;
        match byte {
            b'\\' if bytes.peek() == Some(&b':') => {
                parts[last].push(b':');
                bytes.next();
            }
            b':' => parts.push(Vec::new()),
            other => parts[last].push(other),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bind_is_split_at_colons_that_have_no_backslash() {
        let split = |text: &str| split_colons(text.as_bytes());
        assert_eq!(
            split("/a:/b:ro"),
            [b"/a".to_vec(), b"/b".to_vec(), b"ro".to_vec()]
        );
        assert_eq!(split("/a\\:b"), [b"/a:b".to_vec()]);
        let (source, target) = (HostPath::new("/a:b"), RootPath::new("/c"));
        assert_eq!(option(&source, &target), "--bind '/a\\:b:/c'");
    }
}
