//! Facts about one loader: which family's rules it follows, and what was compiled into it.
//!
//! The default directories, `$LIB` and the version are literal strings in the loader's
//! read-only data (rule G11), so they are read from there, and only when a search gets that far:
//! a program whose libraries are all in ld.so.cache never asks.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::cell::{OnceCell, RefCell};
use std::sync::Arc;

use goblin::elf::header::{EM_386, EM_AARCH64, EM_ARM, EM_PPC64, EM_RISCV, EM_S390, EM_X86_64};

use super::cpu::x86_levels;
use super::find::Outcome;
use super::names::{Known, Table};
use super::object::{Object, Target};
use super::read::read_up_to;
use super::types::Variant;
use crate::model::{Cpu, Map, RootPath};
use crate::root::TreeFile;

/// `EM_LOONGARCH`; goblin has no name for it.
const EM_LOONGARCH: u16 = 258;
/// Flags of a read-only segment in memory.
const PF_X: u32 = 1;
const PF_W: u32 = 2;
/// A loader has some 40 KiB of strings; this bounds what a hostile one costs.
const MAX_RODATA: usize = 4 << 20;

/// Whose rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Family {
    /// glibc's ld.so, and anything that is not known to be another.
    Glibc,
    /// musl's libc.so.
    Musl,
}

/// Sub-directories of one directory, each with its trailing slash.
pub(super) type SubDirs = Arc<[Box<[u8]>]>;

/// One loader, as the programs of one class and machine use it.
#[derive(Debug)]
pub(super) struct Loader {
    pub(super) family: Family,
    /// PT_INTERP, literally; for a library, the usual name on its machine.
    pub(super) path: Arc<[u8]>,
    /// The loader's own file, where it is there.
    pub(super) object: Option<Arc<Known>>,
    /// What a library must be.
    pub(super) target: Target,
    facts: OnceCell<Facts>,
    /// For each directory the sub-directories that exist and count, `""` last (rule G7).
    pub(super) directories: RefCell<Map<Box<[u8]>, SubDirs>>,
    /// What the cache and the default directories say of a name: the same for every program.
    pub(super) tail: RefCell<Table<Outcome>>,
    /// The versions of each library for other CPUs.
    pub(super) variants: RefCell<VariantsOf>,
}

/// By the library's path, and whether the cache gave it: the name it was asked for by, and its
/// versions.
type VariantsOf = Map<(RootPath, bool), (Arc<[u8]>, Vec<Variant>)>;

/// What is compiled into a loader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// Without trailing slashes; "" is the root.
    pub(super) system_dirs: Vec<Arc<[u8]>>,
    /// `$LIB`.
    pub(super) lib: Vec<u8>,
    /// `$PLATFORM`.
    pub(super) platform: Option<Vec<u8>>,
    /// Whether the sub-directories of before glibc 2.37 count (`tls`, `haswell`, `x86_64`).
    pub(super) legacy: bool,
    /// The loader's own ld.so.cache.
    pub(super) cache: Vec<u8>,
}

impl Loader {
    pub(super) fn new(
        family: Family,
        path: Arc<[u8]>,
        object: Option<Arc<Known>>,
        target: Target,
    ) -> Self {
        Self {
            family,
            path,
            object,
            target,
            facts: OnceCell::new(),
            directories: RefCell::default(),
            tail: RefCell::default(),
            variants: RefCell::default(),
        }
    }

    /// The compiled-in facts; `open` gives the loader's file, once.
    pub(super) fn facts(
        &self,
        cpu: impl FnOnce() -> Cpu,
        open: impl FnOnce() -> Option<TreeFile>,
    ) -> &Facts {
        self.facts.get_or_init(|| {
            let rodata = self
                .object
                .as_ref()
                .and_then(|object| Some(read_only_data(&open()?, object)))
                .unwrap_or_default();
            facts_from(&rodata, self.target, &cpu())
        })
    }

    /// The path of the cache that this loader reads. Only a loader outside the usual places
    /// (Nix, Gentoo Prefix) can have another one, so only there its data is looked at.
    pub(super) fn usual_cache(&self) -> bool {
        [&b"/lib"[..], b"/usr/lib"]
            .iter()
            .any(|prefix| self.path.starts_with(prefix))
    }

    /// glibc-hwcaps levels that count on this CPU, best first.
    pub(super) fn levels(&self, cpu: &Cpu) -> &'static [&'static str] {
        if self.target.machine == EM_X86_64 {
            x86_levels(cpu)
        } else {
            &[]
        }
    }

    /// Whether the flags of a cache entry fit the program (sysdeps/*/dl-cache.h).
    pub(super) fn cache_flags_fit(&self, flags: u32) -> bool {
        let id = match (self.target.machine, self.target.class) {
            (EM_X86_64, 2) => 0x0303,
            (EM_X86_64, _) => 0x0803,
            (EM_AARCH64, _) => 0x0a03,
            (EM_PPC64, _) => 0x0503,
            (EM_S390, 2) => 0x0403,
            (EM_ARM, _) => return matches!(flags, 3 | 0x0903 | 0x0b03),
            (EM_RISCV, _) => return flags & 0xff == 3 && flags & 0x0f00 == 0,
            (EM_LOONGARCH, _) => return flags & 0xff == 3,
            _ => return matches!(flags, 1 | 3),
        };
        flags == id
    }
}

/// Which family a loader's path and soname stand for.
pub(super) fn family(path: &[u8], object: Option<&Object>) -> Family {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    if name.starts_with(b"ld-musl-") {
        return Family::Musl;
    }
    let soname = object.and_then(|object| object.soname.as_deref());
    match soname {
        Some(soname) if soname == b"libc.so" || soname.starts_with(b"libc.musl-") => Family::Musl,
        _ => Family::Glibc,
    }
}

/// The loader that a library without PT_INTERP would meet.
pub(super) fn usual_path(target: Target, family: Family) -> &'static [u8] {
    match (family, target.machine, target.class) {
        (Family::Glibc, EM_X86_64, 2) => b"/lib64/ld-linux-x86-64.so.2",
        (Family::Glibc, EM_X86_64, _) => b"/libx32/ld-linux-x32.so.2",
        (Family::Glibc, EM_386, _) => b"/lib/ld-linux.so.2",
        (Family::Glibc, EM_AARCH64, _) => b"/lib/ld-linux-aarch64.so.1",
        (Family::Glibc, EM_ARM, _) => b"/lib/ld-linux-armhf.so.3",
        (Family::Glibc, EM_RISCV, _) => b"/lib/ld-linux-riscv64-lp64d.so.1",
        (Family::Glibc, EM_PPC64, _) => b"/lib64/ld64.so.2",
        (Family::Glibc, EM_S390, _) => b"/lib/ld64.so.1",
        (Family::Glibc, EM_LOONGARCH, _) => b"/lib64/ld-linux-loongarch-lp64d.so.1",
        (Family::Glibc, ..) => b"/lib/ld.so.1",
        (Family::Musl, EM_X86_64, _) => b"/lib/ld-musl-x86_64.so.1",
        (Family::Musl, EM_386, _) => b"/lib/ld-musl-i386.so.1",
        (Family::Musl, EM_AARCH64, _) => b"/lib/ld-musl-aarch64.so.1",
        (Family::Musl, EM_ARM, _) => b"/lib/ld-musl-armhf.so.1",
        (Family::Musl, EM_RISCV, _) => b"/lib/ld-musl-riscv64.so.1",
        (Family::Musl, EM_PPC64, _) => b"/lib/ld-musl-powerpc64le.so.1",
        (Family::Musl, EM_S390, _) => b"/lib/ld-musl-s390x.so.1",
        (Family::Musl, ..) => b"/lib/ld-musl.so.1",
    }
}

/// The segments that hold string literals: read-only ones, or (one segment for code and data,
/// as older linkers make) the executable ones.
fn read_only_data(file: &TreeFile, object: &Object) -> Vec<u8> {
    let gather = |wanted: u32| {
        let mut bytes = Vec::new();
        for load in &object.loads {
            if load.flags & (PF_X | PF_W) == wanted {
                let room = MAX_RODATA.saturating_sub(bytes.len());
                let size = usize::try_from(load.size).unwrap_or(usize::MAX).min(room);
                bytes.extend_from_slice(&read_up_to(file, load.offset, size));
                bytes.push(0);
            }
        }
        bytes
    };
    let bytes = gather(0);
    if system_dirs(&bytes).is_empty() {
        return gather(PF_X);
    }
    bytes
}

pub(super) fn facts_from(rodata: &[u8], target: Target, cpu: &Cpu) -> Facts {
    let found = system_dirs(rodata);
    let system_dirs: Vec<Arc<[u8]>> = if found.is_empty() {
        fallback_dirs(target)
    } else {
        found
    };
    let has = |wanted: &[u8]| rodata.split(|byte| *byte == 0).any(|text| text == wanted);
    let lib = system_dirs
        .iter()
        .map(|dir| dir.strip_prefix(b"/").unwrap_or(dir))
        .find(|dir| has(dir))
        .or_else(|| system_dirs.first().map(|dir| trim_usr(dir)))
        .unwrap_or_default()
        .to_vec();
    let cache = rodata
        .split(|byte| *byte == 0)
        .find(|text| text.starts_with(b"/") && text.ends_with(b"/ld.so.cache"))
        .unwrap_or(b"/etc/ld.so.cache")
        .to_vec();
    let platform = cpu
        .x86_platform
        .filter(|name| matches!(target.machine, EM_X86_64 | EM_386) && has(name.as_bytes()))
        .map(|name| name.as_bytes().to_vec())
        .or_else(|| kernel_platform(target));
    Facts {
        system_dirs,
        lib,
        platform,
        legacy: minor_version(rodata).is_some_and(|minor| minor <= 36),
        cache,
    }
}

/// What the kernel passes in AT_PLATFORM.
fn kernel_platform(target: Target) -> Option<Vec<u8>> {
    let name: &[u8] = match (target.machine, target.little) {
        (EM_X86_64, _) => b"x86_64",
        (EM_386, _) => b"i686",
        (EM_AARCH64, true) => b"aarch64",
        (EM_AARCH64, false) => b"aarch64_be",
        _ => return None,
    };
    Some(name.to_vec())
}

/// `SYSTEM_DIRS` of dl-load.c: strings that begin and end with a slash, one behind the other.
fn system_dirs(rodata: &[u8]) -> Vec<Arc<[u8]>> {
    let mut best: Vec<Arc<[u8]>> = Vec::new();
    let mut run: Vec<Arc<[u8]>> = Vec::new();
    for text in rodata.split(|byte| *byte == 0).chain([&b""[..]]) {
        // Binary data may stand right before the first string.
        let start = text
            .iter()
            .rposition(|byte| !byte.is_ascii_graphic())
            .map_or(0, |last| last.saturating_add(1));
        let text = text.get(start..).unwrap_or_default();
        let directory = text
            .strip_suffix(b"/")
            .filter(|dir| dir.starts_with(b"/") && dir.windows(3).any(|part| part == b"lib"));
        match directory {
            Some(directory) => run.push(Arc::from(directory)),
            None => {
                if run.len() > best.len() {
                    best = std::mem::take(&mut run);
                }
                run.clear();
            }
        }
    }
    best
}

/// Where a loader that cannot be read would most likely look.
fn fallback_dirs(target: Target) -> Vec<Arc<[u8]>> {
    let triplet = match (target.machine, target.class) {
        (EM_X86_64, 2) => "x86_64-linux-gnu",
        (EM_386, _) => "i386-linux-gnu",
        (EM_AARCH64, _) => "aarch64-linux-gnu",
        (EM_ARM, _) => "arm-linux-gnueabihf",
        (EM_RISCV, _) => "riscv64-linux-gnu",
        (EM_PPC64, _) => "powerpc64le-linux-gnu",
        (EM_S390, _) => "s390x-linux-gnu",
        _ => "",
    };
    let mut dirs = Vec::new();
    for base in ["/lib", "/usr/lib"] {
        if !triplet.is_empty() {
            dirs.push(Arc::from(format!("{base}/{triplet}").as_bytes()));
        }
        if target.class == 2 {
            dirs.push(Arc::from(format!("{base}64").as_bytes()));
        }
        dirs.push(Arc::from(base.as_bytes()));
    }
    dirs
}

fn trim_usr(dir: &[u8]) -> &[u8] {
    let dir = dir.strip_prefix(b"/usr").unwrap_or(dir);
    dir.strip_prefix(b"/").unwrap_or(dir)
}

/// 36 for "... release version 2.36."
fn minor_version(rodata: &[u8]) -> Option<u32> {
    const MARK: &[u8] = b"release version 2.";
    let at = rodata.windows(MARK.len()).position(|text| text == MARK)?;
    let digits = rodata.get(at.checked_add(MARK.len())?..)?;
    let digits: Vec<u8> = digits
        .iter()
        .copied()
        .take_while(u8::is_ascii_digit)
        .take(4)
        .collect();
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const X86: Target = Target {
        class: 2,
        little: true,
        machine: EM_X86_64,
    };

    #[test]
    fn the_loader_says_where_it_looks() {
        let rodata = b"x\0\x01\x02/lib/x86_64-linux-gnu/\0/usr/lib/x86_64-linux-gnu/\0/lib/\0\
            /usr/lib/\0/proc/self/exe\0lib/x86_64-linux-gnu\0\
            ld.so (Debian GLIBC 2.36-9) stable release version 2.36.\n\0";
        let facts = facts_from(rodata, X86, &Cpu::default());
        let dirs: Vec<&[u8]> = facts.system_dirs.iter().map(AsRef::as_ref).collect();
        let wanted: [&[u8]; 4] = [
            b"/lib/x86_64-linux-gnu",
            b"/usr/lib/x86_64-linux-gnu",
            b"/lib",
            b"/usr/lib",
        ];
        assert_eq!(dirs, wanted);
        assert_eq!(facts.lib, b"lib/x86_64-linux-gnu");
        assert_eq!(facts.platform.as_deref(), Some(&b"x86_64"[..]));
        assert!(facts.legacy);
    }

    #[test]
    fn another_distribution_another_answer() {
        let rodata =
            b"\0/lib64/\0/usr/lib64/\0lib64\0ld.so (GNU libc) stable release version 2.41.\0";
        let facts = facts_from(rodata, X86, &Cpu::default());
        assert_eq!(facts.lib, b"lib64");
        assert_eq!(facts.system_dirs.len(), 2);
        assert!(!facts.legacy);
        assert_eq!(facts.cache, b"/etc/ld.so.cache");
    }

    #[test]
    fn a_loader_that_cannot_be_read_still_gives_directories() {
        let facts = facts_from(b"", X86, &Cpu::default());
        assert!(facts.system_dirs.contains(&Arc::from(&b"/usr/lib"[..])));
    }
}
