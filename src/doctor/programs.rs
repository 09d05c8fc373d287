//! Programs that do not start, and the one cause that many of them share.

use super::fixes::{self, Fix};
use super::{Facts, Finding, Kind, Severity, count, list};
use crate::model::RootPath;
use crate::probe::Record;
use crate::probe::health::origin::{Origin, Origins};
use crate::probe::health::programs::{Programs, Trouble, Who, Wrong};

/// So many programs are named in a line.
const NAMED: usize = 3;

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let Some(programs) = &facts.health.programs else {
        return Vec::new();
    };
    let judge = Judge {
        facts,
        programs,
        origins: &facts.health.origins,
    };
    let troubles = programs.troubles.iter();
    let found = troubles.filter_map(|trouble| judge.trouble(trouble));
    failing(facts, programs).into_iter().chain(found).collect()
}

/// Files that the disk does not give.
fn failing(facts: &Facts<'_>, programs: &Programs) -> Option<Finding> {
    let all = programs.failing_count as usize;
    if all == 0 {
        return None;
    }
    let what = format!(
        "{} cannot be read. The disk or its filesystem is failing: save the data before anything else.",
        match all {
            1 => "1 program or directory".to_string(),
            many => format!("{many} programs and directories"),
        }
    );
    let finding = Finding::error(Kind::Unreadable, what)
        .screen("Input/output error; or: Structure needs cleaning")
        .fix(
            fixes::fsck(&facts.system.fs_type)
                .or("after a copy of the disk, and a look at it with: smartctl -a"),
        );
    let failing = programs.failing.iter();
    Some(failing.fold(finding, |finding, (path, why)| {
        finding
            .seen(format!("{}: {why}", show(path)))
            .file(show(path))
    }))
}

struct Judge<'j> {
    facts: &'j Facts<'j>,
    programs: &'j Programs,
    origins: &'j Origins,
}

impl Judge<'_> {
    fn trouble(&self, trouble: &Trouble) -> Option<Finding> {
        let by_preload = trouble
            .who
            .iter()
            .all(|who| who.needed_by.as_deref() == Some(b"/etc/ld.so.preload"));
        if by_preload && matches!(trouble.wrong, Wrong::Library { .. }) {
            // The loader complains and goes on; `state` reports the file itself.
            return None;
        }
        match &trouble.wrong {
            Wrong::Loader { path } => self.loader(trouble, path),
            Wrong::Library { name } => Some(self.library(trouble, name)),
            Wrong::Refused { path, reason } => Some(self.refused(trouble, path, reason)),
            Wrong::Version { path, versions } => {
                let versions: Vec<String> = versions.iter().map(|it| show(it)).collect();
                Some(self.version(trouble, path, &versions))
            }
            Wrong::Damaged { path, reason } => self.damaged(trouble, path, reason),
        }
    }

    fn origin(&self, path: &[u8]) -> Option<&Origin> {
        self.origins.get(&RootPath::from_bytes(path))
    }

    /// The package that lists a library of this name, and where.
    fn lister(&self, name: &[u8]) -> Option<(&RootPath, &Origin)> {
        self.origins.iter().find(|(path, _)| {
            path.file_name()
                .is_some_and(|it| it.as_encoded_bytes() == name)
        })
    }

    /// For how many programs nothing else explains it, the system is as good as dead.
    fn is_wide(&self, trouble: &Trouble) -> bool {
        trouble.programs * 2 > self.programs.programs
    }

    fn foreign(&self, trouble: &Trouble) -> bool {
        self.programs
            .own_machine()
            .is_some_and(|own| own != trouble.machine)
    }

    fn fix(&self, trouble: &Trouble, package: Option<&str>, what: &str) -> Fix {
        let family = self.facts.family();
        match package {
            Some(package) if self.is_wide(trouble) => {
                fixes::reinstall_from_outside(family, package)
            }
            Some(package) => fixes::reinstall(family, package),
            None => Fix::advice(format!(
                "find the package that brings {what}, and install it"
            )),
        }
    }

    fn loader(&self, trouble: &Trouble, path: &[u8]) -> Option<Finding> {
        let name = show(path);
        if self.foreign(trouble) {
            let what = format!(
                "{} for another kind of machine, whose loader {name} is not installed",
                are(trouble.programs)
            );
            return Some(Finding::note(Kind::LoaderMissing, what).seen(names(trouble)));
        }
        let origin = self.origin(path);
        let what = format!("the loader {name} is missing. {} start.", not_one(trouble));
        let finding = Finding::new(
            self.severity(trouble, origin.is_some()),
            Kind::LoaderMissing,
            what,
        )
        .seen(match origin {
            Some(origin) => format!(
                "package {} lists {name}, which is not there",
                origin.package
            ),
            None => format!("{name} is not there, and no installed package lists it"),
        })
        .seen(names(trouble))
        .screen("No such file or directory, for programs that are there");
        let package = origin
            .map(|origin| origin.package.as_str())
            .or_else(|| self.libc());
        Some(
            finding
                .package(package)
                .file(&name)
                .fix(self.fix(trouble, package, &name)),
        )
    }

    /// The package of the C library, from where its loader usually is.
    fn libc(&self) -> Option<&str> {
        self.lister(b"libc.so.6")
            .map(|(_, origin)| origin.package.as_str())
    }

    fn library(&self, trouble: &Trouble, name: &[u8]) -> Finding {
        let lister = self.lister(name);
        let text = show(name);
        let severity = self.severity(trouble, lister.is_some());
        let what = format!("the library {text} is missing. {}", consequence(trouble));
        let finding = Finding::new(severity, Kind::LibraryMissing, what)
            .seen(match lister {
                Some((path, origin)) => format!("package {} lists {path}, which is not there", origin.package),
                None => format!("{text} is in no directory that the loader searches, and no installed package lists it"),
            })
            .seen(names(trouble))
            .screen(format!("error while loading shared libraries: {text}: cannot open shared object file"));
        let package = lister.map(|(_, origin)| origin.package.as_str());
        let file = lister.map_or_else(|| text.clone(), |(path, _)| path.to_string());
        finding
            .package(package)
            .file(file)
            .fix(self.fix(trouble, package, &text))
    }

    /// An error where a system's own program is stopped; less where it is nobody's, or out of
    /// the way.
    fn severity(&self, trouble: &Trouble, listed: bool) -> Severity {
        let owned = |who: &Who| self.origin(&who.path).is_some();
        let somebody = trouble.who.iter().any(owned);
        match () {
            () if self.foreign(trouble) => Severity::Note,
            () if listed && (trouble.common > 0 || trouble.programs == 0) => Severity::Error,
            () if listed => Severity::Warning,
            () if trouble.common > 0 && (somebody || self.is_wide(trouble)) => Severity::Error,
            () if trouble.common > 0 => Severity::Warning,
            () => Severity::Note,
        }
    }

    fn refused(&self, trouble: &Trouble, path: &[u8], reason: &str) -> Finding {
        let name = show(path);
        let what = format!("the library {name} is damaged. {}", consequence(trouble));
        let origin = self.origin(path);
        let mut finding = Finding::new(
            self.severity(trouble, origin.is_some()),
            Kind::LibraryDamaged,
            what,
        )
        .seen(format!("{name}: {reason}"))
        .seen(names(trouble))
        .screen(format!(
            "error while loading shared libraries: {name}: {reason}"
        ));
        if let Some(origin) = origin {
            finding = finding.seen(record(origin));
        }
        let package = origin.map(|it| it.package.as_str());
        finding
            .package(package)
            .file(&name)
            .fix(self.fix(trouble, package, &name))
    }

    fn version(&self, trouble: &Trouble, path: &[u8], versions: &[String]) -> Finding {
        let name = show(path);
        let first = versions.first().cloned().unwrap_or_default();
        let what = format!(
            "{name} is of another version than programs want. {}",
            consequence(trouble)
        );
        let origin = self.origin(path);
        let mut finding = Finding::new(
            self.severity(trouble, origin.is_some()),
            Kind::LibraryVersion,
            what,
        )
        .seen(format!(
            "it lacks {}",
            list(versions.iter().cloned(), versions.len())
        ))
        .seen(names(trouble))
        .screen(format!("{name}: version `{first}' not found"));
        if let Some(origin) = origin {
            finding = finding.seen(record(origin));
        }
        let package = origin.map(|it| it.package.as_str());
        finding
            .package(package)
            .file(&name)
            .fix(self.fix(trouble, package, &name))
    }

    fn damaged(&self, trouble: &Trouble, path: &[u8], reason: &str) -> Option<Finding> {
        let name = show(path);
        let origin = self.origin(path);
        let package = origin.map(|origin| origin.package.as_str());
        // Packages bring odd files (tests of ELF tools); what was recorded is what was meant.
        if origin.is_some_and(|origin| origin.record == Record::Holds) {
            return None;
        }
        // An empty file that no package brought is somebody's marker.
        if origin.is_none() && reason == "the file is empty" {
            return None;
        }
        let library = trouble.libraries > 0;
        let severity = match (package, library || trouble.common > 0) {
            (Some(_), true) => Severity::Error,
            (Some(_), false) | (None, true) => Severity::Warning,
            (None, false) => Severity::Note,
        };
        let (kind, what) = if library {
            (
                Kind::LibraryDamaged,
                format!("the library {name} is damaged. What loads it fails."),
            )
        } else {
            (
                Kind::ProgramDamaged,
                format!("the program {name} is damaged. It does not start."),
            )
        };
        let mut finding = Finding::new(severity, kind, what).seen(format!("{name}: {reason}"));
        if let Some(origin) = origin {
            finding = finding.seen(record(origin));
        }
        Some(
            finding
                .package(package)
                .file(&name)
                .fix(self.fix(trouble, package, &name)),
        )
    }
}

fn record(origin: &Origin) -> String {
    let package = &origin.package;
    match origin.record {
        Record::Holds => format!("it is as package {package} recorded it"),
        Record::Differs => format!("it has not the checksum that package {package} recorded"),
        Record::Gone => format!("package {package} lists it"),
        Record::Unknown => format!(
            "it belongs to package {package}, which recorded no checksum that can be compared"
        ),
    }
}

pub(super) fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn are(programs: u32) -> String {
    let verb = if programs == 1 { "is" } else { "are" };
    format!("{} {verb}", count(programs as usize, "program"))
}

fn not_one(trouble: &Trouble) -> String {
    match trouble.programs {
        0 => "Libraries cannot".into(),
        1 => "1 program does not".into(),
        many => format!("{many} programs do not"),
    }
}

fn consequence(trouble: &Trouble) -> String {
    match (trouble.programs, trouble.libraries) {
        (0, 1) => "A library that needs it cannot be loaded.".into(),
        (0, many) => format!("{many} libraries that need it cannot be loaded."),
        _ => format!("{} start.", not_one(trouble)),
    }
}

/// "/usr/bin/a, /usr/bin/b and 12 more"
fn names(trouble: &Trouble) -> String {
    let all = if trouble.programs > 0 {
        trouble.programs
    } else {
        trouble.libraries
    };
    let names = trouble
        .who
        .iter()
        .take(NAMED)
        .map(|who| match &who.needed_by {
            Some(by) => format!("{} (through {})", show(&who.path), show(by)),
            None => show(&who.path),
        });
    format!("needed by {}", list(names, all as usize))
}
