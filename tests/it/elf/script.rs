//! `#!` lines against this machine's kernel: what it starts, `closure` calls complete; what it
//! refuses, `closure` does not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::newroot;

fn executable(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_first_line_means_what_it_means_to_the_kernel() {
    let top = tempfile::tempdir().unwrap();
    let at = |name: &str| top.path().join(name);
    fs::copy("/bin/echo", at("e")).unwrap();
    fs::write(at("plain"), "text without permission").unwrap();
    executable(&at("data"), b"\x01 neither ELF nor text");
    let echo = at("e").to_str().unwrap().to_owned();
    let blanks = |total: usize, tail: &str| {
        let fill = total - 2 - echo.len() - tail.len();
        format!("#!{}{echo}{tail}", " ".repeat(fill))
    };
    let mut cases: Vec<(String, String)> = vec![
        ("usual".into(), format!("#!{echo}\n")),
        ("tabs".into(), format!("#!\t {echo}\t a b \n")),
        ("no-newline".into(), format!("#!{echo}")),
        ("nul".into(), format!("#!{echo}\0 a\n")),
        ("carriage-return".into(), format!("#!{echo}\r\n")),
        ("argument-with-one".into(), format!("#!{echo} a\r\n")),
        ("vertical-tab".into(), format!("#!{echo}\x0ba\n")),
        ("missing".into(), "#!/no/such/program\n".into()),
        (
            "plain-text".into(),
            format!("#!{}\n", at("plain").display()),
        ),
        ("no-program".into(), format!("#!{}\n", at("data").display())),
        ("directory".into(), "#!/usr\n".into()),
        ("name-fits".into(), blanks(256, "\n")),
        ("name-cut-off".into(), blanks(257, "\n")),
        ("blank-at-the-end".into(), blanks(258, "  b\n")),
        (
            "argument-cut-off".into(),
            format!("#!{echo} {}\n", "a".repeat(400)),
        ),
        ("s0".into(), format!("#!{echo}\n")),
    ];
    for number in 1..7 {
        let above = at(&format!("s{}", number - 1));
        cases.push((format!("s{number}"), format!("#!{}\n", above.display())));
    }
    for (name, text) in &cases {
        executable(&at(name), text.as_bytes());
    }
    for (name, _) in &cases {
        let started = Command::new(at(name)).output().is_ok();
        let answer = newroot(
            ["closure", "--format", "paths"]
                .into_iter()
                .map(String::from)
                .chain([at(name).to_str().unwrap().to_owned()]),
        )
        .run();
        // A first line that the kernel does not read makes no script: the file is text.
        let found = answer.stdout.lines().any(|line| line == echo);
        assert_eq!(
            found && answer.stderr.is_empty(),
            started,
            "{name}: {answer:?}"
        );
        if !started && !answer.stdout.is_empty() && name != "name-cut-off" {
            answer.code(1);
        }
    }
}

#[test]
fn a_script_that_starts_itself_through_env_has_an_end() {
    let top = tempfile::tempdir().unwrap();
    let path = top.path().join("again");
    executable(
        &path,
        format!("#!/usr/bin/env {}\n", path.display()).as_bytes(),
    );
    newroot(["closure", path.to_str().unwrap()])
        .run()
        .code(1)
        .stderr_has("the kernel follows five");
}
