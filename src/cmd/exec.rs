//! `newroot exec`: one more command in a session that runs.

use rustix::io::Errno;

use super::{enter, lent, sessions};
use crate::cli::Globals;
use crate::cli::sessions::ExecArgs;
use crate::error::{Exit, Failure};
use crate::exec::enter::{Target, join};
use crate::model::HostPath;
use crate::plan::enter::rescue;
use crate::plan::{self, Command, Op, Place, ProcessOp, Step};
use crate::root::InRoot;
use crate::session::Entry;
use crate::ui::Ui;

pub(super) fn run(args: &ExecArgs, globals: &Globals, ui: &Ui) -> anyhow::Result<Exit> {
    let status = args.status.as_deref().filter(|_| !globals.dry_run);
    enter::with_status(status, ui, |status| exec(args, globals, status, ui))
}

fn exec(
    args: &ExecArgs,
    globals: &Globals,
    status: Option<&enter::Status>,
    ui: &Ui,
) -> anyhow::Result<Exit> {
    let entry = sessions::one(enter::known_place()?.as_ref(), &args.session, ui)?;
    let record = entry.record.clone();
    let cannot = |why: &str| Failure::new(format!("cannot run anything in {}", record.id), why);
    let init = record
        .init
        .filter(|_| entry.alive)
        .ok_or_else(|| nothing_runs(&entry))?;
    if !record.output.as_os_str().is_empty() {
        let path = record.output.display();
        ui.note(&format!(
            "its terminal went away; what its program writes: less -R {path}"
        ));
    }
    let is_rescue = record.kind == "rescue";
    let given = rescue::environment();
    // In a rescue the init is outside, and the program has what is to be joined.
    let target =
        Target::open(record.payload.unwrap_or(init)).map_err(|error| match error.errno {
            // It ended while this began.
            Errno::SRCH | Errno::NOENT => {
                cannot("it has ended").hint("what there is", "newroot ps")
            }
            errno => cannot(&crate::sys::describe(errno)).caused_by(error),
        })?;
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
    if globals.dry_run {
        let process = record.payload.unwrap_or(init).pid;
        ui.out(shell(process, target.is_user_namespace(), &chosen.command).as_bytes())?;
        return Ok(Exit::Success);
    }
    let outcome = join(
        target,
        chosen.command,
        chosen.is_shell,
        &mut enter::Shown(ui),
    );
    enter::report_visit(outcome, &root, status)
}

/// Why nothing can be joined, and what helps.
fn nothing_runs(entry: &Entry) -> Failure {
    let record = &entry.record;
    let cannot = |why: &str| Failure::new(format!("cannot run anything in {}", record.id), why);
    if record.standing {
        return cannot("its mounts stand, and nothing runs in it").hint(
            "a command there",
            format!("newroot enter {}", crate::ui::shell_quote(&record.root)),
        );
    }
    if entry.alive {
        return cannot("its first program has not started yet, or has ended")
            .hint("what there is", "newroot ps");
    }
    cannot("it is dead").hint("undo what it left", "newroot cleanup")
}

/// The same as shell commands. The mount namespace need not be joined for it: the link in /proc
/// leads there.
fn shell(process: i32, in_user_namespace: bool, command: &Command) -> String {
    let user = if in_user_namespace {
        " --user --preserve-credentials"
    } else {
        ""
    };
    let step = Step {
        place: Place::Payload,
        op: Op::Process(ProcessOp::Execute {
            command: command.clone(),
            inside: false,
        }),
        base: HostPath::new(format!("/proc/{process}/root")),
    };
    let end = plan::SCRIPT_END;
    format!("nsenter --target {process}{user} --pid sh -e /dev/fd/3 3<<'{end}'\n{step}\n{end}\n")
}
