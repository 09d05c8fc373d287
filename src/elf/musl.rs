//! musl's search rules: ldso/dynlink.c (M1-M7).

use std::rc::Rc;
use std::sync::Arc;

use super::engine::MAX_TEXT;
use super::find::{Outcome, Verdict, judge_musl};
use super::symbols;
use super::types::FoundBy;
use super::walk::{Dirs, PROGRAM, Walk, directory_of};
use crate::model::RootPath;
use crate::root;

/// Names that musl's libc serves itself (rule M1).
const RESERVED: [&[u8]; 7] = [
    b"libc.",
    b"libpthread.",
    b"librt.",
    b"libm.",
    b"libdl.",
    b"libutil.",
    b"libxnet.",
];
const ENOENT: i32 = 2;

impl Walk<'_, '_> {
    /// Rules M1 and M3: the loader's own names, then the basename that an object was found under
    /// by a search. DT_SONAME plays no part.
    pub(super) fn known_to_musl(&self, name: &[u8]) -> Option<usize> {
        let is_loader =
            RESERVED.iter().any(|it| name.starts_with(it)) || *name == *self.loader.path;
        if is_loader {
            // The loader stands behind the program; without its file nothing starts at all.
            return self.loader.object.as_ref().map(|_| PROGRAM + 1);
        }
        self.loaded.iter().position(|loaded| {
            let searched = |asked: &[u8]| asked == name && !asked.contains(&b'/');
            searched(&loaded.name) || loaded.aliases.iter().any(|alias| searched(alias))
        })
    }

    /// Rules M2 and M4.
    pub(super) fn find_by_musl(&mut self, name: &[u8], by: usize) -> Outcome {
        if RESERVED.iter().any(|it| name.starts_with(it)) {
            return Outcome::Missing;
        }
        if name.contains(&b'/') {
            let path = self.engine.absolute(name);
            return self
                .take_first(&path, FoundBy::Path)
                .unwrap_or(Outcome::Missing);
        }
        for (dirs, rule) in self.lists(by) {
            for dir in dirs.iter() {
                let path = [dir, &b"/"[..], name].concat();
                if let Some(outcome) = self.take_first(&path, rule) {
                    return outcome;
                }
            }
        }
        Outcome::Missing
    }

    /// Every list of directories, in order.
    fn lists(&mut self, by: usize) -> Vec<(Dirs, FoundBy)> {
        let mut lists = Vec::new();
        if !self.secure && !self.engine.options.library_path.is_empty() {
            let dirs = self.split(&self.engine.options.library_path);
            lists.push((dirs, FoundBy::LibraryPath));
        }
        let mut next = Some(by);
        while let Some(index) = next {
            let rule = match self.loaded.get(index) {
                Some(loaded) if loaded.object.runpath.is_some() => FoundBy::Runpath,
                _ => FoundBy::Rpath,
            };
            if let Some(dirs) = self.musl_rpath(index) {
                lists.push((dirs, rule));
            }
            next = self.loaded.get(index).and_then(|loaded| loaded.parent);
        }
        lists.push((self.system_path(), FoundBy::Default));
        lists
    }

    /// Rule M7. `None`: try the next directory.
    fn take_first(&mut self, path: &[u8], by: FoundBy) -> Option<Outcome> {
        let (shared, mut state) = self.engine.file(path);
        let target = self.loader.target;
        let other = |state: &super::engine::FileState| match state {
            super::engine::FileState::Object(object) => {
                (object.target.class, object.target.little) != (target.class, target.little)
            }
            super::engine::FileState::Refused(refusal) => refusal.class.is_some(),
            super::engine::FileState::Absent(_) => false,
        };
        if other(&state)
            && let Some(object) = self.engine.read_as(path, target)
        {
            state = super::engine::FileState::Object(object);
        }
        match judge_musl(state) {
            Verdict::Skip => None,
            Verdict::Stop => Some(Outcome::Missing),
            Verdict::Fatal(reason) => Some(Outcome::Refused {
                path: shared,
                reason,
            }),
            Verdict::Fit(object) => {
                // Another libc under an unusual name: musl serves it itself.
                let file = self.engine.tree.open(&RootPath::from_bytes(path)).ok();
                let is_libc = file.is_some_and(|file| {
                    symbols::defines(&file, &object, b"__libc_start_main")
                        && symbols::defines(&file, &object, b"stdin")
                });
                let own = self.loader.object.clone().filter(|_| is_libc);
                Some(match own {
                    Some(own) => Outcome::Found {
                        path: RootPath::from_bytes(&self.loader.path),
                        object: own,
                        by: FoundBy::Default,
                    },
                    None => Outcome::Found {
                        path: shared,
                        object,
                        by,
                    },
                })
            }
        }
    }

    /// Rules M4 and M5: RUNPATH or RPATH, ignored as a whole where it has another token than
    /// `$ORIGIN`.
    fn musl_rpath(&mut self, index: usize) -> Option<Dirs> {
        let loaded = self.loaded.get(index)?;
        let object = &loaded.object;
        let text = Arc::clone(object.runpath.as_ref().or(object.rpath.as_ref())?);
        if let Some(known) = loaded.rpath.get() {
            return known.clone();
        }
        let dirs = self
            .replace_origin(&text, index)
            .map(|text| self.split(&text));
        self.loaded.get(index)?.rpath.get_or_init(|| dirs).clone()
    }

    fn replace_origin(&mut self, text: &[u8], index: usize) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
            let (before, token) = rest.split_at(at);
            let after = token
                .strip_prefix(b"${ORIGIN}")
                .or_else(|| token.strip_prefix(b"$ORIGIN"))?;
            if self.secure && index == PROGRAM {
                return None;
            }
            out.extend_from_slice(before);
            out.extend_from_slice(&self.origin(index)?);
            rest = after;
        }
        out.extend_from_slice(rest);
        Some(out)
    }

    /// Rule M6.
    fn system_path(&mut self) -> Dirs {
        let above = directory_of(directory_of(&self.loader.path));
        let arch = self
            .loader
            .path
            .rsplit(|byte| *byte == b'/')
            .next()
            .and_then(|name| name.strip_prefix(b"ld-musl-"))
            .and_then(|name| name.strip_suffix(b".so.1"))
            .unwrap_or(b"x86_64");
        let path = [above, b"/etc/ld-musl-", arch, b".path"].concat();
        match root::read(self.engine.tree, &RootPath::from_bytes(&path), MAX_TEXT) {
            Ok(text) => self.split(&text),
            Err(error) if error.raw_os_error() == Some(ENOENT) => {
                self.split(b"/lib:/usr/local/lib:/usr/lib")
            }
            Err(_) => Rc::from([]),
        }
    }

    /// Splits at colons and newlines; empty elements do not count.
    fn split(&self, text: &[u8]) -> Dirs {
        text.split(|byte| b":\n".contains(byte))
            .filter(|dir| !dir.is_empty())
            .map(|dir| Arc::from(self.engine.absolute(dir)))
            .collect()
    }

    /// Where a name was looked for, for the report.
    pub(super) fn searched_by_musl(&mut self, name: &[u8], by: usize) -> Vec<String> {
        if name.contains(&b'/') {
            let path = self.engine.absolute(name);
            return vec![String::from_utf8_lossy(&path).into_owned()];
        }
        let mut out = Vec::new();
        for (dirs, rule) in self.lists(by) {
            for dir in dirs.iter() {
                out.push(format!(
                    "{} ({})",
                    String::from_utf8_lossy(dir),
                    rule.word()
                ));
            }
        }
        out
    }
}
