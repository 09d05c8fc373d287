//! The loader's worklist: breadth first over a growing list (G3, M8), each name matched against
//! what is loaded (G4, M3), then searched, then matched by file (G9).

use std::cell::OnceCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use super::dst;
use super::engine::Engine;
use super::find::Outcome;
use super::loader::{Family, Loader};
use super::object::{NeedKind, Object};
use super::types::{Closure, FoundBy, Interpreter, LoadedObject, Missing, Needer, ProgramKind};
use super::variants;
use crate::model::RootPath;
use crate::root;

/// The program's place in the list.
pub(super) const PROGRAM: usize = 0;

/// Set-user-ID or set-group-ID: the loader is in secure mode.
const SET_ID: u32 = 0o6000;

/// Directories to search.
pub(super) type Dirs = Rc<[Arc<[u8]>]>;

/// One object in load order.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) object: Arc<Object>,
    /// As the loader opens it.
    pub(super) path: Arc<[u8]>,
    /// The name that was asked for first, and those that led here later.
    pub(super) name: Arc<[u8]>,
    pub(super) aliases: Vec<Arc<[u8]>>,
    /// The object that loaded it first: rpaths are inherited along these.
    pub(super) parent: Option<usize>,
    pub(super) needed_by: Vec<usize>,
    pub(super) by: FoundBy,
    pub(super) rpath: OnceCell<Option<Dirs>>,
    pub(super) runpath: OnceCell<Option<Dirs>>,
}

/// What loading one program ends with.
pub(super) struct Finished {
    pub(super) closure: Closure,
    pub(super) loaded: Vec<Loaded>,
    /// Where `Closure::objects` begins in `loaded`: behind the program and its loader.
    pub(super) first: usize,
}

impl Finished {
    /// Who `loaded[index]` is in the closure.
    pub(super) fn needer(&self, index: usize) -> Needer {
        index
            .checked_sub(self.first)
            .map_or(Needer::Program, Needer::Object)
    }
}

/// One program being loaded.
pub(super) struct Walk<'e, 't> {
    pub(super) engine: &'e mut Engine<'t>,
    pub(super) loader: Rc<Loader>,
    pub(super) loaded: Vec<Loaded>,
    pub(super) secure: bool,
    pub(super) library_path: OnceCell<Option<Dirs>>,
    program: RootPath,
    kind: ProgramKind,
    /// The loader's place in the list, where its file is there.
    interpreter: Option<usize>,
    preloads: usize,
    origin: OnceCell<Option<Arc<[u8]>>>,
    needs_proc: bool,
    missing: Vec<Missing>,
    reported: HashSet<(usize, Arc<[u8]>)>,
}

impl<'e, 't> Walk<'e, 't> {
    pub(super) fn new(
        engine: &'e mut Engine<'t>,
        loader: Rc<Loader>,
        program: &RootPath,
        object: &Arc<Object>,
        kind: ProgramKind,
    ) -> Self {
        let mut walk = Self {
            engine,
            loader,
            loaded: Vec::with_capacity(16),
            secure: object.mode & SET_ID != 0,
            library_path: OnceCell::new(),
            program: program.clone(),
            kind,
            interpreter: None,
            preloads: 0,
            origin: OnceCell::new(),
            needs_proc: false,
            missing: Vec::new(),
            reported: HashSet::new(),
        };
        let path: Arc<[u8]> = Arc::from(program.as_bytes());
        walk.push(Arc::clone(object), path, Arc::from([]), None, FoundBy::Path);
        walk
    }

    /// Loads everything.
    pub(super) fn run(mut self) -> Finished {
        self.add_interpreter();
        self.preload();
        self.breadth_first();
        self.finish()
    }

    fn add_interpreter(&mut self) {
        let loader = Rc::clone(&self.loader);
        if let Some(object) = &loader.object {
            let path = Arc::clone(&loader.path);
            let index = self.push(
                Arc::clone(object),
                Arc::clone(&path),
                path,
                None,
                FoundBy::Path,
            );
            self.interpreter = Some(index);
        }
    }

    fn preload(&mut self) {
        let names: Vec<Arc<[u8]>> = self
            .engine
            .options
            .preload
            .split(|byte| b" \t\n:".contains(byte))
            .filter(|name| !name.is_empty())
            // In secure mode a preload with a slash is ignored.
            .filter(|name| !self.secure || !name.contains(&b'/'))
            .map(Arc::from)
            .collect();
        let file = if self.loader.family == Family::Glibc {
            self.engine.preload_file()
        } else {
            Rc::from([])
        };
        for name in names.iter().chain(file.iter()) {
            // A preload that cannot be found is a warning, never an error.
            if self.load(name, PROGRAM, NeedKind::Auxiliary).is_some() {
                self.preloads = self.loaded.len();
            }
        }
        let first = 1 + usize::from(self.interpreter.is_some());
        for loaded in self.loaded.iter_mut().skip(first) {
            loaded.by = FoundBy::Preload;
            loaded.needed_by.clear();
        }
    }

    fn breadth_first(&mut self) {
        let first = 1 + usize::from(self.interpreter.is_some());
        // Each place: which object, and whether its needs are done.
        let mut order: Vec<(usize, bool)> = vec![(PROGRAM, false)];
        order.extend((first..self.loaded.len()).map(|index| (index, false)));
        let mut listed: Vec<bool> = vec![false; self.loaded.len()];
        for (index, _) in &order {
            set(&mut listed, *index);
        }
        let mut at = 0;
        while let Some((index, done)) = order.get_mut(at) {
            if std::mem::replace(done, true) {
                at += 1;
                continue;
            }
            let index = *index;
            let Some(object) = self.loaded.get(index).map(|it| Arc::clone(&it.object)) else {
                break;
            };
            let mut place = at;
            for need in &object.needs {
                if self.loader.family == Family::Musl && need.kind != NeedKind::Needed {
                    continue;
                }
                let Some(found) = self.load(&need.name, index, need.kind) else {
                    continue;
                };
                let new = !set(&mut listed, found);
                if need.kind == NeedKind::Needed {
                    if new {
                        order.push((found, false));
                    }
                    continue;
                }
                // A filter stands behind what it filters; that one is next in line.
                if !new {
                    let later = order
                        .iter()
                        .skip(place + 1)
                        .position(|(it, _)| *it == found);
                    let Some(later) = later else { continue };
                    order.remove(place + 1 + later);
                }
                order.insert(place, (found, false));
                place += 1;
            }
        }
    }

    /// One needed name of the object at `by`.
    fn load(&mut self, name: &Arc<[u8]>, by: usize, kind: NeedKind) -> Option<usize> {
        let expanded;
        let name = if self.loader.family == Family::Glibc && dst::has_token(name) {
            expanded = Arc::from(self.expand(name, by)?);
            &expanded
        } else {
            name
        };
        let known = match self.loader.family {
            Family::Glibc => self.known_to_glibc(name),
            Family::Musl => self.known_to_musl(name),
        };
        if let Some(index) = known {
            self.note_need(index, by);
            return Some(index);
        }
        let outcome = match self.loader.family {
            Family::Glibc => self.find_by_glibc(name, by),
            Family::Musl => self.find_by_musl(name, by),
        };
        match outcome {
            Outcome::Found {
                path,
                object,
                by: rule,
            } => Some(self.take(name, by, path, object, rule)),
            Outcome::Refused { path, reason } => {
                if kind != NeedKind::Auxiliary {
                    let refused = Some((RootPath::from_bytes(&path), reason.to_string()));
                    self.miss(name, by, refused);
                }
                None
            }
            Outcome::Missing => {
                if kind != NeedKind::Auxiliary {
                    self.miss(name, by, None);
                }
                None
            }
        }
    }

    fn take(
        &mut self,
        name: &Arc<[u8]>,
        by: usize,
        path: Arc<[u8]>,
        object: Arc<Object>,
        rule: FoundBy,
    ) -> usize {
        if self.interpreter.is_some() && *path == *self.loader.path && rule == FoundBy::Default {
            self.note_need(PROGRAM + 1, by);
            return PROGRAM + 1;
        }
        // The program and the loader were mapped by the kernel: ld.so does not know their files.
        let first = 1 + usize::from(self.interpreter.is_some());
        let same = self
            .loaded
            .iter()
            .skip(first)
            .position(|it| it.object.id == object.id);
        if let Some(index) = same.map(|index| index + first) {
            if let Some(it) = self.loaded.get_mut(index) {
                it.aliases.push(Arc::clone(name));
            }
            self.note_need(index, by);
            return index;
        }
        let index = self.push(object, path, Arc::clone(name), Some(by), rule);
        self.note_need(index, by);
        index
    }

    fn push(
        &mut self,
        object: Arc<Object>,
        path: Arc<[u8]>,
        name: Arc<[u8]>,
        parent: Option<usize>,
        by: FoundBy,
    ) -> usize {
        self.loaded.push(Loaded {
            object,
            path,
            name,
            aliases: Vec::new(),
            parent,
            needed_by: Vec::new(),
            by,
            rpath: OnceCell::new(),
            runpath: OnceCell::new(),
        });
        self.loaded.len() - 1
    }

    fn note_need(&mut self, index: usize, by: usize) {
        if let Some(loaded) = self.loaded.get_mut(index)
            && loaded.needed_by.last() != Some(&by)
            && !loaded.needed_by.contains(&by)
        {
            loaded.needed_by.push(by);
        }
    }

    fn miss(&mut self, name: &Arc<[u8]>, by: usize, refused: Option<(RootPath, String)>) {
        if !self.reported.insert((by, Arc::clone(name))) {
            return;
        }
        let searched = match self.loader.family {
            Family::Glibc => self.searched_by_glibc(name, by),
            Family::Musl => self.searched_by_musl(name, by),
        };
        self.missing.push(Missing {
            name: name.to_vec(),
            // Turned into a place in `Closure::objects` at the end.
            needed_by: Needer::Object(by),
            searched,
            refused,
        });
    }

    /// The directory that `$ORIGIN` stands for in an object's text.
    pub(super) fn origin(&mut self, index: usize) -> Option<Arc<[u8]>> {
        // The kernel's own name for the program counts; a library was opened by some path.
        if index != PROGRAM || self.kind == ProgramKind::Library {
            let path = &self.loaded.get(index)?.path;
            return Some(Arc::from(directory_of(path)));
        }
        self.needs_proc = true;
        let tree = self.engine.tree;
        let program = &self.program;
        self.origin
            .get_or_init(|| {
                let real = root::canonical(tree, program).ok()?;
                Some(Arc::from(directory_of(real.as_bytes())))
            })
            .clone()
    }

    fn needer(&self, index: usize) -> Needer {
        let first = 1 + usize::from(self.interpreter.is_some());
        index
            .checked_sub(first)
            .map_or(Needer::Program, Needer::Object)
    }

    fn finish(mut self) -> Finished {
        let kind = self.kind;
        let first = 1 + usize::from(self.interpreter.is_some());
        let mut closure = Closure::empty(self.program.clone(), kind);
        closure.needs_proc = self.needs_proc;
        closure.missing = std::mem::take(&mut self.missing);
        for missing in &mut closure.missing {
            if let Needer::Object(index) = missing.needed_by {
                missing.needed_by = self.needer(index);
            }
        }
        closure.interpreter = self.interpreter_of();
        if let Some(interpreter) = closure.interpreter.as_ref().filter(|it| !it.present) {
            closure.missing.insert(
                0,
                Missing {
                    name: interpreter.path.as_bytes().to_vec(),
                    needed_by: Needer::Program,
                    searched: vec![interpreter.path.to_string()],
                    refused: None,
                },
            );
        }
        for loaded in self.loaded.iter().skip(first) {
            let mut needed_by: Vec<Needer> = Vec::with_capacity(loaded.needed_by.len());
            if loaded.by == FoundBy::Preload {
                needed_by.push(Needer::Preload);
            }
            needed_by.extend(loaded.needed_by.iter().map(|by| self.needer(*by)));
            closure.objects.push(LoadedObject {
                path: RootPath::from_bytes(&loaded.path),
                name: loaded.name.to_vec(),
                needed_by,
                found_by: loaded.by,
                id: loaded.object.id,
                variants: Vec::new(),
            });
        }
        if self.engine.options.variants {
            let loader = Rc::clone(&self.loader);
            for (object, loaded) in closure
                .objects
                .iter_mut()
                .zip(self.loaded.iter().skip(first))
            {
                object.variants = variants::find(self.engine, &loader, loaded);
            }
        }
        Finished {
            closure,
            loaded: self.loaded,
            first,
        }
    }

    fn interpreter_of(&self) -> Option<Interpreter> {
        let used = |index: usize| {
            self.loaded
                .get(index)
                .is_some_and(|loaded| !loaded.needed_by.is_empty())
        };
        // A library names no loader; the usual one counts where something needs it by name, as
        // libc does, and as everything does that musl serves.
        if self.kind != ProgramKind::Dynamic && !self.interpreter.is_some_and(used) {
            return None;
        }
        let needed_by = self
            .interpreter
            .and_then(|index| self.loaded.get(index))
            .map(|loaded| loaded.needed_by.iter().map(|by| self.needer(*by)).collect())
            .unwrap_or_default();
        Some(Interpreter {
            path: RootPath::from_bytes(&self.engine.absolute(&self.loader.path)),
            present: self
                .loader
                .object
                .as_ref()
                .is_some_and(|object| object.target == self.loader.target),
            needed_by,
        })
    }
}

/// Marks `index`; gives what it was before.
fn set(marks: &mut Vec<bool>, index: usize) -> bool {
    if marks.len() <= index {
        marks.resize(index + 1, false);
    }
    marks
        .get_mut(index)
        .is_some_and(|mark| std::mem::replace(mark, true))
}

/// The directory part of a path, as text; "" is the root.
pub(super) fn directory_of(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(last) => path.get(..last).unwrap_or_default(),
        None => b"",
    }
}
