//! Help, usage errors, completions, and the command lines of the README.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use crate::support::run::Run;
use crate::support::{Need, need, newroot};

/// The words that lead to each verb: `jail build` and so on.
fn verbs(command: &clap::Command, above: &[String]) -> Vec<Vec<String>> {
    let mut found = vec![above.to_vec()];
    for below in command.get_subcommands() {
        let name = below.get_name().to_string();
        found.extend(verbs(below, &[above, &[name]].concat()));
    }
    found
}

#[test]
fn help_fits_80_columns() {
    for verb in verbs(&newroot::cli::command(), &[]) {
        for flag in ["--help", "-h"] {
            let words = verb.iter().map(String::as_str).chain([flag]);
            let output = newroot(words).env("COLUMNS", "80").run();
            output.code(0).stderr_is("").stdout_has("Usage: newroot");
            let wide = output.stdout.lines().find(|line| line.chars().count() > 80);
            assert_eq!(wide, None, "{verb:?}");
        }
    }
}

#[test]
fn help_speaks_of_every_argument() {
    for verb in verbs(&newroot::cli::command(), &[]) {
        let tree = newroot::cli::command();
        let command = verb.iter().fold(&tree, |command, name| {
            command.find_subcommand(name).unwrap()
        });
        assert!(command.get_about().is_some(), "{verb:?}");
        for argument in command.get_arguments() {
            let name = argument.get_id();
            assert!(
                argument.get_help().is_some(),
                "{verb:?}: {name} has no help"
            );
        }
    }
}

#[test]
fn wrong_usage_exits_2_and_says_so_on_stderr() {
    let lines: &[&[&str]] = &[
        &[],
        &["nosuchverb"],
        &["--nosuchflag"],
        &["closure"],
        &["closure", "--format", "nosuch", "/bin/true"],
        &["closure", "--json", "--format", "dot", "/bin/true"],
        &["jail"],
        &["jail", "build"],
        &["jail", "export", "/jail"],
        &["jail", "export", "--format", "nosuch", "/jail", "x.tar"],
        &["enter"],
        &["enter", "--mode", "nosuch", "/"],
        &["exec", "session"],
        &["rescue", "--read-only", "--read-write", "/"],
        &["rescue", "--status", "/dev/null", "/"],
        &["rescue", "/", "no-dashes"],
        &["-q", "-v", "ps"],
        &["completions", "nosuch"],
        &["nosuch", "jail"],
    ];
    for line in lines {
        let output = newroot(*line).run();
        output.code(2).stdout_is("");
        assert!(!output.stderr.is_empty(), "{line:?}");
    }
}

#[test]
fn the_version_is_the_package_s() {
    let version = format!("newroot {}\n", env!("CARGO_PKG_VERSION"));
    newroot(["--version"])
        .run()
        .code(0)
        .stdout_is(&version)
        .stderr_is("");
}

fn completions(shell: &str) -> String {
    newroot(["completions", shell])
        .run()
        .code(0)
        .stderr_is("")
        .stdout
        .clone()
}

#[test]
fn completions_know_every_verb() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = completions(shell);
        for verb in newroot::cli::command().get_subcommands() {
            assert!(
                script.contains(verb.get_name()),
                "{shell}: {}",
                verb.get_name()
            );
        }
    }
}

#[test]
fn bash_reads_its_completions() {
    if !need(&[Need::Command("bash")]) {
        return;
    }
    let script = completions("bash");
    bash(["-n"], &script).run().code(0).stderr_is("");
    let ask = "COMP_WORDS=(newroot jail tr) COMP_CWORD=2
        _newroot newroot tr jail; echo ${COMPREPLY[@]}\n";
    bash([], &(script + ask)).run().code(0).stdout_is("try\n");
}

fn bash<const N: usize>(arguments: [&str; N], script: &str) -> Run {
    newroot(arguments).program("/bin/bash").stdin(script)
}

/// Words of a command line as sh(1) splits them: quotes, no expansion.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut quote = None;
    let mut word: Option<String> = None;
    for character in line.chars() {
        match (character, quote) {
            (_, Some(open)) if character == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (' ', None) => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

/// Command lines after a prompt in the README's `console` blocks, up to a pipe or redirection.
fn examples(text: &str) -> Vec<Vec<String>> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        }
        let typed = line.strip_prefix("$ ").or_else(|| line.strip_prefix("# "));
        if let Some(typed) = typed.filter(|_| inside) {
            let typed = typed.strip_prefix("sudo ").unwrap_or(typed);
            let stop = |word: &String| !["|", ">", "2>", "&&", ";", "#"].contains(&word.as_str());
            let words: Vec<String> = words(typed).into_iter().take_while(stop).collect();
            found.extend((words.first().is_some_and(|word| word == "newroot")).then_some(words));
        }
    }
    found
}

#[test]
fn the_command_lines_of_the_readme_are_understood() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let examples = examples(&fs::read_to_string(readme).unwrap());
    assert!(
        !examples.is_empty(),
        "no newroot command in a console block"
    );
    for example in examples {
        let argv: Vec<OsString> = example.iter().map(OsString::from).collect();
        if let Err(error) = newroot::cli::parse(&argv) {
            assert!(!error.use_stderr(), "{example:?}: {error}");
        }
    }
}

#[test]
fn examples_are_found() {
    let text = "$ newroot no\n```console\n$ newroot ps | cat\noutput\n# sudo newroot enter 'a b'\n$ ls\n```\n";
    let expected = [vec!["newroot", "ps"], vec!["newroot", "enter", "a b"]];
    assert_eq!(examples(text), expected);
}
