//! Scripts: `#!` as the kernel reads it (fs/binfmt_script.c), through env(1) to the program that
//! the root's PATH gives.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::engine::Engine;
use super::read::fill;
use super::types::{Closure, ProgramKind, ScriptStep};
use crate::model::{Kind, RootPath};
use crate::root::{self, TreeFile};

/// `BINPRM_BUF_SIZE`: the kernel looks at no more of the first line.
const LINE: usize = 256;
/// The kernel follows four interpreters that are scripts themselves; the fifth is ELOOP.
const MAX_DEPTH: usize = 5;
/// Execute permission for anybody.
const EXECUTE: u32 = 0o111;

/// What the first line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shebang {
    pub(super) interpreter: Vec<u8>,
    pub(super) argument: Option<Vec<u8>>,
}

/// The closure of a file that is no ELF file.
pub(super) fn closure(engine: &mut Engine<'_>, program: &RootPath, file: &TreeFile) -> Closure {
    let Some(line) = shebang_of(file) else {
        return Closure::empty(program.clone(), ProgramKind::Data);
    };
    let mut steps = Vec::new();
    let ends_in = follow(engine, line, &mut steps);
    let mut closure = match ends_in {
        Some(last) => engine
            .closure(&last)
            .unwrap_or_else(|_| Closure::empty(last, ProgramKind::Data)),
        None => Closure::empty(program.clone(), ProgramKind::Script),
    };
    closure.program = program.clone();
    closure.kind = ProgramKind::Script;
    closure.script = steps;
    closure
}

/// Follows the chain; gives the ELF program at its end.
fn follow(
    engine: &mut Engine<'_>,
    first: Shebang,
    steps: &mut Vec<ScriptStep>,
) -> Option<RootPath> {
    let mut line = first;
    for _ in 0..MAX_DEPTH {
        let path = RootPath::from_bytes(&engine.absolute(&line.interpreter));
        let mut program = step(engine, path, false, &line.interpreter, steps)?;
        if is_env(engine, &program) {
            let Some(name) = line.argument.as_deref().and_then(env_program) else {
                return Some(program);
            };
            let found = find_in_path(engine, &name);
            if let (Some(last), Ok(closure)) = (steps.last_mut(), engine.closure(&program)) {
                last.closure = Some(Box::new(closure));
            }
            let path = found.unwrap_or_else(|| RootPath::from_bytes(&name));
            program = step(engine, path, true, &name, steps)?;
        }
        match engine
            .tree
            .open(&program)
            .ok()
            .as_ref()
            .and_then(shebang_of)
        {
            Some(next) => line = next,
            None => return Some(program),
        }
    }
    None
}

/// Records one step; `None` when its program is not there.
fn step(
    engine: &Engine<'_>,
    path: RootPath,
    through_env: bool,
    name: &[u8],
    steps: &mut Vec<ScriptStep>,
) -> Option<RootPath> {
    let there = root::is_file(engine.tree, &path);
    steps.push(ScriptStep {
        program: path.clone(),
        through_env,
        missing: (!there).then(|| OsStr::from_bytes(name).to_os_string()),
        closure: None,
    });
    there.then_some(path)
}

fn shebang_of(file: &TreeFile) -> Option<Shebang> {
    let mut line = [0; LINE];
    let length = fill(file, &mut line, 0);
    parse(line.get(..length)?)
}

/// Splits the first line: the interpreter, then the rest as one argument.
pub(super) fn parse(text: &[u8]) -> Option<Shebang> {
    let rest = text.strip_prefix(b"#!")?;
    let end = rest.iter().position(|byte| *byte == b'\n' || *byte == 0);
    let line = rest.get(..end.unwrap_or(rest.len()))?.trim_ascii();
    let is_blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let split = line.iter().position(is_blank).unwrap_or(line.len());
    let (interpreter, argument) = line.split_at(split);
    let argument = argument.trim_ascii();
    // A name that the kernel cut off is not run.
    let cut = end.is_none() && text.len() >= LINE && split == line.len();
    (!interpreter.is_empty() && !cut).then(|| Shebang {
        interpreter: interpreter.to_vec(),
        argument: (!argument.is_empty()).then(|| argument.to_vec()),
    })
}

/// env by its name, or by the name of the file it is a link to (busybox has many names).
fn is_env(engine: &Engine<'_>, program: &RootPath) -> bool {
    program.file_name() == Some(OsStr::new("env")) && root::is_file(engine.tree, program)
}

/// The program in env's argument: the kernel passes one word, `-S` splits it.
pub(super) fn env_program(argument: &[u8]) -> Option<Vec<u8>> {
    let words = if let Some(text) = split_text(argument) {
        split(text)
    } else {
        vec![argument.to_vec()]
    };
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match &word[..] {
            b"-u" | b"--unset" | b"-C" | b"--chdir" | b"-a" | b"--argv0" => {
                words.next();
            }
            b"--" => {}
            _ if word.starts_with(b"-") || word.contains(&b'=') => {}
            _ => return Some(word),
        }
    }
    None
}

/// What follows `-S`, alone or at the end of a cluster (`-iS`), or `--split-string=`.
fn split_text(argument: &[u8]) -> Option<&[u8]> {
    if let Some(text) = argument.strip_prefix(b"--split-string=") {
        return Some(text);
    }
    if argument.starts_with(b"--") {
        return None;
    }
    let cluster = argument.strip_prefix(b"-")?;
    let at = cluster.iter().position(|byte| *byte == b'S')?;
    let flags = cluster.get(..at)?;
    flags
        .iter()
        .all(|flag| b"iv0".contains(flag))
        .then(|| cluster.get(at + 1..).unwrap_or_default())
}

/// Splits as env -S does: blanks, quotes, backslashes; `#` at the start of a word ends it.
fn split(text: &[u8]) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match (byte, quote) {
            (b'\'' | b'"', None) => {
                quote = Some(byte);
                word.get_or_insert_with(Vec::new);
            }
            (_, Some(open)) if open == byte => quote = None,
            (b'\\', Some(b'\'')) => match bytes.next() {
                Some(next @ (b'\\' | b'\'')) => word.get_or_insert_with(Vec::new).push(next),
                Some(next) => word.get_or_insert_with(Vec::new).extend([byte, next]),
                None => break,
            },
            (b'\\', _) => match bytes.next() {
                Some(b'c') | None => break,
                Some(b'_') if quote.is_none() => words.extend(word.take()),
                Some(next) => word.get_or_insert_with(Vec::new).push(unescape(next)),
            },
            (b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, None) => words.extend(word.take()),
            (b'#', None) if word.is_none() => break,
            _ => word.get_or_insert_with(Vec::new).push(byte),
        }
    }
    words.extend(word);
    words
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'_' => b' ',
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        other => other,
    }
}

/// The first executable regular file called `name` in the root's PATH; a name with a slash is
/// taken as it is.
pub(super) fn find_in_path(engine: &Engine<'_>, name: &[u8]) -> Option<RootPath> {
    if name.contains(&b'/') {
        return Some(RootPath::from_bytes(&engine.absolute(name)));
    }
    let usable = |path: &RootPath| {
        let meta = engine.tree.stat(path);
        meta.is_ok_and(|meta| meta.kind == Kind::File && meta.mode & EXECUTE != 0)
    };
    engine
        .options
        .path
        .iter()
        .map(|directory| directory.join(OsStr::from_bytes(name)))
        .find(usable)
}

impl Engine<'_> {
    /// The program that `name` starts in this root: by its path, or from the PATH of the root.
    #[must_use]
    pub fn which(&self, name: &[u8]) -> Option<RootPath> {
        find_in_path(self, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_read_as_the_kernel_reads_it() {
        let table = [
            ("#!/bin/sh\necho", Some(("/bin/sh", ""))),
            ("#! /bin/sh -e  \n", Some(("/bin/sh", "-e"))),
            ("#!/usr/bin/env -S a b", Some(("/usr/bin/env", "-S a b"))),
            ("#!\t/bin/awk\t-f x\n", Some(("/bin/awk", "-f x"))),
            ("#!sh", Some(("sh", ""))),
            ("#!\n", None),
            ("#! ", None),
            ("echo", None),
        ];
        for (text, wanted) in table {
            let wanted = wanted.map(|(interpreter, argument)| Shebang {
                interpreter: interpreter.into(),
                argument: (!argument.is_empty()).then(|| argument.into()),
            });
            assert_eq!(parse(text.as_bytes()), wanted, "{text}");
        }
        let long = [b"#!/".to_vec(), vec![b'x'; 300]].concat();
        assert_eq!(parse(&long[..256]), None);
    }

    #[test]
    fn env_gives_the_program_it_starts() {
        let table: [(&str, Option<&str>); 10] = [
            ("bash", Some("bash")),
            ("bash -e", Some("bash -e")),
            ("-S bash -e", Some("bash")),
            ("-Sbash", Some("bash")),
            ("--split-string=python3 -u", Some("python3")),
            ("-S -i PATH=/x perl", Some("perl")),
            ("-iS A=b -u HOME awk -f", Some("awk")),
            ("-S 'my prog' x", Some("my prog")),
            ("-S my\\_prog", Some("my")),
            ("-i", None),
        ];
        for (argument, wanted) in table {
            let got = env_program(argument.as_bytes());
            assert_eq!(got.as_deref(), wanted.map(str::as_bytes), "{argument}");
        }
    }
}
