//! What a program needs to start, gathered: its interpreters, its loader, its libraries.

use super::gather::{For, Gatherer, Need};
use super::problem::{Note, Problem};
use crate::cmd::look::runs;
use crate::elf::{Closure, ElfError, Needer, ProgramKind, object::Target};
use crate::model::{Meta, RootPath};
use crate::plan::look::{Obstacle, foreign};

/// What a program asks of the machine.
#[derive(Debug)]
pub(super) struct Wants {
    target: Option<Target>,
    level: Option<(RootPath, u8)>,
}

impl Wants {
    fn of(closure: &Closure) -> Self {
        Self {
            target: closure.target,
            level: closure.level.clone(),
        }
    }
}

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
            // What the kernel does not open by this name is no part of a jail by it either.
            Err(ElfError::Open { source, .. }) if who.need == Need::Required => {
                self.failed(path, &source, who.need);
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
                self.asked.insert(path.clone(), Wants::of(&closure));
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
            let variants = object.variants.iter().map(|variant| &variant.path);
            let others = variants.filter(|path| **path != object.path);
            for path in others.chain([&object.path]) {
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
        let (runs, own) = (runs(), crate::probe::cpu::cpu().x86_level);
        for program in &self.programs {
            let Some(wants) = self.asked.get(program) else {
                continue;
            };
            let other = wants
                .target
                .and_then(|target| foreign(program, target, &runs));
            let why = match (other, &wants.level) {
                (Some(Obstacle::OtherMachine { machine, .. }), _) => {
                    format!("it is for {machine}, and this machine is {}", runs.machine)
                }
                (_, Some((path, level))) if *level > own => format!(
                    "{path} was built for CPUs of level x86-64-v{level}, and this one has v{own}"
                ),
                _ => continue,
            };
            let program = program.clone();
            self.notes.push(Note::WillNotStart { program, why });
        }
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
        let mut programs: Vec<RootPath> = self.asked.keys().cloned().collect();
        programs.sort_unstable();
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
            self.asked.insert(program, Wants::of(&closure));
        }
    }
}
