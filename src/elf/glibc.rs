//! glibc's search rules: elf/dl-load.c, dl-cache.c, dl-hwcaps.c (G4-G8, G10).

use std::rc::Rc;
use std::sync::Arc;

use goblin::elf::dynamic::DF_1_NODEFLIB;
use goblin::elf::header::{EM_386, EM_X86_64};

use super::dst::{self, Tokens};
use super::find::{Outcome, Verdict, judge_glibc};
use super::loader::{Facts, Loader, SubDirs};
use super::names::NameId;
use super::types::FoundBy;
use super::walk::{Dirs, PROGRAM, Walk, directory_of};
use crate::model::RootPath;

/// How far a list of directories led.
enum Step {
    /// The search is over.
    End(Outcome),
    /// The next list, please.
    Next,
}

impl Walk<'_, '_> {
    /// Rule G4: the name equals a name that an object is known by, or its DT_SONAME.
    pub(super) fn known_to_glibc(&self, name: &[u8], id: NameId) -> Option<usize> {
        if !name.contains(&b'/') {
            return self.engine.places.get(id);
        }
        // A path also equals the one that an object was opened by.
        self.loaded.iter().enumerate().find_map(|(index, loaded)| {
            let known = index != PROGRAM
                && (*loaded.name == *name
                    || loaded.path.as_bytes() == name
                    || loaded.aliases.iter().any(|alias| **alias == *name));
            let is = known || loaded.object.soname.as_deref() == Some(name);
            is.then_some(index)
        })
    }

    /// Rules G5 and G6.
    pub(super) fn find_by_glibc(&mut self, name: &Arc<[u8]>, id: NameId, by: usize) -> Outcome {
        if name.contains(&b'/') {
            let path = self.engine.absolute(name);
            return match self.probe(&path, FoundBy::Path) {
                Step::End(outcome) => outcome,
                Step::Next => Outcome::Missing,
            };
        }
        let Some(requester) = self.loaded.get(by) else {
            return Outcome::Missing;
        };
        let no_default = requester.object.flags_1 & DF_1_NODEFLIB != 0;
        if requester.object.runpath.is_none()
            && let Step::End(outcome) = self.search_rpaths(name, by)
        {
            return outcome;
        }
        if let Some(dirs) = self.library_path()
            && let Step::End(outcome) = self.search(&dirs, name, FoundBy::LibraryPath)
        {
            return outcome;
        }
        if let Some(dirs) = self.runpath(by)
            && let Step::End(outcome) = self.search(&dirs, name, FoundBy::Runpath)
        {
            return outcome;
        }
        self.tail(name, id, no_default)
    }

    /// DT_RPATH of the requester and of those that loaded it, the program's last.
    fn search_rpaths(&mut self, name: &[u8], by: usize) -> Step {
        let mut saw_program = false;
        let mut next = Some(by);
        while let Some(index) = next {
            saw_program |= index == PROGRAM;
            if let Some(dirs) = self.rpath(index)
                && let Step::End(outcome) = self.search(&dirs, name, FoundBy::Rpath)
            {
                return Step::End(outcome);
            }
            next = self.loaded.get(index).and_then(|loaded| loaded.parent);
        }
        if !saw_program && let Some(dirs) = self.rpath(PROGRAM) {
            return self.search(&dirs, name, FoundBy::Rpath);
        }
        Step::Next
    }

    /// The cache, then the default directories: the same for every program of a loader.
    fn tail(&mut self, name: &[u8], id: NameId, no_default: bool) -> Outcome {
        let loader = Rc::clone(&self.loader);
        if !no_default && let Some(known) = loader.tail.borrow().get(id) {
            return known.clone();
        }
        let mut outcome = Outcome::Missing;
        if let Some(path) = self.cached(name, no_default)
            && let Step::End(end) = self.probe(&path, FoundBy::Cache)
        {
            outcome = end;
        } else if !no_default {
            let dirs = self.engine.facts(&loader).system_dirs.clone();
            if let Step::End(end) = self.search(&dirs, name, FoundBy::Default) {
                outcome = end;
            }
        }
        if !no_default {
            loader.tail.borrow_mut().put(id, outcome.clone());
        }
        outcome
    }

    /// The cache's one answer: the best active hwcaps entry, else the first plain one.
    fn cached(&mut self, name: &[u8], no_default: bool) -> Option<Vec<u8>> {
        let loader = Rc::clone(&self.loader);
        let cache = self.engine.cache(&loader)?;
        let engine = &self.engine;
        let levels = || loader.levels(engine.cpu());
        let isa = || u32::from(engine.cpu().x86_level.saturating_sub(1));
        let best = cache
            .entries(name, |flags| loader.cache_flags_fit(flags))
            .filter(|entry| entry.isa_level == 0 || entry.isa_level <= isa())
            .filter_map(|entry| {
                let rank = match &entry.level {
                    None => usize::MAX,
                    Some(level) => levels().iter().position(|it| it.as_bytes() == &level[..])?,
                };
                Some((rank, entry.path))
            })
            .min_by_key(|(rank, _)| *rank)?;
        let path = best.1;
        if no_default {
            let refused = self.engine.facts(&loader).system_dirs.iter().any(|dir| {
                path.strip_prefix(&dir[..])
                    .is_some_and(|rest| rest.starts_with(b"/"))
            });
            if refused {
                return None;
            }
        }
        Some(self.engine.absolute(&path))
    }

    fn search(&mut self, dirs: &[Arc<[u8]>], name: &[u8], by: FoundBy) -> Step {
        let mut path = Vec::with_capacity(128);
        for dir in dirs {
            for sub in self.subdirectories(dir).iter() {
                path.clear();
                path.extend_from_slice(dir);
                path.push(b'/');
                path.extend_from_slice(sub);
                path.extend_from_slice(name);
                let (shared, state) = self.engine.file(&path);
                match judge_glibc(state, self.loader.target) {
                    Verdict::Skip => {}
                    Verdict::Stop => return Step::Next,
                    verdict => return end(shared, verdict, by),
                }
            }
        }
        Step::Next
    }

    fn probe(&mut self, path: &[u8], by: FoundBy) -> Step {
        let (shared, state) = self.engine.file(path);
        end(shared, judge_glibc(state, self.loader.target), by)
    }

    /// Rule G7: the sub-directories of `dir` that exist and count on this CPU, `dir` itself last;
    /// none when `dir` is no directory. glibc remembers absent directories in the same way.
    fn subdirectories(&self, dir: &[u8]) -> SubDirs {
        if let Some(known) = self.loader.directories.borrow().get(dir) {
            return Arc::clone(known);
        }
        let mut subs: Vec<Box<[u8]>> = Vec::new();
        let exists = |sub: &[u8]| {
            let path = [dir, b"/", sub].concat();
            self.engine.is_directory(&path)
        };
        if exists(b"") {
            let levels = self.loader.levels(self.engine.cpu());
            if !levels.is_empty() && exists(b"glibc-hwcaps") {
                for level in levels {
                    let sub = format!("glibc-hwcaps/{level}/").into_bytes();
                    if exists(&sub) {
                        subs.push(sub.into_boxed_slice());
                    }
                }
            }
            if matches!(self.loader.target.machine, EM_X86_64 | EM_386) {
                self.legacy(&mut subs, &exists);
            }
            subs.push(Box::from([]));
        }
        let subs: SubDirs = Arc::from(subs);
        self.loader
            .directories
            .borrow_mut()
            .insert(Box::from(dir), Arc::clone(&subs));
        subs
    }

    /// Up to glibc 2.36: every combination of `tls`, the platform and the hwcaps that matter,
    /// the longest first.
    fn legacy(&self, subs: &mut Vec<Box<[u8]>>, exists: &dyn Fn(&[u8]) -> bool) {
        let first_exists = |part: &[u8]| exists(part);
        let cpu = self.engine.cpu();
        let is_64 = self.loader.target.machine == EM_X86_64;
        let hwcap: &[u8] = if is_64 { b"x86_64" } else { b"sse2" };
        // Only where one of these directories is there is the loader's version worth a look.
        let candidates = [
            &b"tls"[..],
            b"haswell",
            b"xeon_phi",
            b"x86_64",
            b"i686",
            b"avx512_1",
            b"sse2",
        ];
        if !candidates.iter().any(|part| first_exists(part)) {
            return;
        }
        let facts: &Facts = self.engine.facts(&self.loader);
        if !facts.legacy {
            return;
        }
        let mut parts: Vec<&[u8]> = vec![b"tls"];
        parts.extend(facts.platform.as_deref());
        if cpu.x86_avx512_1 && is_64 {
            parts.push(b"avx512_1");
        }
        parts.push(hwcap);
        for mask in (1..1_u32 << parts.len()).rev() {
            let mut sub = Vec::new();
            for (bit, part) in parts.iter().rev().enumerate().rev() {
                if mask & (1 << bit) != 0 {
                    sub.extend_from_slice(part);
                    sub.push(b'/');
                }
            }
            if exists(&sub) && !subs.iter().any(|have| **have == *sub) {
                subs.push(sub.into_boxed_slice());
            }
        }
    }

    fn rpath(&mut self, index: usize) -> Option<Dirs> {
        let loaded = self.loaded.get(index)?;
        let text = Arc::clone(loaded.object.rpath.as_ref()?);
        if let Some(known) = loaded.rpath.get() {
            return known.clone();
        }
        let dirs = self.directories(&text, b":", index);
        self.loaded.get(index)?.rpath.get_or_init(|| dirs).clone()
    }

    fn runpath(&mut self, index: usize) -> Option<Dirs> {
        let loaded = self.loaded.get(index)?;
        let text = Arc::clone(loaded.object.runpath.as_ref()?);
        if let Some(known) = loaded.runpath.get() {
            return known.clone();
        }
        let dirs = self.directories(&text, b":", index);
        self.loaded.get(index)?.runpath.get_or_init(|| dirs).clone()
    }

    fn library_path(&mut self) -> Option<Dirs> {
        if self.secure || self.engine.options.library_path.is_empty() {
            return None;
        }
        if let Some(known) = self.library_path.get() {
            return known.clone();
        }
        let text = self.engine.options.library_path.clone();
        let dirs = self.directories(&text, b":;", PROGRAM);
        self.library_path.get_or_init(|| dirs).clone()
    }

    /// Splits a search path. An empty text is none; an empty element is the working directory;
    /// an element with a token that has no value is dropped.
    fn directories(&mut self, text: &[u8], separators: &[u8], index: usize) -> Option<Dirs> {
        if text.is_empty() {
            return None;
        }
        let mut dirs: Vec<Arc<[u8]>> = Vec::new();
        for element in text.split(|byte| separators.contains(byte)) {
            let expanded;
            let element = if dst::has_token(element) {
                match self.expand(element, index) {
                    Some(it) => expanded = it,
                    None => continue,
                }
                &expanded[..]
            } else {
                element
            };
            let mut dir = self.engine.absolute(element);
            while dir.ends_with(b"/") {
                dir.pop();
            }
            if !dirs.iter().any(|have| **have == dir[..]) {
                dirs.push(Arc::from(dir));
            }
        }
        Some(Rc::from(dirs))
    }

    /// Rule G10. In a set-id program `$ORIGIN` must stand first and lead below a default
    /// directory.
    pub(super) fn expand(&mut self, text: &[u8], index: usize) -> Option<Vec<u8>> {
        let asks = dst::has_origin(text);
        if asks && self.secure && !dst::origin_is_safe(text) {
            return None;
        }
        let origin = if asks { self.origin(index) } else { None };
        let loader = Rc::clone(&self.loader);
        let facts = self.engine.facts(&loader);
        let values = Tokens {
            origin: origin
                .as_deref()
                .map(|dir| if dir.is_empty() { b"/" } else { dir }),
            lib: Some(&facts.lib),
            platform: facts.platform.as_deref(),
        };
        let out = dst::expand(text, values)?;
        if asks && self.secure && !trusted(&out, facts) {
            return None;
        }
        Some(out)
    }

    /// Where a name was looked for, for the report.
    pub(super) fn searched_by_glibc(&mut self, name: &[u8], by: usize) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if name.contains(&b'/') {
            return vec![text(&self.engine.absolute(name))];
        }
        let mut out = Vec::new();
        let mut add = |dirs: Option<Dirs>, label: &str| {
            for dir in dirs.iter().flat_map(|dirs| dirs.iter()) {
                let dir = if dir.is_empty() {
                    "/".into()
                } else {
                    text(dir)
                };
                out.push(format!("{dir} ({label})"));
            }
        };
        let requester = self.loaded.get(by);
        let no_default = requester.is_some_and(|it| it.object.flags_1 & DF_1_NODEFLIB != 0);
        if requester.is_some_and(|it| it.object.runpath.is_none()) {
            let mut next = Some(by);
            while let Some(index) = next {
                add(self.rpath(index), "rpath");
                next = self.loaded.get(index).and_then(|loaded| loaded.parent);
            }
        }
        add(self.library_path(), "LD_LIBRARY_PATH");
        add(self.runpath(by), "runpath");
        let loader = Rc::clone(&self.loader);
        if self.engine.cache(&loader).is_some() {
            out.push("/etc/ld.so.cache".to_string());
        }
        if !no_default {
            for dir in &self.engine.facts(&loader).system_dirs {
                out.push(format!("{} (default)", text(dir)));
            }
        }
        out
    }
}

fn end(path: RootPath, verdict: Verdict, by: FoundBy) -> Step {
    match verdict {
        Verdict::Fit(object) => Step::End(Outcome::Found { path, object, by }),
        Verdict::Fatal(reason) => Step::End(Outcome::Refused { path, reason }),
        Verdict::Skip | Verdict::Stop => Step::Next,
    }
}

/// Whether a path lies below a default directory once `.` and `..` are folded.
fn trusted(path: &[u8], facts: &Facts) -> bool {
    let folded = RootPath::from_bytes(path).normalized();
    facts.system_dirs.iter().any(|dir| {
        folded
            .as_bytes()
            .strip_prefix(&dir[..])
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    })
}

/// The directory of a found library without its hwcaps part: what its variants lie below.
pub(super) fn base_directory(path: &[u8]) -> &[u8] {
    let directory = directory_of(path);
    let above = directory_of(directory);
    match above.strip_suffix(b"/glibc-hwcaps") {
        Some(base) => base,
        None => directory,
    }
}

/// The levels of a directory, active or not, are listed by [`super::variants`]; this is the path
/// of one of them.
pub(super) fn level_path(directory: &[u8], level: &[u8], name: &[u8]) -> Vec<u8> {
    [directory, b"/glibc-hwcaps/", level, b"/", name].concat()
}

impl Loader {
    /// Whether a file may be a variant: the same judgement as in a search.
    pub(super) fn takes(&self, state: super::engine::FileState) -> bool {
        matches!(judge_glibc(state, self.target), Verdict::Fit(_))
    }
}
