//! Who can log in, and who cannot.

use super::fixes::{self, Fix, Task};
use super::{Facts, Finding, Kind, list};
use crate::probe::health::accounts::{Lines, Password};

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let accounts = &facts.health.accounts;
    let root = &accounts.root;
    let mut found = Vec::new();
    let backup = |name: &str| {
        Fix::task(Task::Password).inside(format!("cp -p /etc/{name}- /etc/{name}")).or(format!("/etc/{name}- is the copy from before the last change; another one: /var/backups/{name}.bak"))
    };
    if facts.system.facts.evidence.is_empty() {
        return found;
    }
    if !accounts.passwd.there || accounts.passwd.good == 0 {
        found.push(
            Finding::error(
                Kind::Passwd,
                "/etc/passwd is missing or empty. Nobody can log in, and services do not start.",
            )
            .seen(state("/etc/passwd", &accounts.passwd))
            .screen("Login incorrect; or: I have no name!")
            .fix(backup("passwd")),
        );
    } else if !root.there {
        found.push(
            Finding::error(
                Kind::Passwd,
                "/etc/passwd has no line for root. The system does not come up.",
            )
            .seen("/etc/passwd: no line begins with root:")
            .fix(backup("passwd")),
        );
    } else if root.uid != Some(0) {
        found.push(
            Finding::error(Kind::Passwd, "root has not the number 0 in /etc/passwd.")
                .seen(format!("/etc/passwd: root has {}", root.uid.unwrap_or(0)))
                .fix(backup("passwd")),
        );
    }
    found.extend(
        bad_lines("/etc/passwd", Kind::Passwd, &accounts.passwd).map(|it| it.fix(backup("passwd"))),
    );
    // A system without shadow passwords has no x anywhere.
    let needs_shadow = !accounts.without_shadow.is_empty() && !facts.is_bare();
    if needs_shadow && (!accounts.shadow.there || accounts.shadow.good == 0) {
        found.push(
            Finding::error(
                Kind::Shadow,
                "/etc/shadow is missing or empty. Nobody can log in with a password.",
            )
            .seen(state("/etc/shadow", &accounts.shadow))
            .screen("Login incorrect")
            .fix(backup("shadow")),
        );
    } else if needs_shadow && accounts.without_shadow.iter().any(|name| name == "root") {
        found.push(
            Finding::error(Kind::Shadow, "/etc/shadow has no line for root.")
                .seen("/etc/passwd sends root's password to /etc/shadow, where no line begins with root:")
                .fix(Fix::task(Task::Password).inside("pwconv").inside("passwd root")),
        );
    } else if needs_shadow {
        let names = &accounts.without_shadow;
        found.push(
            Finding::warning(
                Kind::Shadow,
                format!(
                    "/etc/shadow has no line for {}.",
                    list(names.iter().cloned(), names.len())
                ),
            )
            .seen("/etc/passwd sends their passwords to /etc/shadow")
            .fix(Fix::task(Task::Password).inside("pwconv")),
        );
    }
    found.extend(
        bad_lines("/etc/shadow", Kind::Shadow, &accounts.shadow).map(|it| it.fix(backup("shadow"))),
    );
    if accounts.passwd.there && (!accounts.group.there || accounts.group.good == 0) {
        found.push(
            Finding::error(
                Kind::Group,
                "/etc/group is missing or empty. udev and many services fail.",
            )
            .seen(state("/etc/group", &accounts.group))
            .fix(backup("group")),
        );
    }
    found.extend(
        bad_lines("/etc/group", Kind::Group, &accounts.group).map(|it| it.fix(backup("group"))),
    );
    found.extend(shell(facts));
    found.extend(locked(facts));
    found.extend(sudo(facts));
    found.extend(pam(facts));
    found
}

fn state(path: &str, lines: &Lines) -> String {
    match (lines.there, lines.size) {
        (false, _) => format!("{path} is missing, or cannot be read"),
        (true, 0) => format!("{path} is empty"),
        (true, size) => format!("{path}: {size} bytes, and not one good line"),
    }
}

/// Programs skip a line that they cannot read: the accounts before and after it still work.
fn bad_lines(path: &str, kind: Kind, lines: &Lines) -> Option<Finding> {
    let (first, why) = lines.bad.first()?;
    if lines.good == 0 {
        return None;
    }
    let finding = Finding::warning(
        kind,
        format!(
            "{path} has lines that nobody can read. These accounts do not exist for any program."
        ),
    );
    Some(
        finding
            .seen(format!("{path}:{first}: {why}"))
            .seen(match lines.bad.len() {
                1 => "no other line is broken".to_string(),
                many => format!("{many} such lines, or more"),
            }),
    )
}

fn shell(facts: &Facts<'_>) -> Option<Finding> {
    let root = &facts.health.accounts.root;
    if !root.there || root.shell_runs {
        return None;
    }
    let shell = if root.shell.is_empty() {
        "/bin/sh"
    } else {
        &root.shell
    };
    Some(
        Finding::error(Kind::RootShell, format!("the shell of root, {shell}, is not there. root cannot log in, not even in emergency mode."))
            .seen(format!("/etc/passwd gives root the shell {shell}, where no program is"))
            .file(shell)
            .screen("Cannot execute ...: No such file or directory")
            .fix(Fix::task(Task::Password).outside("usermod --root \"$ROOT\" --shell /bin/sh root")),
    )
}

fn locked(facts: &Facts<'_>) -> Option<Finding> {
    let accounts = &facts.health.accounts;
    match accounts.root.password {
        Some(Password::Locked) => {
            let others = &accounts.with_password;
            let what = if others.is_empty() {
                "root is locked, and nobody else has a password. Nobody can log in at the console."
            } else {
                "root is locked. Emergency mode gives no shell."
            };
            let seen = match others.len() {
                0 => "/etc/shadow: root has no password that can be typed".to_string(),
                all => format!(
                    "a password have: {}",
                    list(others.iter().take(5).cloned(), all)
                ),
            };
            Some(
                Finding::note(Kind::RootLocked, what)
                    .seen(seen)
                    .screen("Cannot open access to console, the root account is locked.")
                    .fix(fixes::password(facts.family())),
            )
        }
        Some(Password::Empty) => Some(
            Finding::note(
                Kind::RootLocked,
                "root has an empty password: whoever sits at the console is root.",
            )
            .seen("/etc/shadow: the second field of root is empty")
            .fix(fixes::password(facts.family())),
        ),
        Some(Password::Set) | None => None,
    }
}

fn sudo(facts: &Facts<'_>) -> Option<Finding> {
    let accounts = &facts.health.accounts;
    let lines = accounts.sudoers.as_ref()?;
    let file = &accounts.sudoers_file;
    if !lines.there || lines.size == 0 {
        return Some(
            Finding::error(
                Kind::Sudoers,
                "/etc/sudoers is missing or empty. sudo lets nobody in.",
            )
            .seen(state("/etc/sudoers", lines))
            .screen("sudo: unable to stat /etc/sudoers; or: is not in the sudoers file")
            .fix(fixes::reinstall(facts.family(), "sudo")),
        );
    }
    let (line, why) = lines.bad.first()?;
    Some(
        Finding::error(
            Kind::Sudoers,
            format!("{file} has an error of syntax. sudo may let nobody in."),
        )
        .seen(format!("{file}:{line}: {why}"))
        .screen(format!("{file}:{line}: syntax error"))
        .fix(Fix::default().inside(format!("visudo -f {}", fixes::word(&file.to_string())))),
    )
}

fn pam(facts: &Facts<'_>) -> Option<Finding> {
    let accounts = &facts.health.accounts;
    let fix = fixes::reinstall(
        facts.family(),
        match facts.family() {
            super::Family::Debian => "libpam-modules",
            super::Family::Arch => "pambase",
            _ => "pam",
        },
    );
    if accounts.pam_gone {
        return Some(
            Finding::error(Kind::Pam, "PAM has no configuration. Nobody can log in.")
                .seen("/etc/pam.d holds neither login nor other")
                .screen("Critical error - immediate abort")
                .fix(match facts.family() {
                    super::Family::Debian => {
                        fixes::reinstall(super::Family::Debian, "libpam-runtime")
                            .inside("pam-auth-update --force")
                    }
                    _ => fix,
                }),
        );
    }
    let gap = accounts.pam.first()?;
    let mut finding = Finding::error(
        Kind::Pam,
        format!(
            "PAM needs {}, which is not there. Logging in fails.",
            gap.module
        ),
    )
    .screen("Module is unknown; or: Authentication service cannot retrieve authentication info")
    .fix(fix);
    for gap in &accounts.pam {
        finding = finding
            .file(&gap.module)
            .seen(format!("{}:{} needs {}", gap.file, gap.line, gap.module));
    }
    if matches!(facts.family(), super::Family::Debian) {
        finding = finding.package(Some("libpam-modules"));
    }
    Some(finding)
}
