//! Runs contenders in turn and takes medians: what disturbs one round disturbs all of them.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A run longer than this is repeated three times only.
const SLOW: Duration = Duration::from_secs(3);

/// One command that is measured.
#[derive(Debug)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) argv: Vec<OsString>,
    /// Removed before each run, which makes it.
    pub(crate) output: Option<PathBuf>,
    /// Exit statuses that count as done.
    pub(crate) accepted: &'static [i32],
}

impl Contender {
    /// Success is exit 0.
    pub(crate) fn new<I: IntoIterator<Item: AsRef<OsStr>>>(name: &'static str, argv: I) -> Self {
        Self {
            name,
            argv: argv
                .into_iter()
                .map(|word| word.as_ref().to_owned())
                .collect(),
            output: None,
            accepted: &[0],
        }
    }

    /// These exit statuses count as done as well.
    pub(crate) fn accepts(mut self, codes: &'static [i32]) -> Self {
        self.accepted = codes;
        self
    }

    /// The directory it makes.
    pub(crate) fn makes(mut self, directory: &Path) -> Self {
        self.output = Some(directory.to_owned());
        self
    }
}

/// What came of one contender.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Result {
    pub(crate) name: &'static str,
    /// The median; nothing when a run failed.
    pub(crate) time: Option<Duration>,
    /// The largest resident set of all rounds, in KiB.
    pub(crate) peak_kib: u64,
}

/// Measures in turn, `rounds` times. `timed` is the compiled timed.c.
pub(crate) fn alternate(timed: &Path, contenders: &[Contender], rounds: usize) -> Vec<Result> {
    let mut samples: Vec<Vec<(Duration, u64)>> = vec![Vec::new(); contenders.len()];
    let mut failed = vec![false; contenders.len()];
    for round in 0..rounds {
        for (index, contender) in contenders.iter().enumerate() {
            let slow = samples[index].first().is_some_and(|(time, _)| *time > SLOW);
            if failed[index] || (slow && round >= 3) {
                continue;
            }
            match once(timed, contender) {
                Ok(sample) => samples[index].push(sample),
                Err(why) => {
                    eprintln!("{}: {why}", contender.name);
                    failed[index] = true;
                }
            }
        }
    }
    let rows = contenders.iter().zip(samples).zip(failed);
    rows.map(|((contender, samples), failed)| Result {
        name: contender.name,
        time: (!failed).then(|| median(&samples)),
        peak_kib: samples.iter().map(|(_, peak)| *peak).max().unwrap_or(0),
    })
    .collect()
}

fn median(samples: &[(Duration, u64)]) -> Duration {
    let mut times: Vec<Duration> = samples.iter().map(|(time, _)| *time).collect();
    times.sort();
    times[times.len() / 2]
}

fn once(timed: &Path, contender: &Contender) -> std::result::Result<(Duration, u64), String> {
    if let Some(output) = &contender.output {
        if output.is_dir() {
            fs::remove_dir_all(output).map_err(|error| error.to_string())?;
        }
        // What other rounds left to write must not be written during this one.
        rustix::fs::sync();
    }
    let figures = timed.with_extension("figures");
    let status = Command::new(timed)
        .arg(&figures)
        .args(&contender.argv)
        .env("LC_ALL", "C")
        // Debian's own interpreters for the peers that are scripts.
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| error.to_string())?;
    if !status.success() {
        return Err(format!("timed: {status}"));
    }
    let text = fs::read_to_string(&figures).map_err(|error| error.to_string())?;
    let numbers: Vec<u64> = text.split_whitespace().flat_map(str::parse).collect();
    let [nanoseconds, peak, code] = numbers[..] else {
        return Err(format!("timed wrote {text:?}"));
    };
    if !contender
        .accepted
        .iter()
        .any(|accepted| u64::try_from(*accepted) == Ok(code))
    {
        return Err(format!(
            "exit {code}: {:?}…",
            &contender.argv[..2.min(contender.argv.len())]
        ));
    }
    Ok((Duration::from_nanos(nanoseconds), peak))
}
