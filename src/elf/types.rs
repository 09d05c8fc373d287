//! The answer of the engine, as plain data for whoever plans, shows or compares it.

use std::ffi::OsString;
use std::sync::Arc;

use super::object::Target;
use crate::model::{FileId, RootPath};

/// What kind of program a FILE is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramKind {
    /// Has PT_INTERP and PT_DYNAMIC: a loader starts it.
    Dynamic,
    /// No interpreter and nothing needed: static, static-pie, or a loader itself.
    Static,
    /// A shared object without PT_INTERP, looked at as a root of its own.
    Library,
    /// Text that starts with `#!`.
    Script,
    /// Neither ELF nor `#!` (copied as it is).
    Data,
}

/// Everything that one FILE brings in.
#[derive(Clone, Debug)]
pub struct Closure {
    /// The file as it was asked for.
    pub program: RootPath,
    /// What it is.
    pub kind: ProgramKind,
    /// For a script: each `#!` step, ending in an ELF program. `objects` are that program's.
    pub script: Vec<ScriptStep>,
    /// The loader of the program (or of the script's last interpreter).
    pub interpreter: Option<Interpreter>,
    /// Every object in load order, the program itself and the loader left out.
    pub objects: Vec<LoadedObject>,
    /// Names that no rule found.
    pub missing: Vec<Missing>,
    /// Files that are there, and shorter than their own headers say.
    pub cut_off: Vec<CutOff>,
    /// Names of LD_PRELOAD and /etc/ld.so.preload that no rule found: the loader complains, and
    /// starts the program without them.
    pub not_preloaded: Vec<Vec<u8>>,
    /// What start-up would refuse although every object is there.
    pub versions: Vec<VersionProblem>,
    /// `.note.dlopen` notes, where they were asked for.
    pub notes: Vec<DlopenNote>,
    /// What the program is built for; `None` for what is no ELF file.
    pub target: Option<Target>,
    /// Which of its files asks for the best CPU, and for which x86-64 level, where one asks for
    /// more than the baseline (`ld -z x86-64-v3`): with less, glibc refuses it with "CPU ISA level
    /// is lower than required". Known where notes were asked for.
    pub level: Option<(RootPath, u8)>,
    /// `$ORIGIN` of the program was needed: the loader reads /proc/self/exe, so a jail must
    /// mount /proc (research/elf.md, headline 6).
    pub needs_proc: bool,
}

impl Closure {
    /// A closure that holds nothing yet.
    #[must_use]
    pub fn empty(program: RootPath, kind: ProgramKind) -> Self {
        Self {
            program,
            kind,
            script: Vec::new(),
            interpreter: None,
            objects: Vec::new(),
            missing: Vec::new(),
            cut_off: Vec::new(),
            not_preloaded: Vec::new(),
            versions: Vec::new(),
            notes: Vec::new(),
            target: None,
            level: None,
            needs_proc: false,
        }
    }

    /// Every path that must be there for the program to start, itself included, as the kernel
    /// and the loader open them; sorted, each once.
    #[must_use]
    pub fn paths(&self) -> Vec<RootPath> {
        let mut all = Vec::with_capacity(self.objects.len() + 2);
        self.each_path(&mut |path| all.push(path.clone()));
        all.sort();
        all.dedup();
        all
    }

    /// Shows each of [`Closure::paths`] to `visit`, unsorted and perhaps more than once.
    pub fn each_path<'c>(&'c self, visit: &mut dyn FnMut(&'c RootPath)) {
        visit(&self.program);
        for step in self.script.iter().filter(|step| step.missing.is_none()) {
            visit(&step.program);
            if let Some(closure) = &step.closure {
                closure.each_path(visit);
            }
        }
        if let Some(loader) = self.interpreter.iter().find(|it| it.present) {
            visit(&loader.path);
        }
        for object in &self.objects {
            visit(&object.path);
        }
    }

    /// Whether start-up would succeed as far as files and versions go.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let step_is_whole = |step: &ScriptStep| {
            step.missing.is_none()
                && step.refused.is_none()
                && step.closure.as_ref().is_none_or(|it| it.is_complete())
        };
        self.missing.is_empty()
            && self.cut_off.is_empty()
            && self.versions.is_empty()
            && self.script.iter().all(step_is_whole)
    }
}

/// A step of a script's interpreter chain.
#[derive(Clone, Debug)]
pub struct ScriptStep {
    /// The program that the kernel (or `env`) starts, as it is named.
    pub program: RootPath,
    /// Whether `env` found it in PATH.
    pub through_env: bool,
    /// The name as the script has it, when nothing was found; then `program` is where it was
    /// looked for last.
    pub missing: Option<OsString>,
    /// It is there, and the kernel does not run it for a script: why.
    pub refused: Option<String>,
    /// What this program needs itself, where it is not the last step (`env`).
    pub closure: Option<Box<Closure>>,
}

/// The loader that PT_INTERP names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// The literal path in PT_INTERP.
    pub path: RootPath,
    /// Whether that file is there and fits.
    pub present: bool,
    /// Who needs it as a library too (libc does, by its soname).
    pub needed_by: Vec<Needer>,
}

/// One object, as the loader opens it.
#[derive(Clone, Debug)]
pub struct LoadedObject {
    /// The path that the loader opens, inside the root.
    pub path: RootPath,
    /// The name that was asked for.
    pub name: Arc<[u8]>,
    /// Who asked, in order; indices into `Closure::objects`.
    pub needed_by: Vec<Needer>,
    /// The rule that found it.
    pub found_by: FoundBy,
    /// Which file it is.
    pub id: FileId,
    /// Other versions of the same file for other CPUs (glibc-hwcaps), the baseline first. Empty
    /// when `path` is the only one. A jail copies the baseline and the variants.
    pub variants: Vec<Variant>,
}

/// One of several files for the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Its path.
    pub path: RootPath,
    /// `None` for the baseline, else the hwcaps level, `x86-64-v3`.
    pub level: Option<String>,
}

/// Who asked for an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Needer {
    /// The program itself.
    Program,
    /// `Closure::objects[index]`.
    Object(usize),
    /// LD_PRELOAD or /etc/ld.so.preload.
    Preload,
}

/// The rule that found an object (research/elf.md, G4-G6 and M1-M6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FoundBy {
    /// DT_RPATH of the needer or of one that loaded it.
    Rpath,
    /// LD_LIBRARY_PATH, where the caller gave one.
    LibraryPath,
    /// DT_RUNPATH of the needer (musl: also of its ancestors).
    Runpath,
    /// /etc/ld.so.cache of the root.
    Cache,
    /// The loader's built-in directories (musl: the system path).
    Default,
    /// The name holds a slash and was opened as it is.
    Path,
    /// LD_PRELOAD or /etc/ld.so.preload.
    Preload,
}

impl FoundBy {
    /// The word for reports and JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Rpath => "rpath",
            Self::LibraryPath => "library-path",
            Self::Runpath => "runpath",
            Self::Cache => "cache",
            Self::Default => "default",
            Self::Path => "path",
            Self::Preload => "preload",
        }
    }
}

/// A needed name that no rule found.
#[derive(Clone, Debug)]
pub struct Missing {
    /// The name.
    pub name: Vec<u8>,
    /// Who asked.
    pub needed_by: Needer,
    /// Where it was looked for, in order, as the loader would say it.
    pub searched: Vec<String>,
    /// A file that stopped the search: the loader refuses it instead of looking further.
    pub refused: Option<(RootPath, String)>,
}

/// A file that lost its end: an interrupted download or copy, a full disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutOff {
    /// The file.
    pub path: RootPath,
    /// Its length in bytes.
    pub length: u64,
    /// How long its program headers say that it is, at least.
    pub whole: u64,
}

impl std::fmt::Display for CutOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the file is cut off: it has {} bytes, its headers speak of {}",
            self.length, self.whole
        )
    }
}

/// A symbol version that start-up would refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionProblem {
    /// Who needs it.
    pub needed_by: Needer,
    /// The object that should define it, by the name in the verneed entry.
    pub object: Vec<u8>,
    /// The version, `GLIBC_2.38`.
    pub version: Vec<u8>,
}

/// Something that an object may load later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DlopenNote {
    /// Whose note it is.
    pub of: Needer,
    /// Alternatives, the preferred one first.
    pub sonames: Vec<String>,
    /// What it is for, in a word.
    pub feature: Option<String>,
    /// What it is for, in a sentence.
    pub description: Option<String>,
    /// `required`, `recommended` or `suggested`.
    pub priority: String,
}
