//! Starting programs side by side and waiting for them without a thread: poll(2) over their
//! pipes, a deadline for each.
//!
//! A program that touches a dead disk sleeps in the kernel and no signal wakes it: after the
//! deadline it gets SIGKILL and is left behind, so that one disk never stops the rest.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::command::{TAIL, Tool, ToolError};

/// How many programs run at once.
const SIDE_BY_SIDE: usize = 16;
/// The most that is kept of what a program prints.
const MOST_OUTPUT: usize = 16 << 20;
/// What a program answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its exit status; 128+n when signal n ended it.
    pub status: i32,
    /// What it wrote to stdout.
    pub stdout: Vec<u8>,
    /// The end of what it wrote to stderr.
    pub stderr: String,
}

fn start(tool: &Tool) -> Result<Running, ToolError> {
    let mut child = tool
        .prepare()?
        .stdin(if tool.input.is_empty() {
            Stdio::null()
        } else {
            Stdio::piped()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| tool.cannot_start(source))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ended before it read its input says why on stderr.
        stdin.write_all(&tool.input).ok();
    }
    Ok(Running {
        program: tool.program,
        until: Instant::now() + tool.deadline,
        deadline: tool.deadline,
        stdout: Vec::new(),
        stderr: Vec::new(),
        child,
    })
}

/// Runs one program to its end.
///
/// # Errors
/// [`ToolError`]; an exit status that is not 0 is no error here.
pub fn run(tool: &Tool) -> Result<Output, ToolError> {
    run_all(std::slice::from_ref(tool))
        .pop()
        .unwrap_or(Err(ToolError::Missing {
            program: tool.program,
            package: tool.package,
        }))
}

/// Runs one program that has to succeed; gives what it wrote to stdout.
///
/// # Errors
/// [`ToolError`], an exit status that is not 0 among them.
pub fn run_well(tool: &Tool) -> Result<Vec<u8>, ToolError> {
    let output = run(tool)?;
    if output.status == 0 {
        return Ok(output.stdout);
    }
    Err(ToolError::Failed {
        argv: tool.shell(),
        status: format!("exit status {}", output.status),
        tail: output.stderr,
    })
}

/// Runs programs side by side; the answers come in the order of `tools`.
#[must_use]
pub fn run_all(tools: &[Tool]) -> Vec<Result<Output, ToolError>> {
    let mut answers: Vec<Option<Result<Output, ToolError>>> = Vec::new();
    answers.resize_with(tools.len(), || None);
    let mut running: Vec<(usize, Running)> = Vec::new();
    let mut next = 0;
    while next < tools.len() || !running.is_empty() {
        while next < tools.len() && running.len() < SIDE_BY_SIDE {
            match start(&tools[next]) {
                Ok(started) => running.push((next, started)),
                Err(error) => answers[next] = Some(Err(error)),
            }
            next += 1;
        }
        wait_for_any(&running);
        let mut still = Vec::new();
        for (index, mut one) in running {
            match one.look() {
                Some(answer) => answers[index] = Some(answer),
                None => still.push((index, one)),
            }
        }
        running = still;
    }
    answers.into_iter().flatten().collect()
}

struct Running {
    program: &'static str,
    until: Instant,
    deadline: Duration,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    child: Child,
}

impl Running {
    /// Takes what there is to read; the answer once both pipes are closed or the time is over.
    fn look(&mut self) -> Option<Result<Output, ToolError>> {
        let open_out = drain(self.child.stdout.as_mut(), &mut self.stdout);
        let open_err = drain(self.child.stderr.as_mut(), &mut self.stderr);
        if !open_out {
            self.child.stdout = None;
        }
        if !open_err {
            self.child.stderr = None;
        }
        if !open_out
            && !open_err
            && let Ok(Some(status)) = self.child.try_wait()
        {
            return Some(Ok(self.output(status)));
        }
        if Instant::now() < self.until {
            return None;
        }
        // Not waited for: it may sleep in the kernel for as long as the disk does.
        self.child.kill().ok();
        self.child.try_wait().ok();
        Some(Err(ToolError::Deadline {
            program: self.program,
            deadline: self.deadline,
        }))
    }

    fn output(&mut self, status: std::process::ExitStatus) -> Output {
        use std::os::unix::process::ExitStatusExt;
        let from = self.stderr.len().saturating_sub(TAIL);
        Output {
            status: status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            stdout: std::mem::take(&mut self.stdout),
            stderr: String::from_utf8_lossy(&self.stderr[from..])
                .trim()
                .to_string(),
        }
    }
}

/// Sleeps until a pipe has something, or a moment passes (the end of a program whose pipes are
/// closed, and a deadline, are seen by looking again).
fn wait_for_any(running: &[(usize, Running)]) {
    const MOMENT: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: 20_000_000,
    };
    let mut pipes = Vec::new();
    for (_, one) in running {
        if let Some(pipe) = &one.child.stdout {
            pipes.push(PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN));
        }
        if let Some(pipe) = &one.child.stderr {
            pipes.push(PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN));
        }
    }
    if pipes.is_empty() && running.is_empty() {
        return;
    }
    // An interrupted or refused poll is only a shorter sleep.
    let moment = if pipes.is_empty() {
        Timespec {
            tv_sec: 0,
            tv_nsec: 1_000_000,
        }
    } else {
        MOMENT
    };
    poll(&mut pipes, Some(&moment)).ok();
}

/// Reads what is there; false once the other end is closed.
fn drain<P: Read + AsFd>(pipe: Option<&mut P>, into: &mut Vec<u8>) -> bool {
    let Some(pipe) = pipe else {
        return false;
    };
    let mut buffer = [0_u8; 65536];
    loop {
        let mut ready = [PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        match poll(&mut ready, Some(&now)) {
            Ok(0) | Err(Errno::INTR) => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
        match pipe.read(&mut buffer) {
            Ok(0) => return false,
            Ok(count) => {
                let room = MOST_OUTPUT.saturating_sub(into.len()).min(count);
                into.extend_from_slice(&buffer[..room]);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_order_with_status_output_and_stderr() {
        let sh = |script: &str| Tool::new("sh", "dash").args(["-c", script]);
        let tools = [
            sh("sleep 0.1; echo a"),
            sh("echo b >&2; exit 3"),
            sh("kill -9 $$"),
        ];
        let answers = run_all(&tools);
        let answers: Vec<Output> = answers.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers[0].stdout, b"a\n");
        assert_eq!((answers[1].status, answers[1].stderr.as_str()), (3, "b"));
        assert_eq!(answers[2].status, 137);
    }

    #[test]
    fn a_program_that_hangs_does_not_hold_up_the_others() {
        let hang = Tool::new("sleep", "coreutils")
            .args(["1000"])
            .deadline(Duration::from_millis(50));
        let quick = Tool::new("echo", "coreutils").args(["x"]);
        let answers = run_all(&[hang, quick]);
        assert!(matches!(answers[0], Err(ToolError::Deadline { .. })));
        assert_eq!(answers[1].as_ref().unwrap().stdout, b"x\n");
    }

    #[test]
    fn the_environment_is_cleared_and_input_arrives() {
        let tool = Tool::new("sh", "dash")
            .args(["-c", "cat; echo ${HOME-none}"])
            .input(b"in ".to_vec());
        assert_eq!(run(&tool).unwrap().stdout, b"in none\n");
    }

    #[test]
    fn a_missing_program_names_its_package() {
        let error = run(&Tool::new("no-such-program", "nothing")).unwrap_err();
        assert!(error.to_string().contains("package nothing"));
    }

    #[test]
    fn a_failing_program_is_shown_with_what_it_said() {
        let tool = Tool::new("sh", "dash").args(["-c", "echo because >&2; exit 3"]);
        let text = run_well(&tool).unwrap_err().to_string();
        assert_eq!(
            text,
            "sh -c 'echo because >&2; exit 3' failed (exit status 3): because"
        );
    }
}
