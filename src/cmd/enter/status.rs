//! `--status FILE`: how the command ended, as JSON, for whoever waits for it.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::error::{Exit, Failure};
use crate::exec::enter::Outcome;
use crate::model::Ended;
use crate::sys;
use crate::ui::{Ui, shell_quote};

/// The file, open from the start: what cannot be written stops the run before anything is done,
/// and who reads from a named pipe waits for the end.
#[derive(Debug)]
pub(crate) struct Status {
    file: File,
    path: PathBuf,
}

/// Runs with `--status FILE`. Where the command does not start, the file says why.
///
/// # Errors
/// That of `run`; or that the file cannot be created, and then nothing was run.
pub(crate) fn with_status(
    path: Option<&Path>,
    ui: &Ui,
    run: impl FnOnce(Option<&Status>) -> anyhow::Result<Exit>,
) -> anyhow::Result<Exit> {
    let status = path.map(Status::create).transpose()?;
    let done = run(status.as_ref());
    if let (Err(error), Some(status)) = (&done, &status) {
        let failure = error.downcast_ref::<Failure>();
        let exit = failure.map_or(Exit::Failed, |failure| failure.exit);
        if let Err(second) = status.not_started(&format!("{error:#}"), exit) {
            ui.warn(&format!("{second:#}"));
        }
    }
    done
}

impl Status {
    fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).map_err(|error| {
            Failure::new(
                format!("cannot write {}", path.display()),
                sys::describe(sys::errno_of(&error)),
            )
            .detail("the command was not started, and nothing was changed")
            .hint(
                "whose the directory is",
                format!("ls -ld {}", shell_quote(directory(path))),
            )
        })?;
        Ok(Self {
            file,
            path: path.to_path_buf(),
        })
    }

    /// How the command ended.
    ///
    /// # Errors
    /// The errno of write(2).
    pub(crate) fn write(&self, outcome: &Outcome) -> anyhow::Result<()> {
        let mut value = match outcome.ended {
            Ended::Exited(code) => json!({ "exited": code }),
            Ended::Signaled(number) => json!({
                "signaled": number,
                "signal": sys::signal::name(i32::from(number)),
            }),
        };
        value["by"] = match outcome.told {
            // Told by somebody else: newroot passed it on, and killed what did not end.
            Some(signal) => json!({ "newroot": sys::signal::name(signal) }),
            None => json!("command"),
        };
        value["cleanup"] = json!(if outcome.holders.is_empty() {
            "complete"
        } else {
            "incomplete"
        });
        value["holders"] = json!(outcome.holders);
        self.put(&value)
    }

    /// Why it did not start.
    ///
    /// # Errors
    /// As [`Status::write`].
    pub(super) fn not_started(&self, why: &str, exit: Exit) -> anyhow::Result<()> {
        self.put(&json!({ "failed": why, "exit": exit.code() }))
    }

    fn put(&self, value: &serde_json::Value) -> anyhow::Result<()> {
        use anyhow::Context as _;
        writeln!(&self.file, "{value}")
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    }
}
