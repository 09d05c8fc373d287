//! The end: everything is unmounted plainly, and whoever is in the way is named.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{child_of, code, enter, root, started};
use crate::fixture;
use crate::need::Need;
use crate::run::newroot;
use crate::strace;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let busybox = Need::Command("busybox");
    let strace = Need::Command("strace");
    vec![
        Trial::new(
            "enter::no_lazy_unmount_without_a_holder",
            &[busybox, strace],
            no_lazy_unmount,
        ),
        Trial::new(
            "enter::a_holder_in_the_namespace_is_named",
            &[Need::Command("nsenter")],
            holder_in_the_namespace,
        ),
        Trial::new(
            "enter::a_holder_of_a_file_is_named",
            &[busybox],
            holder_of_a_file,
        ),
        Trial::new(
            "enter::the_host_can_unmount_meanwhile",
            &[busybox],
            host_unmounts,
        ),
        Trial::new(
            "enter::pivots_where_the_root_is_no_mount_point",
            &[busybox],
            pivot_from_a_stage,
        ),
        Trial::new("enter::daemons_end_with_the_command", &[busybox], daemons),
    ]
}

fn no_lazy_unmount() {
    let root = root();
    // Mounts of the root's own go along, and away again.
    let data = root.join("tmp");
    let status = Command::new("mount")
        .args(["-t", "tmpfs", "data"])
        .arg(&data)
        .status()
        .unwrap();
    assert!(status.success());
    let log = Path::new("/tmp/log");
    let run = enter(&["/mnt/r", "sh", "-c", "mount | grep -c ' /tmp '"]);
    strace::traced(run, "pivot_root,umount2", log)
        .run()
        .code(0)
        .stdout_is("1\n");
    let text = std::fs::read_to_string(log).unwrap();
    assert!(text.contains("pivot_root("), "{text}");
    assert!(text.contains("umount2("), "{text}");
    assert!(!text.contains("MNT_DETACH"), "{text}");
    assert!(!text.contains(" = -1 "), "{text}");
    Command::new("umount").arg(&data).status().unwrap();
}

fn holder_in_the_namespace() {
    fixture::glibc_root(Path::new("/mnt/g"), &["sh", "sleep"]);
    let script = "echo ready; exec sleep 1";
    let mut child = started(&["/mnt/g", "sh", "-c", script]);
    let init = child_of(child.id()).to_string();
    let mut holder = Command::new("nsenter")
        .args(["-t", &init, "-m", "sleep", "1000"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(code(&mut child), 122);
    let dry = newroot(["-n", "cleanup"]).run();
    dry.code(0).stdout_has("lsns ");
    // It is still there: cleanup says who, and does not pretend.
    let line = format!("process {} (/bin/sleep)", holder.id());
    newroot(["cleanup"]).run().code(122).stderr_has(&line);
    newroot(["ps"]).run().code(0).stdout_has("dead");
    holder.kill().unwrap();
    holder.wait().unwrap();
    newroot(["cleanup"])
        .run()
        .code(0)
        .stderr_has("nothing is left");
    assert!(super::records().is_empty());
}

fn holder_of_a_file() {
    root();
    // Somebody who has a file of the host's /sys open holds nothing of the session.
    let mut bystander = Command::new("sh")
        .args(["-c", "exec 5</sys/kernel; exec sleep 1000"])
        .spawn()
        .unwrap();
    crate::enter::until("it is open", || {
        std::fs::metadata(format!("/proc/{}/fd/5", bystander.id())).is_ok()
    });
    enter(&["/mnt/r", "ls", "/sys"]).run().code(0).stderr_is("");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    let script = "echo ready; sleep 1";
    let run = enter(&["--status", "/mnt/status", "/mnt/r", "sh", "-c", script]);
    let mut child = {
        use std::io::{BufRead as _, BufReader};
        let err = std::fs::File::create("/mnt/stderr").unwrap();
        let mut child = run.spawn(Stdio::null(), Stdio::piped(), err.into());
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        child
    };
    let init = child_of(child.id());
    // Its root is the host's; only a descriptor is on the session's /run.
    let mut holder = Command::new("sh")
        .args([
            "-c",
            &format!("exec 5</proc/{init}/root/run; exec sleep 1000"),
        ])
        .spawn()
        .unwrap();
    assert_eq!(code(&mut child), 122);
    let sleep = crate::need::find_program("sleep").unwrap();
    let sleep = std::fs::canonicalize(sleep).unwrap();
    let line = format!("process {} ({})", holder.id(), sleep.display());
    let text = std::fs::read_to_string("/mnt/stderr").unwrap();
    assert!(text.contains(&line), "{text}");
    assert!(text.contains("open file 5"), "{text}");
    let status = std::fs::read_to_string("/mnt/status").unwrap();
    assert!(status.contains("\"cleanup\":\"incomplete\""), "{status}");
    holder.kill().unwrap();
    holder.wait().unwrap();
    newroot(["cleanup"]).run().code(0);
}

/// A private copy of the host's mounts would keep the device busy; a slave lets it go.
fn host_unmounts() {
    root();
    let mount = |words: &[&str]| {
        let status = Command::new("mount").args(words).status().unwrap();
        assert!(status.success());
    };
    std::fs::create_dir("/mnt/disk").unwrap();
    mount(&["-t", "tmpfs", "disk", "/mnt/disk"]);
    // As on a machine with systemd: everything is shared.
    mount(&["--make-rshared", "/"]);
    let before = crate::leak::mounts();
    let script = "mount -t tmpfs inner /tmp; echo ready; exec sleep 1000";
    let mut pivoted = started(&["/mnt/r", "sh", "-c", script]);
    let mut child = started(&["--mode", "chroot", "/mnt/r", "sh", "-c", script]);
    // Not even while it runs, and not what the command itself mounts.
    assert_eq!(crate::leak::mounts(), before);
    let init = child_of(child.id());
    let seen = |pid: u32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
        text.contains(" /mnt/disk ")
    };
    assert!(seen(child.id()));
    let status = Command::new("umount").arg("/mnt/disk").status().unwrap();
    assert!(status.success());
    assert!(!seen(child.id()) && !seen(init));
    for child in [&mut child, &mut pivoted] {
        super::signal(child, rustix::process::Signal::TERM);
        assert_eq!(code(child), 143);
    }
    // And nothing came back to the host.
    let host = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!host.contains("/mnt/r"), "{host}");
    mount(&["--make-rprivate", "/"]);
}

/// In a chroot pivot_root(2) says EINVAL, as it does on the initramfs.
fn pivot_from_a_stage() {
    let outer = Path::new("/mnt/outer");
    fixture::busybox_root(outer);
    fixture::busybox_root(&outer.join("mnt/r"));
    std::fs::create_dir_all(outer.join("run/newroot")).unwrap();
    let program = outer.join("bin/newroot");
    std::fs::copy(std::env::var_os("NEWROOT_BIN").unwrap(), &program).unwrap();
    let mount = |kind: &str, target: &str| {
        let status = Command::new("mount")
            .args(["-t", kind, kind])
            .arg(outer.join(target))
            .status()
            .unwrap();
        assert!(status.success());
    };
    mount("proc", "proc");
    let log = Path::new("/tmp/log");
    std::fs::set_permissions(
        outer.join("run/newroot"),
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .unwrap();
    let run = enter(&[
        "/mnt/r",
        "sh",
        "-c",
        "mount | cut -d' ' -f3 | head -1; cat /proc/1/mounts | grep -c outer; ls /",
    ])
    .program("/bin/newroot")
    .through(["chroot", "/mnt/outer"]);
    let output = strace::traced(run, "pivot_root,umount2,chroot", log).run();
    let text = std::fs::read_to_string(log).unwrap();
    // Its root is the root given, and no name leads to the outer one.
    output.code(0).stdout_has("/\n0\n").stdout_has("\nproc\n");
    let pivots: Vec<bool> = text
        .lines()
        .filter(|line| line.contains("pivot_root("))
        .map(|line| line.ends_with(" = 0"))
        .collect();
    assert_eq!(pivots, [false, true], "{text}");
    assert!(text.contains("EINVAL"), "{text}");
    assert!(!text.contains("MNT_DETACH"), "{text}");
    Command::new("umount")
        .arg(outer.join("proc"))
        .status()
        .unwrap();
}

fn daemons() {
    root();
    // A daemon that wants to end politely gets the chance; one that does not is killed.
    let script = "sh -c 'trap \"echo polite > /tmp/end; exit\" TERM; while :; do sleep 0.05; done' & \
                  sh -c 'trap \"\" TERM; while :; do sleep 0.05; done' & sleep 0.3; exit 4";
    enter(&["/mnt/r", "sh", "-c", script]).run().code(4);
    let end = std::fs::read_to_string("/mnt/r/tmp/end").unwrap();
    assert_eq!(end, "polite\n");
}
