//! The scan for programs. Names are raw here (JSON escapes them); times are seconds since 1970.

use serde_json::{Value, json};

use crate::probe::boot::Firmware;
use crate::probe::fstab::Spec;
use crate::probe::inventory::{Found as Lead, Inventory};
use crate::probe::livemedium::Own;
use crate::probe::scan::{Found, Reason, Skipped};
use crate::probe::system::{Place, System, Want};

/// Everything that was found.
#[must_use]
pub fn json(found: &Found) -> Value {
    let inventory = &found.inventory;
    json!({
        "systems": found.systems.iter().map(|each| system(inventory, each)).collect::<Vec<_>>(),
        "locked": found.locked.iter().map(|locked| {
            let volume = &inventory.volumes[locked.volume];
            json!({
                "id": locked.id,
                "type": locked.what,
                "volume": volume.name,
                "device": volume.path.to_string_lossy(),
                "uuid": volume.superblock.uuid,
            })
        }).collect::<Vec<_>>(),
        "not_assembled": found.apart.iter().map(|apart| json!({
            "name": apart.name, "type": apart.what, "on": apart.on, "note": apart.note,
        })).collect::<Vec<_>>(),
        "skipped": found.skipped.iter().map(skipped).collect::<Vec<_>>(),
        "notes": found.notes,
    })
}

fn system(inventory: &Inventory, system: &System) -> Value {
    let facts = &system.facts;
    json!({
        "id": system.id,
        "os": {
            "id": facts.os.id,
            "like": facts.os.like,
            "name": facts.os.name,
            "version": facts.os.version,
            "pretty": facts.os.pretty,
            "variant": facts.os.variant,
        },
        "arch": facts.arch,
        "hostname": facts.hostname,
        "machine_id": facts.machine_id,
        "root": place(inventory, system),
        "evidence": facts.evidence.iter().map(|each| each.name()).collect::<Vec<_>>(),
        "named_by_fstab": system.is_named_by_fstab(),
        "last_boot": system.last_boot.as_ref().map(|boot| json!({
            "time": boot.when, "source": boot.source.to_string(),
        })),
        "boot": {
            "firmware": system.firmware.iter().map(|firmware| match firmware {
                Firmware::Uefi => "uefi",
                Firmware::Bios => "bios",
            }).collect::<Vec<_>>(),
            "loaders": system.boot.loaders.iter().map(|each| each.name()).collect::<Vec<_>>(),
            "esp": system.esp.map(|index| inventory.volumes[index].name.clone()),
            "unified_images": system.boot.unified,
            "kernels": system.boot.kernels.iter().map(|kernel| json!({
                "version": kernel.version,
                "image": kernel.image.to_string(),
                "initramfs": kernel.initramfs.as_ref().map(ToString::to_string),
                "modules": kernel.modules,
                "rescue": kernel.rescue,
            })).collect::<Vec<_>>(),
        },
        "fstab": system.wants.iter().map(|each| want(inventory, each)).collect::<Vec<_>>(),
        "hibernated_in": system.hibernated,
        "folded": system.folded,
        "not_seen": system.unseen.iter().map(|(path, why)| json!({
            "path": path.to_string(), "why": why,
        })).collect::<Vec<_>>(),
    })
}

fn place(inventory: &Inventory, system: &System) -> Value {
    match &system.place {
        Place::Directory(path) => json!({ "directory": path.to_string() }),
        Place::Volume {
            volumes,
            subvolume,
            is_default,
            deployment,
        } => {
            let volumes = volumes.iter().map(|index| &inventory.volumes[*index]);
            json!({
                "volumes": volumes.clone().map(|volume| &volume.name).collect::<Vec<_>>(),
                "devices": volumes.map(|volume| volume.path.to_string_lossy()).collect::<Vec<_>>(),
                "type": system.fs_type,
                "uuid": system.fs_uuid,
                "subvolume": subvolume.as_ref().map(|subvolume| json!({
                    "id": subvolume.id,
                    "path": subvolume.path.to_string(),
                    "default": is_default,
                    "read_only": subvolume.read_only,
                })),
                "deployment": deployment.as_ref().map(ToString::to_string),
            })
        }
    }
}

fn want(inventory: &Inventory, want: &Want) -> Value {
    let (state, index) = match want.found {
        Lead::Here(index) => ("found", Some(index)),
        Lead::Locked(index) => ("locked", Some(index)),
        Lead::Unreliable(index) => ("unreliable", index),
        Lead::Missing => ("missing", None),
    };
    json!({
        "line": want.line,
        "device": spec(&want.spec),
        "mount_point": want.mount_point.to_string(),
        "optional": want.optional,
        "state": state,
        "volume": index.map(|index| &inventory.volumes[index].name),
    })
}

fn spec(spec: &Spec) -> String {
    match spec {
        Spec::Uuid(value) => format!("UUID={value}"),
        Spec::Label(value) => format!("LABEL={value}"),
        Spec::PartUuid(value) => format!("PARTUUID={value}"),
        Spec::PartLabel(value) => format!("PARTLABEL={value}"),
        Spec::Device(path) => path.to_string_lossy().into_owned(),
        Spec::Path(path) => path.to_string(),
        Spec::Network(text) | Spec::Virtual(text) => text.clone(),
    }
}

fn skipped(skipped: &Skipped) -> Value {
    let (reason, detail) = match &skipped.reason {
        Reason::Own(Own::LiveMedium) => ("live-medium", Value::Null),
        Reason::Own(Own::RunningSystem) => ("running-system", Value::Null),
        Reason::NoAnswer(seconds) => ("no-answer", json!({ "seconds": seconds })),
        Reason::InUse(holder) => (
            "in-use",
            holder.as_ref().map_or(
                Value::Null,
                |holder| json!({ "pid": holder.pid, "program": holder.program }),
            ),
        ),
        Reason::Unreadable(text) => ("unreadable", json!({ "error": text })),
    };
    json!({ "volume": skipped.name, "reason": reason, "detail": detail })
}
