//! `newroot doctor`: find the system, look, close every look, judge, show.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::cli::doctor::DoctorArgs;
use crate::cmd::target;
use crate::doctor::{self, Facts, Report, Severity};
use crate::error::{Exit, Failure};
use crate::model::{HostPath, RootPath};
use crate::probe::health::{self, Health, Quest, disks};
use crate::probe::inventory::Inventory;
use crate::probe::scan::{self, Options};
use crate::probe::system::System;
use crate::probe::target::{Choice, Name, choose, name};
use crate::root::{InRoot, Tree};
use crate::ui::Ui;
use crate::ui::doctor as show;

pub(super) fn run(args: &DoctorArgs, ui: &Ui) -> anyhow::Result<Exit> {
    let begin = Instant::now();
    let named = args.target.as_ref().map(|typed| name(typed));
    let (system, inventory, report) = match &named {
        Some(Name::Directory(path)) => of_directory(path, args.quick)?,
        _ => of_disks(args.target.as_deref(), named.as_ref(), args.quick)?,
    };
    let shown = show::Shown {
        system: &system,
        inventory: &inventory,
        report: &report,
        target: args.target.as_deref(),
        seconds: begin.elapsed().as_secs_f64(),
        verbose: ui.verbose(),
        quick: args.quick,
    };
    if args.json {
        let mut text = serde_json::to_string_pretty(&show::json(&shown))?;
        text.push('\n');
        ui.out(text.as_bytes())?;
    } else {
        ui.out(show::text(&shown).as_bytes())?;
    }
    Ok(match report.count(Severity::Error) {
        0 => Exit::Success,
        _ => Exit::Findings,
    })
}

type Judged = (System, Inventory, Report);

/// The live system itself too, when it is asked for as `/`.
fn of_directory(path: &HostPath, quick: bool) -> anyhow::Result<Judged> {
    let failed = |error: std::io::Error| target::no_directory(path, &error);
    let system = scan::directory(path).map_err(failed)?;
    if !system.facts.is_system() && system.facts.evidence.is_empty() {
        let failure = Failure::new(
            format!("{path} is no installed system"),
            "nothing in it speaks for one",
        )
        .detail("looked for /etc, /bin, an os-release, a loader, an init, a package database")
        .hint("see what is on the disks", "newroot scan");
        return Err(failure.into());
    }
    let tree = InRoot::open(path).map_err(failed)?;
    let health = look(&tree, &system, quick);
    let disks = disks::of_directory(path);
    let inventory = Inventory::default();
    let report = judge(&system, &inventory, &health, &disks);
    Ok((system, inventory, report))
}

fn of_disks(typed: Option<&OsStr>, named: Option<&Name>, quick: bool) -> anyhow::Result<Judged> {
    let only: Vec<PathBuf> = match named {
        Some(Name::Image(path) | Name::Device(path)) => vec![path.clone()],
        _ => Vec::new(),
    };
    let scan = scan::scan(&Options { only }).map_err(|error| target::scan_failure(&error))?;
    let choice = choose(&scan.inventory, &scan.systems, &scan.locked, named);
    let Choice::System(index) = choice else {
        let found = scan.finish().map_err(|left| target::left_open(&left))?;
        return Err(not_one(&found, typed, &choice).into());
    };
    let system = scan.systems[index].clone();
    let health = {
        let view = scan.view(&system).map_err(|error| {
            Failure::new(format!("cannot look into {}", system.id), error.to_string())
        })?;
        look(&view, &system, quick)
    };
    let disks = disks::of_scan(&scan, &system);
    let found = scan.finish().map_err(|left| target::left_open(&left))?;
    let report = judge(&system, &found.inventory, &health, &disks);
    Ok((system, found.inventory, report))
}

fn look(tree: &dyn Tree, system: &System, quick: bool) -> Health {
    let entries = system.facts.fstab.entries.iter();
    let mount_points: Vec<RootPath> = entries
        .filter(|entry| !entry.is_optional() && entry.depth() > 1)
        .filter(|entry| {
            matches!(
                entry.purpose(),
                crate::probe::fstab::Purpose::Device | crate::probe::fstab::Purpose::Bind
            )
        })
        .map(|entry| entry.mount_point.clone())
        .collect();
    health::gather(Quest {
        tree,
        boot: &system.boot,
        machine_id: system.facts.machine_id.as_deref(),
        mount_points: &mount_points,
        quick,
    })
}

fn judge(system: &System, inventory: &Inventory, health: &Health, disks: &disks::Disks) -> Report {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        });
    doctor::examine(&Facts {
        system,
        inventory,
        health,
        disks,
        now,
    })
}

/// No system, a locked one, or several.
fn not_one(found: &scan::Found, typed: Option<&OsStr>, choice: &Choice) -> Failure {
    match choice {
        Choice::Locked(index) => {
            let id = found
                .locked
                .get(*index)
                .map(|locked| locked.id.clone())
                .unwrap_or_default();
            Failure::new(format!("{id} is locked"), "nobody can look into it").hint(
                "unlock it first, then name what is inside",
                format!("newroot scan --unlock {id}"),
            )
        }
        Choice::Several(systems, _) => {
            let first = systems.first().and_then(|index| found.systems.get(*index));
            let id = first.map_or("ID", |system| system.id.as_str());
            let failure = match typed {
                Some(typed) => target::nothing_fits(found, &typed.to_string_lossy()),
                None => target::nothing_fits(found, ""),
            };
            let what = match typed {
                Some(typed) => format!("several systems fit \"{}\"", typed.to_string_lossy()),
                None => "there are several systems".to_string(),
            };
            Failure {
                what,
                why: "name one of them".into(),
                hints: Vec::new(),
                ..failure
            }
            .hint("for instance", format!("newroot doctor {id}"))
        }
        Choice::Nothing | Choice::System(_) => {
            let text = typed.map(|typed| typed.to_string_lossy().into_owned());
            match text {
                Some(text) => target::nothing_fits(found, &text),
                None => {
                    let failure = target::nothing_fits(found, "");
                    Failure {
                        what: "no system to look at".into(),
                        ..failure
                    }
                    .hint("the running system itself", "newroot doctor /")
                }
            }
        }
    }
}
