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
        Trial::new("enter::a_bind_that_cannot_be_helps", needs, helps),
        Trial::new(
            "enter::binds_meet_links_and_each_other",
            needs,
            binds_meet_links_and_each_other,
        ),
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
    assert!(!Path::new("/mnt/r/opt").try_exists().unwrap());
    std::process::Command::new("umount")
        .arg("/mnt/src/sub")
        .status()
        .unwrap();
}

/// Each refusal names the next command to type.
fn helps() {
    root();
    std::fs::create_dir("/mnt/src").unwrap();
    super::write("/mnt/src/file", "");
    super::write("/mnt/src/a:b", "");
    std::os::unix::fs::symlink("nowhere", "/mnt/src/link").unwrap();
    let table: &[(&str, &[&str])] = &[
        (
            "/mnt/src/no/such:/tmp",
            &["ENOENT", "ls -l /mnt/src\n", "mkdir -p /mnt/src/no/such"],
        ),
        (
            "/mnt/src/link:/tmp",
            &["it is a link to nowhere", "ls -l /mnt/src\n"],
        ),
        ("/mnt/src/file/x:/tmp", &["ENOTDIR", "ls -l /mnt/src\n"]),
        (
            "/mnt/src/file:/tmp",
            &["/tmp in the root is one", "--bind /mnt/src/file:/tmp/file"],
        ),
        (
            "/mnt/src/a\\:b:/tmp",
            &["--bind '/mnt/src/a\\:b:/tmp/a\\:b'"],
        ),
        (
            "/mnt/src:/etc/passwd",
            &["/etc/passwd in the root is none", "--bind /mnt/src:DIR"],
        ),
        ("/mnt/src:/etc/new", &["mkdir -p /mnt/r/etc/new"]),
        ("/mnt/src/file:/etc/new", &["touch /mnt/r/etc/new"]),
    ];
    for (bind, words) in table {
        let output = enter(&["--bind", bind, "/mnt/r", "sh", "-c", "true"]).run();
        output.code(125);
        for word in *words {
            output.stderr_has(word);
        }
    }
    enter(&["/mnt/none"])
        .run()
        .code(125)
        .stderr_has("newroot scan");
}

/// Targets are looked for in the root as it is by then, with every link and earlier bind.
fn binds_meet_links_and_each_other() {
    let root = root();
    std::fs::create_dir_all(root.join("opt/sub")).unwrap();
    for dir in ["/mnt/src/in", "/mnt/other"] {
        std::fs::create_dir_all(dir).unwrap();
    }
    super::write("/mnt/src/f", "src\n");
    super::write("/mnt/other/f", "other\n");
    let link = |target: &str, at: &str| std::os::unix::fs::symlink(target, at).unwrap();
    link("/opt", "/mnt/r/directory");
    link("etc/passwd", "/mnt/r/file");
    link("/run/late", "/mnt/r/into-run");
    link("../../../../../../etc", "/mnt/r/up");
    link("in", "/mnt/src/inner");
    link("/etc", "/mnt/src/outer");
    let run = |binds: &[&str], words: &[&str]| {
        let options = binds.iter().flat_map(|bind| ["--bind", bind]);
        let words: Vec<&str> = options
            .chain(["/mnt/r"])
            .chain(words.iter().copied())
            .collect();
        enter(&words).run()
    };
    for (binds, file, text) in [
        (&["/mnt/src:/directory"][..], "/opt/f", "src\n"),
        (&["/mnt/src/f:/file"], "/etc/passwd", "src\n"),
        (&["/mnt/src:/into-run"], "/run/late/f", "src\n"),
        (&["/mnt/src:/up"], "/etc/f", "src\n"),
        (
            &["/mnt/src:/opt", "/mnt/other:/opt/in"],
            "/opt/in/f",
            "other\n",
        ),
        (
            &["/mnt/src:/opt", "/mnt/other:/opt/inner"],
            "/opt/in/f",
            "other\n",
        ),
        (
            &["/mnt/src:/opt", "/mnt/other:/opt/outer"],
            "/etc/f",
            "other\n",
        ),
        (
            &["/mnt/src:/new/a", "/mnt/other:/new/a/in"],
            "/new/a/in/f",
            "other\n",
        ),
        (&["/mnt/src:/opt", "/mnt/other:/opt"], "/opt/f", "other\n"),
    ] {
        run(binds, &["cat", file]).code(0).stdout_is(text);
    }
    // Not made in what is somebody's own; said as what it is.
    run(&["/mnt/src:/opt", "/mnt/other:/opt/sub"], &["true"])
        .code(125)
        .stderr_has("/mnt/src is bound on /opt before, and has no such place")
        .stderr_has("mkdir -p /mnt/src/sub");
    run(&["/mnt/other:/opt/sub", "/mnt/src:/opt"], &["ls", "/opt"])
        .code(0)
        .stderr_has("hides what was bound on /opt/sub before");
    run(&["/mnt/src:/dev/none"], &["ls"])
        .code(125)
        .stderr_has("nothing can be made below /dev");
    for everything in ["/mnt/src:/", "/mnt/src:../.."] {
        run(&[everything], &["ls"])
            .code(2)
            .stderr_has("newroot enter /mnt/src");
    }
    run(&["/none:/opt"], &["ls"])
        .code(125)
        .stderr_has("cannot bind /none");
    run(&["/mnt/src/f:/opt"], &["ls"])
        .code(125)
        .stderr_has("/opt in the root is one");
    assert_eq!(std::fs::read_dir("/mnt/src/in").unwrap().count(), 0);
}

fn empty_with_usr() {
    let root = Path::new("/mnt/empty");
    std::fs::create_dir(root).unwrap();
    // As one writes it for other programs, and what is enough where /usr is merged.
    let all = [
        "--bind", "/usr", "--bind", "/lib", "--bind", "/lib64", "--bind", "/bin",
    ];
    let ways = if Path::new("/lib").is_symlink() {
        vec![&all[..], &all[..2]]
    } else {
        vec![&all[..]]
    };
    for bind in ways {
        let script = "echo $BASH; ls -d /usr/bin /proc/1 /tmp";
        let words = [bind, &["/mnt/empty", "/bin/bash", "-c", script]].concat();
        enter(&words)
            .run()
            .code(0)
            .stdout_is("/bin/bash\n/proc/1\n/tmp\n/usr/bin\n");
    }
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
