//! Each trial runs in namespaces of its own, so that no test can harm the machine or another test.
//!
//! The test binary starts itself again, twice: `unshare … SELF` becomes process 1 (stage "init"),
//! which lays private tmpfs over /run, /tmp and /mnt, starts SELF for the trial (stage "trial"),
//! reaps orphans, and looks for leaks at the end. Killing process 1 ends everything.

use std::fs::{self, File};
use std::io::Seek as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;

use crate::leak::{Inside, Outside};
use crate::trial::Trial;

const STAGE: &str = "NEWROOT_TRIAL_STAGE";
const NAME: &str = "NEWROOT_TRIAL_NAME";
const UNSHARE: &[&str] = &[
    "--mount",
    "--pid",
    "--ipc",
    "--uts",
    "--fork",
    "--kill-child",
    "--mount-proc",
    "--propagation",
    "private",
];
/// Laid over with an empty tmpfs. /run, since making /run/newroot on the host would be a leak.
const PRIVATE: &[&str] = &["/run", "/tmp", "/mnt"];
/// What stays visible of the host's /run.
const KEPT_OF_RUN: &[&str] = &["udev", "systemd", "resolvconf", "NetworkManager"];
/// Where the binary under test lies in the sandbox: any user can get there.
const BINARY: &str = "/run/trial/newroot";

/// Which stage this process is, when it is one.
pub(crate) fn stage() -> Option<String> {
    std::env::var(STAGE).ok()
}

/// Runs one trial from outside: starts the namespaces, waits, looks for leaks.
pub(crate) fn run(trial: &Trial) -> Result<(), Failed> {
    let before = Outside::now(trial.disks);
    let mut log = tempfile::tempfile()?;
    // Signals that whoever runs the tests ignores (SIGQUIT, for a job in the background of a
    // script) would be ignored in the sandbox as well, and no trap of a shell could undo that.
    let mut child = Command::new("env")
        .args(["--default-signal", "unshare"])
        .args(UNSHARE)
        .arg(std::env::current_exe()?)
        .env(STAGE, "init")
        .env(NAME, trial.name)
        .env("NEWROOT_BIN", binary_under_test())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?)
        .spawn()?;
    let ended = wait(&mut child, trial.timeout);
    log.rewind()?;
    let mut text = Vec::new();
    std::io::copy(&mut log, &mut text)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    match ended {
        None => return Err(format!("no end after {:?}\n{text}", trial.timeout).into()),
        Some(false) => return Err(text.into()),
        Some(true) => {}
    }
    let leaked = before.leaked(trial.disks);
    if leaked.is_empty() {
        return Ok(());
    }
    Err(format!("left on the host:\n{}", leaked.join("\n")).into())
}

fn binary_under_test() -> PathBuf {
    let built = || env!("CARGO_BIN_EXE_newroot").into();
    let path: PathBuf = std::env::var_os("NEWROOT_BIN").unwrap_or_else(built).into();
    std::path::absolute(&path).unwrap()
}

fn wait(child: &mut Child, limit: Duration) -> Option<bool> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status.success());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    // --kill-child: process 1 dies with unshare, and the namespace with process 1.
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

/// The stages that run in the namespaces.
pub(crate) fn inside(stage: &str, trials: &[Trial]) -> ExitCode {
    let name = std::env::var(NAME).unwrap();
    let trial = trials.iter().find(|trial| trial.name == name).unwrap();
    if stage == "trial" {
        (trial.body)();
        return ExitCode::SUCCESS;
    }
    init()
}

/// Process 1 of the sandbox.
#[expect(
    clippy::zombie_processes,
    reason = "reap_until waits for it, and for every other"
)]
fn init() -> ExitCode {
    nix::unistd::setsid().unwrap();
    prepare();
    let before = Inside::now();
    let child = Command::new(std::env::current_exe().unwrap())
        .env(STAGE, "trial")
        .env("NEWROOT_BIN", BINARY)
        .env("TMPDIR", "/tmp")
        .spawn()
        .unwrap();
    let passed = reap_until(child.id());
    // The trial's last children may be on their way out: they get a moment, no more.
    let leaked = before.leaked(Duration::from_secs(2));
    for line in &leaked {
        eprintln!("left in the sandbox: {line}");
    }
    ExitCode::from(u8::from(!passed || !leaked.is_empty()))
}

/// Reaps orphans until this child has ended; whether it ended well.
fn reap_until(child: u32) -> bool {
    use nix::sys::wait::{WaitStatus, wait};
    loop {
        let status = wait().unwrap();
        let is_child = status
            .pid()
            .is_some_and(|pid| pid.as_raw().unsigned_abs() == child);
        if is_child {
            return matches!(status, WaitStatus::Exited(_, 0));
        }
    }
}

/// Lays the private tmpfs, and puts back what the tests need of what these hide.
fn prepare() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = std::env::current_exe().unwrap();
    let binary = File::open(std::env::var_os("NEWROOT_BIN").unwrap()).unwrap();
    let run = File::open("/run").unwrap();
    let kept = [
        (repository.to_owned(), File::open(repository).unwrap()),
        (own.clone(), File::open(&own).unwrap()),
    ];
    for directory in PRIVATE {
        mount(&["-t", "tmpfs", "-o", "mode=0755", "newroot-trial", directory]);
    }
    fs::set_permissions("/tmp", fs::Permissions::from_mode(0o1777)).unwrap();
    for name in KEPT_OF_RUN {
        let source = format!("/proc/self/fd/{}/{name}", run.as_raw_fd());
        if let Ok(directory) = File::open(source) {
            bind(&directory, &Path::new("/run").join(name));
        }
    }
    for (path, file) in &kept {
        if PRIVATE.iter().any(|directory| path.starts_with(directory)) {
            bind(file, path);
        }
    }
    fs::create_dir_all("/run/lock").unwrap();
    bind(&binary, Path::new(BINARY));
}

/// Shows an open file or directory at `target`, which is made.
fn bind(source: &File, target: &Path) {
    fs::create_dir_all(target.parent().unwrap()).unwrap();
    if source.metadata().unwrap().is_dir() {
        fs::create_dir_all(target).unwrap();
    } else if !target.is_file() {
        File::create(target).unwrap();
    }
    // mount(8) is a child: the descriptor is this process's.
    let own = std::process::id();
    let source = format!("/proc/{own}/fd/{}", source.as_raw_fd());
    mount(&["--bind", &source, target.to_str().unwrap()]);
}

fn mount(arguments: &[&str]) {
    let status = Command::new("mount")
        .arg("--no-canonicalize")
        .args(arguments)
        .status()
        .unwrap();
    assert!(status.success(), "mount {arguments:?}: {status}");
}
