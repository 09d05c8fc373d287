//! One test on the real kernel: its name, its needs, its body.

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
    pub(crate) body: fn(),
}

impl Trial {
    /// `needs` beyond [`Need::Root`], which every trial has.
    pub(crate) fn new(name: &'static str, needs: &[Need], body: fn()) -> Self {
        Self {
            name,
            needs: [&[Need::Root], needs].concat(),
            timeout: Duration::from_secs(120),
            body,
        }
    }

    /// How long it may take before its namespaces are killed.
    pub(crate) fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
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
