//! A shell of the host beside a target: the host's own root, with the target shown at one place,
//! in namespaces of its own. Nothing of it is seen elsewhere.

use super::{BindSource, Command, MountOp, Op, Place, ProcessOp, Step};
use crate::model::{HostPath, MountFlags, RootPath};

/// The steps. `at` is a directory of the host.
#[must_use]
pub fn plan(target: &HostPath, at: &RootPath, read_only: bool, command: Command) -> Vec<Step> {
    let base = HostPath::new("/");
    let step = |place, op| Step {
        place,
        op,
        base: base.clone(),
    };
    let payload = |op| step(Place::Payload, Op::Mount(op));
    vec![
        step(
            Place::Session,
            Op::Process(ProcessOp::Namespaces {
                user: false,
                apart: true,
            }),
        ),
        payload(MountOp::HostTree),
        payload(MountOp::Bind {
            source: BindSource::Host(target.clone()),
            target: at.clone(),
            recursive: true,
            read_only,
            over_link: false,
        }),
        // Its numbers are those that the shell can use: it is in a PID namespace.
        payload(MountOp::New {
            fstype: "proc",
            source: "proc",
            options: Vec::new(),
            flags: MountFlags::INERT,
            target: RootPath::new("/proc"),
        }),
        step(
            Place::Payload,
            Op::Process(ProcessOp::Execute {
                command,
                inside: true,
            }),
        ),
    ]
}
