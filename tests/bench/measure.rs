//! Runs contenders in turn and takes medians: what disturbs one round disturbs all of them.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt as _;
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
    output: Option<Directory>,
    /// How often it runs in one round, of which the mean is taken.
    runs: u32,
    /// Exit statuses that count as done.
    pub(crate) accepted: RangeInclusive<u64>,
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
            runs: 1,
            accepted: 0..=0,
        }
    }

    /// These exit statuses count as done as well.
    pub(crate) fn accepts(mut self, codes: RangeInclusive<u64>) -> Self {
        self.accepted = codes;
        self
    }

    /// So many runs a round: where one is so short that what ran before it decides, by what it
    /// left in the caches.
    pub(crate) fn repeated(mut self, runs: u32) -> Self {
        self.runs = runs;
        self
    }

    /// The directory it makes, with at least so many files.
    pub(crate) fn makes(mut self, directory: &Path, files: usize) -> Self {
        self.output = Some(Directory {
            path: directory.to_owned(),
            given: false,
            files,
        });
        self
    }

    /// The same for a directory that has to be there before.
    pub(crate) fn fills(self, directory: &Path, files: usize) -> Self {
        let mut contender = self.makes(directory, files);
        contender
            .output
            .iter_mut()
            .for_each(|output| output.given = true);
        contender
    }
}

/// What a run fills.
#[derive(Debug)]
struct Directory {
    path: PathBuf,
    /// The run wants it to be there, empty; otherwise the run makes it.
    given: bool,
    /// Fewer regular files than this, and the run did not do the work.
    files: usize,
}

impl Directory {
    fn prepare(&self) -> std::io::Result<()> {
        // What other rounds left to write must not be written during this one. First of all: memory
        // that the removal gives back must not lie idle, or a hypervisor takes it away (free page
        // reporting, after two seconds), and fetching it again costs more than the copying.
        rustix::fs::sync();
        if self.path.is_dir() {
            fs::remove_dir_all(&self.path)?;
        }
        if self.given {
            // Under a name that was never there, as newroot makes its own: see `spread`.
            let parent = self.path.parent().unwrap_or_else(|| Path::new("/"));
            let made = tempfile::tempdir_in(parent)?.keep();
            fs::set_permissions(&made, fs::Permissions::from_mode(0o755))?;
            fs::rename(&made, &self.path)?;
        }
        rustix::fs::sync();
        Ok(())
    }

    fn is_filled(&self) -> bool {
        let entries = walkdir::WalkDir::new(&self.path).into_iter().flatten();
        let files = entries.filter(|entry| !entry.file_type().is_dir());
        files.count() >= self.files
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

/// Has ext4 put each directory made in `scratch` into a block group of its own (chattr +T). For
/// minutes it does not use the inodes of removed files again, and whoever makes files in the same
/// group looks at each of them first (`recently_deleted` in fs/ext4/ialloc.c): what the rounds
/// before removed would cost more than the copying. Other file systems have no such flag.
pub(crate) fn spread(scratch: &Path) {
    use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
    let set = || {
        let directory = fs::File::open(scratch).ok()?;
        let flags = ioctl_getflags(&directory).ok()?;
        ioctl_setflags(&directory, flags | IFlags::TOPDIR).ok()
    };
    set();
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
        output.prepare().map_err(|error| error.to_string())?;
    }
    let figures = timed.with_extension("figures");
    let status = Command::new(timed)
        .arg(&figures)
        .arg(contender.runs.to_string())
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
    if !contender.accepted.contains(&code) {
        return Err(format!(
            "exit {code}: {:?}…",
            &contender.argv[..2.min(contender.argv.len())]
        ));
    }
    if contender
        .output
        .as_ref()
        .is_some_and(|output| !output.is_filled())
    {
        return Err(format!("exit {code}, but the directory is not filled"));
    }
    Ok((Duration::from_nanos(nanoseconds), peak))
}
