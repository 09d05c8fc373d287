//! `jail try`: a jail in a tmpfs, entered at once, gone with its last process.
//!
//! The tmpfs is attached nowhere before the init takes it, so no name on the host ever leads to
//! it and there is nothing to clean up.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::build::fill;
use super::content::{Content, open_from};
use super::report::Built;
use super::{choices, failure, request};
use crate::cli::Globals;
use crate::cli::jail::TryArgs;
use crate::cmd::enter::{self, Visited};
use crate::error::{Exit, Failure};
use crate::exec::Events;
use crate::exec::enter::{RootDirectory, unshare};
use crate::model::{HostPath, MountFlags, Request, RootPath};
use crate::plan::jail::{JailPlan, build};
use crate::plan::{self, MountOp, Op, Place, ProcessOp, Step};
use crate::root::{InRoot, Tree};
use crate::session::{Live, New};
use crate::sys;
use crate::sys::signal::{HUP, Held, INT, TERM};
use crate::ui::{Ui, shell_quote};

/// Where the shell form of the plan has the jail. The jail itself is nowhere.
const SHOWN: &str = "/mnt";
/// The session's root in `newroot ps`.
const NAME: &str = "memory";

pub(super) fn run(args: &TryArgs, globals: &Globals, ui: &Ui) -> anyhow::Result<Exit> {
    let status = args.entry.status.as_deref().filter(|_| !globals.dry_run);
    enter::with_status(status, ui, |status| try_it(args, globals, status, ui))
}

fn try_it(
    args: &TryArgs,
    globals: &Globals,
    status: Option<&enter::Status>,
    ui: &Ui,
) -> anyhow::Result<Exit> {
    if args.items.is_empty() && args.content.profile.is_empty() {
        return Err(nothing_named().into());
    }
    let privileged = sys::process::may_mount();
    let request = request(&args.content, &args.items)?;
    let tree = open_from(&HostPath::new(request.from.as_path()))?;
    let content = Content::gather(&request, tree.as_ref(), None)?;
    if globals.dry_run {
        let mut text = plan::script(&frame(!privileged, plan(&content, &request).steps));
        // Whether a command can start is looked up in the finished jail.
        text.push_str(
            "# then DIR is entered: newroot -n enter DIR shows how, for a jail that is built\n",
        );
        ui.out(text.as_bytes())?;
        return Ok(Exit::Success);
    }
    let place = enter::place()?;
    let command = command(args, &content);
    // Read while files are copied, then by the supervisor. One that came between would end newroot
    // and leave the record.
    let _held = Held::new(&[INT, TERM, HUP])?;
    let live = Live::create(
        &place,
        New {
            kind: "try",
            root: NAME.into(),
            command: command.clone(),
        },
    )?;
    match attempt(
        args,
        privileged,
        &request,
        &content,
        tree.as_ref(),
        &command,
        ui,
    ) {
        Ok(ready) => enter::visit(ready, live, status, ui),
        Err(error) => {
            live.finish()?;
            Err(error)
        }
    }
}

/// Everything up to the point where the init can be made.
fn attempt(
    args: &TryArgs,
    privileged: bool,
    request: &Request,
    content: &Content,
    from: &dyn Tree,
    command: &[OsString],
    ui: &Ui,
) -> anyhow::Result<Visited> {
    let shown = HostPath::new(SHOWN);
    let namespaces = unshare(!privileged)
        .map_err(|error| enter::namespaces_failure(&error, "make a throw-away jail"))?;
    // In a user namespace the caller is root from here on: that decides who owns the files.
    let plan = plan(content, request);
    let head = frame(!privileged, Vec::new());
    let mut events = enter::Shown(ui);
    head.iter().for_each(|step| events.done(step));
    let mount = new_tmpfs()?;
    let root = InRoot::from_fd(mount.try_clone()?);
    let counted = fill(root, request, content, &plan, from, false, ui)
        .map_err(|error| failure::exec(&HostPath::new(NAME), error, Ok(())))?;
    let name = HostPath::new("in memory");
    Built::new(&name, content, &plan, &counted, ui.verbose()).show_in_memory(ui);
    let jail = InRoot::from_fd(mount.try_clone()?);
    let given: Vec<(OsString, OsString)> = content
        .environment
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let asked = enter::Asked {
        options: &args.entry,
        words: command,
        given: &given,
        binds: &content.binds,
        rescue: None,
        name: Path::new(NAME),
        privileged,
        lent: None,
    };
    let ready = enter::prepare(&jail, &shown, asked).map_err(|error| in_memory(error, command))?;
    for note in &ready.plan.notes {
        ui.note(&format!("note: {note}"));
    }
    Ok(Visited {
        root: RootDirectory::Detached(mount),
        shown,
        lent: None,
        // The first step is what has been done already.
        steps: ready.plan.steps[1..].to_vec(),
        is_shell: ready.is_shell,
        namespaces,
    })
}

/// The steps of the jail itself, as this caller may do them.
fn plan(content: &Content, request: &Request) -> JailPlan {
    let choices = choices(&HostPath::new(SHOWN), &request.from);
    build(content.wanted(&choices), &choices)
}

/// The namespaces and the tmpfs, then `steps` in it.
fn frame(user: bool, steps: Vec<Step>) -> Vec<Step> {
    let base = HostPath::new(SHOWN);
    let (flags, mode) = tmpfs();
    let first = [
        Op::Process(ProcessOp::Namespaces { user, apart: false }),
        Op::Mount(MountOp::New {
            fstype: "tmpfs",
            source: "newroot",
            options: mode,
            flags,
            target: RootPath::root(),
        }),
    ];
    first
        .into_iter()
        .map(|op| Step {
            place: Place::Session,
            op,
            base: base.clone(),
        })
        .chain(steps)
        .collect()
}

/// Set-id bits stay possible: `--keep-privileges` may ask for them.
fn tmpfs() -> (MountFlags, Vec<(String, Option<String>)>) {
    let flags = MountFlags {
        no_dev: true,
        ..MountFlags::default()
    };
    (flags, vec![("mode".into(), Some("755".into()))])
}

fn new_tmpfs() -> anyhow::Result<OwnedFd> {
    let (flags, options) = tmpfs();
    sys::mount::new_detached("tmpfs", "newroot", &options, flags).map_err(|error| {
        let absent = sys::mount::is_absent(&error);
        let failure = Failure::new("cannot make a throw-away jail", sys::describe(error.errno))
            .caused_by(error);
        if absent {
            failure
                .detail("this kernel cannot make a mount that is attached nowhere (Linux 5.2 can)")
                .hint(
                    "build it in a directory instead",
                    "newroot jail build DIR PROGRAM",
                )
        } else {
            failure
        }
        .into()
    })
}

/// The hints of `enter` name a directory; this jail has none.
fn in_memory(error: anyhow::Error, command: &[OsString]) -> anyhow::Error {
    match error.downcast::<Failure>() {
        Ok(mut failure) => {
            let name = command.first().map(shell_quote).unwrap_or_default();
            failure.what = failure.what.replace(SHOWN, "the throw-away jail");
            failure.details.retain(|line| !line.contains(SHOWN));
            failure.hints.clear();
            failure
                .hint(
                    "name the program for the jail, too",
                    format!("newroot jail try {name} -- {name}"),
                )
                .into()
        }
        Err(error) => error,
    }
}

/// The words after `--`, else the profile's command, else the first program.
fn command(args: &TryArgs, content: &Content) -> Vec<OsString> {
    if !args.command.is_empty() {
        return args.command.clone();
    }
    if !content.command.is_empty() {
        return content.command.iter().map(OsString::from).collect();
    }
    args.items
        .first()
        .map(|item| vec![item.clone().into_os_string()])
        .unwrap_or_default()
}

fn nothing_named() -> Failure {
    Failure::new(
        "cannot make a throw-away jail",
        "no program and no profile was named",
    )
    .exit(Exit::Usage)
    .hint("with programs", "newroot jail try bash ls -- bash")
    .hint("with a profile", "newroot jail try --profile shell")
}
