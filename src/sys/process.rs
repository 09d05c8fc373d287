//! Making processes, becoming another program, waiting.
//!
//! The caller has one thread (design rule 9), so a forked child may go on as ordinary code.

use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Gid, Pid, Uid};
use rustix::io::Errno;
use rustix::thread::CapabilitySet;

use super::{SysError, SysResult, last_errno};
use crate::model::Ended;

/// On which side of a fork this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The old process; the child's number.
    Parent(i32),
    /// The new one.
    Child,
}

/// What a child did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It ended and is gone.
    Ended(Ended),
    /// A signal of this number stopped it.
    Stopped(i32),
    /// It goes on.
    Continued,
}

/// fork(2).
///
/// # Errors
/// EAGAIN, ENOMEM.
#[expect(unsafe_code, reason = "fork")]
pub fn fork() -> SysResult<Side> {
    // SAFETY: the process has one thread, so no lock can be held by a thread that the child lacks.
    match unsafe { nix::unistd::fork() } {
        Ok(nix::unistd::ForkResult::Parent { child }) => Ok(Side::Parent(child.as_raw())),
        Ok(nix::unistd::ForkResult::Child) => Ok(Side::Child),
        Err(errno) => Err(failed("fork", format_args!(""), errno)),
    }
}

/// A child in mount and PID namespaces of its own, by clone3(2), or clone(2) where that is not
/// known. The caller's own namespaces stay as they are.
///
/// # Errors
/// EPERM, ENOSPC, EAGAIN: the errno of clone(2).
#[expect(unsafe_code, reason = "neither nix nor rustix has clone3")]
pub fn fork_init() -> SysResult<Side> {
    let flags = (libc::CLONE_NEWNS | libc::CLONE_NEWPID) as u64;
    let signal = libc::SIGCHLD as u64;
    // The first eight fields of struct clone_args: flags, pidfd, child_tid, parent_tid,
    // exit_signal, stack, stack_size, tls.
    let arguments: [u64; 8] = [flags, 0, 0, 0, signal, 0, 0, 0];
    // SAFETY: without CLONE_VM and with no stack the child gets a copy of everything, as with
    // fork; the array has the size that is given and outlives the call; one thread.
    let mut pid = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            arguments.as_ptr(),
            size_of_val(&arguments),
        )
    };
    if pid < 0 && last_errno() == Errno::NOSYS {
        // SAFETY: as above. A null stack means the parent's, copied; the order of the arguments
        // after it differs between architectures, and all of them are null.
        pid = unsafe { libc::syscall(libc::SYS_clone, flags | signal, 0, 0, 0, 0) };
    }
    match i32::try_from(pid) {
        Ok(0) => Ok(Side::Child),
        Ok(pid) if pid > 0 => Ok(Side::Parent(pid)),
        _ => Err(SysError::new(
            "clone3",
            format_args!("CLONE_NEWNS|CLONE_NEWPID"),
            last_errno(),
        )),
    }
}

/// execve(2); comes back only when it failed.
///
/// # Errors
/// The errno of execve(2).
pub fn execute(
    program: &CString,
    arguments: &[CString],
    environment: &[CString],
) -> Result<Infallible, Errno> {
    nix::unistd::execve(program, arguments, environment)
        .map_err(|errno| Errno::from_raw_os_error(errno as i32))
}

/// _exit(2): no destructor, no buffer of the parent's is written twice.
#[expect(unsafe_code, reason = "_exit")]
pub fn exit_now(status: u8) -> ! {
    // SAFETY: ends the process; nothing can be observed afterwards.
    unsafe { libc::_exit(i32::from(status)) }
}

/// wait4(2) without waiting: the next child that changed, of any number or of this one.
///
/// # Errors
/// ECHILD when there is none.
pub fn poll_child(pid: Option<i32>) -> Result<Option<(i32, Change)>, Errno> {
    let flags = WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED | WaitPidFlag::WCONTINUED;
    let status = waitpid(pid.map(Pid::from_raw), Some(flags))
        .map_err(|errno| Errno::from_raw_os_error(errno as i32))?;
    Ok(change(status))
}

/// wait4(2) until this child has ended.
///
/// # Errors
/// ECHILD when it is no child.
pub fn wait_for(pid: i32) -> Result<Ended, Errno> {
    loop {
        match waitpid(Pid::from_raw(pid), None) {
            Ok(status) => {
                if let Some((_, Change::Ended(ended))) = change(status) {
                    return Ok(ended);
                }
            }
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(Errno::from_raw_os_error(errno as i32)),
        }
    }
}

fn change(status: WaitStatus) -> Option<(i32, Change)> {
    match status {
        WaitStatus::Exited(pid, code) => {
            // wait(2) gives the low eight bits only.
            let code = u8::try_from(code & 0xff).unwrap_or(u8::MAX);
            Some((pid.as_raw(), Change::Ended(Ended::Exited(code))))
        }
        WaitStatus::Signaled(pid, signal, _) => {
            let number = u8::try_from(signal as i32).unwrap_or(u8::MAX);
            Some((pid.as_raw(), Change::Ended(Ended::Signaled(number))))
        }
        WaitStatus::Stopped(pid, signal) => Some((pid.as_raw(), Change::Stopped(signal as i32))),
        WaitStatus::Continued(pid) => Some((pid.as_raw(), Change::Continued)),
        _ => None,
    }
}

/// pidfd_open(2).
///
/// # Errors
/// ESRCH when there is no such process; ENOSYS before Linux 5.3.
pub fn open_pidfd(pid: i32) -> SysResult<OwnedFd> {
    let number = rustix::process::Pid::from_raw(pid)
        .ok_or_else(|| SysError::new("pidfd_open", format_args!("{pid}"), Errno::SRCH))?;
    rustix::process::pidfd_open(number, rustix::process::PidfdFlags::empty())
        .map_err(|errno| SysError::new("pidfd_open", format_args!("{pid}"), errno))
}

/// pidfd_send_signal(2): never the wrong process, whatever became of its number.
///
/// # Errors
/// ESRCH when it is gone.
pub fn signal_pidfd(pidfd: impl AsFd, signal: i32) -> SysResult<()> {
    let known = rustix::process::Signal::from_named_raw(signal).ok_or_else(|| {
        SysError::new("pidfd_send_signal", format_args!("{signal}"), Errno::INVAL)
    })?;
    rustix::process::pidfd_send_signal(pidfd, known)
        .map_err(|errno| SysError::new("pidfd_send_signal", format_args!("{signal}"), errno))
}

/// `uname -m`: what this kernel runs.
#[must_use]
pub fn machine() -> String {
    rustix::system::uname()
        .machine()
        .to_string_lossy()
        .into_owned()
}

/// `uname -r`: where this kernel's modules are.
#[must_use]
pub fn kernel_release() -> String {
    rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned()
}

/// Whether the caller has CAP_SYS_ADMIN, which mount(2) asks for.
#[must_use]
pub fn may_mount() -> bool {
    rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN))
}

/// prctl(PR_SET_PDEATHSIG, SIGKILL): this process ends with its parent. Set*id and an exec of a
/// privileged program clear it.
///
/// # Errors
/// None that a kernel is known to give.
pub fn die_with_parent() -> SysResult<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(|errno| SysError::new("prctl", format_args!("PR_SET_PDEATHSIG, SIGKILL"), errno))
}

/// setpgid(0, 0): a process group of its own.
///
/// # Errors
/// EPERM for a session leader.
pub fn own_group() -> SysResult<()> {
    rustix::process::setpgid(None, None)
        .map_err(|errno| SysError::new("setpgid", format_args!("0, 0"), errno))
}

/// setgroups(2), setresgid(2), setresuid(2), in the order that still has the right to.
///
/// # Errors
/// EPERM without the capability, EINVAL for an id that the user namespace does not map.
pub fn become_user(uid: u32, gid: u32, groups: Option<&[u32]>) -> SysResult<()> {
    if let Some(groups) = groups {
        let list: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
        nix::unistd::setgroups(&list)
            .map_err(|errno| failed("setgroups", format_args!("{groups:?}"), errno))?;
    }
    let id = Gid::from_raw(gid);
    nix::unistd::setresgid(id, id, id)
        .map_err(|errno| failed("setresgid", format_args!("{gid}"), errno))?;
    let id = Uid::from_raw(uid);
    nix::unistd::setresuid(id, id, id)
        .map_err(|errno| failed("setresuid", format_args!("{uid}"), errno))
}

/// close_range(3, ~0, CLOSE_RANGE_CLOEXEC): nothing that was inherited reaches the program; an
/// inherited directory would lead out of any root (CVE-2024-21626). Kernels before 5.11 get the
/// flag set one by one.
#[expect(unsafe_code, reason = "neither nix nor rustix has close_range")]
pub fn close_on_exec_from(first: u32) {
    const CLOSE_RANGE_CLOEXEC: u32 = 4;
    // SAFETY: sets a flag on descriptors; none is closed.
    let done =
        unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, CLOSE_RANGE_CLOEXEC) };
    if done == 0 {
        return;
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile)
        .maximum
        .and_then(|maximum| i32::try_from(maximum).ok())
        .unwrap_or(1 << 20);
    for fd in i32::try_from(first).unwrap_or(3)..limit {
        // SAFETY: a number that is no descriptor gives EBADF; nothing is closed.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

fn failed(
    call: &'static str,
    arguments: std::fmt::Arguments<'_>,
    errno: nix::errno::Errno,
) -> SysError {
    SysError::new(call, arguments, Errno::from_raw_os_error(errno as i32))
}

/// How a machine ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineEnd {
    /// It starts again.
    Restart,
    /// Without power.
    PowerOff,
    /// With power.
    Halt,
}

/// sync(2) and reboot(2).
///
/// # Errors
/// EPERM without CAP_SYS_BOOT.
pub fn end_machine(how: MachineEnd) -> SysResult<()> {
    use rustix::system::RebootCommand;
    let command = match how {
        MachineEnd::Restart => RebootCommand::Restart,
        MachineEnd::PowerOff => RebootCommand::PowerOff,
        MachineEnd::Halt => RebootCommand::Halt,
    };
    rustix::fs::sync();
    rustix::system::reboot(command)
        .map_err(|errno| SysError::new("reboot", format_args!("{how:?}"), errno))
}
