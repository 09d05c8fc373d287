//! `scan --unlock` and `doctor --unlock` that a signal ends. What stands for cryptsetup makes a
//! mapping that newroot can see and look into, so that no device-mapper is needed; the real one
//! is in tests/vm.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::ext4;
use crate::disk::{DEBIAN, empty, sh, system, uuid};
use crate::enter::{code, executable, signal};
use crate::need::Need;
use crate::run::{Run, newroot};
use crate::tmux::Tmux;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let needs = [
        Need::Loop,
        Need::Fs("ext4"),
        Need::Command("cryptsetup"),
        Need::Command("dmsetup"),
        Need::File("/dev/mapper"),
    ];
    let terminal = [&needs[..], &[Need::Command("tmux")]].concat();
    vec![
        Trial::new("scan::told_while_unlocked", &needs, told),
        Trial::new("scan::ctrl_c_at_the_passphrase", &terminal, ctrl_c),
    ]
}

/// It takes its time over both, as the real one does.
const CRYPTSETUP: &str = "#!/bin/sh
for name; do :; done
sleep 0.1
case \"$*\" in *'--key-file - '*) [ \"$(cat)\" = secret ] || exit 2 ;; esac
node=/dev/mapper/$name block=/sys/class/block/dm-99
case $1 in
    open)
        mkdir -p $block/dm && echo $name >$block/dm/name && echo CRYPT-LUKS2-0-$name >$block/dm/uuid
        ln -s $(cat /tmp/loop) $node ;;
    close) rm -r $block $node ;;
esac
sleep 0.1
";

/// A volume at /tmp/crypt with a system in it, and another one at /tmp/other.
struct Volume {
    id: String,
    other: String,
}

impl Volume {
    fn make() -> Self {
        let images = ["/tmp/crypt", "/tmp/other"].map(|path| empty(path, 32));
        sh("printf secret >/tmp/key
            for image in crypt other; do
                cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 \
                    --pbkdf-force-iterations 1000 /tmp/$image /tmp/key
            done");
        ext4("/tmp/inside", |top| system(top, DEBIAN, "secretive", ""));
        executable("/tmp/cryptsetup", CRYPTSETUP.as_bytes());
        executable("/tmp/dmsetup", b"#!/bin/sh\n");
        sh("losetup --find --show --read-only /tmp/inside >/tmp/loop
            mkdir /tmp/block; cp -a /sys/class/block/. /tmp/block
            mount --bind /tmp/block /sys/class/block; mount -t tmpfs none /dev/mapper
            for tool in cryptsetup dmsetup; do
                mount --bind /tmp/$tool \"$(readlink -f \"$(command -v $tool)\")\"
            done");
        let [id, other] = images.map(|image| format!("luks-{}", &uuid(&image)[..4]));
        Self { id, other }
    }

    fn run(&self, verb: &str) -> Run {
        newroot([
            verb,
            "--unlock",
            &self.id,
            "--key-file",
            "/tmp/key",
            "/tmp/crypt",
        ])
    }

    /// Nothing is open, and nobody has to clean up.
    fn assert_closed(when: &str) {
        let mapped = fs::read_dir("/dev/mapper").unwrap().count();
        assert_eq!(mapped, 0, "{when}: still open");
        let left: Vec<_> = fs::read_dir("/run/newroot").into_iter().flatten().collect();
        assert!(left.is_empty(), "{when}: {left:?}");
        let devices = sh("losetup -l --noheadings --output NAME");
        let ours = fs::read_to_string("/tmp/loop").unwrap();
        assert_eq!(devices, ours, "{when}: loop devices");
    }
}

/// Also when the trial failed: a loop device is the host's.
impl Drop for Volume {
    fn drop(&mut self) {
        sh("set +e
            for tool in cryptsetup dmsetup; do
                umount \"$(readlink -f \"$(command -v $tool)\")\"
            done
            umount /dev/mapper /sys/class/block; losetup -d $(cat /tmp/loop)");
    }
}

/// At moments from the start to the end: the volume is locked again, and it ends as it was told.
fn told() {
    let volume = Volume::make();
    for (verb, done) in [("scan", 0), ("doctor", 1)] {
        let begun = Instant::now();
        let output = volume.run(verb).run();
        output.code(done).stdout_has("secretive");
        let whole = begun.elapsed();
        Volume::assert_closed(verb);
        let mut hits = 0;
        for round in 0..36 {
            let mut child = volume
                .run(verb)
                .spawn(Stdio::null(), Stdio::null(), Stdio::null());
            std::thread::sleep(whole * round / 36);
            signal(&child, Signal::TERM);
            // It may have been done by then.
            let code = code(&mut child);
            assert!(code == 143 || code == done, "{verb} {round}: {code}");
            hits += usize::from(code == 143);
            Volume::assert_closed(&format!("{verb} {round}"));
        }
        assert!(hits > 24, "{verb}: told while it ran: {hits}");
    }
}

/// At the prompt: after a passphrase that does not fit, and while another volume is open. And
/// while the key is read.
fn ctrl_c() {
    let volume = Volume::make();
    let id = &volume.id;
    let binary = std::env::var("NEWROOT_BIN").unwrap();
    let tmux = Tmux::start();
    for verb in ["scan", "doctor"] {
        tmux.line("clear");
        tmux.wait_for_last_line("outer$");
        tmux.line(&format!("{binary} {verb} --unlock {id} /tmp/crypt"));
        tmux.wait_for("Passphrase of");
        std::thread::sleep(Duration::from_millis(200));
        tmux.line("wrong");
        tmux.wait_for("does not fit");
        std::thread::sleep(Duration::from_millis(200));
        tmux.keys(&["C-c"]);
        tmux.wait_for_last_line("outer$");
        tmux.line("echo status=$?");
        tmux.wait_for("status=130");
        Volume::assert_closed(verb);
        tmux.line("clear");
        tmux.line(&format!(
            "{binary} {verb} --unlock {id} --key-file - /tmp/crypt"
        ));
        std::thread::sleep(Duration::from_millis(500));
        tmux.keys(&["C-c"]);
        tmux.line("echo status=$?");
        tmux.wait_for("status=130");
        Volume::assert_closed(verb);
    }
    let both = format!(
        "--unlock {id} --unlock {} /tmp/crypt /tmp/other",
        volume.other
    );
    tmux.line("clear");
    tmux.line(&format!("{binary} scan {both}"));
    tmux.wait_for(&format!("Passphrase of {id}"));
    std::thread::sleep(Duration::from_millis(200));
    tmux.line("secret");
    tmux.wait_for(&format!("Passphrase of {}", volume.other));
    assert_eq!(fs::read_dir("/dev/mapper").unwrap().count(), 1);
    tmux.keys(&["C-c"]);
    tmux.line("echo status=$?");
    tmux.wait_for("status=130");
    Volume::assert_closed("the second one's passphrase");
}
