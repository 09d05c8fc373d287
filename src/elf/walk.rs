//! The loader's worklist: breadth first over a growing list (G3, M8), each name matched against
//! what is loaded (G4, M3), then searched, then matched by file (G9).

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

use super::answer::Finished;
use super::dst;
use super::engine::Engine;
use super::find::Outcome;
use super::loader::{Family, Loader};
use super::names::{Known, NameId};
use super::object::NeedKind;
use super::types::{FoundBy, Missing, Needer, ProgramKind};
use crate::model::{RootPath, Set};
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
    pub(super) object: Arc<Known>,
    /// As the loader opens it.
    pub(super) path: RootPath,
    /// The name that was asked for first, and those that led here later.
    pub(super) name: Arc<[u8]>,
    pub(super) aliases: Vec<Arc<[u8]>>,
    /// The object that loaded it first: rpaths are inherited along these.
    pub(super) parent: Option<usize>,
    pub(super) needed_by: Vec<Needer>,
    pub(super) by: FoundBy,
    pub(super) rpath: OnceCell<Option<Dirs>>,
    pub(super) runpath: OnceCell<Option<Dirs>>,
}

/// One program being loaded.
pub(super) struct Walk<'e, 't> {
    pub(super) engine: &'e mut Engine<'t>,
    pub(super) loader: Rc<Loader>,
    pub(super) loaded: Vec<Loaded>,
    pub(super) secure: bool,
    pub(super) library_path: OnceCell<Option<Dirs>>,
    pub(super) program: RootPath,
    pub(super) kind: ProgramKind,
    /// Where the libraries begin in `loaded`: behind the program and, where its file is there,
    /// its loader.
    pub(super) first: usize,
    pub(super) needs_proc: bool,
    pub(super) missing: Vec<Missing>,
    pub(super) not_preloaded: Vec<Vec<u8>>,
    origin: OnceCell<Option<Arc<[u8]>>>,
    reported: Set<(usize, Arc<[u8]>)>,
}

impl<'e, 't> Walk<'e, 't> {
    pub(super) fn new(
        engine: &'e mut Engine<'t>,
        loader: Rc<Loader>,
        program: &RootPath,
        object: &Arc<Known>,
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
            first: PROGRAM + 1,
            needs_proc: false,
            missing: Vec::new(),
            not_preloaded: Vec::new(),
            origin: OnceCell::new(),
            reported: Set::default(),
        };
        walk.engine.places.clear();
        let object = Arc::clone(object);
        walk.push(object, program.clone(), Arc::default(), None, FoundBy::Path);
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
            let path = RootPath::from_bytes(&self.engine.absolute(&loader.path));
            let name = Arc::clone(&loader.path);
            self.push(Arc::clone(object), path, name, None, FoundBy::Path);
            self.first += 1;
        }
    }

    /// The loader's place in the list.
    pub(super) fn interpreter(&self) -> Option<usize> {
        (self.first > PROGRAM + 1).then_some(PROGRAM + 1)
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
            let id = self.engine.names.id(name);
            let loaded = self.load(name, id, PROGRAM, NeedKind::Auxiliary);
            if loaded.is_none() {
                self.not_preloaded.push(name.to_vec());
            }
        }
        for loaded in self.loaded.iter_mut().skip(self.first) {
            loaded.by = FoundBy::Preload;
            loaded.needed_by = vec![Needer::Preload];
        }
    }

    fn breadth_first(&mut self) {
        let first = self.first;
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
            for (need, id) in object.needs.iter().zip(&object.needs_ids) {
                if self.loader.family == Family::Musl && need.kind != NeedKind::Needed {
                    continue;
                }
                let Some(found) = self.load(&need.name, *id, index, need.kind) else {
                    continue;
                };
                let new = !set(&mut listed, found);
                if need.kind == NeedKind::Needed {
                    if new {
                        order.push((found, false));
                    }
                    continue;
                }
                // A filter stands behind what it filters; that one is next in line. Two that
                // filter each other are each looked at once.
                let mut done = false;
                if !new {
                    let later = order
                        .iter()
                        .skip(place + 1)
                        .position(|(it, _)| *it == found);
                    let Some(later) = later else { continue };
                    (_, done) = order.remove(place + 1 + later);
                }
                order.insert(place, (found, done));
                place += 1;
            }
        }
    }

    /// One needed name of the object at `by`.
    fn load(&mut self, name: &Arc<[u8]>, id: NameId, by: usize, kind: NeedKind) -> Option<usize> {
        if self.loader.family == Family::Glibc && dst::has_token(name) {
            let expanded: Arc<[u8]> = Arc::from(self.expand(name, by)?);
            let id = self.engine.names.id(&expanded);
            return self.load_expanded(&expanded, id, by, kind);
        }
        self.load_expanded(name, id, by, kind)
    }

    fn load_expanded(
        &mut self,
        name: &Arc<[u8]>,
        id: NameId,
        by: usize,
        kind: NeedKind,
    ) -> Option<usize> {
        let known = match self.loader.family {
            Family::Glibc => self.known_to_glibc(name, id),
            Family::Musl => self.known_to_musl(name),
        };
        if let Some(index) = known {
            self.note_need(index, by);
            return Some(index);
        }
        let outcome = match self.loader.family {
            Family::Glibc => self.find_by_glibc(name, id, by),
            Family::Musl => self.find_by_musl(name, by),
        };
        match outcome {
            Outcome::Found {
                path,
                object,
                by: rule,
            } => Some(self.take(name, id, by, path, object, rule)),
            Outcome::Refused { path, reason } => {
                if kind != NeedKind::Auxiliary {
                    self.miss(name, by, Some((path, reason.to_string())));
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
        id: NameId,
        by: usize,
        path: RootPath,
        object: Arc<Known>,
        rule: FoundBy,
    ) -> usize {
        // musl gives itself for another libc.
        let own = self.loader.object.as_ref();
        if self.loader.family == Family::Musl && own.is_some_and(|own| Arc::ptr_eq(own, &object)) {
            self.note_need(PROGRAM + 1, by);
            return PROGRAM + 1;
        }
        // The program and the loader were mapped by the kernel: ld.so does not know their files.
        let same = self
            .loaded
            .iter()
            .skip(self.first)
            .position(|it| it.object.id == object.id);
        if let Some(index) = same.map(|index| index + self.first) {
            if let Some(it) = self.loaded.get_mut(index) {
                it.aliases.push(Arc::clone(name));
            }
            self.engine.places.put(id, index);
            self.note_need(index, by);
            return index;
        }
        let index = self.push(object, path, Arc::clone(name), Some(by), rule);
        self.engine.places.put(id, index);
        self.note_need(index, by);
        index
    }

    fn push(
        &mut self,
        object: Arc<Known>,
        path: RootPath,
        name: Arc<[u8]>,
        parent: Option<usize>,
        by: FoundBy,
    ) -> usize {
        let index = self.loaded.len();
        if let Some(soname) = object.soname_id {
            self.engine.places.put(soname, index);
        }
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
        index
    }

    fn note_need(&mut self, index: usize, by: usize) {
        let needer = self.needer(by);
        if let Some(loaded) = self.loaded.get_mut(index)
            // An object's needs are looked at in one go.
            && loaded.needed_by.last() != Some(&needer)
        {
            loaded.needed_by.push(needer);
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
            needed_by: self.needer(by),
            searched,
            refused,
        });
    }

    /// The directory that `$ORIGIN` stands for in an object's text.
    pub(super) fn origin(&mut self, index: usize) -> Option<Arc<[u8]>> {
        // The kernel's own name for the program counts; a library was opened by some path.
        if index != PROGRAM || self.kind == ProgramKind::Library {
            let path = &self.loaded.get(index)?.path;
            return Some(Arc::from(directory_of(path.as_bytes())));
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
