//! Ending sessions, and undoing what dead ones left.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::CWD;
use rustix::io::Errno;

use super::{ExecError, Holder, Traces, find_holders, remove_tree};
use crate::model::{FileId, Kind};
use crate::session::{Dead, Item, Place, Record, SessionError, State};
use crate::sys::signal::{KILL, TERM};
use crate::sys::wire::wait_readable;
use crate::sys::{self, SysResult};

/// How long a supervisor may take: it gives the program three seconds, and what the program left
/// two more.
const PATIENCE: Duration = Duration::from_secs(8);

/// Tells a session's supervisor to end it, and waits.
///
/// # Errors
/// EPERM when it is another user's, ETIMEDOUT when it does not end. One that is gone has ended.
pub fn stop(record: &Record) -> SysResult<()> {
    let supervisor = match sys::process::open_pidfd(record.supervisor.pid) {
        // Before Linux 5.3.
        Err(error) if error.errno == Errno::NOSYS => return stop_by_number(record),
        // It ended by itself since its record was read.
        Err(error) if error.errno == Errno::SRCH => return Ok(()),
        opened => opened?,
    };
    if !record.supervisor.exists() {
        return Ok(());
    }
    match sys::process::signal_pidfd(&supervisor, TERM) {
        Err(error) if error.errno == Errno::SRCH => return Ok(()),
        sent => sent?,
    }
    let [ended] = wait_readable([rustix::fd::AsFd::as_fd(&supervisor)], Some(PATIENCE));
    if ended {
        return Ok(());
    }
    Err(sys::SysError::new(
        "poll",
        format_args!("process {}", record.supervisor.pid),
        Errno::TIMEDOUT,
    ))
}

/// Between the look at its start time and the signal the process may end, and its number be given
/// to another: a moment that a kernel without pidfds cannot exclude.
fn stop_by_number(record: &Record) -> SysResult<()> {
    if !record.supervisor.exists() {
        return Ok(());
    }
    sys::signal::send(record.supervisor.pid, TERM)?;
    let until = Instant::now() + PATIENCE;
    while record.supervisor.exists() {
        if Instant::now() >= until {
            return Err(sys::SysError::new(
                "kill",
                format_args!("{}, SIGTERM", record.supervisor.pid),
                Errno::TIMEDOUT,
            ));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// What became of one item.
#[derive(Debug)]
pub enum Fate {
    /// It was undone; what that was, for people.
    Undone(String),
    /// It was undone; what that was, and what somebody else does with the device since: nothing of
    /// ours is left there.
    Passed(String, String),
    /// There was nothing to undo: it was never done, or somebody else undid it.
    Nothing,
    /// Somebody still holds it.
    Held(Vec<Holder>),
    /// It could not be undone.
    Failed(ExecError),
}

/// Undoes what a dead session left, the last first. `None` when the session lives.
///
/// # Errors
/// Those of reading and writing its record.
pub fn clean_up(place: &Place, id: &str) -> Result<Option<Vec<Fate>>, SessionError> {
    let Some(mut dead) = place.take_dead(id)? else {
        return Ok(None);
    };
    let mut fates = vec![end_init(&dead)];
    let mut stuck = false;
    for planned in dead.record().items.clone().into_iter().rev() {
        // What lies below something that is in use is in use: one reason is enough.
        if stuck && is_storage(&planned.item) {
            continue;
        }
        let fate = undo(&planned.item, planned.state, dead.record());
        if matches!(fate, Fate::Undone(_) | Fate::Passed(..) | Fate::Nothing) {
            dead.forget(planned.id)?;
        } else {
            stuck |= is_storage(&planned.item);
        }
        fates.push(fate);
    }
    dead.finish()?;
    Ok(Some(fates))
}

fn is_storage(item: &Item) -> bool {
    matches!(
        item,
        Item::Mapping { .. }
            | Item::Loop { .. }
            | Item::Array { .. }
            | Item::Group { .. }
            | Item::Mount { .. }
            | Item::MountPoint { .. }
    )
}

/// An init dies with its supervisor; one that does not (stopped by a debugger) is ended here.
fn end_init(dead: &Dead) -> Fate {
    let Some(init) = dead.record().init else {
        return Fate::Nothing;
    };
    let Ok(pidfd) = sys::process::open_pidfd(init.pid) else {
        return Fate::Nothing;
    };
    if !init.exists() {
        return Fate::Nothing;
    }
    match sys::process::signal_pidfd(&pidfd, KILL) {
        Ok(()) => {
            let _ended = wait_readable([rustix::fd::AsFd::as_fd(&pidfd)], Some(PATIENCE));
            Fate::Undone(format!("ended process {}", init.pid))
        }
        // It ended by itself between the look and the signal.
        Err(error) if error.errno == Errno::SRCH => Fate::Nothing,
        Err(error) => Fate::Failed(error.into()),
    }
}

fn undo(item: &Item, state: State, record: &Record) -> Fate {
    match item {
        Item::StagingPlanned { path } => {
            // Nothing but its name says that it is ours, so it must be exactly that name.
            let ours = path
                .file_name()
                .is_some_and(|name| name == record.staging_name().as_str());
            if ours {
                remove_staging(path, None)
            } else {
                Fate::Nothing
            }
        }
        Item::Staging {
            path,
            device,
            inode,
        } => remove_staging(
            path,
            Some(FileId {
                device: *device,
                inode: *inode,
            }),
        ),
        Item::MountPoint { path } => remove_mount_point(path),
        Item::Namespace { mount, devices } => {
            let holders = find_holders(&Traces {
                mount_namespaces: vec![*mount],
                devices: devices.clone(),
                nodes: Vec::new(),
            });
            if holders.is_empty() {
                Fate::Nothing
            } else {
                Fate::Held(holders)
            }
        }
        Item::TargetFile { .. } => super::target_file::undo(item, record),
        Item::Mapping { name } if !name.starts_with(&format!("newroot-{}-", record.id)) => {
            Fate::Nothing
        }
        Item::Mapping { name } => match close(name, state) {
            Ok(true) => Fate::Undone(format!("locked {name}")),
            Ok(false) => Fate::Nothing,
            Err(error) => Fate::Failed(ExecError::Other(error.to_string())),
        },
        Item::Loop { .. } | Item::Array { .. } | Item::Group { .. } | Item::Mount { .. } => {
            super::storage::undo(item, state)
        }
    }
}

/// A cryptsetup that is still at work would open it after we have looked.
fn close(name: &str, state: State) -> Result<bool, crate::tool::ToolError> {
    if state == State::Planned {
        super::storage::wait_for_tools(name);
    }
    super::luks::close(name)
}

/// Removes a staging directory, if it is still the one that was recorded.
fn remove_staging(path: &Path, id: Option<FileId>) -> Fate {
    let Some((parent, name)) = path.parent().zip(path.file_name()) else {
        return Fate::Nothing;
    };
    let name = Path::new(name);
    let Ok(parent) = sys::fs::open_directory(CWD, parent) else {
        return Fate::Nothing;
    };
    let Ok(found) = sys::fs::lstat_at(&parent, name) else {
        return Fate::Nothing;
    };
    let same = found.kind == Kind::Directory && id.is_none_or(|id| id == found.id);
    if !same {
        return Fate::Nothing;
    }
    match super::leftover::undo_move(&parent, name).and_then(|()| remove_tree(&parent, name)) {
        Ok(()) => Fate::Undone(format!("removed {}", path.display())),
        Err(error) => Fate::Failed(error),
    }
}

/// An empty file or directory that was made to be mounted on. With something in it or on it, it
/// is somebody's.
fn remove_mount_point(path: &Path) -> Fate {
    let Some((parent, name)) = path.parent().zip(path.file_name()) else {
        return Fate::Nothing;
    };
    let name = Path::new(name);
    let Ok(parent) = sys::fs::open_directory(CWD, parent) else {
        return Fate::Nothing;
    };
    let Ok(found) = sys::fs::lstat_at(&parent, name) else {
        return Fate::Nothing;
    };
    let removed = match found.kind {
        Kind::Directory => sys::file::remove_directory(&parent, name),
        Kind::File if found.size == 0 => sys::file::unlink(&parent, name),
        _ => return Fate::Nothing,
    };
    match removed {
        Ok(()) => Fate::Undone(format!("removed {}", path.display())),
        Err(error) if error.errno == Errno::NOTEMPTY => Fate::Nothing,
        Err(error) => Fate::Failed(error.into()),
    }
}
