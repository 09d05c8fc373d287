//! `newroot closure` as a person or a script meets it: the binary, its four formats, its exit
//! status and its messages.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::writer::{Elf, NEEDED, RUNPATH, loader};
use crate::support::newroot;

/// A root with one of everything.
struct Root {
    directory: tempfile::TempDir,
}

impl Root {
    fn new() -> Self {
        let root = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        let program = Elf::prog()
            .text(RUNPATH, "$ORIGIN/../app")
            .needs(&["liba.so", "libb.so"]);
        root.file("lib64/ld-linux-x86-64.so.2", &loader());
        root.file("usr/bin/p", &program.build());
        root.file("usr/app/liba.so", &Elf::lib().needs(&["libc.so.6"]).build());
        root.file(
            "usr/lib/libb.so",
            &Elf::lib().needs(&["libc.so.6", "liba.so"]).build(),
        );
        let libc = Elf::lib()
            .soname("libc.so.6")
            .needs(&["ld-linux-x86-64.so.2"]);
        root.file("usr/lib/libc.so.6", &libc.build());
        root
    }

    fn file(&self, name: &str, bytes: &[u8]) -> &Self {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn closure(&self, arguments: &[&str]) -> crate::support::run::Run {
        let root = self.directory.path().to_str().unwrap();
        let mut all = vec!["closure", "--root", root];
        all.extend_from_slice(arguments);
        newroot(all)
    }
}

#[test]
fn a_file_is_found_in_a_root_by_any_name_of_either() {
    let top = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(top.path().join("root/bin")).unwrap();
    std::fs::write(top.path().join("root/bin/x"), "text").unwrap();
    std::os::unix::fs::symlink("root", top.path().join("link")).unwrap();
    for (root, file) in [("root", "link/bin/x"), ("link", "root/bin/x")] {
        newroot(["closure", "--format", "paths", "--root", root, file])
            .cwd(top.path())
            .run()
            .code(0)
            .stdout_is("/bin/x\n");
    }
    let file = top.path().join("root/bin/x");
    newroot([
        "closure",
        "--format",
        "paths",
        "--root",
        "/proc/self/root",
        "x",
    ])
    .cwd(top.path().join("root/bin"))
    .run()
    .code(0)
    .stdout_is(&format!("{}\n", file.display()));
}

#[test]
fn tree_shows_who_needs_whom() {
    let wanted = "\
/usr/bin/p
├─ /lib64/ld-linux-x86-64.so.2  [interpreter]
├─ liba.so => /usr/bin/../app/liba.so  [runpath]
│  └─ libc.so.6 => /usr/lib/libc.so.6  [default]
│     └─ /lib64/ld-linux-x86-64.so.2  [the interpreter]
└─ libb.so => /usr/lib/libb.so  [default]
   ├─ liba.so => /usr/bin/../app/liba.so  (above)
   └─ libc.so.6 => /usr/lib/libc.so.6  (above)
";
    let root = Root::new();
    let run = || root.closure(&["/usr/bin/p"]).env("TERM", "xterm");
    run().run().code(0).stdout_is(wanted).stderr_is("");
    let plain = root.closure(&["--plain", "/usr/bin/p"]).run();
    plain
        .code(0)
        .stdout_has("|- liba.so => /usr/bin/../app/liba.so  [runpath]\n");
    let colour = root.closure(&["--color", "always", "/usr/bin/p"]).run();
    colour.code(0).stdout_has("\x1b[32mliba.so\x1b[0m => ");
}

#[test]
fn ldd_is_another_name_for_it() {
    let root = Root::new();
    let directory = root.directory.path().to_str().unwrap();
    let run = newroot([
        "ldd",
        "--root",
        directory,
        "--format",
        "paths",
        "/usr/bin/p",
    ])
    .run();
    run.code(0).stdout_has("/usr/bin/p\n");
}

#[test]
fn paths_are_sorted_and_as_the_loader_opens_them() {
    let wanted = "\
/lib64/ld-linux-x86-64.so.2
/usr/bin/../app/liba.so
/usr/bin/p
/usr/lib/libb.so
/usr/lib/libc.so.6
";
    let root = Root::new();
    let run = root.closure(&["--format", "paths", "/usr/bin/p"]).run();
    run.code(0).stdout_is(wanted).stderr_is("");
    let null = root
        .closure(&["--format", "paths", "-0", "/usr/bin/p"])
        .run();
    null.code(0).stdout_is(&wanted.replace('\n', "\0"));
    // Two programs that share everything are no longer than one.
    let two = root
        .closure(&["--format", "paths", "/usr/bin/p", "/usr/lib/libc.so.6"])
        .run();
    two.code(0).stdout_is(wanted);
}

#[test]
fn json_has_the_shape_that_scripts_rely_on() {
    let root = Root::new();
    let run = root
        .closure(&["--json", "/usr/bin/p", "/usr/lib/libc.so.6"])
        .run();
    run.code(0).stderr_is("");
    let found: Value = serde_json::from_str(&run.stdout).unwrap();
    let (program, liba, libb) = ("/usr/bin/p", "/usr/bin/../app/liba.so", "/usr/lib/libb.so");
    let loader = "/lib64/ld-linux-x86-64.so.2";
    let wanted = json!({
        "path": program,
        "kind": "dynamic",
        "interpreter": loader,
        "loader": {"needed_by": ["/usr/lib/libc.so.6"]},
        "objects": [
            {"path": liba, "name": "liba.so", "needed_by": [program, libb], "found_by": "runpath"},
            {"path": libb, "name": "libb.so", "needed_by": [program], "found_by": "default"},
            {"path": "/usr/lib/libc.so.6", "name": "libc.so.6", "needed_by": [liba, libb],
             "found_by": "default"},
        ],
        "missing": [],
        "versions": [],
        "needs_proc": true,
    });
    assert_eq!(found["programs"][0], wanted);
    let libc = &found["programs"][1];
    assert_eq!(libc["kind"], "library");
    assert_eq!(libc["interpreter"], loader);
    assert_eq!(found["programs"].as_array().unwrap().len(), 2);
}

#[test]
fn what_is_missing_is_named_with_where_it_was_looked_for() {
    let root = Root::new();
    fs::remove_file(root.at("usr/lib/libc.so.6")).unwrap();
    let text = root.closure(&["/usr/bin/p"]).run();
    text.code(1)
        .stdout_has("libc.so.6 => not found\n")
        .stdout_has("searched /usr/lib (default)\n")
        .stderr_has("newroot: /usr/bin/p: libc.so.6 not found, needed by /usr/lib/libb.so\n");
    let paths = root.closure(&["--format", "paths", "/usr/bin/p"]).run();
    paths.code(1).stderr_has("libc.so.6 not found");
    assert_eq!(paths.stdout.lines().count(), 4);
    let run = root.closure(&["--json", "/usr/bin/p"]).run();
    run.code(1);
    let found: Value = serde_json::from_str(&run.stdout).unwrap();
    let missing = &found["programs"][0]["missing"][0];
    assert_eq!(missing["name"], "libc.so.6");
    assert_eq!(missing["needed_by"], json!(["/usr/bin/../app/liba.so"]));
    let searched = missing["searched"].as_array().unwrap();
    assert!(searched.contains(&json!("/usr/lib (default)")), "{missing}");
}

#[test]
fn a_missing_loader_is_missing_too() {
    let root = Root::new();
    fs::remove_file(root.at("lib64/ld-linux-x86-64.so.2")).unwrap();
    let run = root.closure(&["--format", "paths", "/usr/bin/p"]).run();
    run.code(1)
        .stderr_has("/lib64/ld-linux-x86-64.so.2 not found, needed by /usr/bin/p");
    assert!(!run.stdout.contains("ld-linux"));
}

#[test]
fn a_file_that_stops_the_loader_is_named() {
    let root = Root::new();
    root.file("usr/app/liba.so", b"INPUT ( liba.so.1 )\n");
    let run = root.closure(&["--format", "paths", "/usr/bin/p"]).run();
    run.code(1)
        .stderr_has("liba.so needed by /usr/bin/p: /usr/bin/../app/liba.so: file too short\n");
}

#[test]
fn why_shows_every_chain() {
    let root = Root::new();
    let wanted = "\
/usr/bin/p -> /usr/bin/../app/liba.so -> /usr/lib/libc.so.6 [default]
/usr/bin/p -> /usr/lib/libb.so -> /usr/lib/libc.so.6 [default]
/usr/bin/p -> /usr/lib/libb.so -> /usr/bin/../app/liba.so -> /usr/lib/libc.so.6 [default]
";
    let run = root
        .closure(&["--plain", "--why", "libc.so.6", "/usr/bin/p"])
        .run();
    run.code(0).stdout_is(wanted);
    let none = root.closure(&["--why", "libz.so.1", "/usr/bin/p"]).run();
    none.code(1)
        .stdout_is("")
        .stderr_has("libz.so.1 is not among the objects it loads");
}

#[test]
fn dot_is_a_graph_whose_names_are_quoted() {
    let root = Root::new();
    let name = "a\" -> \"b.so";
    root.file("usr/bin/q", &Elf::prog().text(NEEDED, name).build());
    let run = root.closure(&["--format", "dot", "/usr/bin/q"]).run();
    let wanted = "\
digraph closure {
  rankdir=LR;
  node [shape=box];
  \"/usr/bin/q\" [style=bold];
  \"a\\\" -> \\\"b.so\" [color=red];
  \"/usr/bin/q\" -> \"/lib64/ld-linux-x86-64.so.2\" [label=\"interpreter\"];
  \"/usr/bin/q\" -> \"a\\\" -> \\\"b.so\" [label=\"missing\"];
}
";
    run.code(1).stdout_is(wanted);
}

#[test]
fn file_may_have_the_roots_prefix_or_be_a_name_in_its_path() {
    let root = Root::new();
    let long = root.at("usr/bin/p");
    for file in [long.to_str().unwrap(), "usr/bin/p", "p"] {
        let run = root.closure(&["--format", "paths", file]).run();
        run.code(0).stdout_has("\n/usr/bin/p\n");
    }
    let run = root
        .closure(&["--format", "paths", "../bin/p"])
        .cwd(root.at("usr/app"))
        .run();
    run.code(0).stdout_has("/libb.so\n");
    let verbose = root.closure(&["-v", "--format", "paths", "p"]).run();
    verbose.stderr_has("p is no file here; taken from the PATH of the root: /usr/bin/p");
}

#[test]
fn a_file_that_is_not_there_or_is_no_file() {
    let root = Root::new();
    let run = root.closure(&["/usr/bin/none", "/usr/bin/p"]).run();
    run.code(125)
        .stderr_has("newroot: cannot read /usr/bin/none in /")
        .stderr_has("No such file or directory (ENOENT)")
        .stdout_has("/usr/bin/p\n");
    root.closure(&["/usr"])
        .run()
        .code(125)
        .stderr_has("is a directory");
    root.file("broken", &Elf::prog().build()[..60]);
    root.closure(&["/broken"])
        .run()
        .code(1)
        .stderr_has("file too short");
    let run = newroot(["closure", "--root", "/none/such", "x"]).run();
    run.code(125).stderr_has("cannot use /none/such as a root");
}

#[test]
fn scripts_lead_to_their_interpreter() {
    let root = Root::new();
    root.file("bin/sh", &Elf::prog().needs(&["libc.so.6"]).build());
    root.file("usr/bin/env", &Elf::prog().needs(&["libb.so"]).build());
    root.file("usr/bin/lang", b"#!/bin/sh\n");
    root.file("plain", b"#! /bin/sh -e\n");
    root.file("split", b"#!/usr/bin/env -S A=1 lang --flag\n");
    root.file("gone", b"#!/usr/bin/env nothing\n");
    let plain = root.closure(&["--format", "paths", "/plain"]).run();
    plain
        .code(0)
        .stdout_is("/bin/sh\n/lib64/ld-linux-x86-64.so.2\n/plain\n/usr/lib/libc.so.6\n");
    // env's own needs count, and the interpreter may be a script itself.
    let split = root.closure(&["--json", "/split"]).run();
    split.code(1);
    let found: Value = serde_json::from_str(&split.stdout).unwrap();
    let program = &found["programs"][0];
    let steps = program["script"].as_array().unwrap();
    let paths: Vec<&str> = steps
        .iter()
        .map(|it| it["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["/usr/bin/env", "/usr/bin/lang", "/bin/sh"]);
    assert_eq!(steps[1]["through_env"], true);
    assert_eq!(steps[0]["closure"]["missing"][0]["name"], "liba.so");
    assert_eq!(program["kind"], "script");
    assert_eq!(program["interpreter"], "/lib64/ld-linux-x86-64.so.2");
    assert_eq!(program["objects"][0]["name"], "libc.so.6");
    let gone = root.closure(&["/gone"]).run();
    gone.code(1)
        .stderr_has("/gone: interpreter nothing not found");
}

#[test]
fn notes_are_read_only_when_asked_for() {
    let root = Root::new();
    let json = r#"[{"soname":["libz.so.2","libz.so.1"],"feature":"zip","priority":"suggested"}]"#;
    root.file(
        "usr/bin/n",
        &Elf::prog().needs(&["libb.so"]).note(json).build(),
    );
    let text = root.closure(&["--notes", "/usr/bin/n"]).run();
    text.stdout_has("may load libz.so.2 or libz.so.1 (suggested) zip for /usr/bin/n\n");
    let run = root.closure(&["--notes", "--json", "/usr/bin/n"]).run();
    let found: Value = serde_json::from_str(&run.stdout).unwrap();
    let note = &found["programs"][0]["notes"][0];
    assert_eq!(note["soname"], json!(["libz.so.2", "libz.so.1"]));
    assert_eq!(note["priority"], "suggested");
    let without = root.closure(&["--json", "/usr/bin/n"]).run();
    assert!(!without.stdout.contains("notes"));
    // One that goes on behind the first page of the file.
    let long = format!(
        r#"[{{"soname":["libz.so.2"],"description":"{}"}}]"#,
        "x".repeat(5000)
    );
    root.file("usr/bin/long", &Elf::prog().note(&long).build());
    let run = root.closure(&["--notes", "--json", "/usr/bin/long"]).run();
    let found: Value = serde_json::from_str(&run.stdout).unwrap();
    let description = &found["programs"][0]["notes"][0]["description"];
    assert_eq!(description.as_str().map(str::len), Some(5000));
}

#[test]
fn names_never_reach_a_shell_or_a_terminal_raw() {
    let root = Root::new();
    let evil = "a;touch PWNED\x1b[2J\nb";
    root.file(
        &format!("bin/{evil}"),
        &Elf::prog().text(NEEDED, "x\x1b]0;y\x07").build(),
    );
    let run = root
        .closure(&[&format!("/bin/{evil}")])
        .cwd(root.directory.path())
        .run();
    run.code(1)
        .stderr_has("a;touch PWNED\\x1b[2J\\nb")
        .stdout_has("x\\x1b]0;y\\x07 => not found");
    assert!(!run.stdout.contains('\x1b') && !run.stderr.contains('\x1b'));
    assert!(!root.at("PWNED").exists());
}

#[test]
fn names_that_are_no_utf8_are_exact_in_json() {
    let root = Root::new();
    let name = std::ffi::OsStr::from_bytes(b"bin\xff");
    fs::write(
        root.at("").join(name),
        Elf::prog().needs(&["libc.so.6"]).build(),
    )
    .unwrap();
    let directory = root.directory.path().as_os_str();
    let file = Path::new("/").join(name);
    let run = newroot([
        "closure".as_ref(),
        "--json".as_ref(),
        "--root".as_ref(),
        directory,
        file.as_os_str(),
    ]);
    let found: Value = serde_json::from_str(&run.run().stdout).unwrap();
    assert_eq!(found["programs"][0]["path"], "/bin\u{fffd}");
    assert_eq!(found["programs"][0]["path_hex"], "2f62696eff");
}

#[test]
fn the_environment_is_not_asked() {
    let root = Root::new();
    root.file("other/libb.so", &Elf::lib().build());
    let run = || root.closure(&["--format", "paths", "/usr/bin/p"]);
    run()
        .env("LD_LIBRARY_PATH", "/other")
        .run()
        .stdout_has("/usr/lib/libb.so\n");
    let asked = root.closure(&[
        "--library-path",
        "/other",
        "--format",
        "paths",
        "/usr/bin/p",
    ]);
    asked.run().code(0).stdout_has("/other/libb.so\n");
    let preload = root
        .closure(&["--preload", "/other/libb.so", "/usr/bin/p"])
        .run();
    preload.code(0).stdout_has("/other/libb.so  [preload]\n");
}
