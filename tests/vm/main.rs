//! Tests that need a machine of their own: a kernel, disks, an initramfs as root. `tests/vm/run`
//! starts this; plain `cargo test` does not.
//!
//! Each case is a process of its own (`vm --case NAME`), so that one that hangs is ended with its
//! QEMU and takes nothing else along. What the cases boot is made before the first one starts.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test program for people: it starts QEMU and the tools that make disks, and prints a table"
)]

mod bench;
mod case;
mod cases;
mod debian;
mod disk;
mod expect;
mod kernel;
mod leftover;
mod live;
mod pool;
mod qemu;
mod tools;
mod vm;

use std::process::ExitCode;

use anyhow::{Result, bail};

use bench::Bench;
use case::Case;

const USAGE: &str = "usage: tests/vm/run [-v] [-j N] CASE...|GROUP...|smoke|--all|--list";

/// What was asked for.
struct Asked {
    cases: Vec<&'static Case>,
    jobs: usize,
    verbose: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.first().map(String::as_str) {
        Some("--list") => list(),
        Some("--case") => one(arguments.get(1).map_or("", String::as_str)),
        _ => ask(&arguments).and_then(|asked| pool::run(&asked.cases, asked.jobs, asked.verbose)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("vm: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "one type for all the things main can do"
)]
fn list() -> Result<()> {
    for case in cases::all() {
        let smoke = if case.smoke { "smoke" } else { "" };
        println!("{:18} {smoke:5} {}", case.name, case.about);
    }
    Ok(())
}

/// Runs one case in this process; its output is the case's log.
fn one(name: &str) -> Result<()> {
    let Some(case) = cases::all().find(|case| case.name == name) else {
        bail!("there is no case {name:?}");
    };
    (case.run)(&Bench::new(name)?)
}

fn ask(arguments: &[String]) -> Result<Asked> {
    let mut asked = Asked {
        cases: Vec::new(),
        jobs: 2,
        verbose: false,
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-v" => asked.verbose = true,
            "-j" => match words.next().and_then(|number| number.parse().ok()) {
                Some(number) => asked.jobs = number,
                None => bail!("-j wants a number\n{USAGE}"),
            },
            option if option.starts_with('-') && option != "--all" => {
                bail!("unknown option {option}\n{USAGE}")
            }
            _ => {
                let before = asked.cases.len();
                for case in cases::all().filter(|case| case.answers_to(word)) {
                    if !asked.cases.iter().any(|known| known.name == case.name) {
                        asked.cases.push(case);
                    }
                }
                if asked.cases.len() == before {
                    bail!("no case or group is called {word:?} (tests/vm/run --list)");
                }
            }
        }
    }
    if asked.cases.is_empty() {
        bail!("{USAGE}");
    }
    Ok(asked)
}
