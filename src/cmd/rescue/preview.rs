//! `-n`: what would be done, as shell commands, as far as it is known without doing it.

use super::{inside, visit};
use crate::cli::rescue::RescueArgs;
use crate::cmd::enter::{self, Asked};
use crate::cmd::lent::Lending;
use crate::cmd::open::{Access, Choices, Opened};
use crate::cmd::target;
use crate::error::Exit;
use crate::model::{HostPath, RootPath};
use crate::plan::enter::rescue::{NO_SERVICE, POLICY, environment};
use crate::plan::{FileOp, Op, Place, Step, script};
use crate::probe::scan;
use crate::probe::target::{Name, name};
use crate::root::Tree;
use crate::ui::Ui;

/// Where the shell form has a target that is not mounted yet.
const SHOWN: &str = "/mnt";

pub(super) fn run(args: &RescueArgs, ui: &Ui) -> anyhow::Result<Exit> {
    let Some(Name::Directory(path)) = args.target.as_deref().map(name) else {
        return opening(args, ui);
    };
    let root = enter::open(path.as_path())?;
    let system = scan::directory(&path).map_err(|error| target::no_directory(&path, &error))?;
    let system = system.facts.is_system().then_some(system);
    let lending = args.lent.then(|| Lending::gather(&root.path)).transpose()?;
    let (inside, notes) = inside::look(&root.tree, system.as_ref(), args.open.read_only);
    let label = system
        .as_ref()
        .and_then(|system| system.facts.hostname.clone())
        .map_or_else(|| root.path.as_path().to_path_buf(), Into::into);
    let ready = enter::prepare(
        &root.tree,
        &root.path,
        Asked {
            options: &visit::options(args),
            words: &args.command,
            given: &environment(),
            binds: &[],
            rescue: Some(&inside),
            name: &label,
            privileged: true,
            lent: lending.as_ref(),
        },
    )?;
    for note in notes.iter().chain(&ready.plan.notes) {
        ui.note(&format!("note: {note}"));
    }
    let policy = RootPath::new(POLICY);
    let is_debian = system.is_some_and(|system| system.facts.os.is_like("debian"));
    let makes_policy = is_debian && !args.open.read_only && root.tree.lstat(&policy).is_err();
    let step = |op| Step {
        place: Place::Host,
        op: Op::File(op),
        base: root.path.clone(),
    };
    let mut text = String::new();
    if makes_policy {
        text.push_str(&script(&[step(FileOp::Write {
            path: policy.clone(),
            bytes: NO_SERVICE.into(),
            mode: 0o755,
        })]));
    }
    text.push_str(&script(&ready.plan.steps));
    if makes_policy {
        text.push_str(&script(&[step(FileOp::Remove { path: policy })]));
    }
    ui.out(text.as_bytes())?;
    Ok(Exit::Success)
}

/// How it is opened. What is in it is known when that is done, and the dry run ends there.
fn opening(args: &RescueArgs, ui: &Ui) -> anyhow::Result<Exit> {
    let access = if args.open.read_only {
        Access::ReadOnly
    } else {
        Access::ReadWrite
    };
    let choices = Choices::new(&args.open);
    let root = HostPath::new(SHOWN);
    let mut text = Opened::preview(args.target.as_deref(), &choices, access, &root, ui)?;
    text.push_str(&format!(
        "# then {SHOWN} is entered; newroot -n rescue {SHOWN} -- COMMAND shows how, when it is mounted\n"
    ));
    ui.out(text.as_bytes())?;
    Ok(Exit::Success)
}
