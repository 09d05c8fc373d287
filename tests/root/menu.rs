//! `newroot` alone: the first screen, in real terminals.

use std::os::unix::process::CommandExt as _;

use crate::fixture;
use crate::need::Need;
use crate::run::newroot;
use crate::tmux::Tmux;
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    let needs = &[Need::Command("tmux"), Need::Command("busybox")];
    vec![
        Trial::new("menu::the_first_screen", needs, first_screen),
        Trial::new("menu::a_verb_is_asked_for_what_it_needs", needs, enters),
        Trial::new("menu::a_jail_from_two_answers", needs, jail),
        Trial::new("menu::every_way_out", needs, ways_out),
        Trial::new("menu::on_a_dumb_terminal", needs, dumb),
        Trial::new("menu::leftovers_are_named", needs, leftovers),
        Trial::new("menu::without_a_terminal_there_is_none", &[], no_terminal),
        Trial::new("menu::ctrl_c_is_the_programs", needs, ctrl_c),
    ]
}

fn start(environment: &str) -> Tmux {
    let tmux = Tmux::start();
    again(&tmux, environment);
    tmux
}

fn again(tmux: &Tmux, environment: &str) {
    let binary = std::env::var("NEWROOT_BIN").unwrap();
    tmux.line(&format!("clear; {environment} {binary}; echo status=$?"));
    tmux.wait_for_last_line("Choice:");
}

fn first_screen() {
    let tmux = start("");
    let screen = tmux.screen();
    let lines: Vec<&str> = screen.lines().collect();
    assert!(lines[0].starts_with("newroot 0."), "{screen}");
    assert!(lines[0].contains(" on "), "{screen}");
    assert!(lines[0].contains("network"), "{screen}");
    assert_eq!(
        lines[1],
        "Type a number or word, then Enter. q or Ctrl-D leaves. No disk was touched yet."
    );
    let entries: Vec<&str> = lines.iter().filter_map(|line| line.get(3..)).collect();
    assert!(
        entries.iter().any(|line| line.starts_with("  jail ")),
        "{screen}"
    );
    // Only verbs that can be typed.
    let listed = lines.iter().filter(|line| line.starts_with("  "));
    for line in listed {
        let word = line.split_whitespace().nth(1).unwrap();
        newroot([word, "--help"]).run().code(0);
    }
    tmux.line("nonsense");
    tmux.wait_for("There is no choice \"nonsense\"");
    tmux.line("q");
    tmux.wait_for("status=0");
}

fn enters() {
    fixture::busybox_root(std::path::Path::new("/mnt/r s"));
    let tmux = start("");
    tmux.line("enter");
    tmux.wait_for_last_line("Directory that serves as /:");
    tmux.line("/mnt/r s");
    tmux.wait_for("Without this menu: newroot enter '/mnt/r s'");
    tmux.wait_for_last_line("(newroot:r_s)#");
    tmux.line("sleep 100");
    std::thread::sleep(std::time::Duration::from_millis(200));
    tmux.keys(&["C-z"]);
    tmux.wait_for("Stopped");
    tmux.line("kill -9 %1; clear; exit 3");
    tmux.wait_for("(enter ended with exit status 3)");
    tmux.wait_for_last_line("Choice:");
    let screen = tmux.screen();
    assert!(!screen.contains("No disk was touched yet"), "{screen}");
    tmux.keys(&["C-d"]);
    tmux.wait_for("status=0");
}

fn jail() {
    let tmux = start("");
    tmux.line("jail");
    tmux.wait_for_last_line("Programs:");
    tmux.line("busybox");
    tmux.wait_for_last_line("Directory for the jail");
    tmux.line("/mnt/jail");
    tmux.wait_for("Without this menu: newroot jail build /mnt/jail busybox");
    tmux.wait_for("next: newroot enter /mnt/jail");
    tmux.wait_for_last_line("Choice:");
    assert!(std::path::Path::new("/mnt/jail/.newroot/manifest.json").exists());
    tmux.line("");
    tmux.wait_for("status=0");
}

fn ways_out() {
    let tmux = start("");
    for keys in [
        &["q", "Enter"][..],
        &["Enter"],
        &["C-d"],
        &["q", "u", "i", "t", "Enter"],
    ] {
        tmux.keys(keys);
        tmux.wait_for("status=0");
        again(&tmux, "");
    }
    // Back from a question to the menu, with nothing done.
    for keys in [&["q", "Enter"][..], &["Enter"], &["C-d"]] {
        tmux.line("enter");
        tmux.wait_for_last_line("Directory that serves as /:");
        tmux.keys(keys);
        tmux.wait_for_last_line("Choice:");
    }
    tmux.keys(&["C-c"]);
    tmux.wait_for_last_line("outer$");
    tmux.line("echo status=$?");
    tmux.wait_for("status=130");
}

fn dumb() {
    let tmux = start("TERM=dumb");
    let screen = tmux.screen();
    assert!(screen.is_ascii(), "{screen}");
    tmux.line("enter");
    tmux.wait_for_last_line("Directory that serves as /:");
    tmux.line("/nonexistent");
    tmux.wait_for("newroot: cannot enter /nonexistent");
    tmux.wait_for("(enter ended with exit status 125)");
    tmux.wait_for_last_line("Choice:");
    tmux.line("q");
    tmux.wait_for("status=0");
}

fn leftovers() {
    let root = std::path::Path::new("/mnt/r");
    fixture::busybox_root(root);
    let mut child = std::process::Command::new(std::env::var("NEWROOT_BIN").unwrap())
        .args(["enter", "/mnt/r", "sh", "-c", "echo ready; exec sleep 1000"])
        .stdout(std::process::Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut line = String::new();
    let out = child.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).unwrap();
    assert_eq!(line, "ready\n");
    child.kill().unwrap();
    child.wait().unwrap();
    // As if it had died with a volume open.
    let records = std::fs::read_dir("/run/newroot").unwrap();
    let path = records
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "json"))
        .unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let mut record: serde_json::Value = serde_json::from_str(&text).unwrap();
    record["items"] = serde_json::json!([
        { "id": 1, "state": "done", "item": { "kind": "mapping", "name": "web03_crypt" } }
    ]);
    std::fs::write(&path, record.to_string()).unwrap();
    let tmux = start("");
    let screen = tmux.screen();
    assert!(
        screen.contains("LUKS \"web03_crypt\" still open. To undo: newroot cleanup"),
        "{screen}"
    );
    assert!(screen.contains("  cleanup "), "{screen}");
    tmux.line("cleanup");
    tmux.wait_for("Without this menu: newroot cleanup");
    tmux.wait_for_last_line("Choice:");
    tmux.line("q");
    tmux.wait_for("status=0");
    for entry in std::fs::read_dir("/run/newroot").unwrap() {
        std::fs::remove_file(entry.unwrap().path()).ok();
    }
}

fn no_terminal() {
    let run = newroot::<[&str; 0]>([]).run();
    run.code(2).stdout_is("").stderr_has("Usage: newroot");
    newroot(["--plain"]).run().code(2).stdout_is("");
}

fn ctrl_c() {
    fixture::busybox_root(std::path::Path::new("/mnt/r"));
    let tmux = start("");
    tmux.line("enter");
    tmux.wait_for_last_line("Directory that serves as /:");
    tmux.line("/mnt/r");
    tmux.wait_for_last_line("(newroot:r)#");
    tmux.line("sleep 100");
    std::thread::sleep(std::time::Duration::from_millis(200));
    tmux.keys(&["C-c"]);
    tmux.line("echo al''ive");
    tmux.wait_for("alive");
    tmux.line("exit 0");
    tmux.wait_for_last_line("Choice:");
    tmux.line("q");
    tmux.wait_for("status=0");
}
