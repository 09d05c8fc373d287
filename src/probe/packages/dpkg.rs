//! dpkg's database: `/var/lib/dpkg/info/PACKAGE[:ARCH].list` and `.md5sums`, `status`,
//! `diversions`.

use std::collections::HashMap;

use super::sieve::Sieve;
use super::sum::{Algorithm, Sum};
use super::{PackageError, Visit, lines, list, read, recorded};
use crate::model::{Kind, RootPath};
use crate::root::Tree;

const INFO: &str = "/var/lib/dpkg/info";

pub(super) fn present(tree: &dyn Tree) -> bool {
    let info = tree.stat(&RootPath::new(INFO));
    info.is_ok_and(|meta| meta.kind == Kind::Directory)
}

/// What the package lists; `None` when it is not installed.
pub(super) fn files_of(
    tree: &dyn Tree,
    package: &str,
) -> Result<Option<Vec<Vec<u8>>>, PackageError> {
    let (name, arch) = match package.split_once(':') {
        Some((name, arch)) => (name, Some(arch)),
        None => (package, None),
    };
    let status = read(tree, &RootPath::new("/var/lib/dpkg/status"))?;
    let archs = match &status {
        Some(status) => installed_archs(status, name),
        // Images without a status file still have their lists.
        None => arch.map(str::to_string).into_iter().collect(),
    };
    let arch = match arch {
        Some("any") | None => archs.first().cloned(),
        Some(arch) => archs.iter().find(|have| *have == arch).cloned(),
    };
    if status.is_some() && arch.is_none() {
        return Ok(None);
    }
    let with_arch = arch.map(|arch| format!("{name}:{arch}"));
    let diversions = Diversions::read(tree)?;
    for stem in with_arch.iter().map(String::as_str).chain([name]) {
        let file = RootPath::new(INFO).join(format!("{stem}.list"));
        if let Some(bytes) = read(tree, &file)? {
            let paths = lines(&bytes).map(|path| diversions.real(name, path).to_vec());
            return Ok(Some(paths.collect()));
        }
    }
    Ok(None)
}

/// Every path that every package lists. What is left of a removed package is its conffiles,
/// and they are still its own.
pub(super) fn each(tree: &dyn Tree, visit: &mut Visit<'_>) -> Result<(), PackageError> {
    let info = RootPath::new(INFO);
    let diversions = Diversions::read(tree)?;
    for file in list(tree, &info)? {
        let Some(stem) = file.strip_suffix(".list") else {
            continue;
        };
        let package = stem.split(':').next().unwrap_or(stem);
        if let Some(bytes) = read(tree, &info.join(&file))? {
            for path in lines(&bytes) {
                visit(package, diversions.real(package, path));
            }
        }
    }
    Ok(())
}

/// What the packages recorded: `md5sums` has no conffiles.
pub(super) fn sums(
    tree: &dyn Tree,
    wanted: &dyn Fn(&str) -> bool,
    visit: &mut recorded::Visit<'_>,
) -> Result<(), PackageError> {
    let info = RootPath::new(INFO);
    let diversions = Diversions::read(tree)?;
    let mut path = Vec::new();
    for file in list(tree, &info)? {
        let Some(stem) = file.strip_suffix(".md5sums") else {
            continue;
        };
        let package = stem.split(':').next().unwrap_or(stem);
        if !wanted(package) {
            continue;
        }
        let text = read(tree, &info.join(&file))?.unwrap_or_default();
        for (sum, listed) in lines(&text).filter_map(md5) {
            path.clear();
            path.push(b'/');
            path.extend_from_slice(listed);
            visit(package, diversions.real(package, &path), sum);
        }
    }
    Ok(())
}

/// `SUM  PATH`, the path without its first slash.
fn md5(line: &[u8]) -> Option<(Sum, &[u8])> {
    let (hex, rest) = line.split_at_checked(32)?;
    let path = rest
        .strip_prefix(b"  ")
        .or_else(|| rest.strip_prefix(b" *"))?;
    Some((Sum::from_hex(Algorithm::Md5, hex)?, path))
}

/// The architectures a package is installed for, the machine's own first.
fn installed_archs(status: &[u8], name: &str) -> Vec<String> {
    let mut native = None;
    let mut found = Vec::new();
    for stanza in stanzas(status) {
        let field = |wanted: &str| field(stanza, wanted);
        let package = field("Package").unwrap_or_default();
        let arch = field("Architecture").unwrap_or_default();
        // dpkg itself is always of the native architecture.
        if package == b"dpkg" {
            native = Some(arch);
        }
        let state = field("Status").and_then(|status| status.rsplit(|b| *b == b' ').next());
        let there = !matches!(state, None | Some(b"not-installed" | b"config-files"));
        if package == name.as_bytes() && there {
            found.push(arch);
        }
    }
    found.sort_by_key(|arch| (Some(*arch) != native && *arch != b"all", *arch));
    found
        .into_iter()
        .map(|arch| String::from_utf8_lossy(arch).into_owned())
        .collect()
}

/// The paragraphs between empty lines.
fn stanzas(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.windows(2).position(|pair| pair == b"\n\n");
        let (stanza, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after.get(2..).unwrap_or_default();
        Some(stanza)
    })
}

fn field<'s>(stanza: &'s [u8], name: &str) -> Option<&'s [u8]> {
    lines(stanza).find_map(|line| {
        let rest = line.strip_prefix(name.as_bytes())?.strip_prefix(b":")?;
        Some(rest.trim_ascii())
    })
}

/// dpkg-divert(1): a path of every package but one is really at another name.
#[derive(Debug, Default)]
struct Diversions {
    /// From the listed path to the real one, with the package that is not diverted.
    moved: HashMap<Vec<u8>, (Vec<u8>, Vec<u8>)>,
    sieve: Sieve,
}

impl Diversions {
    fn read(tree: &dyn Tree) -> Result<Self, PackageError> {
        let bytes = read(tree, &RootPath::new("/var/lib/dpkg/diversions"))?;
        Ok(Self::parse(&bytes.unwrap_or_default()))
    }

    /// Three lines each: from, to, package (`:` for the administrator, who owns none).
    fn parse(bytes: &[u8]) -> Self {
        let lines: Vec<&[u8]> = lines(bytes).collect();
        let triples = lines.chunks_exact(3);
        let mut sieve = Sieve::default();
        triples.clone().for_each(|triple| sieve.add(triple[0]));
        Self {
            sieve,
            moved: triples
                .map(|triple| {
                    let to = (triple[1].to_vec(), triple[2].to_vec());
                    (triple[0].to_vec(), to)
                })
                .collect(),
        }
    }

    /// Where the path that `package` lists really is.
    fn real<'a>(&'a self, package: &str, path: &'a [u8]) -> &'a [u8] {
        if !self.sieve.may_have(path) {
            return path;
        }
        match self.moved.get(path) {
            Some((to, by)) if by != package.as_bytes() => to,
            _ => path,
        }
    }
}
