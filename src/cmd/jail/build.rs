//! `jail build`: a new jail, complete or not at all.

use super::content::{Content, name_owners, open_from};
use super::report::{Built, Counted};
use super::{absolute, choices, directory, failure, request, wrong_order};
use crate::cli::Globals;
use crate::cli::jail::BuildArgs;
use crate::error::{Exit, Failure};
use crate::exec::{ExecError, Files, StageError, Staging, fill_fresh};
use crate::model::{HostPath, Request};
use crate::plan::jail::{JailPlan, build};
use crate::root::{InRoot, Tree};
use crate::session::Place;
use crate::sys::{self, signal::Held};
use crate::ui::Ui;

/// What asks a build to end; it cleans up first.
pub(super) const ENDING: [i32; 4] = [
    sys::signal::INT,
    sys::signal::TERM,
    sys::signal::HUP,
    sys::signal::QUIT,
];

pub(super) fn run(args: &BuildArgs, globals: &Globals, ui: &Ui) -> anyhow::Result<Exit> {
    if let Some(failure) = wrong_order("build", &args.dir, &args.items) {
        return Err(failure.into());
    }
    if args.items.is_empty() && args.content.profile.is_empty() {
        return Err(nothing_named(args).into());
    }
    let dir = directory(&args.dir);
    let request = request(&args.content, &args.items)?;
    let from = HostPath::new(request.from.as_path());
    let tree = open_from(&from)?;
    let content = Content::gather(&request, tree.as_ref(), Some(&absolute(&dir)))?;
    let choices = choices(&dir, &request.from);
    let plan = build(content.wanted(&choices), &choices);
    if globals.dry_run {
        let lines: String = plan.steps.iter().map(|step| format!("{step}\n")).collect();
        ui.out(format!("mkdir -m 700 {}\n{lines}", crate::ui::shell_quote(&dir)).as_bytes())?;
        return Ok(Exit::Success);
    }
    let built = make(&dir, &request, &content, plan, tree.as_ref(), args.sync, ui)?;
    built.show(ui);
    Ok(Exit::Success)
}

fn make(
    dir: &HostPath,
    request: &Request,
    content: &Content,
    plan: JailPlan,
    tree: &dyn Tree,
    sync: bool,
    ui: &Ui,
) -> anyhow::Result<Built> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR");
    let place = Place::open(runtime.as_deref().map(std::path::Path::new))
        .map_err(|error| failure::session(dir, error))?;
    let staging = Staging::begin(dir, &place).map_err(|error| failure::stage(dir, error))?;
    let done = staging
        .root()
        .map_err(ExecError::from)
        .and_then(|root| fill(root, request, content, &plan, tree, sync, ui));
    let counted = match done {
        Ok(counted) => counted,
        Err(error) => {
            let left = staging.abandon();
            return Err(failure::exec(dir, error, left));
        }
    };
    staging
        .commit()
        .map_err(|error| failure::commit(dir, error))?;
    Ok(Built::new(dir, content, &plan, &counted, ui.verbose()))
}

/// Fills an empty root, wherever it is.
pub(crate) fn fill(
    root: InRoot,
    request: &Request,
    content: &Content,
    plan: &JailPlan,
    tree: &dyn Tree,
    sync: bool,
    ui: &Ui,
) -> Result<Counted, ExecError> {
    let mut files = Files::new(root, tree);
    files.manifest = Some(content.manifest(request));
    files.meanwhile = Some(Box::new(|manifest| {
        manifest.entries.clone_from(&plan.entries);
        name_owners(tree, manifest.entries.iter_mut());
    }));
    files.held = Some(Held::new(&ENDING)?);
    let bytes = plan.steps.iter().map(|step| step.op.bytes()).sum();
    let mut progress = ui.progress(plan.steps.len() as u64, bytes);
    let done = fill_fresh(&plan.steps, &mut files, &mut progress);
    progress.finish();
    done?;
    if let Some(held) = &files.held {
        held.release()?;
    }
    if sync {
        sys::file::sync_file_system(files.target().fd())?;
    }
    Ok(Counted::of(&files.outcomes))
}

fn nothing_named(args: &BuildArgs) -> Failure {
    let dir = crate::ui::shell_quote(&args.dir);
    Failure::new(
        format!("cannot build a jail in {}", args.dir.display()),
        "no program and no profile was named",
    )
    .exit(Exit::Usage)
    .hint("with a program", format!("newroot jail build {dir} bash"))
    .hint(
        "with a profile",
        format!("newroot jail build --profile shell {dir}"),
    )
}

impl From<StageError> for ExecError {
    fn from(error: StageError) -> Self {
        Self::Other(error.to_string())
    }
}
