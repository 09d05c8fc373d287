//! `newroot mount`: opens a target where everyone sees it, and leaves it there.

use std::path::Path;

use crate::cli::Globals;
use crate::cli::mount::MountArgs;
use crate::cmd::enter;
use crate::cmd::open::{Access, Choices, MountState, Opened, Visible, lines, signal_of};
use crate::error::{Exit, Failure};
use crate::model::{HostPath, Kind, RootPath};
use crate::probe::target::{Name, name};
use crate::root::{Host, Tree, canonical};
use crate::session::{Live, New};
use crate::sys;
use crate::sys::signal::{HUP, Held, INT, TERM};
use crate::ui::{Ui, shell_quote};

pub(super) fn run(args: &MountArgs, globals: &Globals, ui: &Ui) -> anyhow::Result<Exit> {
    let choices = Choices::new(&args.open);
    let access = if choices.read_write {
        Access::ReadWrite
    } else {
        Access::ReadOnly
    };
    if let Name::Directory(path) = name(&args.target) {
        return Err(is_directory(&path).into());
    }
    let root = directory(&args.directory)?;
    if globals.dry_run {
        let text = Opened::preview(Some(&args.target), &choices, access, &root, ui)?;
        ui.out(text.as_bytes())?;
        return Ok(Exit::Success);
    }
    if !sys::process::may_mount() {
        let what = format!("cannot mount {}", args.target.to_string_lossy());
        return Err(Failure::new(what, "only root may mount disks")
            .hint("become root", "sudo newroot mount TARGET")
            .into());
    }
    let new = New {
        kind: "mount",
        root: root.as_path().to_path_buf(),
        command: Vec::new(),
    };
    let place = enter::place()?;
    // From before the record to the end: what a signal interrupts is taken back, the record too.
    let signals = Held::new(&[INT, TERM, HUP])?;
    let ui = &ui.clone().minding(signals.fd().try_clone_to_owned()?);
    let mut live = Live::create(&place, new)?;
    match open(args, &choices, access, &root, &mut live, ui) {
        Ok(opened) => {
            // It came when there was nothing left to interrupt, and before the mounts stand.
            if let Some(signal) = signals.next() {
                close(opened, &mut live, ui)?;
                live.finish()?;
                return Ok(Exit::signalled(u8::try_from(signal).unwrap_or(0)));
            }
            report(&opened, ui);
            opened.keep();
            live.stand()?;
            Ok(Exit::Success)
        }
        Err(error) => {
            // What could not be taken back stays in the record, for `cleanup`.
            live.finish()?;
            match signal_of(&error, &signals) {
                Some(signal) => Ok(Exit::signalled(u8::try_from(signal).unwrap_or(0))),
                None => Err(error),
            }
        }
    }
}

/// Read-only first; what is wrong shows before anything is written.
fn open(
    args: &MountArgs,
    choices: &Choices,
    access: Access,
    root: &HostPath,
    live: &mut Live,
    ui: &Ui,
) -> anyhow::Result<Opened> {
    let target = Some(args.target.as_os_str());
    let visible = Visible::Host(root.clone());
    let mut opened = Opened::open(target, choices, Access::ReadOnly, visible, live, ui)?;
    if access == Access::ReadOnly {
        return Ok(opened);
    }
    if let Err(error) = opened.read_write(live, ui) {
        close(opened, live, ui)?;
        return Err(error);
    }
    Ok(opened)
}

fn close(opened: Opened, live: &mut Live, ui: &Ui) -> anyhow::Result<()> {
    let closed = opened.finish(live, ui)?;
    for holder in &closed.holders {
        ui.warn(&enter::describe(holder));
    }
    Ok(())
}

fn report(opened: &Opened, ui: &Ui) {
    for warning in &opened.warnings {
        ui.warn(warning);
    }
    for line in lines(opened) {
        ui.note(&line);
    }
    for mount in &opened.mounts {
        let point = mount.point.as_path().display();
        match &mount.state {
            MountState::Missing(why) => ui.note(&format!("  {point} is MISSING: {why}")),
            MountState::Skipped(why) => ui.note(&format!("  {point} is left out: {why}")),
            MountState::Mounted { .. } => {}
        }
    }
    let root = shell_quote(opened.root.as_path());
    ui.note(&format!(
        "Next: newroot enter {root}      to take it away: newroot umount {root}"
    ));
}

/// Where it goes: an existing directory, or a new one beside existing ones.
fn directory(typed: &Path) -> anyhow::Result<HostPath> {
    let cannot = |why: String| Failure::new(format!("cannot mount at {}", typed.display()), why);
    let path = std::path::absolute(typed)?;
    let path = match canonical(&Host, &RootPath::new(&path)) {
        Ok(real) => real,
        Err(error) if sys::errno_of(&error) == rustix::io::Errno::NOENT => {
            let above = RootPath::new(&path).parent();
            let above = canonical(&Host, &above)
                .map_err(|error| cannot(sys::describe(sys::errno_of(&error))))?;
            let name = path
                .file_name()
                .ok_or_else(|| cannot("it has no name".to_string()))?;
            return Ok(HostPath::new(above.join(name).as_path()));
        }
        Err(error) => return Err(cannot(sys::describe(sys::errno_of(&error))).into()),
    };
    if Host.stat(&path)?.kind != Kind::Directory {
        return Err(cannot("it is no directory".to_string()).into());
    }
    let path = path.as_path();
    if path == Path::new("/") {
        return Err(cannot("it is this running system".to_string()).into());
    }
    Ok(HostPath::new(path))
}

fn is_directory(path: &HostPath) -> Failure {
    let root = shell_quote(path.as_path());
    Failure::new(
        format!("cannot mount {path}"),
        "it is a directory, there is nothing to mount",
    )
    .hint("work in it", format!("newroot enter {root}"))
    .hint("see what can be mounted", "newroot scan")
}
