//! newroot through setpriv(1) or strace(1).

use std::path::Path;

use crate::run::Run;

/// Runs it as uid and gid 65534, without groups.
pub(crate) fn as_nobody(run: Run) -> Run {
    run.env("HOME", "/tmp").through([
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ])
}

/// Writes the system calls named (`mount,umount2`) into `log`, those of children too.
pub(crate) fn traced(run: Run, calls: &str, log: &Path) -> Run {
    let filter = format!("trace={calls}");
    let log = log.to_str().unwrap();
    run.through(["strace", "-f", "-qq", "-e", filter.as_str(), "-o", log])
}

/// Fails the `when`-th call of this name with `errno` (strace's fault injection).
pub(crate) fn with_fault(run: Run, call: &str, errno: &str, when: u32) -> Run {
    injected(run, &format!("{call}:error={errno}:when={when}"))
}

/// Lets the `when`-th call of this name take two seconds more.
pub(crate) fn slowed(run: Run, call: &str, when: u32) -> Run {
    injected(run, &format!("{call}:delay_exit=2000000:when={when}"))
}

/// Sends `signal` when the process enters the `when`-th call of this name.
pub(crate) fn signalled(run: Run, call: &str, signal: &str, when: u32) -> Run {
    injected(run, &format!("{call}:signal={signal}:when={when}"))
}

fn injected(run: Run, what: &str) -> Run {
    let filter = format!("inject={what}");
    let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e"];
    run.through(strace.into_iter().chain([filter.as_str()]))
}
