//! The table of lent tools: decided by `plan::lent`, read by the shim that each tool is started
//! through.
//!
//! Where it lies is fixed, so that nothing else can make newroot take itself for a shim.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use serde::{Deserialize, Serialize};

/// Where the lent tools are inside the root that they are lent to.
pub const LENT: &str = "/run/newroot/lent";

/// The table's name in [`LENT`].
pub const LENT_TABLE: &str = "table";

/// How each tool is started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LentTable {
    /// Ways to start a program, shared by many tools.
    pub starts: Vec<LentStart>,
    /// By the tool's name.
    pub tools: BTreeMap<String, LentTool>,
}

/// A loader, called as a program, and what it is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LentStart {
    /// The lent loader, absolute.
    pub loader: String,
    /// glibc's knows options that musl's does not.
    pub is_glibc: bool,
    /// Whether it knows `--argv0` (glibc 2.33, musl 1.2).
    pub knows_argv0: bool,
    /// The directories of the lent libraries, with colons between them.
    pub library_path: String,
    /// Objects whose DT_RPATH leads to directories of the root and is ignored.
    pub ignored_rpaths: Vec<String>,
}

/// One tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LentTool {
    /// It needs no loader.
    Static {
        /// The lent program, absolute.
        program: String,
    },
    /// Started through `LentTable::starts[start]`.
    Dynamic {
        /// The lent program, absolute.
        program: String,
        /// Index of how.
        start: usize,
    },
    /// Text with a `#!` line; the tool that it names runs it.
    Script {
        /// The lent script, absolute.
        program: String,
    },
}

/// What is executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LentCall {
    /// The file.
    pub program: String,
    /// Its arguments, its own name first.
    pub arguments: Vec<OsString>,
}

/// Why a tool cannot be called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LentError {
    /// There is no tool of that name.
    #[error("{0} is not among the lent tools")]
    Unknown(String),
    /// A script asks for a program that is not lent.
    #[error("{script} is run by {interpreter}, which is not among the lent tools")]
    NoInterpreter {
        /// The script.
        script: String,
        /// Its interpreter.
        interpreter: String,
    },
    /// Scripts that run scripts that run scripts.
    #[error("{0} is a script that is run by too many scripts")]
    TooDeep(String),
    /// The table refers to itself wrongly.
    #[error("the table of lent tools is damaged")]
    Damaged,
}

/// What the kernel allows (BINPRM_MAX_RECURSION).
const MAX_SCRIPTS: usize = 5;

impl LentTable {
    /// How `name` is called with `arguments`, of which the first is its name as the caller has
    /// it. `first_line` reads the first line of a script.
    ///
    /// # Errors
    /// [`LentError`].
    pub fn call(
        &self,
        name: &str,
        arguments: Vec<OsString>,
        first_line: &dyn Fn(&str) -> Vec<u8>,
    ) -> Result<LentCall, LentError> {
        let (mut name, mut arguments) = (name.to_owned(), arguments);
        for _ in 0..MAX_SCRIPTS {
            let tool = self.tools.get(&name);
            match tool.ok_or_else(|| LentError::Unknown(name.clone()))? {
                LentTool::Static { program } => {
                    return Ok(LentCall {
                        program: program.clone(),
                        arguments,
                    });
                }
                LentTool::Dynamic { program, start } => {
                    let start = self.starts.get(*start).ok_or(LentError::Damaged)?;
                    return Ok(start.call(program, arguments));
                }
                LentTool::Script { program } => {
                    let line = first_line(program);
                    let (interpreter, words) = self.interpreter(program, &line)?;
                    let rest = arguments.into_iter().skip(1);
                    arguments = words.into_iter().chain(rest).collect();
                    name = interpreter;
                }
            }
        }
        Err(LentError::TooDeep(name))
    }

    /// The tool that runs a script, and its words up to the script: as the kernel splits the
    /// line, everything after the first word is one argument.
    fn interpreter(&self, script: &str, line: &[u8]) -> Result<(String, Vec<OsString>), LentError> {
        let text = String::from_utf8_lossy(line);
        let text = text.strip_prefix("#!").unwrap_or("/bin/sh").trim();
        let (path, argument) = match text.split_once([' ', '\t']) {
            Some((path, argument)) => (path, Some(argument.trim())),
            None => (text, None),
        };
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        if !self.tools.contains_key(&name) {
            return Err(LentError::NoInterpreter {
                script: script.to_owned(),
                interpreter: path.to_owned(),
            });
        }
        let mut words = vec![OsString::from(path)];
        words.extend(argument.filter(|it| !it.is_empty()).map(OsString::from));
        words.push(OsString::from(script));
        Ok((name, words))
    }
}

impl LentStart {
    fn call(&self, program: &str, arguments: Vec<OsString>) -> LentCall {
        let mut words: Vec<OsString> = vec![self.loader.clone().into()];
        let mut arguments = arguments.into_iter();
        let own_name = arguments.next();
        if let Some(name) = own_name.filter(|_| self.knows_argv0) {
            words.extend([OsString::from("--argv0"), name]);
        }
        if self.is_glibc {
            // The root's ld.so.cache names the root's libraries.
            words.push("--inhibit-cache".into());
        }
        words
            .extend([OsStr::new("--library-path"), OsStr::new(&self.library_path)].map(Into::into));
        if self.is_glibc && !self.ignored_rpaths.is_empty() {
            words.extend([
                "--inhibit-rpath".into(),
                self.ignored_rpaths.join(":").into(),
            ]);
        }
        words.push(program.into());
        words.extend(arguments);
        LentCall {
            program: self.loader.clone(),
            arguments: words,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> LentTable {
        let start = |is_glibc, knows_argv0| LentStart {
            loader: String::from("/l/ld.so"),
            is_glibc,
            knows_argv0,
            library_path: String::from("/l/a:/l/b"),
            ignored_rpaths: Vec::new(),
        };
        let dynamic = |program: &str, start| LentTool::Dynamic {
            program: program.to_owned(),
            start,
        };
        let script = |program: &str| LentTool::Script {
            program: program.to_owned(),
        };
        let tools = [
            ("bash", dynamic("/l/bash", 0)),
            ("musl", dynamic("/l/musl", 1)),
            ("old", dynamic("/l/old", 2)),
            (
                "static",
                LentTool::Static {
                    program: "/l/static".into(),
                },
            ),
            ("ldd", script("/l/ldd")),
            ("loop", script("/l/loop")),
            ("stray", script("/l/stray")),
            ("damaged", dynamic("/l/x", 9)),
        ];
        LentTable {
            starts: vec![start(true, true), start(false, true), start(true, false)],
            tools: tools.map(|(name, tool)| (name.to_owned(), tool)).into(),
        }
    }

    fn call(words: &[&str]) -> Result<String, LentError> {
        let line = |path: &str| match path {
            "/l/ldd" => b"#! /usr/bin/bash  -e -u ".to_vec(),
            "/l/loop" => b"#!/loop".to_vec(),
            _ => b"#!/usr/bin/perl".to_vec(),
        };
        let arguments = words.iter().map(OsString::from).collect();
        let name = words[0].trim_start_matches('-');
        let call = table().call(name, arguments, &line)?;
        let shown: Vec<&str> = call.arguments.iter().filter_map(|it| it.to_str()).collect();
        Ok(format!("{} | {}", call.program, shown.join(" ")))
    }

    #[test]
    fn a_tool_is_the_loader_with_the_program_as_its_argument() {
        let table: &[(&[&str], &str)] = &[
            (
                &["-bash", "-c", "x"],
                "/l/ld.so | /l/ld.so --argv0 -bash --inhibit-cache --library-path /l/a:/l/b \
                 /l/bash -c x",
            ),
            (
                &["musl", "a"],
                "/l/ld.so | /l/ld.so --argv0 musl --library-path /l/a:/l/b /l/musl a",
            ),
            (
                &["old", "a"],
                "/l/ld.so | /l/ld.so --inhibit-cache --library-path /l/a:/l/b /l/old a",
            ),
            (&["static", "a"], "/l/static | static a"),
            (
                &["ldd", "x"],
                "/l/ld.so | /l/ld.so --argv0 /usr/bin/bash --inhibit-cache --library-path \
                 /l/a:/l/b /l/bash -e -u /l/ldd x",
            ),
        ];
        for (words, expected) in table {
            assert_eq!(call(words).unwrap(), *expected, "{words:?}");
        }
    }

    #[test]
    fn what_cannot_be_called_is_named() {
        assert_eq!(call(&["no"]), Err(LentError::Unknown("no".into())));
        assert_eq!(call(&["loop"]), Err(LentError::TooDeep("loop".into())));
        assert_eq!(call(&["damaged"]), Err(LentError::Damaged));
        assert_eq!(
            call(&["stray"]).unwrap_err().to_string(),
            "/l/stray is run by /usr/bin/perl, which is not among the lent tools"
        );
    }

    #[test]
    fn ignored_rpaths_are_told_to_glibc() {
        let start = LentStart {
            loader: "/l/ld.so".into(),
            is_glibc: true,
            ignored_rpaths: vec![String::new(), "/l/x.so".into()],
            ..LentStart::default()
        };
        let call = start.call("/l/p", vec!["p".into()]);
        assert!(call.arguments.contains(&":/l/x.so".into()), "{call:?}");
    }
}
