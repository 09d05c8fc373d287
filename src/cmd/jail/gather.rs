//! Gathering facts: a path with every link and directory on the way, a program with everything
//! it loads, a directory with everything in it.

use std::collections::BTreeSet;
use std::io;
use std::rc::Rc;

use rustix::io::Errno;

use super::needs::Wants;
use super::problem::{Note, Problem};
use crate::elf::{Engine, Options};
use crate::model::{Kind, Map, Meta, Reason, RootPath, Set};
use crate::plan::jail::{Facts, Found, What};
use crate::profile::{Pattern, nearest};
use crate::root::{Trails, Tree};
use crate::sys::errno_of;

/// How much it matters that something is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Somebody asked for it by name: without it there is no jail.
    Required,
    /// It came with something else: its absence is a note.
    Incidental,
}

/// For whom something is gathered.
#[derive(Clone, Copy, Debug)]
pub(super) struct For {
    pub(super) reason: u32,
    pub(super) keep_privileges: bool,
    pub(super) need: Need,
    /// Executable scripts among other files bring their interpreters.
    pub(super) scripts: bool,
}

/// What a path led to.
#[derive(Debug)]
struct Reached {
    /// Index of what stands at its end.
    end: usize,
    real: RootPath,
    meta: Meta,
}

/// Collects facts from one tree.
pub(super) struct Gatherer<'t> {
    pub(super) tree: &'t dyn Tree,
    pub(super) engine: Engine<'t>,
    path: Vec<RootPath>,
    /// For whom things are gathered, each with its number.
    reasons: Map<Reason, u32>,
    list: Vec<(RootPath, Found)>,
    index: Map<RootPath, usize>,
    reached: Map<RootPath, Rc<Reached>>,
    trails: Trails<'t>,
    pub(super) closed: Set<RootPath>,
    /// Files that are looked at as programs, by the names they were asked for.
    pub(super) asked: Map<RootPath, Wants>,
    /// Left out of directories and packages.
    pub(super) exclude: Vec<Pattern>,
    /// The jail itself, when it lies in the tree: it must not be copied into itself.
    pub(super) itself: Option<RootPath>,
    /// The caller may read everything.
    pub(super) reads_all: bool,
    /// Programs that must work in the jail.
    pub(super) programs: BTreeSet<RootPath>,
    pub(super) needs_proc: BTreeSet<RootPath>,
    /// What is to be preloaded and is not found.
    pub(super) not_preloaded: BTreeSet<Vec<u8>>,
    pub(super) problems: Vec<Problem>,
    pub(super) notes: Vec<Note>,
}

impl<'t> Gatherer<'t> {
    pub(super) fn new(tree: &'t dyn Tree, path: Vec<RootPath>) -> Self {
        let options = Options {
            variants: true,
            notes: true,
            compare_cache: true,
            // The source's file counts where the jail gets it (`Gatherer::preload_file`).
            preload_file: false,
            path: path.clone(),
            ..Options::default()
        };
        Self {
            tree,
            engine: Engine::with_options(tree, options),
            path,
            reasons: Map::default(),
            list: Vec::new(),
            index: Map::default(),
            reached: Map::default(),
            trails: Trails::new(tree),
            closed: Set::default(),
            asked: Map::default(),
            exclude: Vec::new(),
            itself: None,
            reads_all: true,
            programs: BTreeSet::new(),
            needs_proc: BTreeSet::new(),
            not_preloaded: BTreeSet::new(),
            problems: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(super) fn tree(&self) -> &'t dyn Tree {
        self.tree
    }

    pub(super) fn search_path(&self) -> &[RootPath] {
        &self.path
    }

    pub(super) fn reason(&mut self, text: &str) -> u32 {
        if let Some(known) = self.reasons.get(text) {
            return *known;
        }
        let new = u32::try_from(self.reasons.len()).unwrap_or(u32::MAX);
        self.reasons.insert(text.into(), new);
        new
    }

    /// The facts, by path.
    pub(super) fn finish(self) -> Facts {
        let mut reasons: Vec<(Reason, u32)> = self.reasons.into_iter().collect();
        reasons.sort_unstable_by_key(|(_, number)| *number);
        Facts {
            reasons: reasons.into_iter().map(|(text, _)| text).collect(),
            found: self.list.into_iter().collect(),
        }
    }

    /// Whether the jail will have a file that is found by this path.
    pub(super) fn holds(&self, path: &RootPath) -> bool {
        self.reached.contains_key(path) || self.index.contains_key(path)
    }

    fn add(&mut self, path: &RootPath, what: What, meta: &Meta, who: For) -> usize {
        if let Some(index) = self.index.get(path) {
            let found = &mut self.list[*index].1;
            found.keep_privileges |= who.keep_privileges;
            if found.reasons.last() != Some(&who.reason) && !found.reasons.contains(&who.reason) {
                found.reasons.push(who.reason);
            }
            return *index;
        }
        let found = Found {
            what,
            meta: *meta,
            reasons: vec![who.reason],
            keep_privileges: who.keep_privileges,
        };
        self.list.push((path.clone(), found));
        self.index.insert(path.clone(), self.list.len() - 1);
        self.list.len() - 1
    }

    /// The directories above a path without a link in it.
    fn add_parents(&mut self, path: &RootPath, who: For) -> io::Result<()> {
        let mut above = path.parent();
        while !self.index.contains_key(&above) {
            let meta = self.tree.lstat(&above)?;
            self.add(&above, What::Directory, &meta, who);
            if above == RootPath::root() {
                break;
            }
            above = above.parent();
        }
        Ok(())
    }

    /// A path, every link on the way, and what stands at its end.
    ///
    /// # Errors
    /// The errno of looking; nothing is added then.
    pub(super) fn want(&mut self, path: &RootPath, who: For) -> io::Result<(RootPath, Meta)> {
        if let Some(known) = self.reached.get(path) {
            let known = Rc::clone(known);
            let found = &mut self.list[known.end].1;
            found.keep_privileges |= who.keep_privileges;
            if found.reasons.last() != Some(&who.reason) {
                found.reasons.push(who.reason);
            }
            return Ok((known.real.clone(), known.meta));
        }
        let trail = self.trails.follow(path)?;
        for step in &trail.links {
            self.add_parents(&step.at, who)?;
            self.add(&step.at, What::Link(step.target.clone()), &step.meta, who);
        }
        self.add_parents(&trail.real, who)?;
        let what = match trail.meta.kind {
            Kind::Directory => What::Directory,
            Kind::CharDevice | Kind::BlockDevice => What::Node,
            Kind::File => What::File,
            _ => return Err(Errno::OPNOTSUPP.into()),
        };
        if what == What::File && !self.reads_all {
            self.tree.open(&trail.real)?;
        }
        let end = self.add(&trail.real, what, &trail.meta, who);
        let reached = Reached {
            end,
            real: trail.real.clone(),
            meta: trail.meta,
        };
        self.reached.insert(path.clone(), Rc::new(reached));
        Ok((trail.real, trail.meta))
    }

    /// A file with everything it needs, if it is a program; any other file as it is.
    pub(super) fn program(&mut self, path: &RootPath, who: For) {
        match self.want(path, who) {
            Ok((real, meta)) if meta.kind == Kind::File => {
                if who.need == Need::Required {
                    self.programs.insert(path.clone());
                }
                self.close(path, &real, &meta, who);
            }
            Ok(_) => {}
            Err(error) => self.failed(path, &error, who.need),
        }
    }

    /// A program that need not be there; one that is, and finds what it needs, must work.
    pub(super) fn optional(&mut self, path: &RootPath, who: For) {
        let before = self.notes.len();
        let who = For {
            need: Need::Incidental,
            scripts: true,
            ..who
        };
        self.program(path, who);
        let whole = self.notes[before..]
            .iter()
            .all(|note| matches!(note, Note::Dlopen { .. }));
        if whole && self.asked.contains_key(path) {
            self.programs.insert(path.clone());
        }
    }

    pub(super) fn failed(&mut self, path: &RootPath, error: &io::Error, need: Need) {
        let errno = errno_of(error);
        match need {
            Need::Required => self.problems.push(Problem::Unreadable {
                path: path.clone(),
                errno,
                nearest: (errno == Errno::NOENT)
                    .then(|| self.nearest_to(path))
                    .flatten(),
            }),
            Need::Incidental => self.notes.push(Note::LeftOut {
                path: path.clone(),
                errno,
            }),
        }
    }

    fn nearest_to(&self, path: &RootPath) -> Option<RootPath> {
        let above = path.parent();
        let names = self.tree.list(&above).ok()?;
        let names: Vec<String> = names
            .into_iter()
            .filter_map(|name| name.into_string().ok())
            .collect();
        let word = path.file_name()?.to_str()?;
        let near = nearest(word, names.iter().map(String::as_str))?;
        Some(above.join(near))
    }

    /// A path of a package or of a directory, as it stands: a link stays a link, and the file it
    /// leads to comes along.
    pub(super) fn take(&mut self, path: &RootPath, who: For) {
        if self.is_left_out(path) {
            return;
        }
        let who = For {
            need: Need::Incidental,
            ..who
        };
        let meta = match self.tree.lstat(path) {
            Ok(meta) => meta,
            Err(error) => return self.failed(path, &error, who.need),
        };
        match meta.kind {
            Kind::File => self.program(path, who),
            Kind::Link => match self.tree.stat(path) {
                Ok(end) if end.kind == Kind::File => self.program(path, who),
                _ => self.link_only(path, &meta, who),
            },
            Kind::Directory => {
                if let Err(error) = self.want(path, who) {
                    self.failed(path, &error, who.need);
                }
            }
            _ => self.failed(path, &Errno::OPNOTSUPP.into(), who.need),
        }
    }

    /// A link whose end does not come along (a directory, or nothing).
    fn link_only(&mut self, path: &RootPath, meta: &Meta, who: For) {
        let done = self.tree.read_link(path).and_then(|target| {
            let (above, _) = self.want(&path.parent(), who)?;
            let Some(name) = path.file_name() else {
                return Ok(());
            };
            self.add(&above.join(name), What::Link(target), meta, who);
            Ok(())
        });
        if let Err(error) = done {
            self.failed(path, &error, who.need);
        }
    }

    fn is_left_out(&self, path: &RootPath) -> bool {
        self.itself
            .as_ref()
            .is_some_and(|own| path.starts_with(own))
            || self.exclude.iter().any(|pattern| pattern.covers(path))
    }

    /// A directory with everything in it that is on the same file system.
    pub(super) fn directory(&mut self, path: &RootPath, who: For) {
        let (real, meta) = match self.want(path, who) {
            Ok(found) => found,
            Err(error) => return self.failed(path, &error, who.need),
        };
        let mut pending = vec![real];
        while let Some(directory) = pending.pop() {
            let names = match self.tree.list(&directory) {
                Ok(names) => names,
                Err(error) => {
                    self.failed(&directory, &error, Need::Incidental);
                    continue;
                }
            };
            for name in names {
                let path = directory.join(name);
                if self.is_left_out(&path) {
                    continue;
                }
                self.take(&path, who);
                let inner = self.tree.lstat(&path);
                if inner.is_ok_and(|inner| {
                    inner.kind == Kind::Directory && inner.id.device == meta.id.device
                }) {
                    pending.push(path);
                }
            }
        }
    }
}
