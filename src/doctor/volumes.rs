//! Arrays and volume groups that lack members; filesystems: full, damaged, not cleanly unmounted.

use super::fixes::{self, Fix};
use super::{Facts, Finding, Kind, Severity, list};
use crate::probe::health::disks::Incomplete;
use crate::probe::health::volumes::{Room, Superstate};

/// With less than this no log is written and nothing is installed.
const NOTHING: u64 = 4 << 20;
/// A kernel with its initramfs.
const KERNEL: u64 = 96 << 20;

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let incomplete = facts.disks.incomplete.iter().map(incomplete);
    let rooms = facts.disks.rooms.iter().flat_map(|room| full(facts, room));
    incomplete
        .chain(rooms)
        .chain(facts.disks.supers.iter().filter_map(superblock))
        .collect()
}

/// One that works is a warning: the next disk that fails takes everything along.
fn incomplete(it: &Incomplete) -> Finding {
    let (name, what) = (&it.name, it.what);
    let array = what == "array";
    let number = format!("{} of {} members", it.here, it.wanted);
    let finding = if it.works {
        let what = format!("the {what} {name} has only {number}. If one more fails, all is lost.");
        Finding::warning(Kind::VolumesIncomplete, what)
    } else {
        let what = format!("the {what} {name} has only {number}. What lies on it is not there.");
        Finding::error(Kind::VolumesIncomplete, what)
            .screen("A start job is running for /dev/...; then: You are in emergency mode.")
    };
    let seen = match it.on.len() {
        0 => format!("/sys/block says that {name} is degraded"),
        all => format!("here: {}", list(it.on.iter().cloned(), all)),
    };
    let fix = Fix::advice("put the missing disk back; newroot scan shows what is here");
    finding.seen(seen).fix(match (array, it.works) {
        (true, true) => fix.outside(format!(
            "mdadm --manage {} --add /dev/DISK",
            fixes::word(&format!("/dev/{name}"))
        )),
        (true, false) => fix,
        // Reads what is left, changes nothing.
        (false, _) => fix.outside(format!(
            "vgchange -a y --activationmode partial {}",
            fixes::word(name)
        )),
    })
}

fn show(bytes: u64) -> String {
    crate::model::Bytes(bytes).to_string()
}

fn full(facts: &Facts<'_>, room: &Room) -> Vec<Finding> {
    let place = &room.mount_point;
    let mut found = Vec::new();
    let writable = !matches!(place.as_str(), "/efi" | "/boot/efi") && room.size > 0;
    if !writable {
        return found;
    }
    let seen = format!(
        "{place}: {} of {} free, {} of that for root only",
        show(room.free),
        show(room.size),
        show(room.free.saturating_sub(room.available))
    );
    if room.available < NOTHING && place == "/boot" {
        let what = "/boot is full. The next kernel or initramfs cannot be written, and half of one does not boot.";
        found.push(
            Finding::warning(Kind::Full, what)
                .seen(seen)
                .screen("No space left on device")
                .fix(fixes::space(facts.family(), place)),
        );
    } else if room.available < NOTHING {
        let what =
            format!("{place} is full. Services and logins fail, and nothing can be installed.");
        found.push(
            Finding::error(Kind::Full, what)
                .seen(seen)
                .screen("No space left on device")
                .fix(fixes::space(facts.family(), place)),
        );
    } else if place == "/boot" && room.available < KERNEL && room.size < 4 * (1 << 30) {
        found.push(
            Finding::note(
                Kind::Full,
                "/boot has no room for another kernel. The next kernel update may fail.",
            )
            .seen(seen)
            .fix(fixes::space(facts.family(), place)),
        );
    }
    if room.inodes > 0 && room.inodes_free == 0 {
        found.push(
            Finding::error(
                Kind::Full,
                format!("{place} has no inodes left. No file can be made, whatever room there is."),
            )
            .seen(format!("{place}: 0 of {} inodes free", room.inodes))
            .screen("No space left on device")
            .fix(fixes::space(facts.family(), place)),
        );
    }
    found
}

fn superblock(it: &Superstate) -> Option<Finding> {
    let place = it.mount_point.as_deref().unwrap_or("?");
    if let Some(why) = &it.errors {
        let (severity, what, screen) = match it.fs_type.as_str() {
            "xfs" => (
                Severity::Error,
                "cannot be mounted",
                "Filesystem needs repair. Please run xfs_repair.",
            ),
            // Firmware and kernel go on with it.
            "vfat" => (
                Severity::Warning,
                "may be damaged",
                "Volume was not properly unmounted. Some data may be corrupt. Please run fsck.",
            ),
            _ => (
                Severity::Error,
                "is damaged. It becomes read-only, or boot stops for a check",
                "UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY; or: Remounting filesystem read-only",
            ),
        };
        let what = format!("the filesystem of {place} {what}.");
        let seen = format!("{} ({}): {why}", it.name, it.fs_type);
        let finding = Finding::new(severity, Kind::FilesystemErrors, what);
        let fix = fixes::fsck(&it.fs_type);
        return Some(finding.seen(seen).screen(screen).fix(fix));
    }
    let what = match it.fs_type.as_str() {
        _ if !it.dirty => return None,
        "vfat" => format!("{place} was not unmounted cleanly."),
        _ => format!("{place} was not unmounted cleanly; the next mount replays its journal."),
    };
    let seen = format!("{} ({})", it.name, it.fs_type);
    Some(Finding::note(Kind::DirtyJournal, what).seen(seen))
}
