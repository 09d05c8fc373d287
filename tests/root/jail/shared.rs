//! Blocks that are shared with the source (FICLONE), and the bar that shows the work.

use std::fs;
use std::path::Path;

use super::jail;
use crate::disk::{filesystem, mount, sh, unmount};
use crate::need::Need;
use crate::run::Run;
use crate::tmux::Tmux;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let disk = [Need::Loop, Need::Command("filefrag")];
    vec![
        Trial::new(
            "jail::blocks_are_shared_on_btrfs",
            &[&disk[..], &[Need::Fs("btrfs"), Need::Command("mkfs.btrfs")]].concat(),
            || shared_on("mkfs.btrfs -q", 160),
        ),
        Trial::new(
            "jail::blocks_are_shared_on_xfs",
            &[&disk[..], &[Need::Fs("xfs"), Need::Command("mkfs.xfs")]].concat(),
            || shared_on("mkfs.xfs -q", 320),
        ),
        Trial::new(
            "jail::a_bar_on_a_terminal_and_none_in_a_pipe",
            &[Need::Command("tmux"), Need::Command("script")],
            bar,
        ),
    ]
}

/// Every extent of the copy is marked as shared; on another filesystem none is.
fn shared_on(mkfs: &str, mebibytes: u64) {
    let image = filesystem("/tmp/disk", mebibytes, mkfs);
    let point = mount(&image, "rw");
    let at = |name: &str| point.join(name).to_str().unwrap().to_owned();
    fs::create_dir(at("from")).unwrap();
    let content: Vec<u8> = (0..8_u32 << 20).map(|at| (at % 251) as u8).collect();
    fs::write(at("from/big"), &content).unwrap();
    fs::write(at("from/small"), "not one block\n").unwrap();
    let build = |dir: &str| -> Run {
        jail(&[
            "build",
            "--sync",
            "--from",
            &at("from"),
            dir,
            "/big",
            "/small",
        ])
    };
    build(&at("j")).run().code(0).stderr_has("reflinked");
    assert!(fs::read(at("j/big")).unwrap() == content);
    let extents = |file: &str| {
        let told = sh(&format!("sync; filefrag -v {file}"));
        let lines = told.lines().filter(|line| line.contains(".."));
        let (shared, own): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.contains("shared"));
        (shared.len(), own.len())
    };
    let (shared, own) = extents(&at("j/big"));
    assert!(shared > 0 && own == 0, "{shared} shared, {own} not");
    jail(&["check", &at("j")]).run().code(0).stdout_is("");
    // What is changed in the jail is not changed in the source.
    fs::write(at("j/small"), "other\n").unwrap();
    assert_eq!(
        fs::read_to_string(at("from/small")).unwrap(),
        "not one block\n"
    );
    let copied = build("/tmp/j").run();
    copied.code(0).stderr_has("(copied)");
    assert!(fs::read("/tmp/j/big").unwrap() == content);
    fs::remove_dir_all("/tmp/j").unwrap();
    unmount(&point);
    fs::remove_file(image).unwrap();
}

fn bar() {
    fs::create_dir("/tmp/from").unwrap();
    for name in ["a", "b", "c"] {
        fs::write(format!("/tmp/from/{name}"), vec![1; 1 << 20]).unwrap();
    }
    // Everything that the terminal is sent, also what is wiped off again.
    let tmux = Tmux::start();
    let newroot = std::env::var("NEWROOT_BIN").unwrap();
    let build = format!("{newroot} jail build /tmp/j /tmp/from");
    tmux.line(&format!("script -qec '{build}' /tmp/log; echo ended=$?"));
    let screen = tmux.wait_for("ended=0");
    drop(tmux);
    let log = fs::read_to_string("/tmp/log").unwrap();
    // How far it gets depends on the machine; it is redrawn ten times a second.
    assert!(
        log.contains("  [ ") && log.contains(" of 3.00 MiB, "),
        "{log}"
    );
    assert!(log.contains(" steps"), "{log}");
    // It is gone when the report comes.
    assert!(!screen.contains(" of 3.00 MiB"), "{screen}");
    assert!(screen.contains("next: newroot enter"), "{screen}");
    let piped = jail(&["build", "/tmp/k", "/tmp/from"]).run();
    piped.code(0);
    assert!(
        !piped.stderr.contains('[') && !piped.stderr.contains('\r'),
        "{}",
        piped.stderr
    );
    assert!(Path::new("/tmp/k/tmp/from/a").exists());
}
