//! What the target's programs will find: facts for the plan.

use crate::model::{Kind, RootPath};
use crate::plan::enter::rescue::{POLICY, Policy, Rescue, SHARED, Shims};
use crate::probe::cmdline;
use crate::probe::system::System;
use crate::root::{Host, Tree};

/// What a rescue has beyond an entry, and what somebody should know about it.
pub(super) fn look(
    tree: &dyn Tree,
    system: Option<&System>,
    read_only: bool,
) -> (Rescue, Vec<String>) {
    let machine_id = system.and_then(|system| system.facts.machine_id.as_deref());
    let is_debian = system.is_some_and(|system| system.facts.os.is_like("debian"));
    let command_line = cmdline::find(tree, machine_id).map(|found| found.line);
    let mut notes = Vec::new();
    if system.is_some() && command_line.is_none() {
        notes.push(String::from(
            "/proc/cmdline is that of the live system: the target says nowhere how its kernel is started",
        ));
    }
    let is = |tree: &dyn Tree, path: &str, kind| {
        tree.stat(&RootPath::new(path))
            .is_ok_and(|meta| meta.kind == kind)
    };
    let covered = is_debian && is(tree, POLICY, Kind::File);
    let shared = SHARED.into_iter();
    let shared = shared.filter(|name| is(&Host, &format!("/run/{name}"), Kind::Directory));
    let systemctl = ["/usr/bin/systemctl", "/bin/systemctl"]
        .into_iter()
        .find(|path| is(tree, path, Kind::File));
    let shims = is(tree, "/bin/sh", Kind::File).then(|| Shims {
        systemctl: systemctl.map(RootPath::new),
    });
    let rescue = Rescue {
        command_line,
        read_only,
        writable_efi: false,
        shared: shared.collect(),
        policy: if covered {
            Policy::Cover
        } else {
            Policy::Leave
        },
        shims,
    };
    (rescue, notes)
}
