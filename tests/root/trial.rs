//! One test on the real kernel: its name, its needs, its body.

use std::fs::File;
use std::time::Duration;

use crate::need::{Need, must_run, report_skip};
use crate::sandbox;

/// Needs that this kind of machine lacks, with the reason.
const ABSENT: &str = include_str!("absent.txt");

/// A test. The body panics to fail, as in any other test.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    pub(crate) name: &'static str,
    needs: Vec<Need>,
    pub(crate) timeout: Duration,
    /// Whether it makes loop devices, or looks at all there are: one such trial at a time.
    pub(crate) disks: bool,
    pub(crate) body: fn(),
}

impl Trial {
    /// `needs` beyond [`Need::Root`], which every trial has.
    pub(crate) fn new(name: &'static str, needs: &[Need], body: fn()) -> Self {
        Self {
            name,
            needs: [&[Need::Root], needs].concat(),
            timeout: Duration::from_secs(120),
            disks: needs.contains(&Need::Loop),
            body,
        }
    }

    /// How long it may take before its namespaces are killed.
    pub(crate) fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// It takes its turn on the machine's disks, also where it needs no loop device: it scans.
    pub(crate) fn on_disks(mut self) -> Self {
        self.disks = true;
        self
    }

    /// What libtest-mimic runs: the sandbox, from outside.
    pub(crate) fn into_mimic(self) -> libtest_mimic::Trial {
        let missing: Vec<(Need, String)> = self
            .needs
            .iter()
            .filter_map(|need| Some((*need, need.missing()?)))
            .collect();
        let excused = missing.iter().any(|(need, _)| is_absent(*need));
        let ignored = !missing.is_empty() && (excused || !must_run());
        let why: Vec<String> = missing.into_iter().map(|(_, why)| why).collect();
        let why = why.join(", ");
        if ignored && !std::env::args().any(|argument| argument == "--list") {
            report_skip(&format!("root:{}", self.name), &why);
        }
        let name = self.name;
        let body = move || {
            let _turn = self.disks.then(turn);
            if why.is_empty() {
                sandbox::run(&self)
            } else {
                Err(format!("{why}, and NEWROOT_MUST_RUN is set").into())
            }
        };
        libtest_mimic::Trial::test(name, body).with_ignored_flag(ignored)
    }
}

fn is_absent(need: Need) -> bool {
    let name = need.to_string();
    ABSENT
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('\t'))
        .any(|(absent, reason)| absent == name && !reason.is_empty())
}

/// Waits for a turn on the machine's disks; it ends with the file. Namespaces do not divide block
/// devices: whoever scans opens each loop device there is, and would find, or hold, those of a
/// trial beside it, also of another checkout's. So the lock is on the loop driver itself.
fn turn() -> Option<File> {
    let control = File::open("/dev/loop-control").ok()?;
    rustix::fs::flock(&control, rustix::fs::FlockOperation::LockExclusive).unwrap();
    Some(control)
}
