//! What a program needs to start, gathered: its interpreters, its loader, its libraries.

use std::collections::BTreeSet;

use super::gather::{For, Gatherer, Need};
use super::problem::{Note, Problem};
use crate::cmd::look::runs;
use crate::elf::{Closure, ElfError, Engine, FoundBy, Needer, ProgramKind};
use crate::model::{FileId, Meta, RootPath};
use crate::plan::look::{Obstacle, foreign};
use crate::root::Layer;

impl Gatherer<'_> {
    /// What a file needs to start. Scripts that nobody can execute are text.
    pub(super) fn close(&mut self, path: &RootPath, real: &RootPath, meta: &Meta, who: For) {
        let first = self.closed.insert(real.clone());
        if !first && who.need == Need::Incidental {
            return;
        }
        let closure = match self.engine.closure(path) {
            Ok(closure) => closure,
            Err(ElfError::Refused { reason, .. }) if who.need == Need::Required => {
                self.problems.push(Problem::Broken {
                    path: path.clone(),
                    reason: reason.to_string(),
                });
                return;
            }
            // An object file, a core: data.
            Err(_) => return,
        };
        match closure.kind {
            ProgramKind::Data => {
                self.programs.remove(path);
            }
            ProgramKind::Script
                if who.need == Need::Incidental && (!who.scripts || meta.mode & 0o111 == 0) => {}
            _ => {
                self.asked.insert(path.clone(), objects(&closure));
                self.take_closure(&closure, who);
            }
        }
    }

    fn take_closure(&mut self, closure: &Closure, who: For) {
        if closure.needs_proc {
            self.needs_proc.insert(closure.program.clone());
        }
        // What a program needs is not what was asked for: no privileges for it.
        let part = For {
            keep_privileges: false,
            ..who
        };
        self.not_preloaded
            .extend(closure.not_preloaded.iter().cloned());
        for step in &closure.script {
            if let Some(name) = &step.missing {
                self.missing(Problem::NoInterpreter {
                    script: closure.program.clone(),
                    name: name.clone(),
                    need: who.need,
                });
                continue;
            }
            if let Some(reason) = &step.refused {
                self.missing(Problem::NotRunBy {
                    script: closure.program.clone(),
                    program: step.program.clone(),
                    reason: reason.clone(),
                    need: who.need,
                });
            }
            if let Err(error) = self.want(&step.program, part) {
                self.failed(&step.program, &error, who.need);
            }
            if let Some(closure) = &step.closure {
                self.take_closure(closure, part);
            }
        }
        if let Some(interpreter) = &closure.interpreter
            && (!interpreter.present || self.want(&interpreter.path, part).is_err())
        {
            self.missing(Problem::NoLoader {
                program: closure.program.clone(),
                loader: interpreter.path.clone(),
                need: who.need,
            });
        }
        for object in &closure.objects {
            self.by_cache |= object.found_by == FoundBy::Cache;
            let variants = object.variants.iter().map(|variant| &variant.path);
            let paths: BTreeSet<&RootPath> = variants.chain([&object.path]).collect();
            for path in paths {
                if let Err(error) = self.want(path, part) {
                    self.failed(path, &error, who.need);
                }
            }
        }
        for missing in &closure.missing {
            let needed_by = match missing.needed_by {
                Needer::Object(index) => closure
                    .objects
                    .get(index)
                    .map_or_else(|| closure.program.clone(), |object| object.path.clone()),
                Needer::Program | Needer::Preload => closure.program.clone(),
            };
            self.missing(Problem::NoLibrary {
                program: closure.program.clone(),
                name: String::from_utf8_lossy(&missing.name).into_owned(),
                needed_by,
                searched: missing.searched.clone(),
                need: who.need,
            });
        }
        for file in &closure.cut_off {
            self.missing(Problem::CutOff {
                program: closure.program.clone(),
                file: file.clone(),
                need: who.need,
            });
        }
        for note in &closure.notes {
            self.notes.push(Note::Dlopen {
                program: closure.program.clone(),
                note: note.clone(),
            });
        }
    }

    fn missing(&mut self, problem: Problem) {
        if problem.is_required() {
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
        } else {
            self.notes.push(Note::Incomplete(problem));
        }
    }

    /// What is there as a whole and does not start: for another machine, or a better CPU.
    pub(super) fn note_what_does_not_start(&mut self) {
        let runs = runs();
        let own = crate::probe::cpu::cpu().x86_level;
        for program in self.programs.clone() {
            let Ok(closure) = self.engine.closure(&program) else {
                continue;
            };
            let binary = closure.script.last().map_or(&program, |step| &step.program);
            let Ok(object) = self.engine.object(binary) else {
                continue;
            };
            let why = match foreign(binary, object.target, &runs) {
                Some(Obstacle::OtherMachine { machine, .. }) => Some(format!(
                    "it is for {machine}, and this machine is {}",
                    runs.machine
                )),
                _ => self.beyond_this_cpu(binary, &closure, own),
            };
            if let Some(why) = why {
                self.notes.push(Note::WillNotStart { program, why });
            }
        }
    }

    fn beyond_this_cpu(&mut self, binary: &RootPath, closure: &Closure, own: u8) -> Option<String> {
        let libraries = closure.objects.iter().map(|object| &object.path);
        for path in std::iter::once(binary).chain(libraries) {
            let level = self.engine.x86_level(path).unwrap_or(1);
            if level > own {
                return Some(format!(
                    "{path} was built for CPUs of level x86-64-v{level}, and this one has v{own}"
                ));
            }
        }
        None
    }

    /// With /etc/ld.so.preload in the jail, every program in it loads what that names.
    pub(super) fn preload_file(&mut self) {
        let path = RootPath::new("/etc/ld.so.preload");
        if !self.holds(&path) {
            return;
        }
        self.engine.use_preload_file();
        let who = For {
            reason: self.reason("path /etc/ld.so.preload"),
            keep_privileges: false,
            need: Need::Incidental,
            scripts: false,
        };
        let programs: Vec<RootPath> = self.asked.keys().cloned().collect();
        for program in programs {
            let Ok(closure) = self.engine.closure(&program) else {
                continue;
            };
            self.not_preloaded
                .extend(closure.not_preloaded.iter().cloned());
            for object in &closure.objects {
                if !self.holds(&object.path)
                    && let Err(error) = self.want(&object.path, who)
                {
                    self.failed(&object.path, &error, who.need);
                }
            }
            self.asked.insert(program, objects(&closure));
        }
    }

    /// Whether some program finds other libraries, or none, when there is no ld.so.cache.
    pub(super) fn needs_cache(&self) -> bool {
        if !self.by_cache {
            return false;
        }
        let mut bare = Layer::over(self.tree);
        bare.hide(&RootPath::new("/etc/ld.so.cache"));
        let mut without = Engine::with_options(&bare, self.engine.plain_options());
        self.asked.iter().any(|(path, with)| {
            without
                .closure(path)
                .is_ok_and(|without| objects(&without) != *with)
        })
    }
}

fn objects(closure: &Closure) -> Vec<FileId> {
    closure.objects.iter().map(|object| object.id).collect()
}
