//! SIGKILL and SIGTERM while it mounts.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{EXT4, copy, mounted, nothing_left, run, same, spawn, web03};
use crate::disk::{empty, sh};
use crate::need::Need;
use crate::run::newroot;
use crate::strace::{signalled, traced};
use crate::tmux::Tmux;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("mount::killed_at_any_moment", &EXT4, killed_at_any_moment)
            .timeout(Duration::from_secs(400)),
        Trial::new(
            "mount::killed_between_deed_and_done",
            &[&EXT4[..], &[Need::Command("strace")]].concat(),
            killed_after_each_mount,
        )
        .timeout(Duration::from_secs(300)),
        Trial::new("mount::told_at_any_moment", &EXT4, told_at_any_moment)
            .timeout(Duration::from_secs(400)),
        Trial::new(
            "mount::ctrl_c_where_a_key_is_asked_for",
            &[
                Need::Loop,
                Need::Command("cryptsetup"),
                Need::Command("tmux"),
            ],
            ctrl_c,
        )
        .on_disks(),
    ]
}

/// At the passphrase, and while the key is read from the terminal: at once, and without a trace.
fn ctrl_c() {
    let image = empty("/tmp/crypt.img", 32);
    sh(
        "printf secret | cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 \
            --pbkdf-force-iterations 1000 /tmp/crypt.img -",
    );
    let binary = std::env::var("NEWROOT_BIN").unwrap();
    let tmux = Tmux::start();
    for (words, prompt) in [
        ("mount /tmp/crypt.img /mnt/new", "Passphrase of"),
        ("mount --key-file - /tmp/crypt.img /mnt/new", ""),
        ("rescue /tmp/crypt.img", "Passphrase of"),
        ("rescue --key-file - /tmp/crypt.img", ""),
    ] {
        tmux.line("clear");
        tmux.wait_for_last_line("outer$");
        tmux.line(&format!("{binary} {words}"));
        tmux.wait_for(prompt);
        std::thread::sleep(Duration::from_millis(500));
        tmux.keys(&["C-c"]);
        tmux.line("echo status=$?");
        tmux.wait_for("status=130");
        nothing_left(&image);
    }
}

/// SIGTERM while it mounts: everything is taken back; or it stands, and it was no failure.
fn told_at_any_moment() {
    let image = web03("/tmp/kill.img");
    let before = copy(&image);
    let begun = Instant::now();
    spawn(&["mount", "/tmp/kill.img", "/mnt/new"])
        .wait()
        .unwrap();
    let whole = begun.elapsed();
    run(&["umount", "/mnt/new"]).code(0);
    for round in 0..100 {
        let mut child = spawn(&["mount", "/tmp/kill.img", "/mnt/new"]);
        std::thread::sleep(whole * round / 100);
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        if child.wait().unwrap().success() {
            run(&["umount", "/mnt/new"]).code(0);
        } else {
            let ps = run(&["ps"]).stdout;
            assert!(mounted("/mnt").is_empty(), "round {round}: {ps}");
        }
        nothing_left(&image);
        assert!(fs::metadata("/mnt/new").is_err(), "round {round}");
    }
    same(&image, &before);
}

/// SIGKILL while it mounts: `cleanup`, or `umount` when it was done, brings everything back.
fn killed_at_any_moment() {
    let image = web03("/tmp/kill.img");
    let before = copy(&image);
    for round in 0..100_u64 {
        let mut child = spawn(&["mount", "/tmp/kill.img", "/mnt/new"]);
        std::thread::sleep(Duration::from_millis(5 + round * 13 % 400));
        child.kill().unwrap();
        child.wait().unwrap();
        let standing = run(&["ps"]).stdout.contains("stands");
        if standing || round % 3 == 0 {
            // Nothing was recorded yet: then there is nothing to unmount either.
            run(&["umount", "/mnt/new"]);
        }
        run(&["cleanup"]).code(0);
        nothing_left(&image);
        assert!(fs::metadata("/mnt/new").is_err(), "round {round}");
    }
    same(&image, &before);
}

/// SIGKILL at the first call after each mount was attached, when its record does not know that yet.
fn killed_after_each_mount() {
    let image = web03("/tmp/kill.img");
    let before = copy(&image);
    let mount = || newroot(["mount", "/tmp/kill.img", "/mnt/new"]);
    traced(mount(), "move_mount,statx", Path::new("/tmp/log"))
        .run()
        .code(0);
    run(&["umount", "/mnt/new"]).code(0);
    nothing_left(&image);
    let log = fs::read_to_string("/tmp/log").unwrap();
    let calls = |pid: &str| {
        let mine = log.lines().filter_map(|line| line.split_once(' '));
        let mine = mine.filter(|(who, _)| *who == pid);
        mine.map(|(_, call)| call.trim_start().to_owned()).collect()
    };
    let attached = log
        .lines()
        .find(|line| line.contains("move_mount("))
        .unwrap();
    let calls: Vec<String> = calls(attached.split(' ').next().unwrap());
    let (mut looks, mut mounts) = (0, 0);
    for call in calls {
        looks += u32::from(call.starts_with("statx("));
        if !call.starts_with("move_mount(") {
            continue;
        }
        mounts += 1;
        signalled(mount(), "statx", "KILL", looks + 1)
            .run()
            .code(137);
        let points = mounted("/mnt");
        assert_eq!(points.lines().count(), mounts, "{points}");
        run(&["cleanup"]).code(0);
        nothing_left(&image);
        assert!(fs::metadata("/mnt/new").is_err(), "{points}");
    }
    assert_eq!(mounts, 7, "{log}");
    same(&image, &before);
}
