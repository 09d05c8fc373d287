//! What a case is.

use anyhow::Result;

use crate::bench::Bench;

/// One test. Its name is `group/what`; the group is the file in `cases/`.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// One line for `--list`: what holds when it passes.
    pub(crate) about: &'static str,
    /// The live systems it uses, made before any case starts.
    pub(crate) systems: &'static [System],
    /// Whether `tests/run` runs it.
    pub(crate) smoke: bool,
    pub(crate) run: fn(&Bench) -> Result<()>,
}

impl Case {
    /// Whether a word of the command line means this case.
    pub(crate) fn answers_to(&self, word: &str) -> bool {
        let group = self.name.split('/').next() == Some(word);
        word == "--all" || word == self.name || group || (word == "smoke" && self.smoke)
    }
}

/// The live systems.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum System {
    /// The initramfs that `newroot jail export` makes.
    Live,
    /// A Debian with systemd and udev, on a disk.
    Debian,
}

impl System {
    pub(crate) fn name(self) -> &'static str {
        match self {
            System::Live => "live",
            System::Debian => "debian",
        }
    }
}
