//! `jail add`: more programs in a jail that exists.

use super::{directory, extended, is_same_root, request, survey, update, wrong_order};
use crate::cli::Globals;
use crate::cli::jail::BuildArgs;
use crate::error::{Exit, Failure};
use crate::ui::Ui;

pub(super) fn run(args: &BuildArgs, globals: &Globals, ui: &Ui) -> anyhow::Result<Exit> {
    if let Some(failure) = wrong_order("add", &args.dir, &args.items) {
        return Err(failure.into());
    }
    let dir = directory(&args.dir);
    let jail = survey::open("add to", &dir)?;
    let mut options = args.content.clone();
    // Everything in a jail comes from one root: the manifest's, unless another is named.
    options
        .from
        .get_or_insert_with(|| jail.manifest.request.from.as_path().to_path_buf());
    let more = request(&options, &args.items)?;
    if !is_same_root(&more.from, &jail.manifest.request.from) {
        return Err(Failure::new(
            format!("cannot add to {dir}"),
            format!(
                "it was built from {}, not from {}",
                jail.manifest.request.from, more.from
            ),
        )
        .into());
    }
    if more.items.is_empty() && more.profiles.is_empty() && more.users.is_empty() {
        return Err(Failure::new(
            format!("cannot add to {dir}"),
            "no program, profile or user was named",
        )
        .exit(Exit::Usage)
        .into());
    }
    let all = extended(&jail.manifest.request, more);
    update::bring("add to", jail, &all, args.sync, globals, ui)
}
