//! What a trial must leave as it was: on the host, and in its sandbox.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Facts of the host, a line each, as the test process sees them.
#[derive(Debug)]
pub(crate) struct Outside(BTreeSet<String>);

impl Outside {
    /// Mounts, cgroups, /run/newroot, and the loop devices where they are to be looked at: for
    /// a trial that has its turn on the disks, no other may have any.
    pub(crate) fn now(disks: bool) -> Self {
        let mut lines = mounts();
        if disks {
            lines.extend(loop_devices());
        }
        lines.extend(entries("/run/newroot"));
        cgroups(Path::new("/sys/fs/cgroup"), &mut lines);
        Self(lines)
    }

    /// What is new since then, and mounts that are gone. A trial that runs beside this one may
    /// own a cgroup for a while, so a difference has to last; one that it had when this trial
    /// began, and has no more, is no difference.
    pub(crate) fn leaked(&self, disks: bool) -> Vec<String> {
        settled(Duration::from_secs(30), || {
            let now = Self::now(disks).0;
            now.symmetric_difference(&self.0)
                .filter(|line| line.starts_with("mount ") || now.contains(*line))
                .cloned()
                .collect()
        })
    }
}

/// Facts of the sandbox, a line each, as its process 1 sees them.
#[derive(Debug)]
pub(crate) struct Inside(BTreeSet<String>);

impl Inside {
    /// Mounts, and processes other than the caller.
    pub(crate) fn now() -> Self {
        let mut lines = mounts();
        lines.extend(processes());
        lines.extend(sessions());
        Self(lines)
    }

    /// What is different, once `patience` is over.
    pub(crate) fn leaked(&self, patience: Duration) -> Vec<String> {
        settled(patience, || {
            reap();
            Self::now()
                .0
                .symmetric_difference(&self.0)
                .cloned()
                .collect()
        })
    }
}

fn settled(patience: Duration, look: impl Fn() -> Vec<String>) -> Vec<String> {
    let deadline = Instant::now() + patience;
    loop {
        let found = look();
        if found.is_empty() || Instant::now() > deadline {
            return found;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Lines of mountinfo without the ids, which are no facts about what is mounted where.
pub(crate) fn mounts() -> BTreeSet<String> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap();
    text.lines()
        .map(|line| {
            let fields: Vec<&str> = line.split(' ').skip(3).collect();
            format!("mount {}", fields.join(" "))
        })
        .collect()
}

fn loop_devices() -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for entry in fs::read_dir("/sys/block").into_iter().flatten() {
        let path = entry.unwrap().path();
        if let Ok(backing) = fs::read_to_string(path.join("loop/backing_file")) {
            lines.insert(format!("loop {} {}", path.display(), backing.trim_end()));
        }
    }
    lines
}

/// Records of sessions that a trial left in its /run/newroot. A log stays there on purpose.
fn sessions() -> BTreeSet<String> {
    let mut entries = entries("/run/newroot");
    entries.retain(|line| !line.ends_with(".log"));
    entries
}

fn entries(directory: &str) -> BTreeSet<String> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .map(|entry| format!("file {}", entry.unwrap().path().display()))
        .collect()
}

fn cgroups(directory: &Path, into: &mut BTreeSet<String>) {
    // Groups of other programs come and go while we look.
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if !path.is_symlink() && path.is_dir() {
            if path.to_string_lossy().contains("newroot") {
                into.insert(format!("cgroup {}", path.display()));
            }
            cgroups(&path, into);
        }
    }
}

/// Processes of this PID namespace besides the caller.
fn processes() -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if pid != std::process::id() {
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            lines.insert(format!("process {pid} {command}"));
        }
    }
    lines
}

fn reap() {
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            return;
        }
    }
}
