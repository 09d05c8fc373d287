//! The program of a rescue on its way: out of the init's mount namespace into one of its own,
//! where it mounts, pivots and becomes the program. The init stays behind in the host's root.

use std::os::fd::OwnedFd;

use rustix::io::Errno;

use super::leave::OldRoot;
use super::message::{Birth, Report, tell};
use super::mounting::Mounting;
use super::{WISH, Wish, init};
use crate::model::RootPath;
use crate::plan::{Op, Place, ProcessOp, Step};
use crate::root::{InRoot, Tree, read};
use crate::session::Process;
use crate::sys::wire::Wire;
use crate::sys::{self, SysError, SysResult};

/// A wish is one word.
const LONGEST: usize = 64;

/// Does every step up to the program. `parent` hears who this process is, `supervisor` hears of
/// each step.
///
/// # Errors
/// The step that failed.
pub(super) fn go(
    mut mounting: Mounting,
    steps: &[Step],
    parent: &Wire,
    supervisor: &Wire,
) -> Result<(), (usize, SysError)> {
    let at_start = |error| (0, error);
    sys::ns::unshare(false).map_err(at_start)?;
    introduce(parent).map_err(at_start)?;
    let old = OldRoot::read();
    for (place, step) in steps.iter().enumerate() {
        if step.place != Place::Payload {
            continue;
        }
        if let Op::Process(ProcessOp::Execute { .. }) = &step.op {
            break;
        }
        let deed = init::perform(step, &mut mounting, &old).map_err(|error| (place, error))?;
        if let Some(note) = deed.note {
            tell(supervisor, &Report::Note(note));
        }
        tell(
            supervisor,
            &Report::Done {
                step: place,
                device: deed.device,
            },
        );
    }
    Ok(())
}

/// Read before anything is mounted: /proc is still that of the supervisor, and its numbers too.
fn introduce(parent: &Wire) -> SysResult<()> {
    let failed = |what: &str| SysError::new("read", format_args!("{what}"), Errno::SRCH);
    let process = Process::this_in_proc().map_err(|error| failed(&error.to_string()))?;
    let namespace = sys::ns::inode_of_this("mnt")
        .map_err(|error| SysError::from_io("stat", format_args!("ns/mnt"), &error))?;
    tell(parent, &Birth::Seen { process, namespace });
    Ok(())
}

/// The directory of the program's root where it can leave a word. It is opened while the program
/// lives, by the number that /proc has for it; a descriptor of ours leads there afterwards, too.
pub(super) fn mailbox(pid: i32) -> Option<OwnedFd> {
    let root = crate::model::HostPath::new(format!("/proc/{pid}/root"));
    let tree = InRoot::open(&root).ok()?;
    let directory = tree.handle(&RootPath::new(WISH).parent()).ok()?;
    let meta = sys::fs::meta_of_fd(&directory).ok()?;
    // Only on a filesystem of the session's own: /run itself could be somebody's bind.
    let own = tree.stat(&RootPath::root()).ok()?;
    (meta.id.device != own.id.device).then_some(directory)
}

/// The word in it.
pub(super) fn wish(mailbox: OwnedFd) -> Option<Wish> {
    let name = RootPath::new(WISH);
    let name = RootPath::root().join(name.file_name()?);
    let bytes = read(&InRoot::from_fd(mailbox), &name, LONGEST).ok()?;
    Wish::from_word(std::str::from_utf8(&bytes).ok()?.trim())
}
