//! Many copies at once, in worker processes (design rule 9: no threads).
//!
//! The steps are in memory that the workers inherit; a pipe that is filled before they start is
//! the queue, biggest file first; answers come through a common pipe, whole records in writes of
//! at most PIPE_BUF bytes, so that records never mix (pipe(7)).

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::{Events, ExecError, Files, How, Machine, Outcome};
use crate::model::hex;
use crate::plan::{FileOp, Op, Step};
use crate::sys::worker::{self, Worker};
use crate::sys::{SysError, file};

/// POSIX's least PIPE_BUF is 512, Linux' is 4096.
const RECORD_LIMIT: usize = 4096;
/// Answers are sent together: each that wakes the parent takes a processor from a worker. The bar
/// still moves twenty times a second.
const PATIENCE: Duration = Duration::from_millis(50);

/// What a pipe holds for certain, in indices: the queue is filled before anybody reads it. An
/// unprivileged user with many pipes gets one page (pipe(7)).
const QUEUE: usize = 4096 / 4;

/// Below this a fork costs more than it saves.
const WORTH_IT: u64 = 24 << 20;

#[derive(Serialize, Deserialize)]
enum Answer {
    Copied {
        index: u32,
        blake3: String,
        bytes: u64,
        reflinked: bool,
        capabilities_dropped: bool,
        attributes_lost: bool,
    },
    Failed {
        what: String,
        call: String,
        arguments: String,
        errno: i32,
    },
}

/// Fills a fresh root that nobody else uses: on an error its maker throws the whole root away.
///
/// Runs of copies that are worth it go to worker processes, everything else is done here.
///
/// # Errors
/// The first step that failed.
pub fn fill_fresh(
    steps: &[Step],
    files: &mut Files<'_>,
    events: &mut dyn Events,
) -> Result<(), ExecError> {
    files.fresh = true;
    let is_copy = |step: &Step| matches!(&step.op, Op::File(FileOp::Copy { .. }));
    let mut rest = steps;
    while !rest.is_empty() {
        let copies = rest.iter().take_while(|step| is_copy(step)).count();
        let (run, after) = rest.split_at(copies);
        let others = after.iter().take_while(|step| !is_copy(step)).count();
        let (others, after) = after.split_at(others);
        let bytes: u64 = run.iter().map(|step| step.op.bytes()).sum();
        let count = processors();
        if count > 1 && run.len() > 1 && bytes >= WORTH_IT {
            let (mut beside, last): (Vec<&Step>, Vec<&Step>) =
                others.iter().partition(|step| needs_no_copy(step));
            for part in run.chunks(QUEUE) {
                in_workers(part, &std::mem::take(&mut beside), files, events, count)?;
            }
            one_by_one(last, files, events)?;
        } else {
            one_by_one(run, files, events)?;
            one_by_one(others, files, events)?;
        }
        rest = after;
    }
    Ok(())
}

/// Whether a step can be done while files are still copied: it needs its directory only.
fn needs_no_copy(step: &Step) -> bool {
    let Op::File(op) = &step.op else {
        return false;
    };
    // `Finish` without a mode is a link's; a directory's comes when all below it is done.
    matches!(
        op,
        FileOp::Symlink { .. }
            | FileOp::Node { .. }
            | FileOp::Write { .. }
            | FileOp::Finish { mode: None, .. }
    )
}

fn one_by_one<'s>(
    steps: impl IntoIterator<Item = &'s Step>,
    files: &mut Files<'_>,
    events: &mut dyn Events,
) -> Result<(), ExecError> {
    for step in steps {
        events.begins(step);
        files.perform(step)?;
        events.done(step);
    }
    Ok(())
}

/// How many may run at once (the affinity mask and the cgroup quota count).
fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, |count| count.get().min(8))
}

/// Copies in workers, and does `beside` meanwhile.
fn in_workers(
    steps: &[Step],
    beside: &[&Step],
    files: &mut Files<'_>,
    events: &mut dyn Events,
    count: usize,
) -> Result<(), ExecError> {
    let queue = queue(steps)?;
    let (answers, ours) = worker::pipe()?;
    let mut workers = Vec::new();
    // In a worker nobody would read them: it goes when it is told to, or with its parent.
    let held = files.held.take();
    for _ in 0..count {
        match worker::start(|| work(steps, files, &queue, &ours)) {
            Ok(worker) => workers.push(worker),
            // The ones that run do the work of those that could not be started.
            Err(_) if !workers.is_empty() => break,
            Err(error) => return Err(error.into()),
        }
    }
    drop(ours);
    files.held = held;
    let listened = one_by_one(beside.iter().copied(), files, events).and_then(|()| {
        files.complete_manifest();
        listen(steps, files, events, &answers)
    });
    let ended = if listened.is_ok() {
        wait_for(workers)
    } else {
        stop(workers)
    };
    let done = listened?;
    ended?;
    if done == steps.len() {
        Ok(())
    } else {
        Err(ExecError::Other(format!(
            "a worker process ended early: {done} of {} files copied",
            steps.len()
        )))
    }
}

/// The indices of `steps`, biggest file first, so that no worker is left alone with a big one.
/// A pipe, because read(2) takes from it under a lock: the offset of a memory file is not
/// advanced atomically (it lacks FMODE_ATOMIC_POS), and two workers would get one index.
fn queue(steps: &[Step]) -> Result<OwnedFd, ExecError> {
    let mut order: Vec<u32> = (0..u32::try_from(steps.len()).unwrap_or(u32::MAX)).collect();
    order.sort_by_key(|index| std::cmp::Reverse(steps[*index as usize].op.bytes()));
    let bytes: Vec<u8> = order.iter().flat_map(|index| index.to_ne_bytes()).collect();
    let (queue, fill) = worker::pipe()?;
    file::write_all(&fill, &bytes)?;
    Ok(queue)
}

/// What a worker does: takes indices until there are none, or until something fails.
fn work(steps: &[Step], files: &mut Files<'_>, queue: &OwnedFd, answers: &OwnedFd) {
    let mut index = [0; 4];
    let (mut unsent, mut sent) = (Vec::new(), Instant::now());
    // Only whole indices were written, so read(2) gives one or, at the end, none.
    while rustix::io::read(queue, &mut index) == Ok(4) {
        let index = u32::from_ne_bytes(index);
        let Some(step) = steps.get(index as usize) else {
            return;
        };
        files.outcomes.clear();
        let answer = match files.perform(step) {
            Ok(()) => copied(index, &files.outcomes),
            Err(error) => failed(&error),
        };
        let stop = matches!(answer, Answer::Failed { .. });
        let Ok(mut line) = serde_json::to_vec(&answer) else {
            return;
        };
        line.push(b'\n');
        if unsent.len() + line.len() > RECORD_LIMIT || sent.elapsed() >= PATIENCE {
            if file::write_all(answers, &unsent).is_err() {
                return;
            }
            unsent.clear();
            sent = Instant::now();
        }
        unsent.append(&mut line);
        if stop {
            break;
        }
    }
    // Who does not get it misses these files, and says so.
    file::write_all(answers, &unsent).ok();
}

fn copied(index: u32, outcomes: &[Outcome]) -> Answer {
    let (mut sum, mut length, mut shared) = ([0; 32], 0, false);
    let (mut capabilities_dropped, mut attributes_lost) = (false, false);
    for outcome in outcomes {
        match outcome {
            Outcome::Copied {
                blake3, bytes, how, ..
            } => (sum, length, shared) = (*blake3, *bytes, *how == How::Reflinked),
            Outcome::CapabilitiesDropped(_) => capabilities_dropped = true,
            Outcome::AttributesLost(_) => attributes_lost = true,
            Outcome::NodeRefused(_) => {}
        }
    }
    Answer::Copied {
        index,
        blake3: hex(&sum),
        bytes: length,
        reflinked: shared,
        capabilities_dropped,
        attributes_lost,
    }
}

fn failed(error: &ExecError) -> Answer {
    // Escaping doubles a quote and takes six bytes for a control character.
    let fit = |text: &str| text.chars().take(RECORD_LIMIT / 32).collect::<String>();
    let (what, source) = match error {
        ExecError::Step { what, source } => (fit(what), Some(source)),
        ExecError::Sys(source) => (String::from("copy"), Some(source)),
        ExecError::Interrupted(_) => (error.to_string(), None),
        ExecError::Other(text) => (fit(text), None),
        ExecError::NoKey | ExecError::NoMountPoint { .. } => (fit(&error.to_string()), None),
    };
    Answer::Failed {
        what,
        call: source.map_or_else(String::new, |error| error.call.to_owned()),
        arguments: source.map_or_else(String::new, |error| fit(&error.arguments)),
        errno: source.map_or(0, |error| error.errno.raw_os_error()),
    }
}

/// Reads answers until every worker has closed its end; how many files are copied.
fn listen(
    steps: &[Step],
    files: &mut Files<'_>,
    events: &mut dyn Events,
    answers: &OwnedFd,
) -> Result<usize, ExecError> {
    let mut pending = Vec::new();
    let mut piece = [0; 64 * 1024];
    let mut done = 0;
    loop {
        wait_for_news(files, answers)?;
        let count = match rustix::io::read(answers, &mut piece) {
            Ok(0) => return Ok(done),
            Ok(count) => count,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(SysError::new("read", format_args!("pipe"), errno).into()),
        };
        pending.extend_from_slice(&piece[..count]);
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            let answer: Answer = serde_json::from_slice(&line)
                .map_err(|error| ExecError::Other(format!("a worker process said: {error}")))?;
            take(steps, files, events, answer)?;
            done += 1;
        }
    }
}

/// Waits for an answer, or for a signal that ends the work.
fn wait_for_news(files: &Files<'_>, answers: &OwnedFd) -> Result<(), ExecError> {
    use rustix::event::{PollFd, PollFlags, poll};
    let Some(held) = &files.held else {
        return Ok(());
    };
    let signals = held.fd();
    let mut both = [
        PollFd::new(answers, PollFlags::IN),
        PollFd::new(&signals, PollFlags::IN),
    ];
    match poll(&mut both, None) {
        Ok(_) | Err(Errno::INTR) => files.check_interrupt(),
        Err(errno) => Err(SysError::new("poll", format_args!("pipe, signalfd"), errno).into()),
    }
}

fn take(
    steps: &[Step],
    files: &mut Files<'_>,
    events: &mut dyn Events,
    answer: Answer,
) -> Result<(), ExecError> {
    match answer {
        Answer::Copied {
            index,
            blake3,
            bytes,
            reflinked,
            capabilities_dropped,
            attributes_lost,
        } => {
            let Some(step) = steps.get(index as usize) else {
                return Err(ExecError::Other("a worker process named no step".into()));
            };
            let Op::File(op) = &step.op else {
                return Ok(());
            };
            let path = op.path().clone();
            if capabilities_dropped {
                files
                    .outcomes
                    .push(Outcome::CapabilitiesDropped(path.clone()));
            }
            if attributes_lost {
                files.outcomes.push(Outcome::AttributesLost(path.clone()));
            }
            let sum = blake3::Hash::from_hex(&blake3)
                .map_err(|error| ExecError::Other(format!("a worker process said: {error}")))?;
            let how = if reflinked {
                How::Reflinked
            } else {
                How::Copied
            };
            files.outcomes.push(Outcome::Copied {
                path,
                blake3: *sum.as_bytes(),
                bytes,
                how,
            });
            events.begins(step);
            events.done(step);
            Ok(())
        }
        Answer::Failed {
            what,
            call,
            arguments,
            errno,
        } => Err(ExecError::Step {
            what,
            source: SysError {
                call: known_call(&call),
                arguments,
                errno: Errno::from_raw_os_error(errno),
            },
        }),
    }
}

/// The static name of a call that copying makes.
fn known_call(name: &str) -> &'static str {
    const CALLS: [&str; 14] = [
        "openat",
        "openat2",
        "fstat",
        "pread",
        "write",
        "lseek",
        "fallocate",
        "ftruncate",
        "fchown",
        "fchmod",
        "futimens",
        "fsetxattr",
        "fgetxattr",
        "flistxattr",
    ];
    CALLS
        .into_iter()
        .find(|call| *call == name)
        .unwrap_or("copy")
}

fn wait_for(workers: Vec<Worker>) -> Result<(), ExecError> {
    let mut all = true;
    for worker in workers {
        all &= worker.wait()?;
    }
    if all {
        Ok(())
    } else {
        Err(ExecError::Other("a worker process was killed".into()))
    }
}

fn stop(workers: Vec<Worker>) -> Result<(), ExecError> {
    for worker in workers {
        worker.kill()?;
    }
    Ok(())
}
