//! `newroot exec`: one more command in a session that runs.

use super::{enter, sessions};
use crate::cli::sessions::ExecArgs;
use crate::error::{Exit, Failure};
use crate::exec::enter::{Target, join};
use crate::model::HostPath;
use crate::root::InRoot;
use crate::ui::Ui;

pub(super) fn run(args: &ExecArgs, ui: &Ui) -> anyhow::Result<Exit> {
    let entry = sessions::one(&enter::place()?, &args.session, ui)?;
    let record = entry.record;
    let cannot = |why: &str| Failure::new(format!("cannot run anything in {}", record.id), why);
    let init = record
        .init
        .filter(|_| entry.alive)
        .ok_or_else(|| cannot("the session has no running program"))?;
    let target = Target::open(init)
        .map_err(|error| cannot(&crate::sys::describe(error.errno)).caused_by(error))?;
    let root = HostPath::new(&record.root);
    let tree = InRoot::from_fd(target.root().try_clone_to_owned()?);
    let chosen = enter::choose(
        &tree,
        &root,
        enter::Wanted {
            words: &args.command,
            user: args.user.as_deref(),
            env: &args.env,
            given: &[],
            name: root.as_path(),
            directory: args.workdir.as_deref(),
            privileged: !target.is_user_namespace(),
        },
    )?;
    let outcome = join(
        target,
        chosen.command,
        chosen.is_shell,
        &mut enter::Shown(ui),
    );
    enter::report_visit(outcome, &root, args.status.as_deref())
}
