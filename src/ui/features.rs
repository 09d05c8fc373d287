//! How `newroot features` shows what is there and what is not.

use serde_json::{Value, json as value};

use super::{escape, table as columns};
use crate::probe::features::{Ability, State, Tool};

/// Everything that was found.
#[derive(Clone, Debug)]
pub struct Report {
    /// The kernel's abilities.
    pub kernel: Vec<Ability>,
    /// Programs.
    pub tools: Vec<Tool>,
    /// "apt install", where the family is known.
    pub installer: Option<&'static str>,
    /// "Debian 12"
    pub name: String,
    /// `uname -m`
    pub machine: String,
    /// `uname -r`
    pub kernel_release: String,
}

/// For programs: the format of newroot-features(8).
#[must_use]
pub fn json(report: &Report) -> Value {
    let kernel: Vec<Value> = report
        .kernel
        .iter()
        .map(|it| {
            value!({
                "name": it.name,
                "state": it.state.word(),
                "detail": it.detail,
                "without": it.without,
                "cure": it.cure,
            })
        })
        .collect();
    let tools: Vec<Value> = report
        .tools
        .iter()
        .map(|it| {
            value!({
                "name": it.name,
                "path": it.path.as_ref().map(ToString::to_string),
                "without": it.without,
                "package": it.package,
            })
        })
        .collect();
    value!({
        "system": report.name,
        "machine": report.machine,
        "kernel_release": report.kernel_release,
        "installer": report.installer,
        "kernel": kernel,
        "tools": tools,
    })
}

/// For people. What is there says where; what is not says what is lacking without it.
#[must_use]
pub fn table(report: &Report) -> String {
    let mut rows = vec![row("KERNEL", "", "")];
    for it in &report.kernel {
        rows.extend(ability(it));
    }
    rows.push(row("", "", ""));
    rows.push(row("PROGRAM", "", ""));
    for it in &report.tools {
        let (state, right) = match &it.path {
            Some(path) => ("yes", path.to_string()),
            None => ("NO", it.without.to_owned()),
        };
        rows.push(row(it.name, state, &right));
    }
    columns(&rows)
}

fn row(name: &str, state: &str, right: &str) -> Vec<String> {
    vec![name.to_owned(), state.to_owned(), escape(right)]
}

fn word(state: State) -> &'static str {
    match state {
        State::No => "NO",
        other => other.word(),
    }
}

/// What is lacking comes first, and why on a line of its own.
fn ability(it: &Ability) -> Vec<Vec<String>> {
    let is_there = matches!(it.state, State::Yes | State::Loadable);
    let first = if is_there { &it.detail } else { it.without };
    let mut rows = vec![row(it.name, word(it.state), first)];
    if !is_there && !it.detail.is_empty() {
        rows.push(row("", "", &format!("({})", it.detail)));
    }
    rows
}

/// What to type for what is missing, after the table.
#[must_use]
pub fn closing(report: &Report) -> Vec<String> {
    let mut lines = vec![format!(
        "{}, {}, kernel {}. Nothing was changed by looking.",
        report.name, report.machine, report.kernel_release
    )];
    let missing: Vec<&Tool> = report
        .tools
        .iter()
        .filter(|tool| tool.path.is_none())
        .collect();
    let mut packages: Vec<&str> = missing.iter().filter_map(|tool| tool.package).collect();
    packages.dedup();
    match report.installer {
        _ if missing.is_empty() => lines.push(String::from("No program is missing.")),
        Some(installer) => lines.push(format!(
            "To install what is missing: {installer} {}",
            packages.join(" ")
        )),
        None => lines.push(String::from(
            "Which packages bring what is missing is not known for this distribution.",
        )),
    }
    for it in report.kernel.iter().filter(|it| it.state == State::No) {
        if let Some(cure) = &it.cure {
            lines.push(format!("For {}, as root: {cure}", it.name));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RootPath;

    fn report() -> Report {
        let tool = |name, path: Option<&str>, package| Tool {
            name,
            path: path.map(RootPath::new),
            without: "it stays locked",
            package: Some(package),
        };
        let ability = |state, detail: &str, cure: Option<&str>| Ability {
            name: "user namespaces",
            state,
            detail: detail.to_owned(),
            without: "nothing can be entered",
            cure: cure.map(str::to_owned),
        };
        Report {
            kernel: vec![
                ability(State::Yes, "for everybody", None),
                ability(State::No, "unshare: EPERM", Some("sysctl -w x=1")),
            ],
            tools: vec![
                tool("blkid", Some("/sbin/blkid"), "util-linux"),
                tool("cryptsetup", None, "cryptsetup"),
            ],
            installer: Some("apt install"),
            name: String::from("Debian 12"),
            machine: String::from("x86_64"),
            kernel_release: String::from("6.1"),
        }
    }

    #[test]
    fn what_is_missing_says_what_is_lacking_and_what_brings_it() {
        let report = report();
        assert_eq!(
            table(&report),
            "KERNEL
user namespaces  yes  for everybody
user namespaces  NO   nothing can be entered
                      (unshare: EPERM)

PROGRAM
blkid            yes  /sbin/blkid
cryptsetup       NO   it stays locked
"
        );
        assert_eq!(
            closing(&report),
            [
                "Debian 12, x86_64, kernel 6.1. Nothing was changed by looking.",
                "To install what is missing: apt install cryptsetup",
                "For user namespaces, as root: sysctl -w x=1",
            ]
        );
    }

    #[test]
    fn a_machine_that_lacks_everything_fits_80_columns() {
        use crate::probe::features::{Family, Tried, UserNamespace, kernel, tools};
        use crate::root::Mem;
        use rustix::io::Errno;
        let tried = Tried {
            lacking: Vec::new(),
            landlock: Err(Errno::NOSYS),
            seccomp: Err(Errno::NOSYS),
            user_namespace: UserNamespace::Unknown,
        };
        let report = Report {
            kernel: kernel(&Mem::new(), "6.1", &tried),
            tools: tools(&Mem::new(), Some(Family::Debian)),
            ..report()
        };
        let table = table(&report);
        let wide = table.lines().find(|line| line.chars().count() > 80);
        assert_eq!(wide, None);
    }

    #[test]
    fn programs_read_the_same_facts() {
        let value = json(&report());
        assert_eq!(value["tools"][0]["path"], "/sbin/blkid");
        assert_eq!(value["tools"][1]["path"], Value::Null);
        assert_eq!(value["tools"][1]["package"], "cryptsetup");
        assert_eq!(value["kernel"][1]["state"], "no");
        assert_eq!(value["kernel"][1]["cure"], "sysctl -w x=1");
    }

    #[test]
    fn without_a_known_family_no_package_is_made_up() {
        let mut report = report();
        report.installer = None;
        assert!(closing(&report)[1].contains("not known"));
        report.tools.truncate(1);
        assert_eq!(closing(&report)[1], "No program is missing.");
    }
}
