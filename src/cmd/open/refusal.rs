//! Why a target is not opened, for whoever wanted it open.

use crate::cmd::target;
use crate::error::Failure;
use crate::plan::open::Refusal;
use crate::probe::scan::Found;
use crate::ui::scan::place;
use crate::ui::shell_quote;

/// What the verb and TARGET were, for hints.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) typed: &'a str,
    pub(super) is_image: bool,
}

/// Says what is in the way and what to type.
pub(super) fn failure(refusal: &Refusal, found: &Found, asked: Asked<'_>) -> Failure {
    let typed = asked.typed;
    let quoted = shell_quote(typed);
    let cannot = |why: String| Failure::new(format!("cannot open {typed}"), why);
    match refusal {
        Refusal::Nothing => target::nothing_fits(found, typed),
        Refusal::Several(systems, locked) => several(found, systems, locked, asked),
        Refusal::Hibernated(swap) => cannot(format!(
            "it is hibernated: its memory lies in {swap}, and writing would destroy both"
        ))
        .hint("look at it read-only", format!("newroot mount --read-only {quoted}"))
        .hint(
            "give its saved memory up",
            format!("newroot mount --read-write --discard-hibernation {quoted}"),
        ),
        Refusal::Degraded(name, here, of) => cannot(format!(
            "{here} of {of} members of the array {name} are here; nothing is written to it like that"
        ))
        .hint("look at it read-only", format!("newroot mount --read-only {quoted}"))
        .hint(
            "write to it all the same",
            format!("newroot mount --read-write --degraded {quoted}"),
        ),
        Refusal::Incomplete(name, missing) => {
            cannot(format!("the volume group {name} lacks {missing} physical volumes"))
                .hint("see what is here", "pvs -o +pv_missing,vg_uuid; newroot scan")
        }
        Refusal::SameName(name, uuids) => {
            let failure = cannot(format!("several volume groups are called {name}"));
            let failure = uuids.iter().fold(failure, |failure, uuid| {
                failure.detail(format!("vg_uuid {uuid}"))
            });
            let first = uuids.first().map_or("UUID", String::as_str);
            failure
                .hint(
                    "if one disk is a copy of the other",
                    format!("vgimportclone --basevgname {name}_copy DEVICE"),
                )
                .hint(
                    "rename one of them by its UUID",
                    format!("vgrename {first} {name}_old"),
                )
        }
        Refusal::InUse(name, holder) => {
            let who = holder.as_ref().map_or_else(
                || "somebody has it in use".to_string(),
                |holder| format!("in use by {holder}"),
            );
            cannot(format!("{name}: {who}")).hint("see newroot's own sessions", "newroot ps")
        }
        Refusal::NoKey(id) => cannot(format!("{id} is locked and no key fits"))
            .hint("change the keyboard layout", "loadkeys de")
            .hint(
                "give the key in a file",
                format!("newroot mount --key-file FILE {quoted}"),
            ),
        Refusal::Unsupported(name, what) => cannot(format!("{name}: {what}"))
            .detail("newroot opens LUKS, LVM, md, and what is on them"),
        Refusal::Errors(name, device) => cannot(format!(
            "{name} is marked as having errors: nothing is written to it before it was checked"
        ))
        .hint("check it", format!("fsck -f {}", shell_quote(device)))
        .hint("look at it read-only", format!("newroot mount --read-only {quoted}"))
        .hint(
            "write to it all the same",
            format!("newroot mount --read-write --filesystem-errors {quoted}"),
        ),
    }
}

fn several(found: &Found, systems: &[usize], locked: &[usize], asked: Asked<'_>) -> Failure {
    let what = format!("cannot tell what {} means", asked.typed);
    let mut failure = Failure::new(what, "several fit");
    for index in systems {
        let system = &found.systems[*index];
        let host = system.facts.hostname.as_deref().unwrap_or("?");
        let (os, place) = (system.facts.os.short(), place(&found.inventory, system));
        failure = failure.detail(format!("{}  {os}  {host}  {place}", system.id));
    }
    for index in locked {
        let locked = &found.locked[*index];
        failure = failure.detail(format!("{}  locked, {}", locked.id, locked.what));
    }
    let id = systems
        .first()
        .map(|index| found.systems[*index].id.as_str());
    let id = id.or_else(|| locked.first().map(|index| found.locked[*index].id.as_str()));
    let id = id.unwrap_or("ID");
    if asked.is_image {
        let image = shell_quote(asked.typed);
        return failure.hint(
            "make it a device, then name one",
            format!("losetup --find --show {image}; newroot mount {id}"),
        );
    }
    failure.hint("name one of them", format!("newroot mount {id}"))
}

/// The disk fails: every further read may be its last.
pub(super) fn failing_disk(typed: &str, disks: &[String], lines: &[String]) -> Failure {
    let disk = disks.first().map_or("DISK", String::as_str);
    let what = format!("{typed} is closed again");
    let failure = Failure::new(what, "the kernel reports errors of its disk");
    let failure = lines
        .iter()
        .fold(failure, |failure, line| failure.detail(line));
    failure
        .hint(
            "first copy what can be read, to another disk",
            format!("ddrescue /dev/{disk} /OTHER/{disk}.img /OTHER/{disk}.map"),
        )
        .hint(
            "then work on the copy",
            format!("newroot mount /OTHER/{disk}.img"),
        )
        .hint(
            "go on with the disk all the same",
            format!("newroot mount --failing-disk {}", shell_quote(typed)),
        )
}
