//! Targets that cannot be opened, and one that means harm.

use std::fs;
use std::path::Path;

use super::{EXT4, copy, ext4, marked, mounted, nothing_left, run, same};
use crate::disk::{DEBIAN, disk, filesystem, filled, sh, system};
use crate::enter::executable;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("mount::what_cannot_be_opened", &EXT4, what_cannot_be_opened),
        Trial::new("mount::a_hostile_target", &EXT4, a_hostile_target),
        Trial::new("mount::a_hostile_network", &EXT4, hostile_network),
    ]
}

fn what_cannot_be_opened() {
    let data = marked("/tmp/data.img", "", "notes");
    run(&["mount", "/tmp/data.img"])
        .code(125)
        .stderr_has("no system fits")
        .stdout_is("");
    run(&["mount", "/tmp/none.img"])
        .code(125)
        .stderr_has("No such file");
    run(&["mount", "/tmp"])
        .code(125)
        .stderr_has("it is a directory")
        .stderr_has("newroot enter /tmp");
    run(&["mount", "nosuchhost"])
        .code(125)
        .stderr_has("no system fits \"nosuchhost\"");
    run(&["mount", "/tmp/data.img", "/tmp/data.img"])
        .code(125)
        .stderr_has("it is no directory");
    run(&["mount", "/tmp/data.img", "/"])
        .code(125)
        .stderr_has("this running system");
    run(&["umount", "/"])
        .code(125)
        .stderr_has("newroot has not mounted it");
    nothing_left(&data);
    let one = ext4("/tmp/one", "", |top| system(top, DEBIAN, "one", ""));
    let two = ext4("/tmp/two", "", |top| system(top, DEBIAN, "two", ""));
    let table = "label: gpt\nsize=16MiB, type=L\nsize=16MiB, type=L\n";
    let image = disk("/tmp/both.img", 40, table, &[(1, &one), (2, &two)]);
    run(&["mount", "/tmp/both.img"])
        .code(125)
        .stderr_has("several fit")
        .stderr_has("both.img p2")
        .stderr_has("losetup --find --show /tmp/both.img");
    nothing_left(&image);
    // An option that the driver does not know is no reason to leave it out.
    let root = ext4("/tmp/odd.img", "-L odd", |top| {
        system(
            top,
            DEBIAN,
            "odd",
            "LABEL=odd / ext4 nosuchoption,errors=remount-ro 0 1\n",
        );
    });
    run(&["mount", "--read-write", "/tmp/odd.img"])
        .code(0)
        .stderr_has("mounted without some of its options");
    run(&["umount", "odd"]).code(0);
    nothing_left(&root);
}

/// Links everywhere, names with control characters, files of the wrong kind: nothing outside of
/// the target is touched, nothing hangs.
fn a_hostile_target() {
    fs::create_dir("/tmp/outside").unwrap();
    fs::write("/tmp/outside/fstab", "UUID=outside / ext4\n").unwrap();
    let data = marked("/tmp/data", "-L data", "is-data");
    let root = filesystem("/tmp/root", 32, "mkfs.ext4 -q");
    let fill = |top: &Path| {
        let mut fstab = vec![b'x'; 10 << 20];
        for point in [
            "/boot",
            "/srv",
            "/../../../tmp/outside",
            "/opt/../../../tmp/outside",
            "/loop",
            "/to-root",
            "/relative",
            "/fifo",
            "/device",
            "/file",
            "/a\x1b[2Jb",
            "/home",
            "/proc/1/root",
            "/dev/shm",
        ] {
            fstab.extend(format!("\nLABEL=data {point} ext4 defaults").bytes());
        }
        fstab.extend(
            b"\n/ /all none rbind\n/../../tmp/outside /bound none bind\n/fifo /bound2 none bind",
        );
        for number in 0..500 {
            fstab.extend(format!("\n/all /many/{number} none rbind").bytes());
        }
        system(top, DEBIAN, "ev\x1b[2Jil", "");
        let at = top.display();
        sh(&format!(
            "cd {at}; rmdir boot; mkdir -p all many bound home bound2 tmp/outside
             for number in $(seq 0 499); do mkdir many/$number; done
             ln -s /tmp/outside boot; ln -s ../../../../../../tmp/outside srv
             ln -s ../../tmp/outside relative; ln -s loop loop; ln -s / to-root
             mkfifo fifo; mknod device b 7 0; : >file; mkdir \"$(printf 'a\\033[2Jb')\""
        ));
        fs::write(top.join("etc/fstab"), fstab).unwrap();
    };
    filled(&root, fill);
    let table = "label: gpt\nsize=32MiB, type=L\nsize=16MiB, type=L\n";
    let image = disk("/tmp/evil.img", 60, table, &[(1, &root), (2, &data)]);
    let before = copy(&image);
    let outside = crate::snapshot::Snapshot::of(Path::new("/tmp/outside"));
    let output = run(&["mount", "/tmp/evil.img"]);
    output.code(0).stderr_has("a\\x1b[2Jb");
    assert!(!output.stderr.contains('\x1b'), "{}", output.stderr);
    let table = sh("findmnt -rno TARGET");
    let astray: Vec<&str> = table
        .lines()
        .filter(|line| line.contains("outside") && !line.starts_with("/mnt/"))
        .collect();
    assert!(astray.is_empty(), "{astray:?}");
    assert!(mounted("/mnt").lines().count() <= 200);
    fs::metadata("/mnt/home/is-data").unwrap();
    crate::snapshot::Snapshot::of(Path::new("/tmp/outside")).assert_same(&outside);
    run(&["umount", "/mnt"]).code(0);
    nothing_left(&image);
    same(&image, &before);

    // fstab, crypttab and os-release that are no files.
    for name in ["fstab", "crypttab"] {
        for make in [
            "mkfifo NAME",
            "mknod NAME c 1 5",
            "ln -s /tmp/outside/fstab NAME",
            "ln -s NAME NAME",
            "mkdir NAME",
            "ln -s /dev/zero NAME",
        ] {
            let script = make.replace("NAME", name);
            filled(&root, |top| {
                sh(&format!(
                    "cd {}/etc; rm -rf {name}; {script}",
                    top.display()
                ));
            });
            let output = run(&["mount", "/tmp/root"]);
            output.code(0);
            assert!(
                !output.stderr.contains("outside"),
                "{script}: {}",
                output.stderr
            );
            run(&["umount", "/tmp/root"]).code(0);
        }
    }
    // Its etc is a link out.
    filled(&root, |top| {
        sh(&format!(
            "cd {}; mv etc real; ln -s /tmp/outside etc; rm -rf tmp/outside; ln -s /real tmp/outside",
            top.display()
        ));
    });
    run(&["mount", "/tmp/root"]).code(0);
    run(&["umount", "/tmp/root"]).code(0);
    nothing_left(&root);
}

/// With --network: the programs that fstab asks for are started for what is on a list only, and
/// with no word of the disk's choice that is on none.
fn hostile_network() {
    let lines = [
        "u@127.0.0.1:/x /a fuse.sshfs ssh_command=/tmp/evil 0 0",
        "sh#/tmp/evil /b fuse _netdev 0 0",
        "/tmp/evil#x /c fuse.evil _netdev 0 0",
        "127.0.0.1:/x /d nfs helper=/tmp/evil 0 0",
        "127.0.0.1:/x /e nfs bg,uhelper=evil,x-systemd.requires=evil 0 0",
        "-o:/x /f nfs defaults 0 0",
        "//127.0.0.1/x /g cifs guest,credentials=/etc/shadow 0 0",
        "/dev/sda /h ext4 _netdev,X-mount.mkdir=/tmp/evil 0 0",
        "127.0.0.1:/good /i nfs defaults,bg,X-mount.mkdir 0 0",
    ];
    let root = ext4("/tmp/net.img", "", |top| {
        system(top, DEBIAN, "net", &lines.join("\n"));
        for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            fs::create_dir(top.join(name)).unwrap();
        }
        // Out of the target, where it is followed.
        std::os::unix::fs::symlink("/tmp/outside", top.join("i")).unwrap();
        fs::create_dir_all(top.join("tmp/outside")).unwrap();
    });
    fs::create_dir("/tmp/outside").unwrap();
    executable("/tmp/evil", b"#!/bin/sh\ntouch /tmp/was-run\n");
    // It stands for mount(8) of the live system, and tells what it was asked for.
    executable(
        "/tmp/mount",
        b"#!/bin/sh\n(for word; do echo \"$word\"; done; readlink -f \"$7\") >>/tmp/asked; exit 32\n",
    );
    sh("mount --bind /tmp/mount \"$(readlink -f \"$(command -v mount)\")\"");
    let output = run(&["mount", "--network", "/tmp/net.img"]);
    sh("umount \"$(readlink -f \"$(command -v mount)\")\"");
    output
        .code(0)
        .stderr_has("/a is left out: newroot mounts nfs and cifs only")
        .stderr_has("/d is left out: its option helper is not passed on")
        .stderr_has("/f is left out: that is no source of nfs")
        .stderr_has("/i is MISSING");
    let asked = fs::read_to_string("/tmp/asked").unwrap();
    let words: Vec<&str> = asked.lines().collect();
    let [rest @ .., place, real] = words.as_slice() else {
        panic!("{asked}");
    };
    assert_eq!(
        *rest,
        [
            "-t",
            "nfs",
            "-o",
            "nosuid,nodev,ro",
            "--",
            "127.0.0.1:/good"
        ]
    );
    assert!(place.starts_with("/proc/"), "{place}");
    assert_eq!(*real, "/mnt/tmp/outside", "inside of the target");
    fs::metadata("/tmp/was-run").unwrap_err();
    run(&["umount", "net"]).code(0);
    nothing_left(&root);
}
