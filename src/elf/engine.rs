//! The engine: one tree, every file opened and parsed once, however many programs ask.

use std::cell::{OnceCell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use super::cache::Cache;
use super::loader::{self, Family, Loader};
use super::names::{Known, Names, Places};
use super::object::{self, Object, Refusal, Target};
use super::read::Scratch;
use super::types::{Closure, CutOff, ProgramKind};
use super::walk::Walk;
use super::{notes, script, versions};
use crate::model::{Cpu, FileId, Kind, Map, Meta, RootPath};
use crate::root::{self, Tree, TreeFile};

/// A cache of 64 MiB would name half a million libraries.
const MAX_CACHE: usize = 64 << 20;
/// /etc/ld.so.preload and ld-musl-ARCH.path are a few lines.
pub(super) const MAX_TEXT: usize = 64 << 10;

/// What the answer depends on besides the files.
#[derive(Clone, Debug)]
pub struct Options {
    /// The CPU that is asked about. Asked when an answer depends on it: in a virtual machine each
    /// of the thirty cpuid instructions that tell it is a way out to the host and back.
    pub cpu: fn() -> Cpu,
    /// Check symbol versions (reads more of every object).
    pub versions: bool,
    /// Read `.note.dlopen` notes (reads more of every object).
    pub notes: bool,
    /// Find the other glibc-hwcaps versions of each library.
    pub variants: bool,
    /// Compare what the cache gives with what the default directories would give
    /// ([`Engine::needs_cache`]).
    pub compare_cache: bool,
    /// LD_LIBRARY_PATH.
    pub library_path: Vec<u8>,
    /// LD_PRELOAD.
    pub preload: Vec<u8>,
    /// The tree's /etc/ld.so.preload counts.
    pub preload_file: bool,
    /// What relative names count from.
    pub cwd: RootPath,
    /// Where `env` looks for programs.
    pub path: Vec<RootPath>,
}

impl Default for Options {
    fn default() -> Self {
        let path = [
            "/usr/local/sbin",
            "/usr/local/bin",
            "/usr/sbin",
            "/usr/bin",
            "/sbin",
            "/bin",
        ];
        Self {
            cpu: Cpu::default,
            versions: false,
            notes: false,
            variants: false,
            compare_cache: false,
            library_path: Vec::new(),
            preload: Vec::new(),
            preload_file: true,
            cwd: RootPath::root(),
            path: path.iter().map(RootPath::new).collect(),
        }
    }
}

/// Why a FILE has no closure.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// It cannot be opened or read.
    #[error("{path}: {source}")]
    Open {
        /// The file.
        path: RootPath,
        /// The errno.
        source: io::Error,
    },
    /// It is no regular file.
    #[error("{path}: {}", kind_word(*kind))]
    NotAFile {
        /// The file.
        path: RootPath,
        /// What it is.
        kind: Kind,
    },
    /// It is an ELF file that nothing can start.
    #[error("{path}: {reason}")]
    Refused {
        /// The file.
        path: RootPath,
        /// The loader's words.
        reason: &'static str,
    },
}

fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Directory => "is a directory",
        Kind::Fifo => "is a named pipe, not a program",
        Kind::Socket => "is a socket, not a program",
        Kind::CharDevice | Kind::BlockDevice => "is a device, not a program",
        _ => "is no regular file",
    }
}

/// What is known of one path.
#[derive(Clone, Debug)]
pub(super) enum FileState {
    /// Cannot be opened: the errno.
    Absent(i32),
    /// Is there and no use.
    Refused(Refusal),
    /// An ELF object.
    Object(Arc<Known>),
}

/// The names of the glibc-hwcaps levels below one directory.
pub(super) type Levels = [Vec<u8>];

/// Answers for one tree; keeps what it has read. A file that changes under it keeps its first
/// answer.
pub struct Engine<'t> {
    pub(super) tree: &'t dyn Tree,
    pub(super) options: Options,
    cpu: OnceCell<Cpu>,
    pub(super) needs_cache: bool,
    files: Map<Box<[u8]>, (RootPath, FileState)>,
    by_id: Map<FileId, FileState>,
    loaders: Map<(Arc<[u8]>, Target), Rc<Loader>>,
    caches: Map<(Vec<u8>, bool, bool), Option<Rc<Cache>>>,
    preload: Option<Rc<[Arc<[u8]>]>>,
    pub(super) versions: Map<FileId, Rc<versions::Versions>>,
    pub(super) notes: Map<FileId, Rc<notes::Notes>>,
    pub(super) listings: RefCell<Map<Box<[u8]>, Rc<Levels>>>,
    pub(super) names: Names,
    pub(super) places: Places,
    scratch: Scratch,
}

impl std::fmt::Debug for Engine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("options", &self.options)
            .field("files", &self.files.len())
            .finish_non_exhaustive()
    }
}

impl<'t> Engine<'t> {
    /// An engine with the default options: the baseline CPU, no environment, no extras.
    #[must_use]
    pub fn new(tree: &'t dyn Tree) -> Self {
        Self::with_options(tree, Options::default())
    }

    /// An engine that answers for `options`.
    #[must_use]
    pub fn with_options(tree: &'t dyn Tree, options: Options) -> Self {
        Self {
            tree,
            options,
            cpu: OnceCell::new(),
            needs_cache: false,
            files: Map::default(),
            by_id: Map::default(),
            loaders: Map::default(),
            caches: Map::default(),
            preload: None,
            versions: Map::default(),
            notes: Map::default(),
            listings: RefCell::default(),
            names: Names::default(),
            places: Places::default(),
            scratch: Scratch::default(),
        }
    }

    /// Whether some library that was found so far would be another one, or missing, if there were
    /// no ld.so.cache. Known with [`Options::compare_cache`] only.
    #[must_use]
    pub fn needs_cache(&self) -> bool {
        self.needs_cache
    }

    /// The CPU that programs are asked for.
    pub(super) fn cpu(&self) -> &Cpu {
        self.cpu.get_or_init(self.options.cpu)
    }

    /// The tree that this engine reads.
    #[must_use]
    pub fn tree(&self) -> &'t dyn Tree {
        self.tree
    }

    /// Everything that `program` loads.
    ///
    /// # Errors
    /// [`ElfError`] when the file itself is not there or is a broken ELF file. What it needs and
    /// does not find is in the answer.
    pub fn closure(&mut self, program: &RootPath) -> Result<Closure, ElfError> {
        let (file, meta) = self.open_program(program)?;
        match self.state_of(&file, &meta) {
            FileState::Object(object) => Ok(self.closure_of(program, &object)),
            FileState::Refused(refusal) if refusal.elf => Err(ElfError::Refused {
                path: program.clone(),
                reason: refusal.reason,
            }),
            _ => Ok(script::closure(self, program, &file)),
        }
    }

    /// The ELF object at `path`, read once.
    ///
    /// # Errors
    /// As [`Engine::closure`]; a file that is no ELF file is refused.
    pub fn object(&mut self, path: &RootPath) -> Result<Arc<Object>, ElfError> {
        let (file, meta) = self.open_program(path)?;
        match self.state_of(&file, &meta) {
            FileState::Object(object) => Ok(Arc::clone(&object.object)),
            FileState::Refused(refusal) => Err(ElfError::Refused {
                path: path.clone(),
                reason: refusal.reason,
            }),
            FileState::Absent(errno) => Err(ElfError::Open {
                path: path.clone(),
                source: io::Error::from_raw_os_error(errno),
            }),
        }
    }

    fn open_program(&self, path: &RootPath) -> Result<(TreeFile, Meta), ElfError> {
        let failed = |source| ElfError::Open {
            path: path.clone(),
            source,
        };
        let file = self.tree.open(path).map_err(failed)?;
        let meta = file.meta().map_err(failed)?;
        if meta.kind != Kind::File {
            return Err(ElfError::NotAFile {
                path: path.clone(),
                kind: meta.kind,
            });
        }
        Ok((file, meta))
    }

    fn closure_of(&mut self, program: &RootPath, object: &Arc<Known>) -> Closure {
        let Some(loader) = self.loader_of(object) else {
            let mut closure = Closure::empty(program.clone(), ProgramKind::Static);
            closure.target = Some(object.target);
            closure.cut_off.extend(CutOff::of(program, object));
            return closure;
        };
        let kind = if object.interp.is_some() {
            ProgramKind::Dynamic
        } else {
            ProgramKind::Library
        };
        // musl does not look at symbol versions.
        let versions = self.options.versions && loader.family == Family::Glibc;
        let walk = Walk::new(self, loader, program, object, kind);
        let mut finished = walk.run();
        if versions {
            finished.closure.versions = versions::check(self, &finished);
        }
        if self.options.notes {
            notes::gather(self, &mut finished);
        }
        finished.closure.target = Some(object.target);
        finished.closure
    }

    /// The loader that starts this object; `None` for what needs none.
    fn loader_of(&mut self, object: &Object) -> Option<Rc<Loader>> {
        let path = match &object.interp {
            Some(path) => Arc::clone(path),
            None if object.needs.is_empty() => return None,
            None => {
                let musl = object
                    .needs
                    .iter()
                    .any(|need| *need.name == *b"libc.so" || need.name.starts_with(b"libc.musl-"));
                let family = if musl { Family::Musl } else { Family::Glibc };
                Arc::from(loader::usual_path(object.target, family))
            }
        };
        let key = (path, object.target);
        if let Some(known) = self.loaders.get(&key) {
            return Some(Rc::clone(known));
        }
        let path = self.absolute(&key.0);
        let interpreter = match self.file(&path).1 {
            FileState::Object(found) => Some(found),
            FileState::Absent(_) | FileState::Refused(_) => None,
        };
        let family = loader::family(&key.0, interpreter.as_deref().map(|it| &**it));
        let loader = Rc::new(Loader::new(family, Arc::clone(&key.0), interpreter, key.1));
        self.loaders.insert(key, Rc::clone(&loader));
        Some(loader)
    }

    /// A path as the kernel reads it: relative ones count from the working directory.
    pub(super) fn absolute(&self, path: &[u8]) -> Vec<u8> {
        if path.starts_with(b"/") {
            return path.to_vec();
        }
        let mut out = self.options.cwd.as_bytes().to_vec();
        if !out.ends_with(b"/") {
            out.push(b'/');
        }
        out.extend_from_slice(path.strip_prefix(b"./").unwrap_or(path));
        out
    }

    /// What is at `path`, looked at once.
    pub(super) fn file(&mut self, path: &[u8]) -> (RootPath, FileState) {
        if let Some(known) = self.files.get(path) {
            return known.clone();
        }
        let shared = RootPath::from_bytes(path);
        let known = (shared.clone(), self.look(&shared));
        self.files.insert(Box::from(path), known.clone());
        known
    }

    fn look(&mut self, path: &RootPath) -> FileState {
        let opened = self
            .tree
            .open(path)
            .and_then(|file| file.meta().map(|meta| (file, meta)));
        match opened {
            Ok((file, meta)) => self.state_of(&file, &meta),
            Err(error) => FileState::Absent(error.raw_os_error().unwrap_or(0)),
        }
    }

    fn state_of(&mut self, file: &TreeFile, meta: &Meta) -> FileState {
        if meta.kind != Kind::File {
            return FileState::Refused(Refusal::new("not a regular file"));
        }
        if let Some(state) = self.by_id.get(&meta.id) {
            return state.clone();
        }
        let state = match object::read(file, meta, &mut self.scratch) {
            Ok(object) => FileState::Object(self.known(file, object)),
            Err(refusal) => FileState::Refused(refusal),
        };
        self.by_id.insert(meta.id, state.clone());
        state
    }

    /// Reads a file as musl does: whatever `e_ident` says, it is for this machine (rule M7).
    pub(super) fn read_as(&mut self, path: &[u8], target: Target) -> Option<Arc<Known>> {
        let file = self.tree.open(&RootPath::from_bytes(path)).ok()?;
        let meta = file.meta().ok().filter(|meta| meta.kind == Kind::File)?;
        let object = object::read_as(&file, &meta, &mut self.scratch, target).ok()?;
        Some(self.known(&file, object))
    }

    /// An object that was just read from `file`.
    fn known(&mut self, file: &TreeFile, object: Object) -> Arc<Known> {
        if self.options.notes {
            // While the file is open, and its first page at hand.
            let notes = notes::read(file, &self.scratch.page, &object);
            self.notes.insert(object.id, Rc::new(notes));
        }
        Arc::new(Known::new(object, &mut self.names))
    }

    /// The loader's ld.so.cache, read once.
    pub(super) fn cache(&mut self, loader: &Loader) -> Option<Rc<Cache>> {
        let path = if loader.usual_cache() {
            b"/etc/ld.so.cache".to_vec()
        } else {
            self.facts(loader).cache.clone()
        };
        let key = (path, loader.target.little, loader.target.class == 2);
        if let Some(known) = self.caches.get(&key) {
            return known.clone();
        }
        let cache = root::read(self.tree, &RootPath::from_bytes(&key.0), MAX_CACHE)
            .ok()
            .and_then(|bytes| Cache::parse(bytes, key.1, key.2))
            .map(Rc::new);
        self.caches.insert(key, cache.clone());
        cache
    }

    pub(super) fn facts<'l>(&self, loader: &'l Loader) -> &'l loader::Facts {
        loader.facts(
            || self.cpu().clone(),
            || {
                let path = self.absolute(&loader.path);
                self.tree.open(&RootPath::from_bytes(&path)).ok()
            },
        )
    }

    /// The names in /etc/ld.so.preload: separated by blanks, newlines and colons; `#` starts a
    /// comment.
    pub(super) fn preload_file(&mut self) -> Rc<[Arc<[u8]>]> {
        if !self.options.preload_file {
            return Rc::from([]);
        }
        let tree = self.tree;
        let read = || {
            let path = RootPath::new("/etc/ld.so.preload");
            let text = root::read(tree, &path, MAX_TEXT).unwrap_or_default();
            text.split(|byte| *byte == b'\n')
                .map(|line| line.split(|byte| *byte == b'#').next().unwrap_or_default())
                .flat_map(|line| line.split(|byte| b" \t:\r".contains(byte)))
                .filter(|name| !name.is_empty())
                .map(Arc::from)
                .collect()
        };
        Rc::clone(self.preload.get_or_insert_with(read))
    }

    /// LD_PRELOAD is this from here on; what was read stays known.
    pub fn set_preload(&mut self, names: &[u8]) {
        self.options.preload = names.to_vec();
    }

    /// /etc/ld.so.preload counts from here on.
    pub fn use_preload_file(&mut self) {
        self.options.preload_file = true;
    }

    /// What the answers depend on, without the extras that read more.
    #[must_use]
    pub fn plain_options(&self) -> Options {
        Options {
            variants: false,
            notes: false,
            ..self.options.clone()
        }
    }

    /// Whether `path` is a directory.
    pub(super) fn is_directory(&self, path: &[u8]) -> bool {
        self.tree
            .stat(&RootPath::from_bytes(path))
            .is_ok_and(|meta| meta.kind == Kind::Directory)
    }
}
