//! Tools of this system in a root whose own do not start.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{enter, executable};
use crate::fixture;
use crate::need::Need;
use crate::run::newroot;
use crate::tmux::Tmux;
use crate::trial::Trial;

/// The loader as programs ask for it, and where Debian has it.
const LOADER: &str = "lib64/ld-linux-x86-64.so.2";
const REAL_LOADER: &str = "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2";
const LIBC: &str = "usr/lib/x86_64-linux-gnu/libc.so.6";
const LENT: &str = "/run/newroot/lent/root";
const EDITED: &str = "/run/newroot/lent/edited";

pub(super) fn trials() -> Vec<Trial> {
    let tmux = &[Need::Command("tmux")];
    vec![
        Trial::new("lent::libc_and_loader_can_be_restored", &[], restore),
        Trial::new("lent::nothing_of_the_root_is_loaded", &[], maps),
        Trial::new("lent::scripts_and_children_work", &[], scripts),
        Trial::new("lent::a_root_with_nothing_at_all", &[], bare),
        Trial::new("lent::newroot_itself_is_no_shim", &[], no_accident),
        Trial::new("lent::an_interactive_shell", tmux, shell),
        Trial::new("lent::a_rescue_takes_them_along", &[], rescue),
        Trial::new("lent::a_rescue_offers_them", tmux, offered),
        Trial::new("lent::the_plan_is_shown", &[], shown),
        Trial::new("lent::a_run_of_the_users_own_is_refused", &[], own_run),
    ]
}

/// Like a Debian whose upgrade of libc6 went wrong: /lib merged, libc and the loader gone.
fn broken() -> PathBuf {
    let root = PathBuf::from("/mnt/d");
    let plain = PathBuf::from("/mnt/plain");
    fixture::glibc_root(&plain, &["bash", "cat"]);
    fixture::bare_root(&root);
    std::fs::create_dir_all(root.join("usr/lib/x86_64-linux-gnu")).unwrap();
    std::fs::create_dir_all(root.join("usr/lib64")).unwrap();
    std::fs::remove_dir(root.join("bin")).unwrap();
    for name in ["bin", "lib", "lib64"] {
        symlink(format!("usr/{name}"), root.join(name)).unwrap();
    }
    for (from, to) in [
        ("bin", "bin"),
        ("lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"),
    ] {
        for entry in std::fs::read_dir(plain.join(from)).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(
                entry.path(),
                root.join("usr").join(to).join(entry.file_name()),
            )
            .unwrap();
        }
    }
    std::fs::copy("/lib64/ld-linux-x86-64.so.2", root.join(REAL_LOADER)).unwrap();
    symlink(
        "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
        root.join(LOADER),
    )
    .unwrap();
    std::fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/bash\n").unwrap();
    enter(&["/mnt/d", "bash", "-c", "cat /etc/passwd"])
        .run()
        .code(0);
    std::fs::remove_file(root.join(LIBC)).unwrap();
    std::fs::remove_file(root.join(REAL_LOADER)).unwrap();
    root
}

fn restore() {
    let root = broken();
    enter(&["/mnt/d"])
        .run()
        .code(127)
        .stderr_has("its loader is missing")
        .stderr_has("hint: work with this system's tools:")
        .stderr_has("--lent /mnt/d\n");
    let script = format!("set -e; for f in {REAL_LOADER} {LIBC}; do cp -a {LENT}/$f /$f; done");
    enter(&["--lent", "/mnt/d", "bash", "-c", &script])
        .run()
        .code(0)
        .stderr_has("lent: ");
    // What is put back is what this system has, and not what the tools are started with.
    for file in [LIBC, REAL_LOADER] {
        let host = std::fs::read(Path::new("/").join(file)).unwrap();
        assert!(std::fs::read(root.join(file)).unwrap() == host, "{file}");
    }
    enter(&["/mnt/d", "bash", "-c", "cat /etc/passwd"])
        .run()
        .code(0)
        .stdout_is("root:x:0:0::/root:/bin/bash\n");
    // The session's /run is gone with it.
    assert_eq!(std::fs::read_dir(root.join("run")).unwrap().count(), 0);
}

fn maps() {
    let root = broken();
    // A libc that nobody may load, and a cache that names it.
    std::fs::write(root.join(LIBC), "no library").unwrap();
    std::fs::write(root.join(REAL_LOADER), "no loader").unwrap();
    std::fs::copy("/etc/ld.so.cache", root.join("etc/ld.so.cache")).unwrap();
    std::fs::write(root.join("etc/ld.so.preload"), "/lib/evil.so\n").unwrap();
    let run = enter(&["--lent", "/mnt/d", "cat", "/proc/self/maps"]).run();
    run.code(0);
    assert!(!run.stderr.contains("evil"), "{}", run.stderr);
    let files: Vec<&str> = run
        .stdout
        .lines()
        .filter_map(|line| line.find('/').map(|at| &line[at..]))
        .collect();
    assert!(
        files.iter().any(|file| file.ends_with("libc.so.6")),
        "{files:?}"
    );
    for file in files {
        let is_lent = [LENT, EDITED].iter().any(|place| file.starts_with(place));
        assert!(is_lent, "{file}");
    }
}

fn scripts() {
    broken();
    let run = |text: &str| {
        let run = enter(&["--lent", "/mnt/d", "bash", "-c", text]).run();
        run.code(0);
        run.stdout
    };
    // ldd is a script of bash; its interpreter is not in the root.
    assert!(run("ldd --version").starts_with("ldd ("));
    // env looks the program up in PATH, find executes it, tar and dpkg-deb start others.
    assert_eq!(run("env -u X echo a"), "a\n");
    assert_eq!(
        run("find /etc -name passwd -exec basename {} +"),
        "passwd\n"
    );
    assert_eq!(run("printf b | gzip | gunzip"), "b");
    // The name that a program of many names was called by.
    assert_eq!(run("exec -a other bash -c 'echo $0'"), "other\n");
    assert_eq!(
        run("test -x $SHELL && echo $SHELL"),
        "/run/newroot/lent/bin/bash\n"
    );
    // Programs that call /bin/sh by that name: system(3) and tar, which starts gzip by it.
    assert_eq!(run("awk 'BEGIN { system(\"echo by awk\") }'"), "by awk\n");
    let tar = "tar -cz /etc/passwd 2>/dev/null | tar -tz";
    assert_eq!(run(tar), "etc/passwd\n");
    // A pipe that nobody reads ends its writer.
    assert_eq!(run("yes | head -n 1; echo ${PIPESTATUS[0]}"), "y\n141\n");
    let status = enter(&["--lent", "/mnt/d", "bash", "-c", "exit 7"]).run();
    status.code(7);
    enter(&["--lent", "/mnt/d", "nosuchtool"]).run().code(127);
}

fn bare() {
    let root = Path::new("/mnt/bare");
    std::fs::create_dir(root).unwrap();
    let run = enter(&["--lent", "/mnt/bare", "ls", "/"]).run();
    run.code(0).stdout_is("dev\nproc\nrun\nsys\ntmp\n");
    assert_eq!(std::fs::read_dir(root).unwrap().count(), 0);
}

/// Under a tool's name, or with a table beside it, newroot is newroot.
fn no_accident() {
    let binary = std::env::var("NEWROOT_BIN").unwrap();
    std::fs::create_dir_all("/tmp/run/newroot/lent/bin").unwrap();
    for name in ["/tmp/ls", "/tmp/run/newroot/lent/bin/ls"] {
        std::fs::copy(&binary, name).unwrap();
        let output = std::process::Command::new(name)
            .arg("--version")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.starts_with("newroot "), "{name}: {text}");
    }
    // In the place itself, a table that others may write is not believed.
    std::fs::create_dir_all("/run/newroot/lent/bin").unwrap();
    std::fs::copy(&binary, "/run/newroot/lent/bin/ls").unwrap();
    let run = || {
        std::process::Command::new("/run/newroot/lent/bin/ls")
            .output()
            .unwrap()
    };
    let output = run();
    assert_eq!(output.status.code(), Some(126));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("cannot start the lent ls"), "{text}");
    let table = "/run/newroot/lent/table";
    let line = r#"{"starts":[],"tools":{"ls":{"static":{"program":"/tmp/evil"}}}}"#;
    executable("/tmp/evil", b"#!/bin/sh\necho evil\n");
    std::fs::write(table, line).unwrap();
    assert_eq!(run().stdout, b"evil\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(table, mode).unwrap();
    let output = run();
    assert_eq!(output.status.code(), Some(126));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("is not root's alone"), "{text}");
    std::fs::remove_dir_all("/run/newroot/lent").unwrap();
}

fn shell() {
    broken();
    let binary = std::env::var("NEWROOT_BIN").unwrap();
    let tmux = Tmux::start();
    tmux.line(&format!("clear; {binary} enter --lent /mnt/d"));
    tmux.wait_for("(newroot:d)");
    tmux.line("type -p ls; tput cols; locale charmap");
    let screen = tmux.wait_for("UTF-8");
    assert!(screen.contains("/run/newroot/lent/bin/ls\n"), "{screen}");
    assert!(screen.contains("\n80\n"), "{screen}");
    // One more command in the same session has the same tools.
    let id = newroot(["ps", "--json"]).run().stdout;
    let list: serde_json::Value = serde_json::from_str(&id).unwrap();
    let id = list[0]["record"]["id"].as_str().unwrap();
    let run = newroot(["exec", id, "ls", "/run/newroot/lent"]).run();
    run.code(0).stdout_has("edited\n").stdout_has("root\n");
    tmux.line("sleep 100");
    std::thread::sleep(std::time::Duration::from_millis(300));
    tmux.keys(&["C-z"]);
    tmux.wait_for("Stopped");
    tmux.line("kill -9 %1; wait; clear");
    tmux.wait_for_last_line("(newroot:d)");
    tmux.line("exit 3");
    tmux.wait_for_last_line("outer$");
    tmux.line("echo status=$?");
    tmux.wait_for("status=3");
}

fn rescue() {
    let root = broken();
    let words = [
        "rescue",
        "--lent",
        "--read-write",
        "/mnt/d",
        "--",
        "bash",
        "-c",
    ];
    let script = format!(
        "set -e; echo $PATH; type reboot; for f in {REAL_LOADER} {LIBC}; do cp -a {LENT}/$f /$f; done"
    );
    let run = newroot(words.iter().copied().chain([script.as_str()])).run();
    run.code(0)
        .stdout_has("/run/newroot/bin:/run/newroot/lent/bin:/usr/local/sbin")
        .stdout_has("reboot is /run/newroot/bin/reboot\n");
    assert!(root.join(LIBC).exists());
    let words = [
        "rescue",
        "--read-only",
        "/mnt/d",
        "--",
        "bash",
        "-c",
        "echo alive",
    ];
    newroot(words).run().code(0).stdout_is("alive\n");
}

fn offered() {
    broken();
    let binary = std::env::var("NEWROOT_BIN").unwrap();
    let tmux = Tmux::start();
    tmux.line(&format!("clear; {binary} rescue /mnt/d"));
    let screen = tmux.wait_for("Choice:");
    assert!(screen.contains("  lent "), "{screen}");
    tmux.line("lent");
    tmux.wait_for("Type yes or no");
    tmux.line("yes");
    tmux.wait_for_last_line("(newroot:");
    tmux.line("clear; head -c 30 /run/newroot/bin/reboot; echo; reboot");
    let screen = tmux.wait_for("the machine? Type yes or no");
    assert!(screen.contains("#!/run/newroot/lent/bin/sh"), "{screen}");
    tmux.line("no");
    tmux.wait_for("nothing happens");
    tmux.line("clear; exit");
    tmux.wait_for_last_line("Choice:");
    tmux.line("finish");
    tmux.wait_for("Closed:");
}

fn shown() {
    broken();
    let run = enter(&["-n", "--lent", "/mnt/d", "ls"]).run();
    run.code(0)
        .stdout_has("mount -t tmpfs -o nosuid,nodev,mode=755 newroot /mnt/d/run/newroot/lent\n")
        .stdout_has("ln /mnt/d/run/newroot/lent/shim /mnt/d/run/newroot/lent/bin/ls\n")
        .stdout_has(" /run/newroot/lent/bin/ls\n");
}

fn own_run() {
    broken();
    std::fs::create_dir("/mnt/run").unwrap();
    enter(&["--lent", "--bind", "/mnt/run:/run", "/mnt/d", "ls"])
        .run()
        .code(125)
        .stderr_has("the lent tools are in /run, where something else is bound");
    assert_eq!(std::fs::read_dir("/mnt/run").unwrap().count(), 0);
}
