//! `newroot doctor`: find the system, look, close every look, judge, show.
//!
//! [`of_mounted`] and [`show`] are for other verbs too; [`examine`] judges what is open already.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::cli::Globals;
use crate::cli::doctor::DoctorArgs;
use crate::cmd::unlock::{self, Unlock};
use crate::cmd::{alone, target};
use crate::doctor::{self, Facts, Report, Severity};
use crate::error::{Exit, Failure};
use crate::model::{HostPath, RootPath};
use crate::probe::fstab::Purpose;
use crate::probe::health::disks::{self, Disks};
use crate::probe::health::{self, Quest};
use crate::probe::inventory::Inventory;
use crate::probe::scan::{self, Found, Options, Scan};
use crate::probe::system::{Place, System};
use crate::probe::target::{Choice, Name, choose, name};
use crate::root::{InRoot, Tree};
use crate::ui::Ui;
use crate::ui::doctor as screen;

/// A system, looked at and judged; nothing of it is open any more.
#[derive(Debug)]
pub(super) struct Diagnosis {
    pub(super) system: System,
    /// The devices of this machine; empty where a directory was looked at.
    pub(super) inventory: Inventory,
    /// Its findings, errors first.
    pub(super) report: Report,
    /// How long it took.
    pub(super) seconds: f64,
    /// Programs and packages were left out.
    pub(super) quick: bool,
}

pub(super) fn run(args: &DoctorArgs, globals: &Globals, ui: &Ui) -> anyhow::Result<Exit> {
    unlock::obey(doctor(args, globals, ui))
}

fn doctor(args: &DoctorArgs, globals: &Globals, ui: &Ui) -> anyhow::Result<Exit> {
    let named = args.target.as_deref().map(name);
    if globals.dry_run && !args.unlock.is_empty() {
        let _alone = alone::wait(ui);
        let text = unlock::preview(&scan(named.as_ref())?, to_unlock(args))?;
        ui.out(text.as_bytes())?;
        return Ok(Exit::Success);
    }
    let diagnosis = diagnose(args, named.as_ref(), ui)?;
    if args.json {
        let shown = shown(&diagnosis, args.target.as_deref(), ui);
        let mut text = serde_json::to_string_pretty(&screen::json(&shown))?;
        text.push('\n');
        ui.out(text.as_bytes())?;
    } else {
        show(&diagnosis, args.target.as_deref(), ui)?;
    }
    Ok(match diagnosis.report.count(Severity::Error) {
        0 => Exit::Success,
        _ => Exit::Findings,
    })
}

/// Looks at TARGET and judges it: at the only system there is where none is named, at the running
/// one only where `/` is.
fn diagnose(args: &DoctorArgs, named: Option<&Name>, ui: &Ui) -> anyhow::Result<Diagnosis> {
    let begin = Instant::now();
    let (system, inventory, report) = match named {
        Some(Name::Directory(path)) if args.unlock.is_empty() => of_directory(path, args.quick)?,
        _ => {
            let _alone = alone::wait(ui);
            of_disks(args, named, ui)?
        }
    };
    Ok(Diagnosis {
        system,
        inventory,
        report,
        seconds: begin.elapsed().as_secs_f64(),
        quick: args.quick,
    })
}

/// Prints a diagnosis; `target` is what a person types for this system.
pub(super) fn show(diagnosis: &Diagnosis, target: Option<&OsStr>, ui: &Ui) -> anyhow::Result<()> {
    ui.out(text(diagnosis, target, ui).as_bytes())?;
    Ok(())
}

/// What [`show`] prints.
pub(super) fn text(diagnosis: &Diagnosis, target: Option<&OsStr>, ui: &Ui) -> String {
    screen::text(&shown(diagnosis, target, ui))
}

/// Judges a system that is mounted at `root` as its fstab says, boot sectors and superblocks left
/// out: of what is in use they say little.
///
/// # Errors
/// The errno of open(2): `root` is not there.
pub(super) fn of_mounted(
    system: &System,
    inventory: &Inventory,
    root: &HostPath,
    quick: bool,
) -> std::io::Result<Diagnosis> {
    let begin = Instant::now();
    let tree = InRoot::open(root)?;
    let mut disks = disks::of_directory(root);
    disks.known = matches!(system.place, Place::Volume { .. });
    if disks.known {
        let what = "boot sectors and superblocks".to_string();
        disks.unchecked.push((what, "it is mounted now".into()));
    }
    let report = examine(&tree, system, inventory, &disks, quick);
    Ok(Diagnosis {
        system: system.clone(),
        inventory: inventory.clone(),
        report,
        seconds: begin.elapsed().as_secs_f64(),
        quick,
    })
}

/// Judges a system that is open: `tree` is its root with everything mounted on it, `disks` what
/// lies below ([`disks::of_scan`] while a scan is open, [`disks::of_directory`] for mount points).
fn examine(
    tree: &dyn Tree,
    system: &System,
    inventory: &Inventory,
    disks: &Disks,
    quick: bool,
) -> Report {
    let mount_points = mount_points(system);
    let health = health::gather(Quest {
        tree,
        boot: &system.boot,
        machine_id: system.facts.machine_id.as_deref(),
        mount_points: &mount_points,
        quick,
    });
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        });
    doctor::examine(&Facts {
        system,
        inventory,
        health: &health,
        disks,
        now,
    })
}

fn shown<'s>(diagnosis: &'s Diagnosis, target: Option<&'s OsStr>, ui: &Ui) -> screen::Shown<'s> {
    screen::Shown {
        system: &diagnosis.system,
        inventory: &diagnosis.inventory,
        report: &diagnosis.report,
        target,
        seconds: diagnosis.seconds,
        verbose: ui.verbose(),
        quick: diagnosis.quick,
    }
}

type Judged = (System, Inventory, Report);

fn of_directory(path: &HostPath, quick: bool) -> anyhow::Result<Judged> {
    let failed = |error: std::io::Error| target::no_directory(path, &error);
    let system = scan::directory(path).map_err(failed)?;
    if !system.facts.is_system() && system.facts.evidence.is_empty() {
        let what = format!("{path} is no installed system");
        let failure = Failure::new(what, "nothing in it speaks for one")
            .detail("looked for /etc, /bin, an os-release, a loader, an init, a package database")
            .hint("see what is on the disks", "newroot scan");
        return Err(failure.into());
    }
    let tree = InRoot::open(path).map_err(failed)?;
    let inventory = Inventory::default();
    let disks = disks::of_directory(path);
    let report = examine(&tree, &system, &inventory, &disks, quick);
    Ok((system, inventory, report))
}

fn scan(named: Option<&Name>) -> Result<Scan, Failure> {
    let only: Vec<PathBuf> = match named {
        Some(Name::Image(path) | Name::Device(path)) => vec![path.clone()],
        _ => Vec::new(),
    };
    let options = Options {
        only,
        ..Options::default()
    };
    scan::scan(&options).map_err(|error| target::scan_failure(&error))
}

fn to_unlock(args: &DoctorArgs) -> Unlock<'_> {
    Unlock {
        verb: "doctor",
        ids: &args.unlock,
        key_file: args.key_file.as_deref(),
    }
}

fn of_disks(args: &DoctorArgs, named: Option<&Name>, ui: &Ui) -> anyhow::Result<Judged> {
    let scan = scan(named)?;
    let (found, judged) = if args.unlock.is_empty() {
        let judged = judge(&scan, named, args.quick);
        let found = scan.finish().map_err(|left| target::left_open(&left))?;
        (found, judged)
    } else {
        let inside = inside(&scan, &args.unlock, named)?;
        unlock::look_inside(scan, to_unlock(args), ui, |scan| {
            judge(scan, Some(&inside), args.quick)
        })?
    };
    match judged {
        Ok((system, report)) => Ok((system, found.inventory, report?)),
        Err(choice) => Err(not_one(&found, args.target.as_deref(), &choice).into()),
    }
}

/// What is meant once the volumes are open: nothing, or a locked one of them, means what lies
/// inside of it.
fn inside(scan: &Scan, ids: &[String], named: Option<&Name>) -> Result<Name, Failure> {
    let meant = choose(&scan.inventory, &scan.systems, &scan.locked, named);
    let locked = match (named, meant) {
        (Some(_), Choice::Locked(index)) => scan.locked.get(index).cloned(),
        (Some(named), _) => return Ok(named.clone()),
        (None, _) => None,
    };
    let first = ids.first().map_or("", String::as_str);
    let locked = locked.map_or_else(|| unlock::find(scan, first), Ok)?;
    Ok(Name::Device(
        scan.inventory.volumes[locked.volume].path.clone(),
    ))
}

/// Judges the one system that is meant, or says what is meant instead.
fn judge(
    scan: &Scan,
    named: Option<&Name>,
    quick: bool,
) -> Result<(System, Result<Report, Failure>), Choice> {
    match choose(&scan.inventory, &scan.systems, &scan.locked, named) {
        Choice::System(index) => {
            let system = &scan.systems[index];
            Ok((system.clone(), look(scan, system, quick)))
        }
        other => Err(other),
    }
}

fn look(scan: &Scan, system: &System, quick: bool) -> Result<Report, Failure> {
    let view = scan.view(system).map_err(|error| {
        Failure::new(format!("cannot look into {}", system.id), error.to_string())
    })?;
    let disks = disks::of_scan(scan, system);
    Ok(examine(&view, system, &scan.inventory, &disks, quick))
}

/// Where its fstab mounts something at boot.
fn mount_points(system: &System) -> Vec<RootPath> {
    let entries = system.facts.fstab.entries.iter();
    entries
        .filter(|entry| !entry.is_optional() && entry.depth() > 1)
        .filter(|entry| matches!(entry.purpose(), Purpose::Device | Purpose::Bind))
        .map(|entry| entry.mount_point.clone())
        .collect()
}

/// No system, a locked one, or several.
fn not_one(found: &Found, typed: Option<&OsStr>, choice: &Choice) -> Failure {
    let text = typed.map(OsStr::to_string_lossy);
    let nothing = || target::nothing_fits(found, text.as_deref().unwrap_or_default());
    match choice {
        Choice::Locked(index) => locked(found, *index),
        Choice::Several(systems, _) => {
            let first = systems.first().and_then(|index| found.systems.get(*index));
            let id = first.map_or("ID", |system| system.id.as_str());
            let what = match &text {
                Some(text) => format!("several systems fit \"{text}\""),
                None => "there are several systems".to_string(),
            };
            let failure = Failure {
                what,
                why: "name one of them".into(),
                hints: Vec::new(),
                ..nothing()
            };
            failure.hint("for instance", format!("newroot doctor {id}"))
        }
        Choice::Nothing | Choice::System(_) if text.is_some() => nothing(),
        Choice::Nothing | Choice::System(_) => {
            let what = "no system to look at".into();
            Failure { what, ..nothing() }.hint("the running system itself", "newroot doctor /")
        }
    }
}

fn locked(found: &Found, index: usize) -> Failure {
    let locked = found.locked.get(index);
    let id = locked.map(|locked| locked.id.as_str()).unwrap_or_default();
    Failure::new(
        format!("{id} is locked"),
        "nobody can look into it without its passphrase",
    )
    .hint(
        "open it, look, and lock it again",
        format!("newroot doctor --unlock {id}"),
    )
}
