//! Runs cases, a few at once, each as a process of its own, and prints the table.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::bench::{self, Bench};
use crate::case::{Case, System};
use crate::{debian, live, tools};

/// No case may take longer; its machine is ended with it.
const LIMIT: u32 = 900;

/// A case that runs.
struct Running {
    case: &'static Case,
    child: Child,
    since: Instant,
    limit: Duration,
}

/// Makes what the cases boot, runs them, and says how each went.
pub(crate) fn run(cases: &[&'static Case], jobs: usize, verbose: bool) -> Result<()> {
    let begin = Instant::now();
    fs::create_dir_all(bench::log("x", "y").with_file_name(""))
        .context("make the log directory")?;
    prepare(cases)?;
    let mut waiting = cases.iter();
    let mut running: Vec<Running> = Vec::new();
    let mut failed = Vec::new();
    loop {
        while running.len() < jobs.max(1) {
            match waiting.next() {
                Some(case) => running.push(start(case)?),
                None => break,
            }
        }
        if running.is_empty() {
            break;
        }
        sleep(Duration::from_millis(100));
        let mut at = 0;
        while at < running.len() {
            match ended(&mut running[at])? {
                Some(result) => {
                    let done = running.swap_remove(at);
                    report(&done, &result, verbose);
                    if !result.is_empty() {
                        failed.push(done.case.name);
                    }
                }
                None => at += 1,
            }
        }
    }
    // In the form that tests/run counts.
    let (bad, good) = (failed.len(), cases.len() - failed.len());
    let word = if failed.is_empty() { "ok" } else { "FAILED" };
    let seconds = begin.elapsed().as_secs();
    println!("test result: {word}. {good} passed; {bad} failed; 0 ignored; {seconds} s");
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(" "));
    }
    Ok(())
}

/// The live systems that the cases want, each made once.
fn prepare(cases: &[&'static Case]) -> Result<()> {
    clear("prepare")?;
    let bench = Bench::new("prepare")?;
    let mut systems: Vec<System> = cases
        .iter()
        .flat_map(|case| case.systems)
        .copied()
        .collect();
    systems.sort_unstable();
    systems.dedup();
    for system in systems {
        let begin = Instant::now();
        let made = match system {
            System::Live => live::make(&bench),
            System::Debian => debian::make(&bench),
        };
        made.with_context(|| format!("the {} system cannot be made", system.name()))?;
        line(
            "made",
            begin.elapsed(),
            &format!("the {} system", system.name()),
            "",
        );
    }
    clear("prepare")
}

fn start(case: &'static Case) -> Result<Running> {
    clear(case.name)?;
    let program = std::env::current_exe().context("where am I")?;
    let said = File::create(bench::log(case.name, "log")).context("create the log")?;
    let mut command = tools::command("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program)
        .args(["--case", case.name]);
    command
        .stdout(said.try_clone().context("dup the log")?)
        .stderr(Stdio::from(said));
    let limit = Bench::new(case.name)?.seconds(LIMIT);
    let child = command.spawn().context("setpriv does not start")?;
    Ok(Running {
        case,
        child,
        since: Instant::now(),
        limit,
    })
}

/// How a case ended, if it has: empty when well.
fn ended(running: &mut Running) -> Result<Option<String>> {
    let result = match running.child.try_wait().context("wait for a case")? {
        Some(status) if status.success() => String::new(),
        Some(status) => status.to_string(),
        None if running.since.elapsed() > running.limit => {
            running.child.kill().context("end a case")?;
            running.child.wait().context("wait for a case")?;
            format!("not done after {} s", running.limit.as_secs())
        }
        None => return Ok(None),
    };
    clear(running.case.name)?;
    Ok(Some(result))
}

fn report(done: &Running, result: &str, verbose: bool) {
    let mark = if result.is_empty() { "ok" } else { "FAILED" };
    line(mark, done.since.elapsed(), done.case.name, result);
    if verbose || !result.is_empty() {
        let log = bench::log(done.case.name, "log");
        print!("{}", fs::read_to_string(&log).unwrap_or_default());
        println!(
            "  all of it: {}",
            log.with_extension("{log,console,kernel}").display()
        );
    }
}

fn line(mark: &str, time: Duration, name: &str, note: &str) {
    println!("{mark:6} {:6.1} s  {name} {note}", time.as_secs_f64());
}

/// Removes a case's own files, those of a run that was killed included.
fn clear(case: &str) -> Result<()> {
    let directory = bench::scratch(case);
    match fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}
