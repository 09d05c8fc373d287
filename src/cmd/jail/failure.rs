//! What went wrong while a jail was made, as the user meets it.

use rustix::io::Errno;

use crate::error::{Exit, Failure};
use crate::exec::{ExecError, StageError};
use crate::model::HostPath;
use crate::session::SessionError;
use crate::sys::{SysError, describe};
use crate::ui::shell_quote;

/// The directory cannot be used.
pub(super) fn stage(dir: &HostPath, error: StageError) -> anyhow::Error {
    let what = format!("cannot build a jail in {dir}");
    let word = shell_quote(dir);
    match error {
        StageError::IsJail => Failure::new(what, error.to_string())
            .hint(
                "more programs in it",
                format!("newroot jail add {word} PROGRAM"),
            )
            .hint(
                "bring in what changed",
                format!("newroot jail update {word}"),
            )
            .hint("take it away first", format!("newroot jail remove {word}")),
        StageError::NotEmpty { ref names } => {
            let shown: Vec<String> = names
                .iter()
                .map(|name| name.display().to_string())
                .collect();
            Failure::new(what, "it is not empty, and it is no jail of newroot's")
                .detail(format!("it holds {} and perhaps more", shown.join(", ")))
                .hint("see all of it", format!("ls -A {word}"))
                .hint(
                    "a new directory in it",
                    format!("newroot jail build {word}/jail PROGRAM"),
                )
        }
        StageError::NoParent(ref above) => Failure::new(what, error.to_string())
            .hint("make it first", format!("mkdir -p {}", shell_quote(above))),
        StageError::Busy => {
            Failure::new(what, error.to_string()).hint("who is at work", "newroot ps")
        }
        StageError::Sys(source) => system(what, dir, source),
        StageError::Session(source) => return session(dir, source),
        StageError::Leftover(ref source) => {
            Failure::new(what, error.to_string()).detail(chain(source))
        }
        StageError::NotADirectory => Failure::new(what, error.to_string()),
    }
    .into()
}

/// The record cannot be written.
pub(super) fn session(dir: &HostPath, error: SessionError) -> anyhow::Error {
    Failure::new(
        format!("cannot build a jail in {dir}"),
        format!("there is no place for its record: {error}"),
    )
    .caused_by(error)
    .into()
}

/// A step failed. What was made is gone again, unless `left` says otherwise.
pub(super) fn exec(
    dir: &HostPath,
    error: ExecError,
    left: Result<(), StageError>,
) -> anyhow::Error {
    let what = format!("cannot build a jail in {dir}");
    let failure = step(what, dir, error);
    match left {
        Ok(()) => failure.detail("nothing was left behind"),
        Err(error) => failure
            .detail(format!("and what was made is still there: {error}"))
            .hint("take it away", "newroot cleanup"),
    }
    .into()
}

/// A step in a jail that exists failed.
pub(super) fn step(what: String, dir: &HostPath, error: ExecError) -> Failure {
    match error {
        ExecError::Step { what: step, source } => {
            let failure = system(what, dir, source.clone());
            if step.starts_with("copy ") && matches!(source.errno, Errno::NOENT | Errno::STALE) {
                return Failure::new(
                    failure.what,
                    format!("cannot {step}: it vanished while it was copied"),
                )
                .caused_by(source);
            }
            let why = format!("cannot {step}: {}", failure.why);
            Failure { why, ..failure }
        }
        ExecError::Sys(source) => system(what, dir, source),
        ref interrupted @ ExecError::Interrupted(number) => {
            let exit = Exit::signalled(u8::try_from(number).unwrap_or(0));
            Failure::new(what, interrupted.to_string()).exit(exit)
        }
        other => Failure::new(what, other.to_string()),
    }
}

/// The jail is complete, but cannot get its name.
pub(super) fn commit(dir: &HostPath, error: StageError) -> anyhow::Error {
    let what = format!("cannot build a jail in {dir}");
    match error {
        StageError::Sys(source)
            if matches!(source.errno, Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) =>
        {
            Failure::new(what, "something appeared there while it was built")
                .detail("nothing was left behind")
                .caused_by(source)
                .into()
        }
        other => stage(dir, other),
    }
}

fn system(what: String, dir: &HostPath, source: SysError) -> Failure {
    let word = shell_quote(dir);
    let failure = match source.errno {
        Errno::NOSPC => Failure::new(what, "the file system is full").hint(
            "how full, and which one",
            format!("df -h {}", parent_word(dir)),
        ),
        Errno::DQUOT => Failure::new(what, "your quota on this file system is used up"),
        Errno::ROFS => Failure::new(what, "the file system is mounted read-only").hint(
            "which one",
            format!("findmnt --target {}", parent_word(dir)),
        ),
        Errno::ACCESS | Errno::PERM => Failure::new(what, "you have no right to write there")
            .hint("whose it is", format!("ls -ld {}", parent_word(dir))),
        Errno::LOOP => Failure::new(what, "a link stands where a directory should be").hint(
            "what differs from the manifest",
            format!("newroot jail check {word}"),
        ),
        errno => Failure::new(what, describe(errno)),
    };
    failure.caused_by(source)
}

fn parent_word(dir: &HostPath) -> String {
    match dir.as_path().parent() {
        Some(above) if !above.as_os_str().is_empty() => shell_quote(above),
        _ => String::from("."),
    }
}

fn chain(error: &ExecError) -> String {
    match error {
        ExecError::Step { what, source } => format!("cannot {what}: {source}"),
        other => other.to_string(),
    }
}
