//! What is in use, hostile, or no system at all.

use std::ffi::OsStr;
use std::fs;
use std::process::Command;

use serde_json::Value;

use super::{ext4, only_system, scan};
use crate::disk::{DEBIAN, empty, filesystem, filled, mount, sh, system, unmount};
use crate::need::Need;
use crate::run::newroot;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let ext4 = [Need::Loop, Need::Fs("ext4"), Need::Command("sfdisk")];
    vec![
        Trial::new("scan::what_somebody_holds", &ext4, what_somebody_holds),
        Trial::new("scan::a_hostile_system", &ext4, a_hostile_system),
        Trial::new("scan::no_system_at_all", &ext4, no_system_at_all),
    ]
}

fn what_somebody_holds() {
    let image = ext4("/tmp/root.img", |top| system(top, DEBIAN, "web03", ""));
    // A program that writes to the image, as a virtual machine would.
    let mut holder = Command::new("sh")
        .args(["-c", "exec 3<>/tmp/root.img; echo ready; exec sleep 1000"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    let stdout = holder.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut ready).unwrap();
    let found = scan(&[&image]);
    assert_eq!(found["systems"].as_array().unwrap().len(), 0);
    assert_eq!(found["skipped"][0]["reason"], "in-use");
    assert_eq!(found["skipped"][0]["detail"]["pid"], holder.id());
    holder.kill().unwrap();
    holder.wait().unwrap();

    // Mounted by the user: read through the mount, though something hides its /etc.
    let point = mount(&image, "rw");
    let device = sh(&format!("findmnt -no SOURCE {}", point.display()));
    let hidden = point.join("etc");
    sh(&format!("mount -t tmpfs none {}", hidden.display()));
    let output = newroot(["scan", "--json", device.trim()]).run();
    output.code(0);
    let found: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(only_system(&found)["hostname"], "web03");
    sh(&format!("umount {}", hidden.display()));
    unmount(&point);
}

fn a_hostile_system() {
    let image = filesystem("/tmp/evil.img", 64, "mkfs.ext4 -q");
    fs::write("/tmp/outside", "ID=outside\nNAME=outside\n").unwrap();
    filled(&image, |top| {
        let mut fstab = vec![b'x'; 10 << 20];
        fstab.extend(b"\nUUID=1 /\x1b[2Jx ext4\nUUID=2 /../../../tmp ext4\n");
        for number in 0..500 {
            fstab.extend(format!("UUID={number} /{number} ext4\n").bytes());
        }
        system(
            top,
            "ID=evil\x1b[31m\nNAME=\"\x1b]0;owned\x07\"\n",
            "ev\x1b[2Jil",
            "",
        );
        fs::write(top.join("etc/fstab"), fstab).unwrap();
        let at = top.display();
        sh(&format!(
            "cd {at}; rm etc/os-release usr/lib/os-release; \
             ln -s ../../../../../../../tmp/outside etc/os-release; mkfifo usr/lib/os-release; \
             mkfifo etc/crypttab var/log/wtmp boot/vmlinuz-1; ln -s /dev/zero etc/machine-id; \
             ln -s loop boot/loop; ln -s . boot/grub; mknod etc/debian_version c 1 5"
        ));
    });
    let found = scan(&[&image]);
    assert_ne!(found["systems"][0]["os"]["id"], "outside");
    let output = newroot([OsStr::new("scan"), image.as_os_str()]).run();
    output.code(0);
    assert!(!output.stdout.contains('\x1b'), "{}", output.stdout);
    output.stdout_has("ev\\x1b[2Jil");
}

fn no_system_at_all() {
    let data = ext4("/tmp/data.img", |top| {
        fs::write(top.join("notes"), "").unwrap();
    });
    let garbage = empty("/tmp/garbage.img", 1);
    fs::write(&garbage, vec![0x55; 100_000]).unwrap();
    let found = scan(&[&data, &garbage]);
    assert_eq!(found["systems"].as_array().unwrap().len(), 0);
    newroot(["scan", "/tmp/data.img"])
        .run()
        .code(0)
        .stdout_is("")
        .stderr_is(
            "no installed system found. Nothing was written.\n\
             Next, all disks of this machine: newroot scan\n",
        );
    let blank = "garbage.img: no filesystem and no partition table recognised";
    assert_eq!(found["notes"], serde_json::json!([blank]));
    for verb in ["scan", "doctor"] {
        let output = newroot([verb, "/tmp/garbage.img"]).run();
        output.stderr_has(blank).stderr_has("newroot scan\n");
    }
    newroot(["scan", "/tmp/data.img", "web03"])
        .run()
        .code(125)
        .stderr_has("no system fits \"web03\": no installed system was found at all");
    newroot(["scan", "/tmp/none.img"])
        .run()
        .code(125)
        .stderr_has("No such file")
        .stderr_has("newroot scan\n");
    newroot(["scan", "/dev/null"])
        .run()
        .code(125)
        .stderr_has("neither a block device nor an image")
        .stderr_has("newroot scan\n");
}
