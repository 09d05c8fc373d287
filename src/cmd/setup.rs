//! `newroot setup apparmor`: allows newroot, and nothing else, to make user namespaces.

use std::path::Path;

use crate::cli::Globals;
use crate::cli::setup::{SetupAction, SetupArgs};
use crate::error::{Exit, Failure};
use crate::exec::install_file;
use crate::model::{HostPath, Kind, RootPath};
use crate::plan::{FileOp, Op, Place, Step};
use crate::root::{Host, Tree};
use crate::sys;
use crate::tool::{Tool, run_well};
use crate::ui::Ui;

const PROFILE: &str = include_str!("../../profiles/apparmor/newroot");
const TARGET: &str = "/etc/apparmor.d/newroot";
/// What the profile's `userns` rule came with; an older parser refuses the whole profile, and with
/// it in place the service that loads all of them fails.
const ABI: &str = "/etc/apparmor.d/abi/4.0";
/// The line of [`PROFILE`] that names the program.
const VARIABLE: &str = "@{newroot_exec} = ";

pub(super) fn run(args: &SetupArgs, globals: &Globals, ui: &Ui) -> anyhow::Result<Exit> {
    match args.action {
        SetupAction::Apparmor => apparmor(globals, ui),
    }
}

fn apparmor(globals: &Globals, ui: &Ui) -> anyhow::Result<Exit> {
    let program = own_path()?;
    let text = profile(&program);
    let write = Step {
        place: Place::Host,
        op: Op::File(FileOp::Write {
            path: RootPath::new(TARGET),
            bytes: text.clone().into_bytes(),
            mode: 0o644,
        }),
        base: HostPath::new("/"),
    };
    let load = Tool::new("apparmor_parser", "apparmor").args(["-r", TARGET]);
    if globals.dry_run {
        ui.out(format!("{write}\n{}\n", load.shell()).as_bytes())?;
        return Ok(Exit::Success);
    }
    let cannot = |why: String| Failure::new("cannot set up AppArmor", why);
    if !rustix::process::geteuid().is_root() {
        return Err(cannot(String::from("only root may"))
            .hint("as root", "sudo newroot setup apparmor")
            .into());
    }
    if Host.stat(&RootPath::new("/etc/apparmor.d")).is_err() {
        return Err(cannot(String::from("this system has no /etc/apparmor.d"))
            .detail("without AppArmor nothing needs to be set up")
            .into());
    }
    if Host.stat(&RootPath::new(ABI)).is_err() {
        return Err(cannot(String::from("this AppArmor is older than 4.0"))
            .detail(format!(
                "there is no {ABI}: it knows no rule for user namespaces"
            ))
            .detail("what it does not know it does not forbid: nothing needs to be set up")
            .into());
    }
    check_owner(&program)?;
    install_file(&HostPath::new(TARGET), text.as_bytes())?;
    ui.detail(&write.to_string());
    run_well(&load).map_err(|error| {
        cannot(error.to_string()).detail(format!(
            "{TARGET} was written, and is loaded at the next boot"
        ))
    })?;
    ui.detail(&load.shell());
    ui.note(&format!(
        "{} may make user namespaces now, and after every boot ({TARGET})",
        program.display()
    ));
    Ok(Exit::Success)
}

/// The file that runs now: AppArmor goes by its path.
fn own_path() -> anyhow::Result<std::path::PathBuf> {
    Ok(sys::fs::read_link_at(
        rustix::fs::CWD,
        Path::new("/proc/self/exe"),
    )?)
}

fn profile(program: &Path) -> String {
    let mut text: String = PROFILE
        .lines()
        .map(|line| {
            if line.starts_with(VARIABLE) {
                format!("{VARIABLE}\"{}\"", program.display())
            } else {
                line.to_owned()
            }
        })
        .collect::<Vec<String>>()
        .join("\n");
    text.push('\n');
    text
}

/// A program that others may replace would hand them what is allowed here.
fn check_owner(program: &Path) -> anyhow::Result<()> {
    let meta = Host.stat(&RootPath::new(program))?;
    let odd = program.to_str().is_none_or(|text| {
        text.chars()
            .any(|c| "\"*?[]{}^\\".contains(c) || c.is_control())
    });
    if odd {
        return Err(Failure::new(
            "cannot set up AppArmor",
            "the path of this program has characters that AppArmor reads as patterns",
        )
        .hint("install it", "install newroot /usr/local/bin/")
        .into());
    }
    if meta.kind == Kind::File && meta.uid == 0 && meta.mode & 0o022 == 0 {
        return Ok(());
    }
    Err(Failure::new(
        "cannot set up AppArmor",
        format!("{} can be replaced by others than root", program.display()),
    )
    .hint(
        "install it where only root may write",
        format!(
            "install -o root -m 755 {} /usr/local/bin/newroot && newroot setup apparmor",
            crate::ui::shell_quote(program)
        ),
    )
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_names_the_program_that_runs() {
        let text = profile(Path::new("/opt/x/newroot"));
        assert!(text.contains("\n@{newroot_exec} = \"/opt/x/newroot\"\n"));
        assert!(text.contains("\n  userns,\n"));
    }
}
