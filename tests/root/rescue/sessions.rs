//! A rescue that runs: seen, joined, hung up on, ended.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;

use super::{inside, records, target};
use crate::enter::{code, signal, started_as, until};
use crate::holder::Holder;
use crate::need::Need;
use crate::run::newroot;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let busybox = &[Need::Command("busybox")];
    vec![
        Trial::new("rescue::sessions_are_joined", busybox, joined),
        Trial::new("rescue::a_lost_connection", busybox, hangup),
        Trial::new("rescue::told_to_end", busybox, told),
        Trial::new("rescue::daemons_end_with_it", busybox, daemons),
        Trial::new("rescue::holders_are_named", busybox, holders),
        Trial::new("rescue::reboot_ends_the_session_only", busybox, reboot),
    ]
}

fn joined() {
    target();
    let mut child = started_as(&inside("touch /run/marker; echo ready; exec sleep 1000"));
    newroot(["ps"]).run().code(0).stdout_has("rescue");
    let exec = |script: &str| newroot(["exec", "r", "sh", "-c", script]).run();
    exec("ls /run/marker; cat /proc/cmdline; cat /proc/1/comm; echo $SYSTEMD_OFFLINE; exit 5")
        .code(5)
        .stdout_is("/run/marker\nroot=UUID=3f2a ro\nnewroot\n1\n");
    // The visitor is in the program's mount namespace, and sees / as it does.
    let own = std::fs::metadata("/proc/self/ns/mnt").unwrap().ino();
    let theirs = exec("readlink /proc/self/ns/mnt; readlink /proc/2/ns/mnt")
        .stdout
        .clone();
    let lines: Vec<&str> = theirs.lines().collect();
    assert_eq!(lines[0], lines[1]);
    assert!(!theirs.contains(&own.to_string()));
    newroot(["stop", "r"]).run().code(0);
    assert_eq!(code(&mut child), 143);
    assert!(records().is_empty());
}

/// The terminal is gone: a command goes on, and so does newroot until it has ended.
fn hangup() {
    target();
    let script = "echo ready; sleep 1; kill -HUP $$; echo done >/tmp/done; exit 6";
    let mut child = started_as(&inside(script));
    signal(&child, Signal::HUP);
    newroot(["exec", "r", "true"]).run().code(0);
    assert_eq!(code(&mut child), 6);
    assert!(Path::new("/mnt/r/tmp/done").exists());
    assert!(records().is_empty());
}

fn told() {
    target();
    for (number, status) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let mut child = started_as(&inside("echo ready; exec sleep 1000"));
        signal(&child, number);
        assert_eq!(code(&mut child), status);
        assert!(records().is_empty());
        assert!(!Path::new("/mnt/r/usr/sbin/policy-rc.d").exists());
    }
}

fn daemons() {
    target();
    inside("(trap '' TERM HUP; sleep 1000) & (sleep 1000 &); exit 0")
        .run()
        .code(0);
    until("everything ended", || {
        let ps = std::process::Command::new("ps").arg("ax").output().unwrap();
        !String::from_utf8_lossy(&ps.stdout).contains("sleep 1000")
    });
}

/// Somebody outside who stands in what only the session mounted.
fn holders() {
    target();
    let run = inside("echo ready; exec sleep 1000");
    let mut child = run.spawn(Stdio::null(), Stdio::piped(), Stdio::piped());
    let list = || -> serde_json::Value {
        let ps = newroot(["ps", "--json"]).run();
        serde_json::from_str(&ps.stdout).unwrap()
    };
    until("it runs", || !list()[0]["record"]["payload"].is_null());
    let pid = list()[0]["record"]["payload"]["pid"].as_i64().unwrap();
    let place = format!("/proc/{pid}/root/run/newroot");
    until("it is in", || Path::new(&place).join("bin").exists());
    let holder = Holder::in_directory(Path::new(&place));
    signal(&child, Signal::TERM);
    assert_eq!(code(&mut child), 143);
    let mut said = String::new();
    std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut said).unwrap();
    assert!(
        said.contains(&format!("process {}", holder.pid())),
        "{said}"
    );
    newroot(["cleanup"])
        .run()
        .code(122)
        .stderr_has(&holder.pid().to_string());
    drop(holder);
    newroot(["cleanup"]).run().code(0);
    assert!(records().is_empty());
}

/// reboot(2) in a PID namespace ends that namespace; without a terminal nobody is asked.
fn reboot() {
    target();
    std::os::unix::fs::symlink("busybox", "/mnt/r/bin/reboot").unwrap();
    let run = inside("/bin/reboot -f; sleep 1000").env("NEWROOT_REBOOT", "touch /tmp/rebooted;:");
    run.run().code(129).stderr_has("called for reboot");
    // A script that types it is refused. busybox' own shell would not look into PATH.
    inside("/run/newroot/bin/reboot")
        .run()
        .code(1)
        .stderr_has("refused during a rescue");
    assert!(!Path::new("/tmp/rebooted").exists());
    assert!(records().is_empty());
}
