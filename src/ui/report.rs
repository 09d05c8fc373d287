//! Errors as in screens.md, screen 6: what, why, the facts, the next command to type.

use std::io::Write;

use super::{Ui, escape, write_out};
use crate::error::{Exit, Failure, Hint};

/// Prints clap's own message; help and version are data and go to stdout.
#[must_use]
pub fn usage_error(error: &clap::Error) -> Exit {
    let text = error.render().to_string();
    if error.use_stderr() {
        // What was typed is quoted in it.
        let text = escape(text.strip_prefix("error: ").unwrap_or(&text));
        let line = format!("newroot: {text}");
        std::io::stderr().lock().write_all(line.as_bytes()).ok();
        return Exit::Usage;
    }
    match write_out(text.as_bytes()) {
        Ok(()) => Exit::Success,
        Err(error) => {
            let line = format!("newroot: cannot write to stdout: {error}\n");
            std::io::stderr().lock().write_all(line.as_bytes()).ok();
            Exit::Failed
        }
    }
}

/// Says why nothing can be done at all, before there is a command line to go by.
#[must_use]
pub fn fatal(error: &dyn std::error::Error, exit: Exit) -> Exit {
    let line = format!("newroot: {}\n", escape(&error.to_string()));
    std::io::stderr().lock().write_all(line.as_bytes()).ok();
    exit
}

/// Makes a defect of newroot end like every other failure of it: one line that can be reported,
/// and exit 125 instead of a core dump. What a session left is in its record by then.
#[expect(clippy::exit, reason = "a panic hook has nobody to return to")]
pub fn explain_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let text = escape(&panic.to_string()).replace('\n', " ");
        let line = format!(
            "newroot: internal error, please report it: {text}\n\
             hint: undo what this run may have left: newroot cleanup\n"
        );
        std::io::stderr().lock().write_all(line.as_bytes()).ok();
        std::process::exit(i32::from(Exit::Failed.code()));
    }));
}

pub(super) fn failure(ui: &Ui, error: &anyhow::Error) -> Exit {
    let Some(failure) = error.downcast_ref::<Failure>() else {
        ui.err_line(&format!("newroot: {error:#}"));
        return Exit::Failed;
    };
    ui.err_line(&format!("newroot: {failure}"));
    for line in &failure.details {
        ui.err_line(&format!("  {line}"));
    }
    if let Some(source) = &failure.source {
        ui.detail(&format!("  ({source:#})"));
    }
    for line in hints(&failure.hints) {
        ui.err_line(&line);
    }
    failure.exit
}

/// The commands stand below each other, where the longest purpose allows it.
fn hints(hints: &[Hint]) -> Vec<String> {
    const COLUMN: usize = 32;
    hints
        .iter()
        .map(|hint| {
            if hint.command.is_empty() {
                return format!("hint: {}", hint.purpose);
            }
            let purpose = format!("{}:", hint.purpose);
            format!("hint: {purpose:<COLUMN$} {}", hint.command)
        })
        .collect()
}
