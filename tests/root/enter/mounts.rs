//! What is mounted: the usual places, `--bind`, a root without mount points.

use std::path::Path;

use super::{enter, root};
use crate::fixture;
use crate::need::Need;
use crate::snapshot::Snapshot;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let needs = &[Need::Command("busybox")];
    vec![
        Trial::new("enter::the_usual_mounts", needs, usual),
        Trial::new("enter::binds", needs, binds),
        Trial::new("enter::an_empty_directory_with_usr", &[], empty_with_usr),
        Trial::new("enter::a_root_without_mount_points", needs, skeleton),
        Trial::new("enter::a_jail_gets_a_minimal_dev", needs, jail),
        Trial::new("enter::environment_and_user", needs, environment),
    ]
}

fn usual() {
    root();
    for mode in ["pivot", "chroot"] {
        let sh = |script: &str| enter(&["--mode", mode, "/mnt/r", "sh", "-c", script]).run();
        // The init, the shell, ps.
        let ps = sh("ps -o pid=; true");
        assert_eq!(ps.stdout.lines().count(), 3, "{}", ps.stdout);
        sh("touch /sys/x").code(1).stderr_has("Read-only");
        sh("touch /run/x /dev/shm/x && ls -d /run/lock && echo x > /dev/null").code(0);
        sh("cat /proc/1/comm").code(0).stdout_is("newroot\n");
        enter(&["--sys-rw", "--mode", mode, "/mnt/r", "sh", "-c", "mount"])
            .run()
            .stdout_has("sysfs on /sys type sysfs (rw,");
    }
    // /tmp is the root's own.
    enter(&["/mnt/r", "touch", "/tmp/mine"]).run().code(0);
    assert!(Path::new("/mnt/r/tmp/mine").try_exists().unwrap());
    assert!(!Path::new("/mnt/r/run/x").try_exists().unwrap());
}

fn binds() {
    root();
    std::fs::create_dir_all("/mnt/src/sub").unwrap();
    super::write("/mnt/src/file", "one\n");
    let mount = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "below", "/mnt/src/sub"])
        .status()
        .unwrap();
    assert!(mount.success());
    let run =
        |bind: &str, script: &str| enter(&["--bind", bind, "/mnt/r", "sh", "-c", script]).run();
    run("/mnt/src:/tmp", "cat /tmp/file; echo two > /tmp/new")
        .code(0)
        .stdout_is("one\n");
    assert_eq!(std::fs::read_to_string("/mnt/src/new").unwrap(), "two\n");
    // Read-only means all of it, and it stays so.
    run("/mnt/src:/tmp:ro", "touch /tmp/x")
        .code(1)
        .stderr_has("Read-only");
    run("/mnt/src:/tmp:ro", "touch /tmp/sub/x")
        .code(1)
        .stderr_has("Read-only");
    // A file on a file; a new place in our /run; a directory that the root lacks altogether.
    run("/mnt/src/file:/etc/passwd", "cat /etc/passwd")
        .code(0)
        .stdout_is("one\n");
    run("/mnt/src:/run/a/b", "cat /run/a/b/file")
        .code(0)
        .stdout_is("one\n");
    run("/mnt/src:/opt/a", "cat /opt/a/file")
        .code(0)
        .stdout_is("one\n");
    // Not in a part of the root that is there: nothing is ever made in it.
    run("/mnt/src:/etc/new", "true")
        .code(125)
        .stderr_has("mkdir -p /mnt/r/etc/new");
    run("/mnt/src:/etc/passwd", "true").code(125);
    assert!(!Path::new("/mnt/r/opt").try_exists().unwrap());
    std::process::Command::new("umount")
        .arg("/mnt/src/sub")
        .status()
        .unwrap();
}

fn empty_with_usr() {
    let root = Path::new("/mnt/empty");
    std::fs::create_dir(root).unwrap();
    let bind = if Path::new("/lib").is_symlink() {
        vec!["--bind", "/usr"]
    } else {
        vec![
            "--bind", "/usr", "--bind", "/lib", "--bind", "/lib64", "--bind", "/bin",
        ]
    };
    let words = [
        &bind[..],
        &[
            "/mnt/empty",
            "/bin/bash",
            "-c",
            "echo $BASH; ls -d /usr/bin /proc/1 /tmp",
        ],
    ]
    .concat();
    enter(&words)
        .run()
        .code(0)
        .stdout_is("/bin/bash\n/proc/1\n/tmp\n/usr/bin\n");
    assert_eq!(std::fs::read_dir(root).unwrap().count(), 0);
}

fn skeleton() {
    let root = root();
    for name in ["proc", "sys", "dev", "run"] {
        std::fs::remove_dir(root.join(name)).unwrap();
    }
    std::os::unix::fs::symlink("bin", root.join("link")).unwrap();
    super::write(root.join("file"), "in the root\n");
    let before = Snapshot::of(&root);
    enter(&[
        "/mnt/r",
        "sh",
        "-c",
        "cat /file; ls /link/sh; ls -d /proc/1; touch /new; cat /dev/null",
    ])
    .run()
    .code(0)
    .stderr_has("lacks /proc, /sys, /dev, /run")
    .stdout_is("in the root\n/link/sh\n/proc/1\n");
    before.assert_same(&Snapshot::of(&root));
}

fn jail() {
    let root = root();
    std::fs::create_dir(root.join(".newroot")).unwrap();
    super::write(root.join(".newroot/manifest.json"), "{}");
    let list =
        "fd\nfull\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n";
    enter(&["/mnt/r", "ls", "/dev"])
        .run()
        .code(0)
        .stdout_is(list);
    enter(&["--dev", "host", "/mnt/r", "ls", "/dev"])
        .run()
        .code(0)
        .stdout_has("loop-control");
}

fn environment() {
    let root = root();
    for name in ["env", "true"] {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(name)).unwrap();
    }
    let output = enter(&["--env", "A=b", "--env", "PASSED", "/mnt/r", "env"])
        .env("PASSED", "on")
        .env("SECRET", "x")
        .env("https_proxy", "http://proxy:1")
        .env("LD_PRELOAD", "")
        .run();
    output.code(0).stdout_has("\nA=b\n".trim_start());
    output
        .stdout_has("PASSED=on")
        .stdout_has("https_proxy=http://proxy:1");
    output
        .stdout_has("debian_chroot=newroot:r")
        .stdout_has("HOME=/root");
    assert!(!output.stdout.contains("SECRET") && !output.stdout.contains("LD_PRELOAD"));
    super::write(
        root.join("etc/passwd"),
        "root:x:0:0::/root:/bin/sh\nann:x:1234:5678::/home/ann:/bin/sh\n",
    );
    super::write(
        root.join("etc/group"),
        "root:x:0:\nann:x:5678:\nextra:x:99:bob,ann\n",
    );
    let id = |user: &str| {
        let words = [
            "--user",
            user,
            "/mnt/r",
            "sh",
            "-c",
            "id -u; id -g; id -G; echo $HOME $USER",
        ];
        enter(&words).run().code(0).stdout.clone()
    };
    assert_eq!(id("ann"), "1234\n5678\n5678 99\n/home/ann ann\n");
    assert_eq!(id("1234"), "1234\n5678\n5678 99\n/home/ann ann\n");
    assert_eq!(id("77:88"), "77\n88\n88\n/ 77\n");
    assert_eq!(id("root"), "0\n0\n0\n/root root\n");
    enter(&["--workdir", "/etc", "/mnt/r", "pwd"])
        .run()
        .code(0)
        .stdout_is("/etc\n");
    enter(&["--workdir", "/none", "/mnt/r", "pwd"])
        .run()
        .code(125);
    let _ = fixture::bare_root;
}
