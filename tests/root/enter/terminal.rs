//! A person at a terminal.

use super::root;
use crate::need::Need;
use crate::tmux::Tmux;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let needs = &[Need::Command("busybox"), Need::Command("tmux")];
    vec![
        Trial::new("enter::ctrl_z_reaches_the_outer_shell", needs, ctrl_z),
        Trial::new("enter::ctrl_c_is_the_programs", needs, ctrl_c),
        Trial::new("enter::an_interactive_shell", needs, shell),
        Trial::new("enter::the_terminal_is_given_back", needs, restored),
        Trial::new("enter::in_a_pipeline", needs, pipeline),
        Trial::new("enter::in_the_background", needs, background),
        Trial::new("enter::the_window_has_a_size", needs, size),
        Trial::new("enter::sighup_ends_a_shell", needs, hangup),
        Trial::new("enter::a_shell_in_a_nested_namespace", needs, nested),
    ]
}

fn terminal() -> Tmux {
    root();
    let tmux = Tmux::start();
    let binary = std::env::var("NEWROOT_BIN").unwrap();
    tmux.line(&format!("newroot() {{ {binary} \"$@\"; }}; clear"));
    tmux.wait_for_last_line("outer$");
    tmux
}

fn ctrl_z() {
    let tmux = terminal();
    let binary = std::env::var("NEWROOT_BIN").unwrap();
    for _ in 0..2 {
        tmux.line("clear");
        tmux.line(&format!(
            "{binary} enter /mnt/r sh -c 'echo beg\"\"un; sleep 2; echo wok\"\"en'; echo end"
        ));
        tmux.wait_for("begun");
        tmux.keys(&["C-z"]);
        tmux.wait_for("Stopped");
        tmux.line("echo out''side");
        tmux.wait_for("outside");
        tmux.line("fg");
        tmux.wait_for("woken");
    }
    tmux.line("clear");
    tmux.line(&format!("{binary} enter /mnt/r sleep 100"));
    crate::enter::until("it sleeps", || {
        let ps = crate::run::newroot(["ps"]).run();
        ps.stdout.contains("sleep 100")
    });
    std::thread::sleep(std::time::Duration::from_millis(200));
    tmux.keys(&["C-z"]);
    tmux.wait_for("Stopped");
    tmux.line("fg");
    tmux.wait_for("enter /mnt/r sleep 100");
    tmux.keys(&["C-c"]);
    tmux.line("echo status=$?");
    tmux.wait_for("status=130");
}

fn ctrl_c() {
    let tmux = terminal();
    // A program that handles Ctrl-C goes on: newroot does not end the session for it.
    tmux.line("newroot enter /mnt/r sh -c 'trap \"echo caught\" INT; echo beg\"\"un; sleep 100; echo on; sleep 0.3; exit 5'; echo status=$?");
    tmux.wait_for("begun");
    tmux.keys(&["C-c"]);
    let screen = tmux.wait_for("status=5");
    assert!(
        screen.contains("caught") && screen.contains("on"),
        "{screen}"
    );
}

fn shell() {
    let tmux = terminal();
    tmux.line("newroot enter /mnt/r");
    tmux.wait_for("(newroot:r)#");
    tmux.line("echo $TERM $HOME $USER; pwd; tty");
    // The prompt has "root" in it as well.
    tmux.wait_for("screen /root root");
    // Job control inside: the inner shell has a terminal of its own.
    tmux.line("sleep 100");
    std::thread::sleep(std::time::Duration::from_millis(200));
    tmux.keys(&["C-z"]);
    tmux.wait_for("Stopped");
    tmux.line("kill -9 %1");
    tmux.line("echo k\"\"ed");
    tmux.wait_for("ked");
    tmux.line("exit 3");
    tmux.wait_for_last_line("outer$");
    tmux.line("echo status=$?");
    tmux.wait_for("status=3");
}

fn restored() {
    let tmux = terminal();
    tmux.line("stty -a > /tmp/before; newroot enter /mnt/r sh -c 'stty raw -echo; kill -9 $$'; stty -a > /tmp/after; cmp /tmp/before /tmp/after && echo sa''me");
    tmux.wait_for("same");
    // Stopped in the middle: the outer shell has its own settings, the program its own again.
    tmux.line("clear");
    tmux.line("newroot enter /mnt/r sh -c 'stty -echo; echo beg\"\"un; kill -TSTP 0; stty -a | grep -o -- -echo\\ ; echo en\"\"d'");
    tmux.wait_for("Stopped");
    tmux.line("stty -a > /tmp/between; cmp /tmp/before /tmp/between && echo sa''me; fg");
    let screen = tmux.wait_for("end");
    assert!(screen.contains("same"), "{screen}");
    assert!(screen.contains("\n-echo\n"), "{screen}");
}

fn pipeline() {
    let tmux = terminal();
    // less(1) has to read the keyboard while newroot's program writes to it.
    tmux.line("newroot enter /mnt/r sh -c 'echo line; sleep 0.2' | bash -c 'cat; read -n1 -p press- key </dev/tty; echo got=$key'");
    tmux.wait_for("press-");
    tmux.keys(&["x"]);
    tmux.wait_for("got=x");
    // A program in a pipeline that reads the terminal gets it all the same.
    tmux.line("clear");
    tmux.line("newroot enter /mnt/r sh -c 'echo ask; read a </dev/tty; echo got=$a' | cat");
    tmux.wait_for("ask");
    tmux.line("yes");
    tmux.wait_for("got=yes");
    // Ctrl-Z and Ctrl-C reach the whole job.
    tmux.line("clear");
    tmux.line("newroot enter /mnt/r sh -c 'echo beg\"\"un; sleep 1000' | cat");
    tmux.wait_for("begun");
    tmux.keys(&["C-z"]);
    tmux.wait_for("Stopped");
    tmux.line("fg");
    tmux.keys(&["C-c"]);
    tmux.wait_for_last_line("outer$");
}

fn background() {
    let tmux = terminal();
    let binary = std::env::var("NEWROOT_BIN").unwrap();
    tmux.line(&format!(
        "{binary} enter /mnt/r sh -c 'stty sane; cat; echo do\"\"ne' &"
    ));
    // It wants to change the terminal, so it stops; brought to the front, it may.
    tmux.line("sleep 0.5; clear; jobs");
    tmux.wait_for("Stopped");
    tmux.line("clear; fg");
    tmux.wait_for("enter /mnt/r sh");
    tmux.line("wo'rd");
    tmux.keys(&["C-d"]);
    tmux.wait_for("done");
}

fn size() {
    let tmux = terminal();
    tmux.resize(100, 30);
    tmux.line("newroot enter /mnt/r stty size");
    tmux.wait_for("30 100");
    // What is typed while a session ends is the session's.
    super::until("it has ended", || super::records().is_empty());
    tmux.wait_for_last_line("outer$");
    // A serial line says 0x0.
    tmux.line("stty rows 0 columns 0; newroot enter /mnt/r stty size");
    tmux.wait_for("24 80");
}

/// The group that has the terminal is outside of the PID namespace: a shell that asks who has it
/// gets no answer, unless the terminal is its own.
fn nested() {
    let tmux = terminal();
    let root = std::path::Path::new("/mnt/b");
    crate::fixture::glibc_root(root, &["bash", "sleep", "stty", "cat"]);
    let binary = std::env::var("NEWROOT_BIN").unwrap();
    for _ in 0..2 {
        tmux.line(&format!(
            "clear; unshare --fork --pid --mount-proc {binary} enter /mnt/b bash; echo status=$?"
        ));
        tmux.wait_for("(newroot:b)");
        tmux.line("sleep 100");
        std::thread::sleep(std::time::Duration::from_millis(200));
        tmux.keys(&["C-z"]);
        tmux.wait_for("Stopped");
        tmux.line("clear; kill -9 %1; stty size; fg; exit 3");
        let screen = tmux.wait_for("status=3");
        assert!(screen.contains("24 80"), "{screen}");
        tmux.wait_for_last_line("outer$");
    }
    // The outer shell could not bring back a job that stops there: it goes on.
    let nested = format!("unshare --fork --pid --mount-proc {binary} enter /mnt/b");
    tmux.line(&format!(
        "clear; {nested} bash -c 'echo beg\"\"un; read a; echo got=$a'; echo status=$?"
    ));
    tmux.wait_for("begun");
    tmux.keys(&["C-z"]);
    tmux.line("word");
    tmux.wait_for("got=word");
    tmux.wait_for("status=0");
}

fn hangup() {
    let tmux = terminal();
    tmux.line("newroot enter /mnt/r");
    tmux.wait_for("(newroot:r)#");
    let ps = crate::run::newroot(["ps", "--json"]).run();
    let list: serde_json::Value = serde_json::from_str(&ps.stdout).unwrap();
    let pid = list[0]["record"]["supervisor"]["pid"].as_i64().unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    super::until("it has ended", || super::records().is_empty());
    tmux.wait_for("# outer$");
    tmux.line("echo status=$?");
    tmux.wait_for("status=129");
}
