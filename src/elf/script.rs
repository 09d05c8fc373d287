//! Scripts: `#!` as the kernel reads it (fs/binfmt_script.c), through env(1) to the program that
//! the root's PATH gives.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::engine::{ElfError, Engine};
use super::read::fill;
use super::types::{Closure, ProgramKind, ScriptStep};
use crate::model::{Kind, RootPath};
use crate::root::{self, TreeFile};

/// `BINPRM_BUF_SIZE`: the kernel looks at no more of the first line.
const LINE: usize = 256;
/// The kernel follows four interpreters that are scripts themselves; the fifth is ELOOP.
const MAX_DEPTH: usize = 5;
/// Through env it begins to count anew: a script may start itself for ever.
const MAX_STEPS: usize = 64;
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
        Some(last) => end(engine, &last, &mut steps),
        None => Closure::empty(program.clone(), ProgramKind::Script),
    };
    closure.program = program.clone();
    closure.kind = ProgramKind::Script;
    closure.script = steps;
    closure
}

/// What the program at the end of the chain loads.
fn end(engine: &mut Engine<'_>, last: &RootPath, steps: &mut [ScriptStep]) -> Closure {
    let (closure, refused) = match engine.closure(last) {
        Ok(closure) => {
            // env, as execvp(3), gives it to sh then.
            let refuses = closure.kind == ProgramKind::Data
                && steps.last().is_some_and(|step| !step.through_env);
            let reason = "it is neither a program nor a script";
            (closure, refuses.then(|| reason.to_owned()))
        }
        Err(ElfError::Refused { reason, .. }) => {
            let closure = Closure::empty(last.clone(), ProgramKind::Data);
            (closure, Some(format!("it is a broken program ({reason})")))
        }
        Err(_) => (Closure::empty(last.clone(), ProgramKind::Data), None),
    };
    if let Some(step) = steps.last_mut() {
        step.refused = step.refused.take().or(refused);
    }
    closure
}

/// Follows the chain; gives the ELF program at its end.
fn follow(
    engine: &mut Engine<'_>,
    first: Shebang,
    steps: &mut Vec<ScriptStep>,
) -> Option<RootPath> {
    let mut line = first;
    let mut depth = 1;
    while steps.len() < MAX_STEPS {
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
            depth = 0;
        }
        let next = engine.tree.open(&program);
        let Some(next) = next.ok().as_ref().and_then(shebang_of) else {
            return Some(program);
        };
        if depth == MAX_DEPTH {
            break;
        }
        depth += 1;
        line = next;
    }
    if let Some(step) = steps.last_mut() {
        step.refused = Some(String::from(
            "it is a script that is run by a script and so on: the kernel follows five",
        ));
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
    let found = engine.tree.stat(&path);
    let found = found.ok().filter(|meta| meta.kind == Kind::File);
    let there = found.is_some();
    let refused = found.is_some_and(|meta| meta.mode & EXECUTE == 0);
    steps.push(ScriptStep {
        program: path.clone(),
        through_env,
        missing: (!there).then(|| OsStr::from_bytes(name).to_os_string()),
        refused: refused.then(|| String::from("it has no execute permission")),
        closure: None,
    });
    there.then_some(path)
}

fn shebang_of(file: &TreeFile) -> Option<Shebang> {
    let mut line = [0; LINE];
    let length = fill(file, &mut line, 0);
    parse(line.get(..length)?)
}

/// Splits the first line: the interpreter, then the rest as one argument. Blanks are spaces and
/// tabs and nothing else: a carriage return belongs to the name.
pub(super) fn parse(text: &[u8]) -> Option<Shebang> {
    let rest = text.strip_prefix(b"#!")?;
    let end = rest.iter().position(|byte| *byte == b'\n' || *byte == 0);
    let line = match end {
        Some(end) => trimmed(rest.get(..end)?),
        // The rest of the kernel's buffer is NUL.
        None if text.len() < LINE => trimmed(rest),
        None => {
            // A name that the buffer cuts off is not run, an argument is; its last byte is lost.
            let name = rest.iter().position(|byte| !is_blank(byte))?;
            rest.get(name..)?.iter().position(is_blank)?;
            trimmed(rest.get(..rest.len().checked_sub(1)?)?)
        }
    };
    // Without a newline the kernel takes an empty name for one, and does not find it.
    let ends_in_newline = end.and_then(|end| rest.get(end)) == Some(&b'\n');
    if line.is_empty() && ends_in_newline {
        return None;
    }
    let split = line.iter().position(is_blank).unwrap_or(line.len());
    let (interpreter, argument) = line.split_at(split);
    let argument = trimmed(argument);
    Some(Shebang {
        interpreter: interpreter.to_vec(),
        argument: (!argument.is_empty()).then(|| argument.to_vec()),
    })
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn trimmed(mut text: &[u8]) -> &[u8] {
    while let Some((_, rest)) = text.split_first().filter(|(first, _)| is_blank(first)) {
        text = rest;
    }
    while let Some((_, rest)) = text.split_last().filter(|(last, _)| is_blank(last)) {
        text = rest;
    }
    text
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
            ("#! \t\n", None),
            ("#! ", Some(("", ""))),
            ("#!/bin/sh\r\n", Some(("/bin/sh\r", ""))),
            ("#!/bin/sh -e\r\n", Some(("/bin/sh", "-e\r"))),
            ("#!/bin/sh\x0b-e\n", Some(("/bin/sh\x0b-e", ""))),
            ("#!/bin/sh\0 -e\n", Some(("/bin/sh", ""))),
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
        let late = |blanks: usize, tail: &str| {
            let line = format!("#!{}/bin/sh{tail}", " ".repeat(blanks));
            parse(&line.as_bytes()[..line.len().min(256)])
        };
        let sh = |argument: Option<&str>| {
            Some(Shebang {
                interpreter: b"/bin/sh".to_vec(),
                argument: argument.map(|text| text.as_bytes().to_vec()),
            })
        };
        assert_eq!(late(247, "\n"), None);
        assert_eq!(late(246, "\n"), sh(None));
        assert_eq!(late(245, "  -e\n"), sh(None));
        assert_eq!(late(244, " -e\n"), sh(Some("-")));
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
