//! Systems made to trap the doctor: it ends, says what it can, and reads nothing of the host.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::disk::{self, sh};
use crate::need::Need;
use crate::run::newroot;
use crate::trial::Trial;

/// What the doctor reads. The last ones are directories as a rule.
const READ: &[&str] = &[
    "etc/fstab",
    "etc/crypttab",
    "etc/passwd",
    "etc/shadow",
    "etc/group",
    "etc/sudoers",
    "etc/sudoers.d/more",
    "etc/hostname",
    "etc/machine-id",
    "etc/ld.so.cache",
    "etc/ld.so.conf",
    "etc/ld.so.conf.d/more.conf",
    "etc/ld.so.preload",
    "etc/selinux/config",
    "etc/pam.d/login",
    "etc/pam.d/common-auth",
    "etc/ssh/ssh_host_rsa_key",
    "boot/grub/grub.cfg",
    "boot/grub/grubenv",
    "boot/grub/i386-pc/normal.mod",
    "boot/grub2/grub.cfg",
    "boot/loader/entries/one.conf",
    "boot/extlinux/extlinux.conf",
    "boot/efi/EFI/debian/grubx64.efi",
    "boot/efi/EFI/debian/grub.cfg",
    "boot/vmlinuz-6.1.0",
    "boot/initrd.img-6.1.0",
    "usr/lib/modules/6.1.0/modules.dep",
    "usr/bin/program",
    "usr/bin/sh",
    "usr/sbin/init",
    "usr/lib/libmore.so.1",
    "usr/lib/ld-linux-x86-64.so.2",
    "var/lib/dpkg/status",
    "var/lib/dpkg/updates/0001",
    "var/lib/dpkg/info/more.list",
    "var/lib/dpkg/info/more.md5sums",
    "var/lib/dpkg/triggers/Unincorp",
    "var/lib/pacman/local/more-1-1/desc",
    "var/lib/pacman/local/more-1-1/files",
    "var/lib/pacman/local/more-1-1/mtree",
    "var/lib/pacman/db.lck",
    "var/lib/rpm/rpmdb.sqlite",
    "usr/lib/sysimage/rpm/rpmdb.sqlite",
    "usr/lib/sysimage/rpm/Packages.db",
    "var/lib/rpm/Packages",
    "lib/apk/db/installed",
    "var/log/journal/0123456789abcdef0123456789abcdef/system.journal",
    "var/log/wtmp",
    "var/lib/systemd/pstore/1/dmesg.txt",
    "var/backups/newroot/1/unfinished",
    "etc/pam.d",
    "etc/sudoers.d",
    "boot/loader/entries",
    "boot/grub",
    "boot",
    "usr/lib/modules",
    "usr/lib",
    "var/lib/dpkg/info",
    "var/lib/dpkg",
    "var/log/journal",
    "var",
    "proc",
    "tmp",
];

/// How a path is replaced: `AT` is where. What lies outside is a FIFO and a file with a word in it.
const TRAPS: &[(&str, &str)] = &[
    ("a FIFO", "mkfifo AT"),
    ("endless zeros", "mknod AT c 1 5"),
    ("a block device", "mknod AT b 7 0"),
    (
        "a socket",
        "python3 -c 'import socket,sys;socket.socket(socket.AF_UNIX).bind(sys.argv[1])' AT",
    ),
    ("a link to itself", "ln -s $(basename AT) AT"),
    (
        "a link round and round",
        "ln -s ../../$(basename $PWD)/AT AT",
    ),
    ("a link out, to a FIFO", "ln -s /tmp/outside/fifo AT"),
    ("a link out, to a file", "ln -s /tmp/outside/secret AT"),
    (
        "a link out, relative",
        "ln -s ../../../../../../../../tmp/outside/secret AT",
    ),
    (
        "a link out through /proc",
        "ln -s /proc/self/root/tmp/outside/fifo AT",
    ),
    ("a link to the top", "ln -s / AT"),
    ("a directory", "mkdir AT"),
    ("nothing to read", ": >AT; chmod 0 AT"),
    ("4 GiB without a byte", "truncate -s 4G AT"),
    ("noise", "head -c 300000 /dev/urandom >AT"),
    (
        "one line of 8 MiB",
        "head -c 8388608 /dev/zero | tr '\\0' a >AT",
    ),
    ("a million short lines", "yes : | head -n 1000000 >AT"),
    (
        "control characters",
        "printf 'a\\033]0;pwned\\007:\\033[2J\\r\\n\\tb \\033c /\\033[31m x\\n%.0s' $(seq 2000) >AT",
    ),
    (
        "an ELF header and noise",
        "{ head -c 64 /bin/true; head -c 5000 /dev/urandom; } >AT; chmod 755 AT",
    ),
    (
        "half a program",
        "head -c 20000 /bin/true >AT; chmod 755 AT",
    ),
];

pub(super) fn trials() -> Vec<Trial> {
    let python = [Need::Command("python3")];
    vec![
        Trial::new("doctor::traps_everywhere", &python, traps_everywhere)
            .timeout(Duration::from_secs(600)),
        Trial::new("doctor::one_trap_at_a_time", &python, one_trap_at_a_time)
            .timeout(Duration::from_secs(900)),
        Trial::new(
            "doctor::names_that_forge_lines",
            &[],
            names_that_forge_lines,
        ),
    ]
}

/// A small system that has whatever the doctor looks for.
fn innocent(top: &Path) {
    disk::system(top, disk::DEBIAN, "trap", "");
    for path in READ {
        let path = top.join(path);
        if fs::symlink_metadata(&path).is_err() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "x\n").unwrap();
        }
    }
    // Whatever is replaced, this stays a system.
    fs::remove_file(top.join("etc/os-release")).unwrap();
    fs::write(top.join("etc/os-release"), disk::DEBIAN).unwrap();
}

fn outside() {
    sh(
        "rm -rf /tmp/outside; mkdir /tmp/outside; cd /tmp/outside; mkfifo fifo; echo 'root:GEHEIM:0:0::/:/bin/GEHEIM' >secret",
    );
}

/// It ends, by itself, with a report; nothing of the host is in it, and nothing that moves a cursor.
fn ends_well(top: &Path, what: &str) {
    let run = |words: &[&str]| {
        let words = words.iter().map(OsStr::new).chain([top.as_os_str()]);
        newroot(words).timeout(Duration::from_secs(30)).run()
    };
    let json = run(&["doctor", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&json.stdout)
        .unwrap_or_else(|error| panic!("{what}: {error}\n{}\n{}", json.stdout, json.stderr));
    let code = i32::from(report["errors"] != 0);
    let text = run(&["doctor", "-v"]);
    // In JSON names are as they are, in JSON's own escapes.
    let raw = |c: char| c.is_ascii_control() && c != '\n' && c != '\x7f';
    let moves = |c: char| c.is_control() && c != '\n';
    for (run, moves) in [(json, &raw as &dyn Fn(char) -> bool), (text, &moves)] {
        run.code(code).stderr_is("");
        let bad = run.stdout.contains("GEHEIM") || run.stdout.contains(moves);
        assert!(!bad, "{what}\n{}", run.stdout);
        assert!(run.stdout.len() < 1 << 20, "{what}: {}", run.stdout.len());
    }
}

fn replace(top: &Path, path: &str, deed: &str) {
    let deed = deed.replace("AT", &format!("./{path}"));
    // What lay above may be a trap by now.
    sh(&format!(
        "cd {}; [ -d \"$(dirname ./{path})\" ] || exit 0; rm -rf ./{path}; {deed}",
        top.display()
    ));
}

fn traps_everywhere() {
    outside();
    for (what, deed) in TRAPS {
        let top = tempfile::tempdir_in("/tmp").unwrap();
        innocent(top.path());
        let files = READ.iter().take_while(|path| **path != "etc/pam.d");
        for path in files {
            replace(top.path(), path, deed);
        }
        ends_well(top.path(), what);
    }
}

fn one_trap_at_a_time() {
    outside();
    for path in READ {
        // Every third trap for each path, beginning with another one each time.
        let first = path.len() % 3;
        for (what, deed) in TRAPS.iter().skip(first).step_by(3) {
            let top = tempfile::tempdir_in("/tmp").unwrap();
            innocent(top.path());
            replace(top.path(), path, deed);
            ends_well(top.path(), &format!("{path}: {what}"));
        }
    }
}

fn names_that_forge_lines() {
    let top = tempfile::tempdir_in("/tmp").unwrap();
    innocent(top.path());
    let name = "$(printf 'lib\\033[2J\\nERROR 9: x\\n.so.1')";
    sh(&format!(
        "cd {}; head -c 64 /bin/true >usr/lib/\"{name}\"; head -c 64 /bin/true >usr/bin/\"{name}\"; \
         head -c 9 /bin/true >boot/\"vmlinuz-6.{name}\"; mkdir usr/lib/modules/\"6.{name}\"; \
         printf 'UUID=x /%s ext4\\n' \"{name}\" >>etc/fstab; printf '%s:x:y\\n' \"{name}\" >>etc/passwd",
        top.path().display()
    ));
    ends_well(top.path(), "names");
}
