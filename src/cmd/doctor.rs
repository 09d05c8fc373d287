//! `newroot doctor`: find the system, look, close every look, judge, show.
//!
//! [`diagnose`] and [`show`] are for other verbs too; [`examine`] judges what is open already.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::cli::doctor::DoctorArgs;
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

pub(super) fn run(args: &DoctorArgs, ui: &Ui) -> anyhow::Result<Exit> {
    let diagnosis = diagnose(args.target.as_deref(), args.quick, ui)?;
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
///
/// # Errors
/// [`Failure`]: nothing fits, several do, it is locked, it cannot be opened.
pub(super) fn diagnose(target: Option<&OsStr>, quick: bool, ui: &Ui) -> anyhow::Result<Diagnosis> {
    let begin = Instant::now();
    let named = target.map(name);
    let (system, inventory, report) = match &named {
        Some(Name::Directory(path)) => of_directory(path, quick)?,
        _ => {
            let _alone = alone::wait(ui);
            of_disks(target, named.as_ref(), quick)?
        }
    };
    Ok(Diagnosis {
        system,
        inventory,
        report,
        seconds: begin.elapsed().as_secs_f64(),
        quick,
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

fn of_disks(typed: Option<&OsStr>, named: Option<&Name>, quick: bool) -> anyhow::Result<Judged> {
    let only: Vec<PathBuf> = match named {
        Some(Name::Image(path) | Name::Device(path)) => vec![path.clone()],
        _ => Vec::new(),
    };
    let options = Options {
        only,
        ..Options::default()
    };
    let scan = scan::scan(&options).map_err(|error| target::scan_failure(&error))?;
    let choice = choose(&scan.inventory, &scan.systems, &scan.locked, named);
    let Choice::System(index) = choice else {
        let found = scan.finish().map_err(|left| target::left_open(&left))?;
        return Err(not_one(&found, typed, &choice).into());
    };
    let system = scan.systems[index].clone();
    let looked = look(&scan, &system, quick);
    let found = scan.finish().map_err(|left| target::left_open(&left))?;
    Ok((system, found.inventory, looked?))
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
    let device = locked.and_then(|locked| found.inventory.volumes.get(locked.volume));
    let device = device.map_or_else(
        || "DEVICE".into(),
        |volume| volume.path.display().to_string(),
    );
    Failure::new(
        format!("{id} is locked"),
        "nobody can look into it without its passphrase",
    )
    .hint(
        "open it, look, and close it afterwards",
        format!("cryptsetup open --readonly {device} {id} && newroot doctor"),
    )
    .hint(
        "see which system lies inside",
        format!("newroot scan --unlock {id}"),
    )
}
