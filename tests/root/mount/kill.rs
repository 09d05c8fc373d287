//! SIGKILL and SIGTERM while it mounts.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{EXT4, copy, mounted, nothing_left, run, same, spawn, web03};
use crate::disk::{empty, sh};
use crate::need::Need;
use crate::run::{Run, newroot};
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
        Trial::new(
            "mount::killed_in_a_peer_namespace",
            &[&EXT4[..], &[Need::Command("strace")]].concat(),
            killed_in_a_peer_namespace,
        ),
        Trial::new(
            "mount::killed_before_its_first_mount",
            &[&EXT4[..], &[Need::Command("strace")]].concat(),
            killed_before_the_first_mount,
        ),
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
        ),
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

fn mount() -> Run {
    newroot(["mount", "/tmp/kill.img", "/mnt/new"])
}

/// How many statx(2) come before each mount is attached.
fn looks_before_each_mount(image: &Path) -> Vec<u32> {
    let log = Path::new("/tmp/log");
    traced(mount(), "move_mount,statx", log).run().code(0);
    run(&["umount", "/mnt/new"]).code(0);
    nothing_left(image);
    let log = fs::read_to_string(log).unwrap();
    let calls = || log.lines().filter_map(|line| line.split_once(' '));
    let is_attach = |call: &str| call.trim_start().starts_with("move_mount(");
    let (newroot, _) = calls().find(|(_, call)| is_attach(call)).unwrap();
    let mut looks = 0;
    let mut found = Vec::new();
    for (_, call) in calls().filter(|(pid, _)| *pid == newroot) {
        looks += u32::from(call.trim_start().starts_with("statx("));
        if is_attach(call) {
            found.push(looks);
        }
    }
    assert_eq!(found.len(), 7, "{log}");
    found
}

/// SIGKILL at the first call after each mount was attached, when its record does not know that yet.
fn killed_after_each_mount() {
    let image = web03("/tmp/kill.img");
    let before = copy(&image);
    for (mounts, looks) in looks_before_each_mount(&image).into_iter().enumerate() {
        signalled(mount(), "statx", "KILL", looks + 1)
            .run()
            .code(137);
        let points = mounted("/mnt");
        assert_eq!(points.lines().count(), mounts + 1, "{points}");
        run(&["cleanup"]).code(0);
        nothing_left(&image);
        assert!(fs::metadata("/mnt/new").is_err(), "{points}");
    }
    same(&image, &before);
}

/// The same in a mount namespace whose mounts reach this one: they have other numbers here.
fn killed_in_a_peer_namespace() {
    let image = web03("/tmp/kill.img");
    let looks = looks_before_each_mount(&image)[0];
    sh("mount --make-rshared /");
    signalled(mount(), "statx", "KILL", looks + 1)
        .through(["unshare", "-m", "--propagation", "unchanged"])
        .run()
        .code(137);
    assert_eq!(mounted("/mnt").lines().count(), 1);
    run(&["cleanup"]).code(0);
    nothing_left(&image);
    sh("mount --make-rprivate /");
}

/// SIGKILL before the first mount is attached: whoever mounts next gets its number, which is no
/// reason to take that mount away.
fn killed_before_the_first_mount() {
    let image = web03("/tmp/kill.img");
    signalled(mount(), "move_mount", "KILL", 1).run().code(137);
    let record = sh("cat /run/newroot/*.json");
    let (_, after) = record.split_once("\"identity\":{\"number\":").unwrap();
    let number = after.split(',').next().unwrap();
    let theirs = (0..500).find(|next| {
        let at = format!("/tmp/at/{next}");
        fs::create_dir_all(&at).unwrap();
        sh(&format!("mount -t tmpfs mine {at}; findmnt -no ID {at}")).trim() == number
    });
    assert!(theirs.is_some(), "nobody got {number} again");
    let theirs = theirs.unwrap();
    sh(&format!(
        "mount --move /tmp/at/{theirs} /mnt/new; touch /mnt/new/precious"
    ));
    newroot(["cleanup"]).run();
    assert!(fs::metadata("/mnt/new/precious").is_ok());
    sh("umount /mnt/new");
    sh("for at in /tmp/at/*; do umount $at 2>/dev/null || true; done");
    run(&["cleanup"]).code(0);
    nothing_left(&image);
}
