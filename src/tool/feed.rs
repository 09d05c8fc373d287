//! A program that reads its input from us.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::model::shell_word;

/// Where the administrator's programs are; a normal user's PATH may lack it.
const ALSO: &str = "/usr/local/sbin:/usr/sbin:/sbin";
/// Where programs are found when the caller has no PATH.
const FALLBACK: &str = "/usr/local/bin:/usr/bin:/bin";

/// How much of what a program said goes into an error, in bytes.
const TAIL: u64 = 2000;

/// What went wrong with an external program.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The program is not installed.
    #[error("{program} is not installed (package {package})")]
    Missing {
        /// Its name.
        program: &'static str,
        /// What Debian calls its package.
        package: &'static str,
    },
    /// It could not be started or talked to.
    #[error("cannot run {program}: {source}")]
    Start {
        /// Its name.
        program: &'static str,
        /// The errno.
        source: io::Error,
    },
    /// It ran and failed.
    #[error("{program} failed ({status}): {tail}")]
    Failed {
        /// Its name.
        program: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its stderr.
        tail: String,
    },
}

/// Either the program failed or who feeds it did.
#[derive(Debug)]
pub enum FeedError<E> {
    /// The program.
    Tool(ToolError),
    /// The writer of its input.
    Input(E),
}

/// Runs `program` and writes its standard input with `input`. Its standard output is thrown away;
/// its environment is PATH, `LC_ALL=C` and what `environment` adds.
///
/// # Errors
/// The program's failure before the writer's: a writer that met EPIPE only tells that the
/// program ended.
pub fn feed<E>(
    program: &'static str,
    package: &'static str,
    arguments: &[OsString],
    environment: &[(&str, &str)],
    input: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<(), FeedError<E>> {
    let start = |source| FeedError::Tool(ToolError::Start { program, source });
    // Not a pipe: nobody would read it while the input is written.
    let mut said = tempfile::tempfile().map_err(start)?;
    let errors = said.try_clone().map_err(start)?;
    let mut child = spawn(program, arguments, environment, errors).map_err(|source| {
        if source.kind() == io::ErrorKind::NotFound {
            FeedError::Tool(ToolError::Missing { program, package })
        } else {
            start(source)
        }
    })?;
    let fed = match child.stdin.take() {
        Some(mut pipe) => input(&mut pipe).inspect_err(|_| {
            // The input is incomplete: the program must not take its end for the real one, so it
            // dies before the pipe closes. One that ended by itself is past being killed.
            child.kill().ok();
        }),
        None => Ok(()),
    };
    let status = child.wait().map_err(start)?;
    tracing::debug!(program, %status, "ended");
    match fed {
        Ok(()) if status.success() => Ok(()),
        Err(error) if status.code().is_none_or(|code| code == 0) => Err(FeedError::Input(error)),
        _ => {
            let tail = tail(&mut said);
            let failed = ToolError::Failed {
                program,
                status,
                tail,
            };
            Err(FeedError::Tool(failed))
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is tool::")]
fn spawn(
    program: &str,
    arguments: &[OsString],
    environment: &[(&str, &str)],
    errors: File,
) -> io::Result<Child> {
    use std::os::unix::ffi::OsStrExt;
    let argv: Vec<String> = arguments
        .iter()
        .map(|word| shell_word(word.as_bytes()))
        .collect();
    let mut path = std::env::var_os("PATH").unwrap_or_else(|| FALLBACK.into());
    path.push(":");
    path.push(ALSO);
    tracing::debug!(program, argv = argv.join(" "), "run");
    Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", path)
        .env("LC_ALL", "C")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn()
}

/// The last lines of what the program said.
fn tail(said: &mut File) -> String {
    let length = said.seek(SeekFrom::End(0)).unwrap_or(0);
    let mut text = Vec::new();
    let read = said
        .seek(SeekFrom::Start(length.saturating_sub(TAIL)))
        .and_then(|_| Read::take(said, TAIL).read_to_end(&mut text));
    match read {
        Ok(_) => String::from_utf8_lossy(&text).trim().to_string(),
        Err(error) => format!("(its messages cannot be read: {error})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn a_missing_program_names_its_package() {
        let done = feed("newroot-no-such", "some-package", &[], &[], |_| {
            Ok::<(), io::Error>(())
        });
        let Err(FeedError::Tool(error)) = done else {
            panic!("it ran");
        };
        let text = error.to_string();
        assert_eq!(
            text,
            "newroot-no-such is not installed (package some-package)"
        );
    }

    #[test]
    fn a_failure_has_the_status_and_what_was_said() {
        let script = words(&["-c", "read line; echo \"got $line\" >&2; exit 3"]);
        let done = feed("sh", "dash", &script, &[], |out| out.write_all(b"hello\n"));
        let Err(FeedError::Tool(error)) = done else {
            panic!("no failure");
        };
        assert_eq!(error.to_string(), "sh failed (exit status: 3): got hello");
    }

    #[test]
    fn an_input_that_breaks_off_is_never_taken_for_a_whole_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("done");
        let script = format!("cat >/dev/null; : > {}", path.display());
        let done = feed("sh", "dash", &words(&["-c", &script]), &[], |_| {
            Err("broke off")
        });
        assert!(matches!(done, Err(FeedError::Input("broke off"))));
        assert_eq!(
            std::fs::metadata(&path).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
