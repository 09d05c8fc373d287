//! A program that reads its input from us.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::process::Stdio;

use super::command::{TAIL, Tool, ToolError};

/// Either the program failed or who feeds it did.
#[derive(Debug)]
pub enum FeedError<E> {
    /// The program.
    Tool(ToolError),
    /// The writer of its input.
    Input(E),
}

/// Runs `tool` and writes its standard input with `input`, which may be long. Its standard output
/// is thrown away.
///
/// # Errors
/// The program's failure before the writer's: a writer that met EPIPE only tells that the
/// program ended.
pub fn feed<E>(
    tool: &Tool,
    input: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<(), FeedError<E>> {
    let start = |source| FeedError::Tool(tool.cannot_start(source));
    // Not a pipe: nobody would read it while the input is written.
    let mut said = tempfile::tempfile().map_err(start)?;
    let errors = said.try_clone().map_err(start)?;
    let mut child = tool
        .prepare()
        .map_err(FeedError::Tool)?
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn()
        .map_err(start)?;
    let fed = match child.stdin.take() {
        Some(mut pipe) => input(&mut pipe).inspect_err(|_| {
            // The input is incomplete: the program must not take its end for the real one, so it
            // dies before the pipe closes. One that ended by itself is past being killed.
            child.kill().ok();
        }),
        None => Ok(()),
    };
    let status = child.wait().map_err(start)?;
    match fed {
        Ok(()) if status.success() => Ok(()),
        Err(error) if status.code().is_none_or(|code| code == 0) => Err(FeedError::Input(error)),
        _ => Err(FeedError::Tool(ToolError::Failed {
            argv: tool.shell(),
            status: status.to_string(),
            tail: tail(&mut said),
        })),
    }
}

/// The last lines of what the program said.
fn tail(said: &mut File) -> String {
    let most = TAIL as u64;
    let length = said.seek(SeekFrom::End(0)).unwrap_or(0);
    let mut text = Vec::new();
    let read = said
        .seek(SeekFrom::Start(length.saturating_sub(most)))
        .and_then(|_| Read::take(said, most).read_to_end(&mut text));
    match read {
        Ok(_) => String::from_utf8_lossy(&text).trim().to_string(),
        Err(error) => format!("(its messages cannot be read: {error})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Tool {
        Tool::new("sh", "dash").args(["-c", script])
    }

    #[test]
    fn a_failure_has_the_status_and_what_was_said() {
        let tool = sh("read line; echo \"got $line\" >&2; exit 3");
        let Err(FeedError::Tool(error)) = feed(&tool, |out| out.write_all(b"hello\n")) else {
            panic!("no failure");
        };
        let text = error.to_string();
        assert!(
            text.ends_with("failed (exit status: 3): got hello"),
            "{text}"
        );
    }

    #[test]
    fn an_input_that_breaks_off_is_never_taken_for_a_whole_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("done");
        let script = format!("cat >/dev/null; : > {}", path.display());
        let done = feed(&sh(&script), |_| Err("broke off"));
        assert!(matches!(done, Err(FeedError::Input("broke off"))));
        assert_eq!(
            std::fs::metadata(&path).unwrap_err().kind(),
            std::io::ErrorKind::NotFound
        );
    }
}
