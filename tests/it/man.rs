//! The man pages against the command line and the code they describe.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use newroot::error::Exit;

use crate::support::{Need, need};

/// Every page, and the verbs it describes.
const PAGES: &[(&str, &[&str])] = &[
    (
        "newroot.8",
        &["ps", "exec", "stop", "cleanup", "setup", "completions"],
    ),
    ("newroot-jail.8", &["jail"]),
    ("newroot-jail-export.8", &["jail export"]),
    ("newroot-enter.8", &["enter"]),
    ("newroot-closure.8", &["closure"]),
    ("newroot-profile.5", &["profile"]),
    ("newroot-scan.8", &["scan"]),
    ("newroot-features.8", &["features"]),
    ("newroot-rescue.8", &["rescue"]),
    ("newroot-mount.8", &["mount", "umount"]),
    ("newroot-doctor.8", &["doctor"]),
];

/// Flags a page may name though its verbs lack them.
const OTHER: &[&str] = &["--help", "--version"];

fn page(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("man").join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(page(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The command that these words lead to.
fn command_of<'c>(tree: &'c clap::Command, words: &str) -> &'c clap::Command {
    let down = |command: &'c clap::Command, name| command.find_subcommand(name).unwrap();
    words.split(' ').fold(tree, down)
}

/// Whether these words have a page of their own, which is not that of the verb above.
fn has_own_page(words: &str) -> bool {
    let mut all = PAGES.iter().flat_map(|(_, verbs)| verbs.iter());
    words.contains(' ') && all.any(|verb| *verb == words)
}

/// `--flag` for each long flag of a verb and of what is below it; the global ones and what has a
/// page of its own left out. `words` lead to `command`.
fn flags_of(words: &str, command: &clap::Command, into: &mut BTreeSet<String>) {
    let own = command.get_arguments().filter(|arg| !arg.is_global_set());
    let long = own
        .filter(|arg| !arg.is_hide_set())
        .filter_map(clap::Arg::get_long);
    into.extend(long.map(|name| format!("--{name}")));
    for below in command.get_subcommands() {
        let words = format!("{words} {}", below.get_name());
        let words = words.trim_start();
        if !has_own_page(words) {
            flags_of(words, below, into);
        }
    }
}

fn global_flags() -> BTreeSet<String> {
    let command = newroot::cli::command();
    let all = command.get_arguments().filter_map(clap::Arg::get_long);
    all.map(|name| format!("--{name}")).collect()
}

/// `--flag` for each long flag in a page's source: `Fl \-flag` in mdoc.
fn flags_in(page: &str) -> BTreeSet<String> {
    let source = page
        .replace("\\-\\-", "--")
        .replace("Fl \\-", "--")
        .replace("Fl -", "--");
    let lines = source.lines().filter(|line| !line.starts_with(".\\\""));
    let words = lines.flat_map(|line| line.split(|c: char| !(c.is_alphanumeric() || c == '-')));
    words
        .filter(|word| word.starts_with("--") && word.len() > 3)
        .map(|word| word.trim_end_matches('-').to_string())
        .collect()
}

/// Every flag of the page's verbs is in it; every flag in it exists.
fn compare(name: &str) {
    let command = newroot::cli::command();
    let globals = global_flags();
    let mut every = globals.clone();
    for words in PAGES.iter().flat_map(|(_, verbs)| verbs.iter()) {
        flags_of(words, command_of(&command, words), &mut every);
    }
    let described = flags_in(&text(name));
    let (_, verbs) = PAGES.iter().find(|(page, _)| *page == name).unwrap();
    let mut real = BTreeSet::new();
    for verb in *verbs {
        flags_of(verb, command_of(&command, verb), &mut real);
    }
    if name == "newroot.8" {
        real.extend(globals);
    }
    let missing: Vec<_> = real.difference(&described).collect();
    assert!(missing.is_empty(), "{name} does not describe {missing:?}");
    // A page may name the flags of another verb, never one that does not exist.
    let invented: Vec<_> = described
        .difference(&every)
        .filter(|flag| !OTHER.contains(&flag.as_str()))
        .collect();
    assert!(invented.is_empty(), "{name} describes {invented:?}");
}

#[test]
fn newroot_8_has_every_flag() {
    compare("newroot.8");
}

#[test]
fn newroot_jail_8_has_every_flag() {
    compare("newroot-jail.8");
}

#[test]
fn newroot_jail_export_8_has_every_flag() {
    compare("newroot-jail-export.8");
}

#[test]
fn newroot_enter_8_has_every_flag() {
    compare("newroot-enter.8");
}

#[test]
fn newroot_closure_8_has_every_flag() {
    compare("newroot-closure.8");
}

#[test]
fn newroot_profile_5_has_every_flag() {
    compare("newroot-profile.5");
}

#[test]
fn newroot_scan_8_has_every_flag() {
    compare("newroot-scan.8");
}

#[test]
fn newroot_features_8_has_every_flag() {
    compare("newroot-features.8");
}

#[test]
fn newroot_rescue_8_has_every_flag() {
    compare("newroot-rescue.8");
}

#[test]
fn newroot_mount_8_has_every_flag() {
    compare("newroot-mount.8");
}

#[test]
fn newroot_doctor_8_has_every_flag() {
    compare("newroot-doctor.8");
}

#[test]
fn every_verb_has_its_page() {
    for verb in newroot::cli::command().get_subcommands() {
        let name = verb.get_name();
        let pages = PAGES.iter().filter(|(_, verbs)| verbs.contains(&name));
        assert_eq!(pages.count(), 1, "{name}");
        assert!(
            text("newroot.8").contains(&format!(".It Cm {name}\n")),
            "{name}"
        );
    }
}

#[test]
fn exit_statuses_are_the_real_ones() {
    let page = text("newroot.8");
    let (_, section) = page.split_once(".Sh EXIT STATUS").unwrap();
    let (section, _) = section.split_once(".Sh ").unwrap();
    let described: Vec<u8> = section
        .lines()
        .filter_map(|line| line.strip_prefix(".It ")?.parse().ok())
        .collect();
    let real = [
        Exit::Success,
        Exit::Findings,
        Exit::Usage,
        Exit::CleanupIncomplete,
        Exit::Failed,
        Exit::NotRunnable,
        Exit::NotFound,
    ];
    assert_eq!(described, real.map(Exit::code));
}

#[test]
fn mandoc_has_nothing_to_say() {
    if !need(&[Need::Command("mandoc")]) {
        return;
    }
    let pages: Vec<PathBuf> = fs::read_dir(page(""))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let output = Command::new("mandoc")
        .args(["-T", "lint", "-W", "warning"])
        .args(&pages)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[test]
fn the_flags_of_a_page_are_found() {
    let page = ".It Fl b , Fl \\-bind Ar SRC\n.\\\" --comment\n.Dl $ newroot \\-\\-root=/x -- ls\n";
    let expected = ["--bind", "--root"].map(String::from);
    assert_eq!(flags_in(page), BTreeSet::from(expected));
}
