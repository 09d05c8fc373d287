//! What a walk found, as the plain data of [`super::types`].

use std::rc::Rc;
use std::sync::Arc;

use super::object::Object;
use super::types::{Closure, CutOff, Interpreter, LoadedObject, Missing, Needer, ProgramKind};
use super::variants;
use super::walk::{Loaded, Walk};
use crate::model::RootPath;

/// What loading one program ends with.
pub(super) struct Finished {
    pub(super) closure: Closure,
    pub(super) loaded: Vec<Loaded>,
    /// Where `Closure::objects` begins in `loaded`.
    pub(super) first: usize,
}

impl Finished {
    /// Who `loaded[index]` is in the closure.
    pub(super) fn needer(&self, index: usize) -> Needer {
        needer(self.first, index)
    }
}

fn needer(first: usize, index: usize) -> Needer {
    index
        .checked_sub(first)
        .map_or(Needer::Program, Needer::Object)
}

impl Walk<'_, '_> {
    /// Who `loaded[index]` is in the closure.
    pub(super) fn needer(&self, index: usize) -> Needer {
        needer(self.first, index)
    }

    pub(super) fn finish(mut self) -> Finished {
        let mut closure = Closure::empty(self.program.clone(), self.kind);
        closure.needs_proc = self.needs_proc;
        closure.missing = std::mem::take(&mut self.missing);
        closure.not_preloaded = std::mem::take(&mut self.not_preloaded);
        closure.interpreter = self.interpreter_of();
        let all = self.loaded.iter();
        closure.cut_off = all
            .filter_map(|loaded| CutOff::of(&loaded.path, &loaded.object))
            .collect();
        let absent = closure.interpreter.as_ref().filter(|it| !it.present);
        if let Some(missing) = absent.map(missing_loader) {
            closure.missing.insert(0, missing);
        }
        closure.objects.reserve_exact(self.loaded.len());
        for loaded in self.loaded.iter_mut().skip(self.first) {
            closure.objects.push(LoadedObject {
                path: loaded.path.clone(),
                name: Arc::clone(&loaded.name),
                needed_by: std::mem::take(&mut loaded.needed_by),
                found_by: loaded.by,
                id: loaded.object.id,
                variants: Vec::new(),
            });
        }
        if self.engine.options.variants {
            let loader = Rc::clone(&self.loader);
            let libraries = self.loaded.iter().skip(self.first);
            for (object, loaded) in closure.objects.iter_mut().zip(libraries) {
                object.variants = variants::find(self.engine, &loader, loaded);
            }
        }
        Finished {
            closure,
            loaded: self.loaded,
            first: self.first,
        }
    }

    fn interpreter_of(&self) -> Option<Interpreter> {
        let entry = self.interpreter().and_then(|index| self.loaded.get(index));
        // A library names no loader; the usual one counts where something needs it by name, as
        // libc does, and as everything does that musl serves.
        let used = entry.is_some_and(|entry| !entry.needed_by.is_empty());
        if self.kind != ProgramKind::Dynamic && !used {
            return None;
        }
        let path = entry.map(|entry| entry.path.clone());
        let literal = || RootPath::from_bytes(&self.engine.absolute(&self.loader.path));
        Some(Interpreter {
            path: path.unwrap_or_else(literal),
            present: entry.is_some_and(|entry| entry.object.target == self.loader.target),
            needed_by: entry
                .map(|entry| entry.needed_by.clone())
                .unwrap_or_default(),
        })
    }
}

impl CutOff {
    pub(super) fn of(path: &RootPath, object: &Object) -> Option<Self> {
        let (length, whole) = object.cut_off?;
        Some(Self {
            path: path.clone(),
            length,
            whole,
        })
    }
}

fn missing_loader(interpreter: &Interpreter) -> Missing {
    Missing {
        name: interpreter.path.as_bytes().to_vec(),
        needed_by: Needer::Program,
        searched: vec![interpreter.path.to_string()],
        refused: None,
    }
}
