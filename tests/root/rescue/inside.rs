//! What programs of the target find.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use super::{as_debian, inside, rescue, target};
use crate::fixture;
use crate::need::Need;
use crate::snapshot::Snapshot;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let busybox = &[Need::Command("busybox")];
    let detectors = &[
        Need::Command("ischroot"),
        Need::Command("systemd-detect-virt"),
        Need::Command("env"),
    ];
    vec![
        Trial::new("rescue::everybody_sees_a_chroot", detectors, chroot),
        Trial::new("rescue::proc_is_the_sessions", busybox, proc),
        Trial::new("rescue::the_kernel_command_line", busybox, command_line),
        Trial::new("rescue::no_service_is_started", busybox, policy),
        Trial::new("rescue::run_has_no_sockets", busybox, run),
        Trial::new("rescue::read_only_until_yes", busybox, read_only),
        Trial::new("rescue::namespaces_that_stay_shared", busybox, namespaces),
        Trial::new("rescue::named_before_entering", busybox, named),
        Trial::new("rescue::exit_statuses", busybox, statuses),
        Trial::new("rescue::what_n_prints_does_the_same", busybox, script),
    ]
}

fn chroot() {
    let root = Path::new("/mnt/r");
    fixture::glibc_root(
        root,
        &["ischroot", "systemd-detect-virt", "env", "sh", "cat"],
    );
    as_debian(root);
    for wrap in ["", "env -i "] {
        for detector in ["ischroot", "systemd-detect-virt --chroot"] {
            inside(&format!("PATH=/bin; {wrap}/bin/{detector}; echo $?"))
                .run()
                .code(0)
                .stdout_is("0\n");
        }
    }
    inside("echo $SYSTEMD_IN_CHROOT $SYSTEMD_OFFLINE $debian_chroot")
        .run()
        .stdout_is("1 1 newroot:web03\n");
    // The same two outside say no: they can.
    for detector in [&["ischroot"][..], &["systemd-detect-virt", "--chroot"]] {
        let mut words = detector.iter();
        let status = std::process::Command::new(words.next().unwrap())
            .args(words)
            .status()
            .unwrap();
        assert!(!status.success(), "{detector:?}");
    }
}

fn proc() {
    target();
    inside("cat /proc/1/comm; echo $$; readlink /proc/self/exe; ls -d /proc/[0-9]* | wc -w")
        .run()
        .code(0)
        .stdout_is("newroot\n2\n/bin/busybox\n4\n");
}

fn command_line() {
    let root = target();
    let host = fs::read("/proc/cmdline").unwrap();
    let own = inside("cat /proc/cmdline; echo x >/proc/cmdline");
    own.run()
        .code(1)
        .stdout_is("root=UUID=3f2a ro\n")
        .stderr_has("/proc/cmdline");
    fs::remove_file(root.join("etc/kernel/cmdline")).unwrap();
    fs::create_dir_all(root.join("boot/grub")).unwrap();
    let grub = "menuentry x {\n linux /vmlinuz root=/dev/sda2 quiet\n}\n";
    fs::write(root.join("boot/grub/grub.cfg"), grub).unwrap();
    inside("cat /proc/cmdline")
        .run()
        .stdout_is("BOOT_IMAGE=/vmlinuz root=/dev/sda2 quiet\n");
    fs::remove_file(root.join("boot/grub/grub.cfg")).unwrap();
    inside("cat /proc/cmdline")
        .run()
        .stdout_is(&String::from_utf8_lossy(&host))
        .stderr_has("that of the live system");
    assert_eq!(fs::read("/proc/cmdline").unwrap(), host);
}

fn policy() {
    let root = target();
    let before = Snapshot::of(&root);
    let run = "/usr/sbin/policy-rc.d; echo $?";
    inside(run).run().code(0).stdout_is("101\n");
    Snapshot::of(&root).assert_same_but_times(&before);
    // One that is there is covered, and stays as it is.
    let own = root.join("usr/sbin/policy-rc.d");
    fs::write(&own, "#!/bin/sh\nexit 0\n").unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o755)).unwrap();
    inside(run).run().stdout_is("101\n");
    rescue(&["--read-only", "/mnt/r", "--", "sh", "-c", run])
        .run()
        .stdout_is("101\n");
    assert_eq!(fs::read_to_string(&own).unwrap(), "#!/bin/sh\nexit 0\n");
    // What the command made of it is the command's.
    fs::remove_file(&own).unwrap();
    inside("echo mine >/usr/sbin/policy-rc.d").run().code(0);
    assert_eq!(fs::read_to_string(&own).unwrap(), "mine\n");
    fs::remove_file(&own).unwrap();
    // No Debian, or nothing may be written: nothing is made.
    rescue(&["--read-only", "/mnt/r", "--", "ls", "/usr/sbin"])
        .run()
        .stdout_is("");
    fs::write(root.join("etc/os-release"), "ID=arch\n").unwrap();
    inside("ls /usr/sbin").run().stdout_is("");
}

fn run() {
    target();
    for name in ["lock/x", "lvm", "dbus", "udev/data"] {
        fs::create_dir_all(Path::new("/run").join(name)).unwrap();
    }
    fs::write("/run/udev/data/b8:0", "E:ID=1\n").ok();
    let _socket = std::os::unix::net::UnixListener::bind("/run/dbus/socket").unwrap();
    let shown = inside("ls /run /run/lock; touch /run/lock/made /run/lvm/made /run/elsewhere")
        .run()
        .code(0)
        .stdout
        .clone();
    assert!(!shown.contains("dbus"), "{shown}");
    assert!(shown.contains("udev") && shown.contains("x\n"), "{shown}");
    assert!(Path::new("/run/lock/made").exists() && Path::new("/run/lvm/made").exists());
    assert!(!Path::new("/run/elsewhere").exists());
    inside("touch /run/udev/x").run().code(1);
}

fn read_only() {
    let root = target();
    let before = Snapshot::of(&root);
    rescue(&["/mnt/r", "--", "touch", "/new"])
        .run()
        .code(125)
        .stderr_has("nothing was changed")
        .stderr_has("newroot rescue /mnt/r --read-write -- COMMAND")
        .stderr_has("newroot rescue /mnt/r --read-only -- COMMAND");
    fs::create_dir(root.join("etc/below")).unwrap();
    let status = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "below", "/mnt/r/etc/below"])
        .status()
        .unwrap();
    assert!(status.success());
    for path in ["/new", "/etc/below/new"] {
        rescue(&["--read-only", "/mnt/r", "--", "touch", path])
            .run()
            .code(1)
            .stderr_has("Read-only");
        inside(&format!("touch {path}")).run().code(0);
    }
    rescue(&["-y", "/mnt/r", "--", "touch", "/yes"])
        .run()
        .code(0);
    assert!(root.join("yes").exists());
    std::process::Command::new("umount")
        .arg("/mnt/r/etc/below")
        .status()
        .unwrap();
    for made in ["new", "yes"] {
        fs::remove_file(root.join(made)).unwrap();
    }
    fs::remove_dir(root.join("etc/below")).unwrap();
    Snapshot::of(&root).assert_same_but_times(&before);
}

fn namespaces() {
    target();
    let host = |kind: &str| fs::metadata(format!("/proc/self/ns/{kind}")).unwrap().ino();
    for (kind, shared) in [("ipc", true), ("net", true), ("mnt", false), ("pid", false)] {
        let output = inside(&format!("readlink /proc/self/ns/{kind}")).run();
        let same = output.stdout.contains(&format!("[{}]", host(kind)));
        assert_eq!(same, shared, "{kind}: {}", output.stdout);
    }
}

fn named() {
    let root = target();
    let look = || rescue(&["--read-only", "/mnt/r", "--", "true"]).run();
    assert!(!look().stderr.contains("WARN"), "{}", look().stderr);
    fs::write(root.join("etc/fstab"), "UUID=1 /boot ext4 defaults 0 2\n").unwrap();
    look()
        .code(0)
        .stderr_has("WARN  /boot is empty")
        .stderr_has("fstab line 1");
    fs::write(root.join("boot/vmlinuz-1"), "k").unwrap();
    assert!(!look().stderr.contains("/boot is empty"));
    // The other firmware: this machine has one of the two.
    let uefi = Path::new("/sys/firmware/efi").exists();
    let modules = if uefi { "i386-pc" } else { "x86_64-efi" };
    fs::create_dir_all(root.join("boot/grub").join(modules)).unwrap();
    look()
        .stderr_has("WARN  web03 boots by")
        .stderr_has("way:  start the live medium again");
    // Another machine, and no shell that can start.
    let mut elf = fs::read(root.join("bin/busybox")).unwrap();
    elf[18] = 0xb7;
    fs::remove_file(root.join("bin/busybox")).unwrap();
    fs::write(root.join("bin/busybox"), elf).unwrap();
    let exe = root.join("bin/busybox");
    fs::set_permissions(&exe, fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["bash", "ls"] {
        symlink("busybox", root.join("bin").join(name)).ok();
    }
    look()
        .code(126)
        .stderr_has("its programs are for arm64")
        .stderr_has("no shell of it can start");
}

fn statuses() {
    target();
    inside("exit 9").run().code(9);
    inside("kill -9 $$").run().code(137);
    rescue(&["--read-write", "/mnt/r", "--", "no-such"])
        .run()
        .code(127);
    rescue(&["--read-write", "/mnt/r", "--", "/etc/passwd"])
        .run()
        .code(126);
    rescue(&["/mnt/none", "--", "ls"]).run().code(125);
    rescue(&["--status", "/tmp/s", "/mnt/r"]).run().code(2);
    rescue(&["--read-only", "--read-write", "/mnt/r"])
        .run()
        .code(2);
    // The menu needs somebody to ask.
    rescue(&["/mnt/r"])
        .run()
        .code(125)
        .stderr_has("no terminal")
        .stderr_has("--read-write -- COMMAND");
    rescue(&[
        "--read-write",
        "--status",
        "/tmp/s",
        "/mnt/r",
        "--",
        "sh",
        "-c",
        "exit 4",
    ])
    .run()
    .code(4);
    let status: serde_json::Value = serde_json::from_slice(&fs::read("/tmp/s").unwrap()).unwrap();
    assert_eq!(status["exited"], 4);
    assert_eq!(status["cleanup"], "complete");
    rescue(&[
        "--read-write",
        "--user",
        "nobody",
        "--env",
        "A=b",
        "-w",
        "/etc",
        "/mnt/r",
        "--",
        "sh",
        "-c",
        "id -u; echo $A; pwd",
    ])
    .run()
    .code(0)
    .stdout_is("65534\nb\n/etc\n");
    assert!(super::records().is_empty());
    let log = fs::metadata("/run/newroot/web03.log").unwrap();
    assert_eq!(log.permissions().mode() & 0o777, 0o600);
}

fn script() {
    let root = target();
    let words = ["-n", "rescue", "--read-write", "/mnt/r", "--", "sh", "-c"];
    let shows = "cat /proc/cmdline /proc/1/comm; /usr/sbin/policy-rc.d; echo $? $SYSTEMD_OFFLINE";
    let words = [&words[..], &[shows]].concat();
    let script = crate::run::newroot(&words).run().code(0).stdout.clone();
    let before = Snapshot::of(&root);
    let output = crate::run::newroot(["-e", "-c", &script])
        .program("/bin/bash")
        .run();
    output.code(0);
    let expected = inside(shows).run().stdout.clone();
    assert_eq!(output.stdout.replace("sh\n", "newroot\n"), expected);
    Snapshot::of(&root).assert_same_but_times(&before);
}
