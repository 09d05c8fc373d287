//! `newroot exec`: one more command in a session that runs.

use super::{enter, lent, sessions};
use crate::cli::sessions::ExecArgs;
use crate::error::{Exit, Failure};
use crate::exec::enter::{Target, join};
use crate::model::HostPath;
use crate::plan::enter::rescue;
use crate::root::InRoot;
use crate::ui::Ui;

pub(super) fn run(args: &ExecArgs, ui: &Ui) -> anyhow::Result<Exit> {
    enter::with_status(exec(args, ui), args.status.as_deref(), ui)
}

fn exec(args: &ExecArgs, ui: &Ui) -> anyhow::Result<Exit> {
    let entry = sessions::one(&enter::place()?, &args.session, ui)?;
    let record = entry.record;
    let cannot = |why: &str| Failure::new(format!("cannot run anything in {}", record.id), why);
    let init = record
        .init
        .filter(|_| entry.alive)
        .ok_or_else(|| cannot("the session has no running program"))?;
    if !record.output.as_os_str().is_empty() {
        let path = record.output.display();
        ui.note(&format!(
            "its terminal went away; what its program writes: less -R {path}"
        ));
    }
    let is_rescue = record.kind == "rescue";
    let given = rescue::environment();
    // In a rescue the init is outside, and the program has what is to be joined.
    let target = Target::open(record.payload.unwrap_or(init))
        .map_err(|error| cannot(&crate::sys::describe(error.errno)).caused_by(error))?;
    let root = HostPath::new(&record.root);
    let tree = InRoot::from_fd(target.root().try_clone_to_owned()?);
    let lent = lent::offer_in(&tree);
    let chosen = enter::choose(
        &tree,
        &root,
        enter::Wanted {
            words: &args.command,
            user: args.user.as_deref(),
            env: &args.env,
            given: if is_rescue { &given } else { &[] },
            first_in_path: is_rescue.then_some(rescue::PROGRAMS),
            name: root.as_path(),
            directory: args.workdir.as_deref(),
            privileged: !target.is_user_namespace(),
            lent: lent.as_ref(),
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
