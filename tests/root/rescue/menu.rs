//! The guided menu, by a person at a terminal.

use std::path::Path;

use super::{records, target};
use crate::need::Need;
use crate::tmux::Tmux;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let needs = &[Need::Command("busybox"), Need::Command("tmux")];
    vec![
        Trial::new("rescue::the_menu", needs, menu),
        Trial::new("rescue::the_menu_on_a_dumb_terminal", needs, dumb),
        Trial::new("rescue::outside", needs, outside),
        Trial::new("rescue::reboot_typed_inside", needs, reboot),
        Trial::new("rescue::signals_at_the_menu", needs, signals),
        Trial::new("rescue::type_ahead_is_no_yes", needs, type_ahead),
        Trial::new("rescue::a_shell_that_is_hung_up", needs, hangup),
        Trial::new("rescue::a_command_that_is_hung_up", needs, command_hangup),
        Trial::new("rescue::a_command_at_a_terminal", needs, command_terminal),
        Trial::new("rescue::bytes_stay_as_they_are", needs, exact_bytes),
    ]
}

fn terminal() -> Tmux {
    target();
    std::fs::write("/mnt/r/etc/fstab", "UUID=1 /boot ext4 defaults 0 2\n").unwrap();
    let tmux = Tmux::start();
    let binary = std::env::var("NEWROOT_BIN").unwrap();
    tmux.line(&format!("newroot() {{ {binary} \"$@\"; }}; clear"));
    tmux.wait_for_last_line("outer$");
    tmux
}

/// Types a choice when the menu asks.
fn choose(tmux: &Tmux, choice: &str) {
    tmux.wait_for_last_line("Choice:");
    tmux.line(choice);
}

fn menu() {
    let tmux = terminal();
    tmux.line("newroot rescue /mnt/r");
    let screen = tmux.wait_for_last_line("Choice:");
    for part in [
        "web03, Debian 12, in /mnt/r, open READ-ONLY. Nothing changed yet.",
        "1 warning. Network: ",
        "Log: /run/newroot/web03.log",
        "WARN  /boot is empty",
        "  1  shell       root shell inside web03 (asks, then mounts read-write)",
        "  5  reboot      finish, then reboot",
        "Without this menu: newroot rescue /mnt/r -- bash",
    ] {
        assert!(screen.contains(part), "{part:?}\n{screen}");
    }
    tmux.line("nonsense");
    tmux.wait_for("There is no choice \"nonsense\"");
    tmux.line("report");
    tmux.wait_for("web03");
    tmux.wait_for_last_line("Choice:");
    // A no: the shell is read-only.
    tmux.line("clear");
    tmux.line("1");
    tmux.wait_for("Type yes or no [no]:");
    tmux.line("maybe");
    tmux.wait_for("the whole word");
    tmux.line("no");
    tmux.wait_for_last_line("(newroot:web03)#");
    tmux.line("touch /new; exit");
    tmux.wait_for("Read-only");
    tmux.wait_for_last_line("Choice:");
    tmux.line("shell");
    tmux.wait_for_last_line("Write in web03");
    tmux.line("yes");
    tmux.wait_for_last_line("(newroot:web03)#");
    tmux.line("touch /new; exit 3");
    let screen = tmux.wait_for_last_line("Choice:");
    assert!(screen.contains("open READ-WRITE"), "{screen}");
    // What was repaired is no warning any more, and what was broken is one.
    tmux.line("shell");
    tmux.wait_for_last_line("(newroot:web03)#");
    tmux.line("printf '\\033c'; : >/etc/fstab; exit");
    let screen = tmux.wait_for_last_line("Choice:");
    assert!(!screen.contains("/boot is empty"), "{screen}");
    tmux.line("shell");
    tmux.wait_for_last_line("(newroot:web03)#");
    tmux.line("echo UUID=1 /efi ext4 defaults >/etc/fstab; exit");
    let screen = tmux.wait_for_last_line("Choice:");
    assert!(screen.contains("WARN  /efi is empty"), "{screen}");
    // A second shell asks nothing; Ctrl-C and Ctrl-D are the shell's.
    tmux.line("shell");
    tmux.wait_for_last_line("(newroot:web03)#");
    tmux.keys(&["C-c"]);
    tmux.keys(&["C-d"]);
    tmux.wait_for_last_line("Choice:");
    tmux.line("finish");
    let screen = tmux.wait_for_last_line("outer$");
    assert!(screen.contains("Closed: "), "{screen}");
    assert!(screen.contains("This machine is as before."), "{screen}");
    assert!(screen.contains("Next: "), "{screen}");
    assert!(Path::new("/mnt/r/new").exists());
    assert!(records().is_empty());
}

fn dumb() {
    let tmux = terminal();
    for leave in ["q", "", "C-d"] {
        tmux.line("clear; TERM=dumb newroot rescue /mnt/r 2>&1 | cat -v; newroot ps");
        // In a pipe there is nobody to ask.
        tmux.wait_for("cannot show the menu");
        tmux.line(
            "clear; TERM=dumb script -qc \"$NEWROOT_BIN rescue /mnt/r\" /tmp/typed; echo fin''ished",
        );
        tmux.wait_for_last_line("Choice:");
        if leave == "C-d" {
            tmux.keys(&[leave]);
        } else {
            tmux.line(leave);
        }
        let screen = tmux.wait_for("finished");
        assert!(screen.contains("Next: nothing was changed"), "{screen}");
        let typed = std::fs::read("/tmp/typed").unwrap();
        assert!(
            !typed.contains(&0x1b),
            "escapes: {}",
            String::from_utf8_lossy(&typed)
        );
        assert!(typed.is_ascii());
    }
    // A window of nothing counts as 80x24, for the child, too.
    tmux.line("clear; stty rows 0 columns 0; newroot rescue --read-only /mnt/r");
    choose(&tmux, "shell");
    tmux.wait_for_last_line("(newroot:web03)#");
    tmux.line("stty size; exit");
    tmux.wait_for("24 80");
    tmux.wait_for_last_line("Choice:");
    tmux.line("q");
    tmux.wait_for_last_line("outer$");
}

fn outside() {
    let tmux = terminal();
    tmux.line("newroot rescue --read-write /mnt/r");
    tmux.wait_for_last_line("Choice:");
    tmux.line("outside");
    tmux.wait_for("under /mnt in this shell only");
    tmux.wait_for("newroot:web03-outside");
    tmux.line(
        "cat /mnt/etc/hostname; ls -d /etc/hostname /mnt/canary; echo $$; touch /mnt/from-outside",
    );
    tmux.wait_for("web03");
    tmux.wait_for("2");
    tmux.line("exit");
    tmux.wait_for_last_line("Choice:");
    tmux.line("q");
    tmux.wait_for_last_line("outer$");
    assert!(Path::new("/mnt/r/from-outside").exists());
}

fn reboot() {
    let tmux = terminal();
    // busybox' own shell finds its reboot without PATH.
    std::fs::remove_dir_all("/mnt/r").unwrap();
    crate::fixture::glibc_root(Path::new("/mnt/r"), &["bash", "sh", "cat"]);
    super::as_debian(Path::new("/mnt/r"));
    tmux.line("export NEWROOT_REBOOT='echo >/tmp/rebooted'");
    tmux.line("clear; newroot rescue --read-write /mnt/r");
    tmux.wait_for_last_line("Choice:");
    tmux.line("shell");
    tmux.wait_for_last_line("(newroot:web03)");
    tmux.line("reboot");
    tmux.wait_for("Type yes or no [no]:");
    tmux.line("no");
    tmux.wait_for("nothing happens");
    tmux.line("shutdown -c; shutdown -h now");
    tmux.wait_for("poweroff the machine?");
    tmux.line("yes");
    let screen = tmux.wait_for_last_line("outer$");
    assert!(screen.contains("Closed: "), "{screen}");
    assert_eq!(
        std::fs::read_to_string("/tmp/rebooted").unwrap(),
        "poweroff\n"
    );
    std::fs::remove_file("/tmp/rebooted").unwrap();
    // From the menu: asked, and a no stays.
    tmux.line("clear; newroot rescue --read-write /mnt/r");
    tmux.wait_for_last_line("Choice:");
    tmux.line("reboot");
    tmux.wait_for("Type yes or no [no]:");
    tmux.line("");
    tmux.wait_for_last_line("Choice:");
    assert!(!Path::new("/tmp/rebooted").exists());
    tmux.line("reboot");
    tmux.wait_for_last_line("Finish, and reboot");
    tmux.line("yes");
    tmux.wait_for_last_line("outer$");
    assert_eq!(
        std::fs::read_to_string("/tmp/rebooted").unwrap(),
        "reboot\n"
    );
    assert!(records().is_empty());
}

fn signals() {
    let tmux = terminal();
    for (name, status) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        tmux.line("clear; newroot rescue /mnt/r; echo status=$?");
        tmux.wait_for_last_line("Choice:");
        if name == "INT" {
            tmux.keys(&["C-c"]);
        } else {
            let ps = crate::run::newroot(["ps", "--json"]).run();
            let list: serde_json::Value = serde_json::from_str(&ps.stdout).unwrap();
            let pid = list[0]["record"]["supervisor"]["pid"].to_string();
            let kill = std::process::Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .unwrap();
            assert!(kill.success());
        }
        let screen = tmux.wait_for(&format!("status={status}"));
        assert!(screen.contains("Closed: "), "{screen}");
        assert!(records().is_empty());
    }
}

/// Keys that were pressed before the question are no answer to it.
fn type_ahead() {
    let tmux = terminal();
    tmux.line("newroot rescue /mnt/r");
    tmux.wait_for_last_line("Choice:");
    tmux.text("shell\nyes\n");
    tmux.wait_for("Type yes or no [no]:");
    std::thread::sleep(std::time::Duration::from_millis(300));
    tmux.wait_for_last_line("Write in web03");
    tmux.line("no");
    tmux.wait_for_last_line("(newroot:web03)#");
    tmux.line("exit");
    tmux.wait_for_last_line("Choice:");
    tmux.keys(&["C-d"]);
    tmux.wait_for_last_line("outer$");
}

fn hangup() {
    let tmux = terminal();
    tmux.line("newroot rescue --read-write /mnt/r");
    tmux.wait_for_last_line("Choice:");
    tmux.line("shell");
    tmux.wait_for_last_line("(newroot:web03)#");
    drop(tmux);
    crate::enter::until("everything is closed", || records().is_empty());
    assert!(!Path::new("/mnt/r/usr/sbin/policy-rc.d").exists());
}

/// The terminal goes away under a command: the kernel sends SIGHUP to its group.
fn command_hangup() {
    let tmux = terminal();
    // It asks, too: there is nobody to answer, and it is told so.
    let script = "echo beg\"\"un; sleep 1; echo more; read answer; echo \"got $? $answer\"; \
        until test -e /tmp/go; do sleep 0.1; done; seq 1 20000; echo done >/tmp/done";
    tmux.line(&format!(
        "newroot rescue --read-write /mnt/r -- sh -c '{script}'"
    ));
    tmux.wait_for("begun");
    drop(tmux);
    let ps = || crate::run::newroot(["ps"]).run();
    crate::enter::until("it is known where the output is", || {
        ps().stderr
            .contains("its terminal went away; what it wrote: ")
    });
    crate::run::newroot(["exec", "r", "touch", "/tmp/go"])
        .run()
        .code(0)
        .stderr_has(".output.log");
    crate::enter::until("the command has ended", || {
        Path::new("/mnt/r/tmp/done").exists()
    });
    crate::enter::until("everything is closed", || records().is_empty());
    let said = ps().code(0).stdout_is("").stderr.clone();
    let (_, path) = said.trim().rsplit_once(' ').unwrap();
    assert!(said.contains("and it has ended"), "{said}");
    let output = std::fs::read_to_string(path).unwrap();
    // What was on the screen before, and everything since, as a terminal shows it.
    assert!(
        output.starts_with("begun\r\nmore\r\ngot 1 \r\n1\r\n"),
        "{output}"
    );
    assert!(
        output.ends_with("\r\n19999\r\n20000\r\n"),
        "{}",
        output.len()
    );
    assert_eq!(output.lines().count(), 20003);
    let log = std::fs::read_to_string("/run/newroot/web03.log").unwrap();
    assert!(
        log.contains(path) && log.contains("ended: Exited(0)"),
        "{log}"
    );
}

/// A command on a terminal of its own behaves as on the user's.
fn command_terminal() {
    let tmux = terminal();
    let binary = std::env::var("NEWROOT_BIN").unwrap();
    let run = format!("clear; {binary} rescue --read-write /mnt/r -- sh -c");
    tmux.resize(100, 30);
    tmux.line(&format!("{run} 'stty size; trap \"stty size\" WINCH; echo beg\"\"un; until read a; do :; done; echo \"got=$a\"; exit 7'; echo status=$?"));
    tmux.wait_for("30 100");
    tmux.wait_for("begun");
    tmux.resize(90, 20);
    tmux.wait_for("20 90");
    tmux.line("an answer");
    let screen = tmux.wait_for("status=7");
    assert!(screen.contains("got=an answer"), "{screen}");
    // Ctrl-C is the program's, Ctrl-Z the outer shell's.
    tmux.line(&format!(
        "{run} 'echo sle\"\"eps; sleep 100'; echo status=$?"
    ));
    tmux.wait_for("sleeps");
    tmux.keys(&["C-c"]);
    tmux.wait_for("status=130");
    tmux.line(&format!("stty -a >/tmp/before; {run} 'echo sta\"\"rted; sleep 1; stty -echo; echo wok\"\"en; read b; echo got=$b'"));
    tmux.wait_for("started");
    tmux.keys(&["C-z"]);
    tmux.wait_for("Stopped");
    tmux.line("stty -a >/tmp/between; cmp /tmp/before /tmp/between && echo sa''me");
    tmux.wait_for("same");
    tmux.line("clear; fg");
    tmux.wait_for("woken");
    tmux.line("hidden");
    let screen = tmux.wait_for("got=hidden");
    assert!(!screen.contains("\nhidden"), "{screen}");
    tmux.wait_for_last_line("outer$");
    tmux.line("clear; stty -a >/tmp/after; cmp /tmp/before /tmp/after && echo sa''me");
    tmux.wait_for("same");
    assert!(records().is_empty());
}

/// What does not go to a terminal goes as it is, whatever else does.
fn exact_bytes() {
    let tmux = terminal();
    let bytes = "printf \"a\\\\n\\\\r\\\\0\\\\377\\\\tz\"";
    let script = format!("{bytes}; {bytes} >&2; cat");
    tmux.line(&format!(
        "printf 'x\\r\\004y' | newroot -q rescue --read-write /mnt/r -- sh -c '{script}' >/tmp/out 2>/tmp/err; echo fin''ished"
    ));
    tmux.wait_for("finished");
    let expected = b"a\n\r\0\xff\tz";
    assert_eq!(
        std::fs::read("/tmp/out").unwrap(),
        [&expected[..], b"x\r\x04y"].concat()
    );
    let error = std::fs::read("/tmp/err").unwrap();
    assert!(
        error.windows(expected.len()).any(|part| part == expected),
        "{error:?}"
    );
}
