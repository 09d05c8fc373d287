//! Errors of entering, as the user meets them.

use super::binds;
use crate::error::{Exit, Failure};
use crate::exec::enter::{EnterError, UserNamespaceError};
use crate::model::{HostPath, Kind};
use crate::plan::Step;
use crate::plan::enter::{Facts, PlanError};
use crate::probe::user_namespaces;
use crate::ui::shell_quote;

pub(super) fn plan(error: &PlanError, facts: &Facts) -> Failure {
    let root = &facts.root;
    let failure = Failure::new(format!("cannot enter {root} like this"), error.to_string());
    match error {
        PlanError::NoTarget(target) => {
            let kind = facts
                .binds
                .iter()
                .find(|bind| bind.target == *target)
                .map_or(Kind::Directory, |bind| bind.source_kind);
            failure
                .detail("newroot writes nothing into a root, not even a mount point")
                .hint("make it", binds::make(kind, root.show_inside(target)))
        }
        PlanError::LentWithoutRun => failure,
        PlanError::OnDirectory(source, target) => {
            let name = source.as_path().file_name().unwrap_or_default();
            failure.hint(
                "a file goes onto a file",
                binds::option(source, &target.join(name)),
            )
        }
        PlanError::OnFile(source, _) => failure.hint(
            "a directory goes onto a directory",
            format!("--bind {}:DIR", shell_quote(source.as_path())),
        ),
        PlanError::BelowKernels(..) => failure.hint("name another place", "--bind SRC:DST"),
    }
}

/// No user namespace: which setting forbids it, and what allows it.
pub(crate) fn namespaces(error: &UserNamespaceError, what: &str) -> Failure {
    let what = format!("cannot {what}");
    let privileged = crate::sys::process::may_mount();
    let (stage, call) = match error {
        UserNamespaceError::Make(call) => ("unshare", call),
        UserNamespaceError::Map(call) => ("writing uid_map", call),
        UserNamespaceError::Mount(call) => ("mount", call),
    };
    if privileged {
        return Failure::new(what, "this process may not make a mount namespace")
            .detail(call.to_string());
    }
    let mut failure = Failure::new(what, "this system forbids user namespaces to newroot");
    let errno = crate::sys::describe(call.errno);
    match user_namespaces::forbidden_by(call.errno) {
        Some(setting) => {
            failure = failure
                .detail(format!(
                    "({}={}; {stage}: {errno})",
                    setting.name, setting.value
                ))
                .hint("allow it once, as root", setting.cure);
        }
        None => {
            failure = failure
                .detail(format!("({stage}: {errno}; no known setting forbids it)"))
                .detail("a container's seccomp filter or another security module may");
        }
    }
    failure
        .hint("or do it as root", "sudo newroot ...")
        .caused_by(anyhow::anyhow!(call.to_string()))
}

pub(crate) fn enter(error: EnterError, steps: &[Step], root: &HostPath) -> Failure {
    match error {
        EnterError::Step { step, text, errno } => {
            let what = steps.get(step).map(Step::to_string).unwrap_or_default();
            let last = what.lines().last().unwrap_or_default().to_owned();
            let why = crate::sys::describe(rustix::io::Errno::from_raw_os_error(errno));
            Failure::new(format!("cannot enter {root}"), why)
                .detail(format!("while doing what this does: {last}"))
                .detail(format!("({text})"))
        }
        EnterError::Program(trouble) => {
            let errno = rustix::io::Errno::from_raw_os_error(trouble.errno);
            let why = crate::sys::describe(errno);
            let exit = match (trouble.at_exec, errno) {
                (false, _) => Exit::Failed,
                (true, rustix::io::Errno::NOENT) => Exit::NotFound,
                (true, _) => Exit::NotRunnable,
            };
            Failure::new(format!("cannot start the command in {root}"), why)
                .detail(format!("({trouble})"))
                .exit(exit)
        }
        EnterError::InitLost(ended) => Failure::new(
            format!("lost the session in {root}"),
            "its first process was killed",
        )
        .detail(format!("{ended:?}")),
        other => Failure::new(format!("cannot enter {root}"), other.to_string()),
    }
}
