//! Filesystems that mark themselves: damaged, or not unmounted. Real ones, marked as their own
//! drivers do it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::report;
use crate::disk::{self, sh};
use crate::need::Need;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let needs = [
        Need::Loop,
        Need::Fs("xfs"),
        Need::Command("mkfs.xfs"),
        Need::Command("xfs_db"),
        Need::Command("mkfs.vfat"),
        Need::Command("sfdisk"),
    ];
    vec![Trial::new(
        "doctor::filesystems_that_mark_themselves",
        &needs,
        marked,
    )]
}

/// What is done to the XFS of the root or to the FAT of /data, and what is said of it.
pub(super) struct Case {
    name: &'static str,
    damage: fn(&Disk),
    severity: &'static str,
    pub(super) kind: &'static str,
    words: &'static [&'static str],
}

pub(super) const CASES: &[Case] = &[
    Case {
        name: "an XFS that needs repair",
        damage: |disk| {
            let xfs = disk.xfs.display();
            sh(&format!(
                "xfs_db -x -c 'sb 0' -c 'write -d features_incompat 0x1b' {xfs} 2>&1"
            ));
        },
        severity: "error",
        kind: "filesystem-errors",
        words: &[
            "the filesystem of / cannot be mounted",
            "xfs_repair $DEVICE",
        ],
    },
    Case {
        name: "an XFS after a power cut",
        damage: |disk| {
            disk::cut_off(&disk.xfs, |top| {
                fs::write(top.join("etc/new"), "new").unwrap();
                sh(&format!("sync -f {}", top.display()));
                None
            });
        },
        severity: "note",
        kind: "dirty-journal",
        words: &["/ was not unmounted cleanly"],
    },
    Case {
        name: "a FAT that was pulled out",
        damage: |disk| disk.fat(|kind| (if kind == 32 { 0x41 } else { 0x25 }, 1)),
        severity: "note",
        kind: "dirty-journal",
        words: &["/data was not unmounted cleanly"],
    },
    Case {
        name: "a FAT whose disk failed",
        damage: |disk| disk.fat(|kind| (if kind == 32 { 0x41 } else { 0x25 }, 2)),
        severity: "warning",
        kind: "filesystem-errors",
        words: &[
            "the filesystem of /data may be damaged",
            "fsck.vfat -a $DEVICE",
        ],
    },
    Case {
        name: "a FAT that Windows did not unmount",
        damage: |disk| disk.second_entry(0x0f, 0x07, 0x7f),
        severity: "note",
        kind: "dirty-journal",
        words: &["/data was not unmounted cleanly"],
    },
    Case {
        name: "a FAT where Windows saw an error",
        damage: |disk| disk.second_entry(0x0f, 0x0b, 0xbf),
        severity: "warning",
        kind: "filesystem-errors",
        words: &["fsck.vfat -a $DEVICE"],
    },
];

/// The two filesystems, each in a file.
pub(super) struct Disk {
    xfs: PathBuf,
    fat: PathBuf,
    /// 16 or 32.
    kind: u64,
}

impl Disk {
    fn new(kind: u64) -> Self {
        let mebibytes = if kind == 32 { 100 } else { 40 };
        let fat = disk::filesystem("/tmp/fat", mebibytes, &format!("mkfs.vfat -F {kind}"));
        let xfs = disk::filesystem("/tmp/xfs", 300, "mkfs.xfs -q -f");
        let fstab = format!(
            "UUID={} / xfs defaults 0 0\nUUID={} /data vfat defaults 0 0\n",
            disk::uuid(&xfs),
            disk::uuid(&fat)
        );
        disk::filled(&xfs, |top| {
            disk::system(top, disk::DEBIAN, "marked", &fstab);
            fs::create_dir(top.join("data")).unwrap();
        });
        Self { xfs, fat, kind }
    }

    /// Sets a byte of the boot sector.
    fn fat(&self, place: fn(u64) -> (u64, u8)) {
        let (at, value) = place(self.kind);
        disk::poke(&self.fat, at, &[value]);
    }

    /// Sets the highest byte of FAT[1]: what it is as mkfs made it, and as it is to be.
    fn second_entry(&self, made: u8, fat32: u8, fat16: u8) {
        let bytes = fs::read(&self.fat).unwrap();
        let half = |at: usize| u64::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        let (width, made, value) = match self.kind {
            32 => (4, made, fat32),
            _ => (2, 0xff, fat16),
        };
        let at = half(11) * half(14) + 2 * width - 1;
        assert_eq!(bytes[usize::try_from(at).unwrap()], made);
        disk::poke(&self.fat, at, &[value]);
    }

    /// What the doctor says of filesystems on a disk with both.
    fn said(&self) -> Vec<Value> {
        let image = disk::disk(
            "/tmp/disk",
            500,
            "label: gpt\nsize=300M\nsize=100M\n",
            &[(1, Path::new(&self.xfs)), (2, &self.fat)],
        );
        let report = report(&image);
        fs::remove_file(image).unwrap();
        let findings = report["findings"].as_array().unwrap().clone();
        findings
            .into_iter()
            .filter(|it| it["kind"] == "filesystem-errors" || it["kind"] == "dirty-journal")
            .collect()
    }
}

fn marked() {
    for kind in [16, 32] {
        let clean = Disk::new(kind).said();
        assert!(clean.is_empty(), "FAT{kind}: {clean:#?}");
        for case in CASES {
            let disk = Disk::new(kind);
            (case.damage)(&disk);
            let said = disk.said();
            let name = format!("FAT{kind}, {}: {said:#?}", case.name);
            assert_eq!(said.len(), 1, "{name}");
            assert_eq!(said[0]["kind"], case.kind, "{name}");
            assert_eq!(said[0]["severity"], case.severity, "{name}");
            let text = said[0].to_string();
            assert!(case.words.iter().all(|word| text.contains(word)), "{name}");
        }
    }
}
