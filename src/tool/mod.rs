//! External programs. argv is logged, the environment is cleared, what the program said last is
//! in the error, and a program that is not there is an error that names the package to install.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::model::{Kind, shell_word};
use crate::sys;

/// Where administrators' programs are; the caller's PATH is not asked.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How much of stderr an error carries.
const TAIL: usize = 2000;

/// A program and the package that brings it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Its name.
    pub program: &'static str,
    /// Debian's package; other families mostly call it the same.
    pub package: &'static str,
}

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// It is not installed.
    #[error("{program} is not installed; it comes with the package {package}")]
    Missing {
        /// Its name.
        program: &'static str,
        /// The package.
        package: &'static str,
    },
    /// It could not be started.
    #[error("cannot start {argv}: {source}")]
    Start {
        /// What was to be run.
        argv: String,
        /// Why not.
        source: std::io::Error,
    },
    /// It said no.
    #[error("{argv} failed ({status}){said}")]
    Failed {
        /// What was run.
        argv: String,
        /// "exit status: 1"
        status: String,
        /// ": " and the end of what it said on stderr; may be empty.
        said: String,
    },
}

impl Tool {
    /// Runs it to its end, with nothing on standard input; gives what it wrote to standard output.
    ///
    /// # Errors
    /// It is not there, or it failed.
    pub fn run<S: AsRef<OsStr>>(self, arguments: &[S]) -> Result<Vec<u8>, ToolError> {
        let file = self.find()?;
        let argv = self.shown(arguments);
        tracing::info!(%argv, "running");
        // One thread and no shell: std starts it with vfork, and waits.
        #[expect(clippy::disallowed_methods, reason = "this is the module for it")]
        let output = Command::new(file)
            .args(arguments)
            .env_clear()
            .env("PATH", PATH)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output()
            .map_err(|source| ToolError::Start {
                argv: argv.clone(),
                source,
            })?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(ToolError::Failed {
            argv,
            status: output.status.to_string(),
            said: tail(&output.stderr),
        })
    }

    /// The command as a person would type it.
    #[must_use]
    pub fn shown<S: AsRef<OsStr>>(self, arguments: &[S]) -> String {
        arguments
            .iter()
            .fold(String::from(self.program), |mut text, argument| {
                text.push(' ');
                text.push_str(&shell_word(argument.as_ref().as_bytes()));
                text
            })
    }

    fn find(self) -> Result<PathBuf, ToolError> {
        PATH.split(':')
            .map(|directory| PathBuf::from(directory).join(self.program))
            .find(|path| {
                sys::fs::stat_at(rustix::fs::CWD, path).is_ok_and(|meta| meta.kind == Kind::File)
            })
            .ok_or(ToolError::Missing {
                program: self.program,
                package: self.package,
            })
    }
}

fn tail(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let text = text.trim();
    if text.is_empty() {
        return String::new();
    }
    let mut start = text.len().saturating_sub(TAIL);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    format!(": {}", &text[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_names_its_package_and_a_failing_one_what_it_said() {
        let none = Tool {
            program: "no-such-program-of-newroot",
            package: "some-package",
        };
        let error = none.run::<&str>(&[]).unwrap_err().to_string();
        assert!(error.contains("package some-package"), "{error}");
        let sh = Tool {
            program: "sh",
            package: "dash",
        };
        let error = sh.run(&["-c", "echo because >&2; exit 3"]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("exit status: 3"), "{text}");
        assert!(text.ends_with(": because"), "{text}");
        assert_eq!(sh.run(&["-c", "echo $HOME-$LC_ALL"]).unwrap(), b"-C\n");
    }
}
