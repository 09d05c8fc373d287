//! Disks in files: filesystems with systems on them, clean or as a power cut leaves them, and
//! partition tables around them. Everything lies in the sandbox's /tmp and is mounted there only.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs a program that has to succeed; what it printed.
pub(crate) fn sh(script: &str) -> String {
    let output = Command::new("sh")
        .args(["-euc", script])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}\n{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// A file of this many MiB without a byte in it.
pub(crate) fn empty(path: &str, mebibytes: u64) -> PathBuf {
    let file = fs::File::create(path).unwrap();
    file.set_len(mebibytes << 20).unwrap();
    path.into()
}

/// Makes a filesystem in a new file; `mkfs` is the command without the file.
pub(crate) fn filesystem(path: &str, mebibytes: u64, mkfs: &str) -> PathBuf {
    let image = empty(path, mebibytes);
    sh(&format!("{mkfs} {path} >/dev/null"));
    image
}

/// Mounts `image`, lets `fill` write to it, and unmounts it.
pub(crate) fn filled(image: &Path, fill: impl FnOnce(&Path)) {
    let point = mount(image, "rw");
    fill(&point);
    unmount(&point);
}

/// Mounts `image` in the sandbox.
pub(crate) fn mount(image: &Path, options: &str) -> PathBuf {
    let point = tempfile::tempdir_in("/mnt").unwrap().keep();
    let (image, at) = (image.display(), point.display());
    sh(&format!("mount -o loop,{options} {image} {at}"));
    point
}

/// Unmounts and takes the mount point away.
pub(crate) fn unmount(point: &Path) {
    sh(&format!("umount {}", point.display()));
    fs::remove_dir(point).unwrap();
}

/// What a power cut leaves: the image as it is while `busy` has done its work on the mounted
/// filesystem and the log is not written back. `busy` syncs what it wants to be there.
pub(crate) fn cut_off(image: &Path, busy: impl FnOnce(&Path) -> Option<fs::File>) {
    let point = mount(image, "rw");
    let open = busy(&point);
    let copy = image.with_extension("cut");
    sh(&format!(
        "cp --sparse=always {} {}",
        image.display(),
        copy.display()
    ));
    drop(open);
    unmount(&point);
    fs::rename(copy, image).unwrap();
}

/// An ext4 with a dirty journal, and a deleted file that is still open: the driver would replay
/// the one and take away the other. Without the replay `var/log/new` is not there.
pub(crate) fn unfinished(image: &Path) {
    cut_off(image, |top| {
        fs::write(top.join("var/log/new"), vec![7; 4096]).unwrap();
        let open = fs::File::create(top.join("var/log/deleted")).unwrap();
        open.set_len(1 << 20).unwrap();
        fs::remove_file(top.join("var/log/deleted")).unwrap();
        sh(&format!("sync -f {}", top.display()));
        Some(open)
    });
    let features = sh(&format!("dumpe2fs -h {} 2>/dev/null", image.display()));
    assert!(features.contains("needs_recovery"), "{features}");
    assert!(features.contains("First orphan inode"), "{features}");
}

/// A copy of an image, to compare with afterwards.
pub(crate) fn before(image: &Path) -> PathBuf {
    let copy = image.with_extension("before");
    let (from, to) = (image.display(), copy.display());
    sh(&format!("cp --sparse=always {from} {to}"));
    copy
}

/// A disk with a partition table (`script` is sfdisk's input) and content in its partitions.
pub(crate) fn disk(
    path: &str,
    mebibytes: u64,
    script: &str,
    content: &[(usize, &Path)],
) -> PathBuf {
    let disk = empty(path, mebibytes);
    let mut child = Command::new("sfdisk")
        .args(["--quiet", path])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success(), "{script}");
    let table = sh(&format!("sfdisk --dump {path}"));
    for (number, image) in content {
        let line = table
            .lines()
            .find(|line| line.starts_with(&format!("{path}{number} ")))
            .unwrap();
        let start = line
            .split("start=")
            .nth(1)
            .unwrap()
            .split(',')
            .next()
            .unwrap()
            .trim();
        let from = image.display();
        sh(&format!(
            "dd if={from} of={path} bs=512 seek={start} conv=notrunc,sparse status=none"
        ));
    }
    disk
}

/// Writes at an offset of a file.
pub(crate) fn poke(path: &Path, offset: u64, bytes: &[u8]) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, offset).unwrap();
}

/// The UUID that blkid reads from an image.
pub(crate) fn uuid(image: &Path) -> String {
    let tag = sh(&format!("blkid -p -o value -s UUID {}", image.display()));
    tag.trim().to_string()
}

/// A small system as distributions lay it out; `fstab` and `host` as given.
pub(crate) fn system(top: &Path, release: &str, host: &str, fstab: &str) {
    for directory in [
        "boot",
        "dev",
        "etc",
        "proc",
        "usr/bin",
        "usr/lib/modules",
        "usr/sbin",
        "var/lib",
        "var/log",
    ] {
        fs::create_dir_all(top.join(directory)).unwrap();
    }
    for (link, target) in [
        ("bin", "usr/bin"),
        ("sbin", "usr/sbin"),
        ("lib", "usr/lib"),
        ("etc/os-release", "../usr/lib/os-release"),
        ("usr/sbin/init", "/lib/systemd/systemd"),
    ] {
        symlink(target, top.join(link)).unwrap();
    }
    fs::copy("/bin/true", top.join("usr/bin/ls")).unwrap();
    fs::write(top.join("usr/lib/os-release"), release).unwrap();
    fs::write(top.join("etc/hostname"), format!("{host}\n")).unwrap();
    fs::write(top.join("etc/fstab"), fstab).unwrap();
}

/// A kernel with its modules; an initramfs where asked for.
pub(crate) fn kernel(top: &Path, version: &str, initramfs: bool) {
    fs::write(top.join(format!("boot/vmlinuz-{version}")), "kernel").unwrap();
    if initramfs {
        fs::write(top.join(format!("boot/initrd.img-{version}")), "initramfs").unwrap();
    }
    fs::create_dir_all(top.join("usr/lib/modules").join(version)).unwrap();
}

/// os-release of a Debian 12.
pub(crate) const DEBIAN: &str = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\n";
