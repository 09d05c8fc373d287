//! Runs the binary as a user would and compares what came out; a failure shows everything.
//!
//! ```ignore
//! newroot(["closure", "--format", "paths", "/usr/bin/true"]).run().code(0).stderr_is("");
//! ```

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// One run of newroot, not started yet. The environment holds PATH, LC_ALL=C, HOME and TMPDIR
/// only, standard input is empty, and a minute must suffice.
#[derive(Debug)]
pub(crate) struct Run {
    prefix: Vec<OsString>,
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    stdin: Vec<u8>,
    cwd: PathBuf,
    timeout: Duration,
}

/// newroot with these arguments. `NEWROOT_BIN` names another binary than cargo's.
pub(crate) fn newroot<I: IntoIterator<Item: AsRef<OsStr>>>(args: I) -> Run {
    let built = || OsString::from(env!("CARGO_BIN_EXE_newroot"));
    let program = std::env::var_os("NEWROOT_BIN").unwrap_or_else(built);
    let mut env = vec![("LC_ALL".into(), "C".into())];
    for name in ["PATH", "HOME", "TMPDIR"] {
        env.extend(std::env::var_os(name).map(|value| (name.into(), value)));
    }
    Run {
        prefix: Vec::new(),
        program: program.into(),
        args: args
            .into_iter()
            .map(|arg| arg.as_ref().to_owned())
            .collect(),
        env,
        stdin: Vec::new(),
        cwd: PathBuf::from("/"),
        timeout: Duration::from_secs(60),
    }
}

impl Run {
    /// Sets a variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// What standard input gives before its end.
    pub(crate) fn stdin(mut self, data: impl AsRef<[u8]>) -> Self {
        self.stdin = data.as_ref().to_vec();
        self
    }

    /// The directory to start in.
    pub(crate) fn cwd(mut self, directory: impl AsRef<Path>) -> Self {
        self.cwd = directory.as_ref().to_owned();
        self
    }

    /// How long it may take.
    pub(crate) fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Runs it through another program: strace, setpriv, chroot …
    pub(crate) fn through<I: IntoIterator<Item: AsRef<OsStr>>>(mut self, prefix: I) -> Self {
        let words = prefix.into_iter().map(|word| word.as_ref().to_owned());
        self.prefix = words.chain(self.prefix).collect();
        self
    }

    /// Names the binary differently, for a prefix that changes the root.
    pub(crate) fn program(mut self, path: impl AsRef<Path>) -> Self {
        self.program = path.as_ref().to_owned();
        self
    }

    /// Starts it and returns at once; the caller ends it.
    pub(crate) fn spawn(&self, stdin: Stdio, stdout: Stdio, stderr: Stdio) -> Child {
        let mut argv: Vec<&OsStr> = self.prefix.iter().map(OsString::as_os_str).collect();
        argv.push(self.program.as_os_str());
        argv.extend(self.args.iter().map(OsString::as_os_str));
        Command::new(argv[0])
            .args(&argv[1..])
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.cwd)
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr)
            // A group of its own, so that a timeout ends its children too.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {argv:?}: {error}"))
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Output {
        // Files, not pipes: nothing blocks, whatever the amount, and no thread is needed.
        let mut input = tempfile::tempfile().unwrap();
        input.write_all(&self.stdin).unwrap();
        input.rewind().unwrap();
        let (out, err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let handles = (out.try_clone().unwrap(), err.try_clone().unwrap());
        let mut child = self.spawn(input.into(), handles.0.into(), handles.1.into());
        let status = wait(&mut child, self.timeout);
        let output = Output {
            command: format!("{:?} {:?} {:?}", self.prefix, self.program, self.args),
            status,
            stdout: contents(out),
            stderr: contents(err),
        };
        assert!(
            status.is_some(),
            "{}",
            output.report("it did not end in time")
        );
        output
    }
}

/// Waits for the end, or kills the process group at the deadline and returns nothing.
fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if Instant::now() > deadline {
            let group = rustix::process::Pid::from_child(child);
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
            child.wait().unwrap();
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn contents(mut file: File) -> String {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    std::io::copy(&mut file, &mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What a run left. Each check returns the output again, so that checks chain.
#[derive(Debug)]
pub(crate) struct Output {
    command: String,
    status: Option<ExitStatus>,
    /// Standard output; bytes that are no UTF-8 are replaced.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Output {
    /// The exit status, or 128+n as a shell counts.
    #[track_caller]
    pub(crate) fn code(&self, expected: i32) -> &Self {
        let status = self.status.unwrap_or_default();
        let code = status
            .code()
            .or_else(|| status.signal().map(|signal| 128 + signal));
        let what = format!("exit status {code:?}, expected {expected}");
        assert!(code == Some(expected), "{}", self.report(&what));
        self
    }

    /// Standard output is exactly this.
    #[track_caller]
    pub(crate) fn stdout_is(&self, expected: &str) -> &Self {
        self.same("stdout", &self.stdout, expected)
    }

    /// Standard error is exactly this.
    #[track_caller]
    pub(crate) fn stderr_is(&self, expected: &str) -> &Self {
        self.same("stderr", &self.stderr, expected)
    }

    /// Standard output contains this.
    #[track_caller]
    pub(crate) fn stdout_has(&self, part: &str) -> &Self {
        let what = format!("stdout lacks {part:?}");
        assert!(self.stdout.contains(part), "{}", self.report(&what));
        self
    }

    /// Standard error contains this.
    #[track_caller]
    pub(crate) fn stderr_has(&self, part: &str) -> &Self {
        let what = format!("stderr lacks {part:?}");
        assert!(self.stderr.contains(part), "{}", self.report(&what));
        self
    }

    #[track_caller]
    fn same(&self, name: &str, found: &str, expected: &str) -> &Self {
        let what = || format!("{name} differs:\n{}", difference(expected, found));
        assert!(found == expected, "{}", self.report(&what()));
        self
    }

    fn report(&self, what: &str) -> String {
        format!(
            "{what}\ncommand: {}\nstatus: {:?}\n--- stdout\n{}\n--- stderr\n{}\n---",
            self.command, self.status, self.stdout, self.stderr
        )
    }
}

/// Lines only expected (`-`) and lines only found (`+`), between the common head and tail.
pub(crate) fn difference(expected: &str, found: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), found.lines().collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[head..], &new[head..]);
    let tail = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let minus = old[..old.len() - tail]
        .iter()
        .map(|line| format!("-{line}"));
    let plus = new[..new.len() - tail]
        .iter()
        .map(|line| format!("+{line}"));
    let lines: Vec<String> = std::iter::once(format!("@ line {}", head + 1))
        .chain(minus)
        .chain(plus)
        .collect();
    lines.join("\n")
}
