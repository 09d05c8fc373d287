//! `newroot enter`, and the sessions that it makes.

mod descriptors;
mod fallback;
mod hostile;
mod leave;
mod lent;
mod look;
mod mounts;
mod race;
mod resolver;
mod script;
mod sessions;
mod setup;
mod signals;
mod status;
mod terminal;
mod user;

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::fixture;
use crate::run::{Run, newroot};
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    [
        descriptors::trials(),
        fallback::trials(),
        hostile::trials(),
        leave::trials(),
        lent::trials(),
        look::trials(),
        mounts::trials(),
        race::trials(),
        resolver::trials(),
        script::trials(),
        sessions::trials(),
        setup::trials(),
        signals::trials(),
        status::trials(),
        terminal::trials(),
        user::trials(),
    ]
    .concat()
}

/// A busybox root at /mnt/r.
fn root() -> PathBuf {
    let root = PathBuf::from("/mnt/r");
    fixture::busybox_root(&root);
    root
}

/// `newroot enter WORDS`.
fn enter(words: &[&str]) -> Run {
    newroot([&["enter"], words].concat())
}

/// Starts `newroot enter WORDS` and waits until its program runs: it has to write "ready".
fn started(words: &[&str]) -> Child {
    started_as(&enter(words))
}

pub(crate) fn started_as(run: &Run) -> Child {
    use std::io::{BufRead as _, BufReader};
    let mut child = run.spawn(Stdio::null(), Stdio::piped(), Stdio::inherit());
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}

/// The only child of a process: the init of a session's supervisor.
pub(crate) fn child_of(pid: u32) -> u32 {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).unwrap();
    text.trim().parse().unwrap_or_else(|_| panic!("{text:?}"))
}

/// Sends a signal to newroot.
pub(crate) fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).unwrap();
}

/// 128+n as a shell has it.
pub(crate) fn code(child: &mut Child) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    let status = child.wait().unwrap();
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap())
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn until(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Records and locks of sessions.
fn records() -> Vec<PathBuf> {
    std::fs::read_dir("/run/newroot")
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect()
}

fn write(path: impl AsRef<Path>, text: &str) {
    std::fs::write(path, text).unwrap();
}

pub(crate) fn executable(path: impl AsRef<Path>, text: &[u8]) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
