//! `--format json`: the shape that scripts rely on (design section 4, newroot-closure(8)).

use std::os::unix::ffi::OsStrExt;

use serde_json::{Map, Value, json};

use super::{Answer, elf_program, needer_path};
use crate::elf::{Closure, Interpreter, LoadedObject, Missing, Needer, ProgramKind, ScriptStep};
use crate::model::RootPath;

/// One entry for each FILE, in order.
///
/// # Errors
/// None that can happen; serde's signature.
pub fn json(answers: &[Answer], notes: bool) -> Result<Vec<u8>, serde_json::Error> {
    let programs: Vec<Value> = answers
        .iter()
        .map(|answer| match answer {
            Answer::Found(closure) => program(closure, notes),
            Answer::Failed(path, error) => {
                let mut entry = Map::new();
                put(&mut entry, "path", path.as_bytes());
                entry.insert("kind".into(), Value::Null);
                entry.insert("interpreter".into(), Value::Null);
                entry.insert("objects".into(), json!([]));
                entry.insert("missing".into(), json!([]));
                entry.insert("error".into(), json!(error));
                Value::Object(entry)
            }
        })
        .collect();
    let mut out = serde_json::to_vec_pretty(&json!({ "programs": programs }))?;
    out.push(b'\n');
    Ok(out)
}

fn program(closure: &Closure, notes: bool) -> Value {
    let mut entry = Map::new();
    put(&mut entry, "path", closure.program.as_bytes());
    entry.insert("kind".into(), json!(kind(closure.kind)));
    let interpreter = closure.interpreter.as_ref();
    match interpreter {
        Some(interpreter) => put(&mut entry, "interpreter", interpreter.path.as_bytes()),
        None => {
            entry.insert("interpreter".into(), Value::Null);
        }
    }
    if let Some(it) = interpreter.filter(|it| !it.present) {
        entry.insert("interpreter_present".into(), json!(it.present));
    }
    if closure.kind == ProgramKind::Script {
        let steps: Vec<Value> = closure.script.iter().map(|it| step(it, notes)).collect();
        entry.insert("script".into(), json!(steps));
    }
    let objects = closure.objects.iter().map(|it| object(closure, it));
    let loader = interpreter
        .filter(|it| it.present && !it.needed_by.is_empty())
        .map(|it| loader(closure, it));
    entry.insert("objects".into(), objects.collect());
    if let Some(loader) = loader {
        entry.insert("loader".into(), loader);
    }
    let missing = closure.missing.iter().map(|it| missing(closure, it));
    entry.insert("missing".into(), missing.collect());
    if !closure.cut_off.is_empty() {
        entry.insert("cut_off".into(), cut_off(closure));
    }
    if !closure.not_preloaded.is_empty() {
        let names = closure.not_preloaded.iter();
        let names = names.map(|name| json!(String::from_utf8_lossy(name)));
        entry.insert("not_preloaded".into(), names.collect());
    }
    entry.insert("versions".into(), versions(closure));
    entry.insert("needs_proc".into(), json!(closure.needs_proc));
    if notes {
        entry.insert("notes".into(), dlopen(closure));
    }
    Value::Object(entry)
}

/// The loader's own place in the closure: who needs it by name, as libc does.
fn loader(closure: &Closure, interpreter: &Interpreter) -> Value {
    json!({ "needed_by": needers(closure, &interpreter.needed_by) })
}

fn object(closure: &Closure, object: &LoadedObject) -> Value {
    let mut entry = Map::new();
    put(&mut entry, "path", object.path.as_bytes());
    put(&mut entry, "name", &object.name);
    entry.insert("needed_by".into(), needers(closure, &object.needed_by));
    entry.insert("found_by".into(), json!(object.found_by.word()));
    Value::Object(entry)
}

fn missing(closure: &Closure, missing: &Missing) -> Value {
    let mut entry = Map::new();
    put(&mut entry, "name", &missing.name);
    let needer = [missing.needed_by];
    entry.insert("needed_by".into(), needers(closure, &needer));
    entry.insert("searched".into(), json!(missing.searched));
    if let Some((path, reason)) = &missing.refused {
        let mut refused = Map::new();
        put(&mut refused, "path", path.as_bytes());
        refused.insert("reason".into(), json!(reason));
        entry.insert("refused".into(), Value::Object(refused));
    }
    Value::Object(entry)
}

fn step(step: &ScriptStep, notes: bool) -> Value {
    let mut entry = Map::new();
    put(&mut entry, "path", step.program.as_bytes());
    entry.insert("through_env".into(), json!(step.through_env));
    if let Some(name) = &step.missing {
        put(&mut entry, "missing", name.as_bytes());
    }
    if let Some(reason) = &step.refused {
        entry.insert("refused".into(), json!(reason));
    }
    if let Some(closure) = &step.closure {
        entry.insert("closure".into(), program(closure, notes));
    }
    Value::Object(entry)
}

fn cut_off(closure: &Closure) -> Value {
    closure
        .cut_off
        .iter()
        .map(|cut| {
            let mut entry = Map::new();
            put(&mut entry, "path", cut.path.as_bytes());
            entry.insert("length".into(), json!(cut.length));
            entry.insert("whole".into(), json!(cut.whole));
            Value::Object(entry)
        })
        .collect()
}

fn versions(closure: &Closure) -> Value {
    closure
        .versions
        .iter()
        .map(|problem| {
            let mut entry = Map::new();
            put(&mut entry, "version", &problem.version);
            put(&mut entry, "object", &problem.object);
            let needer = [problem.needed_by];
            entry.insert("needed_by".into(), needers(closure, &needer));
            Value::Object(entry)
        })
        .collect()
}

fn dlopen(closure: &Closure) -> Value {
    closure
        .notes
        .iter()
        .map(|note| {
            json!({
                "of": needers(closure, &[note.of]),
                "soname": note.sonames,
                "feature": note.feature,
                "description": note.description,
                "priority": note.priority,
            })
        })
        .collect()
}

/// Who asked, as paths; the preload list is "LD_PRELOAD".
fn needers(closure: &Closure, needers: &[Needer]) -> Value {
    needers
        .iter()
        .map(|needer| match needer {
            Needer::Program => path_value(elf_program(closure)),
            _ => needer_path(closure, *needer).map_or_else(|| json!("LD_PRELOAD"), path_value),
        })
        .collect()
}

fn path_value(path: &RootPath) -> Value {
    Value::String(String::from_utf8_lossy(path.as_bytes()).into_owned())
}

/// JSON has no bytes: a name that is no UTF-8 is shown with U+FFFD, and exactly in `KEY_hex`.
fn put(entry: &mut Map<String, Value>, key: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    entry.insert(key.into(), Value::String(text.clone().into_owned()));
    if text.as_bytes() != bytes {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        entry.insert(format!("{key}_hex"), Value::String(hex));
    }
}

fn kind(kind: ProgramKind) -> &'static str {
    match kind {
        ProgramKind::Dynamic => "dynamic",
        ProgramKind::Static => "static",
        ProgramKind::Library => "library",
        ProgramKind::Script => "script",
        ProgramKind::Data => "data",
    }
}
