//! Packages: half-installed ones, a broken database, files that are gone.

use super::fixes::{self, Fix, Task};
use super::programs::show;
use super::{Facts, Finding, Kind, count, list};
use crate::probe::Lost;

/// Without these the system does not come up or cannot be repaired from inside.
const VITAL: &[&str] = &[
    "alpine-baselayout",
    "apk-tools",
    "apt",
    "base-files",
    "bash",
    "busybox",
    "coreutils",
    "dash",
    "dbus",
    "dpkg",
    "dracut",
    "filesystem",
    "glibc",
    "init",
    "initramfs-tools-core",
    "kmod",
    "libc6",
    "libpam-modules",
    "libpam-runtime",
    "login",
    "mkinitcpio",
    "mount",
    "musl",
    "openrc",
    "pacman",
    "pam",
    "passwd",
    "rpm",
    "shadow",
    "systemd",
    "systemd-sysv",
    "udev",
    "util-linux",
];

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let state = &facts.health.packages;
    let family = facts.family();
    let mut found = Vec::new();
    for (path, why) in &state.broken {
        found.push(
            Finding::error(
                Kind::PackageDatabase,
                "the package database is broken. Nothing can be installed or repaired with it.",
            )
            .seen(format!("{path}: {why}"))
            .fix(fixes::package_database(family)),
        );
    }
    if state.halfway_count > 0 {
        let shown = state
            .halfway
            .iter()
            .map(|(name, now)| format!("{name} ({now})"));
        found.push(
            Finding::error(
                Kind::PackagesInterrupted,
                format!(
                    "dpkg was interrupted, {} between two states.",
                    plural(state.halfway_count)
                ),
            )
            .seen(format!(
                "/var/lib/dpkg/status: {}",
                list(shown, state.halfway_count)
            ))
            .screen("E: dpkg was interrupted, you must manually run 'dpkg --configure -a'")
            .fix(fixes::packages(family)),
        );
    } else if state.updates > 0 {
        found.push(
            Finding::warning(
                Kind::PackagesInterrupted,
                "dpkg was interrupted before it had written its status file.",
            )
            .seen(format!(
                "/var/lib/dpkg/updates holds {}",
                count(state.updates, "file")
            ))
            .screen("E: dpkg was interrupted, you must manually run 'dpkg --configure -a'")
            .fix(fixes::packages(family)),
        );
    }
    if state.halfway_count == 0 && !state.reinstall.is_empty() {
        let names = list(state.reinstall.iter().cloned(), state.reinstall.len());
        let first = state.reinstall.first().map_or("", String::as_str);
        found.push(
            Finding::error(
                Kind::PackagesInterrupted,
                "dpkg was interrupted, and wants packages to be installed again.",
            )
            .seen(format!("/var/lib/dpkg/status: reinst-required: {names}"))
            .screen("E: The package needs to be reinstalled, but I can't find an archive for it.")
            .fix(fixes::reinstall(family, first)),
        );
    }
    if let Some(lock) = &state.lock {
        found.push(
            Finding::warning(
                Kind::PackageLock,
                "the package manager was interrupted, and its lock is still there.",
            )
            .seen(format!("{lock} is there"))
            .screen("error: failed to init transaction (unable to lock database)")
            .fix(
                Fix::task(Task::Packages)
                    .inside(format!("rm {lock}"))
                    .or("only when no package manager runs"),
            ),
        );
    }
    found.extend(
        facts
            .health
            .lost
            .iter()
            .map(|(package, lost)| lost_files(facts, package, lost)),
    );
    found
}

fn plural(number: usize) -> String {
    let verb = if number == 1 { "is" } else { "are" };
    format!("{} {verb}", count(number, "package"))
}

/// An error where the package is one without which nothing goes, a warning otherwise.
fn lost_files(facts: &Facts<'_>, package: &str, lost: &Lost) -> Finding {
    let all = (lost.gone + lost.empty) as usize;
    let what = match (lost.gone, lost.empty) {
        (gone, 0) => format!(
            "{} of package {package} {} gone.",
            count(gone as usize, "file"),
            is(gone)
        ),
        (0, empty) => format!(
            "{} of package {package} {} empty.",
            count(empty as usize, "file"),
            is(empty)
        ),
        (gone, empty) => {
            format!("{gone} files of package {package} are gone, and {empty} are empty.")
        }
    };
    let names = lost.names.iter().map(|name| show(name));
    let programs = lost.names.iter().any(|name| {
        ["/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/"]
            .iter()
            .any(|base| name.starts_with(base.as_bytes()))
    });
    let severity = if VITAL.contains(&package) || programs || lost.empty > 0 {
        super::Severity::Error
    } else {
        super::Severity::Warning
    };
    let finding = Finding::new(severity, Kind::PackageFiles, what)
        .seen(list(names, all))
        .package(Some(package));
    lost.names
        .iter()
        .fold(finding, |finding, name| finding.file(show(name)))
        .fix(fixes::reinstall(facts.family(), package))
}

fn is(number: u32) -> &'static str {
    if number == 1 { "is" } else { "are" }
}
