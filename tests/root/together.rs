//! Others at the same disks: a colleague who mounts one while newroot looks into it, a program
//! that has a device open, a second newroot. Nobody's work fails for it.

use std::fs::OpenOptions;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::disk::{DEBIAN, cut_off, disk, filesystem, filled, sh, system};
use crate::holder::Holder;
use crate::need::Need;
use crate::run::newroot;
use crate::strace::slowed;
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    let ext4 = [Need::Loop, Need::Fs("ext4"), Need::Command("sfdisk")];
    let strace = [Need::Loop, Need::Fs("ext4"), Need::Command("strace")];
    vec![
        Trial::new(
            "together::a_colleague_mounts_it",
            &strace,
            a_colleague_mounts_it,
        ),
        Trial::new(
            "together::another_namespace_mounts_it",
            &strace,
            another_namespace_mounts_it,
        ),
        Trial::new(
            "together::who_has_the_loop_open",
            &ext4,
            who_has_the_loop_open,
        ),
        Trial::new(
            "together::who_takes_the_device_next",
            &strace,
            who_takes_the_device_next,
        ),
        Trial::new("together::two_scans_at_once", &ext4, two_scans_at_once),
    ]
}

/// A device with one system on it.
fn device(image: &str, host: &str) -> String {
    let image = filesystem(image, 16, "mkfs.ext4 -q");
    filled(&image, |top| system(top, DEBIAN, host, ""));
    let device = sh(&format!("losetup --find --show {}", image.display()));
    device.trim().to_string()
}

/// Whether a process has a directory of the filesystem on `device` open, mounted from the device
/// itself or from a loop device over it. O_EXCL would tell as well, but would be in the way itself.
fn is_looked_into(device: &str) -> bool {
    let over = sh(&format!("losetup -n -O NAME -j {device}"));
    let numbers: Vec<u64> = std::iter::once(device)
        .chain(over.lines().map(str::trim))
        .filter_map(|device| Some(std::fs::metadata(device).ok()?.rdev()))
        .collect();
    let list = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten();
    list(Path::new("/proc"))
        .flat_map(|process| list(&process.path().join("fd")))
        .any(|fd| std::fs::metadata(fd.path()).is_ok_and(|meta| numbers.contains(&meta.dev())))
}

fn exclusive(device: &str) -> Option<std::fs::File> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(nix::libc::O_EXCL);
    options.open(device).ok()
}

#[track_caller]
fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if happened() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{what}: it did not happen");
}

/// Starts `run` slowly, and does `deed` once the look into `device` is open.
fn during_the_look(arguments: &[&str], device: &str, deed: impl FnOnce()) -> (i32, String, String) {
    let run = slowed(newroot(arguments), "fsmount", 1);
    let child = run.spawn(Stdio::null(), Stdio::piped(), Stdio::piped());
    wait_for("the look", || is_looked_into(device));
    deed();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn a_colleague_mounts_it() {
    let (first, second) = (device("/tmp/one.img", "one"), device("/tmp/two.img", "two"));
    let mount = || {
        sh(&format!("mount -o ro,noload {first} /mnt"));
    };
    let (code, stdout, stderr) =
        during_the_look(&["scan", "--json", &first, &second], &first, mount);
    assert_eq!(code, 0, "{stderr}");
    let found: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(found["systems"].as_array().unwrap().len(), 2, "{found:#}");
    assert!(
        found["notes"][0]
            .as_str()
            .unwrap()
            .contains("was mounted on /mnt"),
        "{found:#}"
    );
    sh("umount /mnt");
    sh(&format!("losetup -d {first}; losetup -d {second}"));
}

fn another_namespace_mounts_it() {
    let device = device("/tmp/one.img", "one");
    let script = format!("mount -o ro,noload {device} /mnt && exec sleep 1000");
    let mut colleague = None;
    let mut mount = || {
        let child = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", &script])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let comm = format!("/proc/{}/comm", child.id());
        wait_for("sleep", || {
            std::fs::read_to_string(&comm).is_ok_and(|comm| comm == "sleep\n")
        });
        colleague = Some(child);
    };
    let arguments = ["mount", "--read-write", device.as_str()];
    let (code, _, stderr) = during_the_look(&arguments, &device, &mut mount);
    let mut colleague = colleague.unwrap();
    assert_eq!(code, 125, "{stderr}");
    let holder = format!("sleep, pid {}", colleague.id());
    assert!(stderr.contains(&holder), "{stderr}");
    assert!(!stderr.contains("did not close"), "{stderr}");
    newroot(["scan", "--json", &device])
        .run()
        .code(0)
        .stdout_has(&format!("\"pid\": {}", colleague.id()));
    colleague.kill().unwrap();
    colleague.wait().unwrap();
    newroot(["mount", "--read-write", &device]).run().code(0);
    newroot(["umount", &device]).run().code(0);
    sh(&format!("losetup -d {device}"));
}

/// A loop device of newroot's own that somebody has open does not go: 122, and who it is.
fn who_has_the_loop_open() {
    let root = filesystem("/tmp/root", 16, "mkfs.ext4 -q");
    filled(&root, |top| system(top, DEBIAN, "web03", ""));
    let table = "label: gpt\nsize=16MiB, type=L\n";
    let image = disk("/tmp/disk.img", 20, table, &[(1, &root)]);
    let shown = image.display();
    newroot(["mount", "/tmp/disk.img"]).run().code(0);
    let own = sh("findmnt -rno SOURCE /mnt | tail -n 1");
    let holder = Holder::of_file(std::fs::File::open(own.trim()).unwrap());
    newroot(["umount", "/mnt"])
        .run()
        .code(122)
        .stderr_has(&format!("process {} (", holder.pid()))
        .stderr_has(own.trim())
        .stderr_has("newroot umount");
    let mounted = sh("findmnt -rno FSTYPE /mnt");
    assert!(!mounted.contains("ext4"), "what can go is gone: {mounted}");
    drop(holder);
    newroot(["umount", "/mnt"]).run().code(0);
    assert_eq!(sh(&format!("losetup -n -O NAME -j {shown}")), "");
}

/// What somebody does with a device that is free again is no business of ours.
fn who_takes_the_device_next() {
    let device = device("/tmp/one.img", "one");
    newroot(["mount", &device]).run().code(0);
    let umount = slowed(newroot(["umount", "/mnt"]), "umount2", 1);
    let child = umount.spawn(Stdio::null(), Stdio::piped(), Stdio::piped());
    let mut taken = None;
    wait_for("umount", || {
        taken = exclusive(&device);
        taken.is_some()
    });
    let holder = Holder::of_file(taken.unwrap());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let who = format!("{device} is in use by process {} (", holder.pid());
    assert!(stderr.contains(&who), "{stderr}");
    newroot(["ps"]).run().code(0).stdout_is("");
    drop(holder);
    sh(&format!("losetup -d {device}"));
}

/// Two that look, one that mounts and writes: the same disks, again and again.
fn two_scans_at_once() {
    let root = filesystem("/tmp/root", 16, "mkfs.ext4 -q");
    filled(&root, |top| system(top, DEBIAN, "web03", ""));
    // Files that were deleted while open: the look goes through a loop device of its own.
    cut_off(&root, |top| {
        let open = std::fs::File::create(top.join("var/log/deleted")).unwrap();
        open.set_len(1 << 20).unwrap();
        std::fs::remove_file(top.join("var/log/deleted")).unwrap();
        sh(&format!("sync -f {}", top.display()));
        Some(open)
    });
    let table = "label: gpt\nsize=16MiB, type=L\n";
    let image = disk("/tmp/disk.img", 20, table, &[(1, &root)]);
    let whole = sh(&format!("losetup --find --show {}", image.display()));
    let plain = device("/tmp/two.img", "two");
    let work = [
        vec!["scan", "--json", whole.trim(), &plain],
        vec!["scan", "--json", &plain, whole.trim()],
        vec!["mount", "--read-write", &plain],
    ];
    std::thread::scope(|scope| {
        for arguments in &work {
            scope.spawn(move || {
                for _ in 0..8 {
                    let output = newroot(arguments).run();
                    output.code(0);
                    if arguments.contains(&"mount") {
                        std::fs::write("/mnt/etc/written", "").unwrap();
                        newroot(["umount", "/mnt"])
                            .run()
                            .code(0)
                            .stderr_has("(checked)");
                        continue;
                    }
                    let found: Value = serde_json::from_str(&output.stdout).unwrap();
                    let systems = found["systems"].as_array().unwrap().len();
                    assert_eq!(systems, 2, "{found:#}");
                }
            });
        }
    });
    sh(&format!("losetup -d {}; losetup -d {plain}", whole.trim()));
    let left = sh(&format!("losetup -n -O NAME -j {}", image.display()));
    assert_eq!(left, "");
}
