//! What `closure` prints: a tree for people, paths for scripts, JSON for programs, dot for
//! pictures. Nothing is looked up here; an answer is turned into text.

mod chains;
mod dot;
mod json;
mod paths;
mod tree;

pub use chains::why;
pub use dot::dot;
pub use json::json;
pub use paths::paths;
pub use tree::tree;

use std::os::unix::ffi::OsStrExt;

use super::escape_bytes;
use crate::elf::{Closure, Needer};
use crate::model::RootPath;

/// The answer for one FILE.
#[derive(Debug)]
pub enum Answer {
    /// What it loads.
    Found(Box<Closure>),
    /// Why there is no answer.
    Failed(RootPath, String),
}

/// One line for each thing that start-up would miss or refuse.
#[must_use]
pub fn complaints(closure: &Closure) -> Vec<String> {
    let mut lines = Vec::new();
    if closure.is_complete() {
        return lines;
    }
    let program = text_of(&closure.program);
    for step in &closure.script {
        if let Some(name) = &step.missing {
            let name = escape_bytes(name.as_bytes());
            lines.push(format!("{program}: interpreter {name} not found"));
        }
        if let Some(reason) = &step.refused {
            let name = text_of(&step.program);
            lines.push(format!("{program}: cannot be run by {name}: {reason}"));
        }
        if let Some(inner) = &step.closure {
            lines.extend(complaints(inner));
        }
    }
    for missing in &closure.missing {
        let name = escape_bytes(&missing.name);
        let by = name_of(closure, missing.needed_by);
        lines.push(match &missing.refused {
            Some((path, reason)) => {
                format!(
                    "{program}: {name} needed by {by}: {}: {reason}",
                    text_of(path)
                )
            }
            None => format!("{program}: {name} not found, needed by {by}"),
        });
    }
    for cut in &closure.cut_off {
        lines.push(if cut.path == closure.program {
            format!("{program}: {cut}")
        } else {
            format!("{program}: {}: {cut}", text_of(&cut.path))
        });
    }
    for problem in &closure.versions {
        lines.push(format!(
            "{program}: version {} of {} not found, needed by {}",
            escape_bytes(&problem.version),
            escape_bytes(&problem.object),
            name_of(closure, problem.needed_by)
        ));
    }
    lines
}

/// Who asked, as a path.
fn needer_path(closure: &Closure, needer: Needer) -> Option<&RootPath> {
    match needer {
        Needer::Program => Some(elf_program(closure)),
        Needer::Object(index) => closure.objects.get(index).map(|object| &object.path),
        Needer::Preload => None,
    }
}

/// The ELF program that is loaded: a script's last interpreter.
fn elf_program(closure: &Closure) -> &RootPath {
    closure
        .script
        .last()
        .map_or(&closure.program, |step| &step.program)
}

fn name_of(closure: &Closure, needer: Needer) -> String {
    needer_path(closure, needer).map_or_else(|| "LD_PRELOAD".to_string(), text_of)
}

fn text_of(path: &RootPath) -> String {
    escape_bytes(path.as_bytes())
}
