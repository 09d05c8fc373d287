//! Everything about a jail that is known before it is made: what `build`, `add`, `update` and
//! `try` share.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::io::Errno;

use super::gather::{For, Gatherer, Need};
use super::problem::{Note, Problem};
use super::{items, profiles};
use crate::elf::{cache, cache_write};
use crate::error::Failure;
use crate::model::{
    BindEntry, Entry, EntryKind, HostPath, Kind, MANIFEST_VERSION, Manifest, Meta, Request,
    RootPath, Text,
};
use crate::plan::jail::{Choices, Facts, Made, Surroundings, Wanted, base, wanted};
use crate::probe::{Accounts, Packages};
use crate::profile::Profile;
use crate::root::{self, Host, InRoot, Tree};
use crate::sys::errno_of;

/// A longer ld.so.cache or resolv.conf is none.
const LIMIT: usize = 64 << 20;

/// Links of a merged /usr that programs and scripts rely on whatever was asked for.
const MERGED: [&str; 4] = ["/bin", "/sbin", "/lib", "/lib64"];

/// The content of a jail as facts.
#[derive(Debug, Default)]
pub(crate) struct Content {
    pub(super) facts: Facts,
    pub(super) made: Vec<Made>,
    pub(super) users: BTreeSet<String>,
    pub(super) programs: BTreeSet<RootPath>,
    /// Programs that find their libraries by `$ORIGIN`.
    pub(crate) needs_proc: BTreeSet<RootPath>,
    /// What to run when nothing else is asked for.
    pub(crate) command: Vec<String>,
    /// Variables for the command.
    pub(crate) environment: BTreeMap<String, String>,
    /// Host paths to show inside.
    pub(crate) binds: Vec<BindEntry>,
    pub(super) notes: Vec<Note>,
    /// Profiles that were not asked for, named as programs that were.
    pub(super) helpful: Vec<String>,
}

/// The root that programs come from.
pub(crate) fn open_from(from: &HostPath) -> anyhow::Result<Box<dyn Tree>> {
    if from.as_path() == Path::new("/") {
        return Ok(Box::new(Host));
    }
    let tree = InRoot::open(from).map_err(|error| {
        let why = match errno_of(&error) {
            Errno::NOENT => String::from("it does not exist"),
            Errno::NOTDIR => String::from("it is not a directory"),
            errno => crate::sys::describe(errno),
        };
        Failure::new(format!("cannot take programs from {from}"), why)
    })?;
    Ok(Box::new(tree))
}

impl Content {
    /// Looks for everything that `request` names. `itself` is where the jail will stand on the
    /// host, which is left out when a directory that holds it is copied.
    ///
    /// # Errors
    /// A [`Failure`] that lists everything that is missing.
    pub(crate) fn gather(
        request: &Request,
        tree: &dyn Tree,
        itself: Option<&HostPath>,
    ) -> anyhow::Result<Self> {
        let loaded = profiles::load(&request.profiles)?;
        let mut content = Self::default();
        let mut gatherer = Gatherer::new(tree, search_path(&request.from));
        gatherer.reads_all = rustix::process::geteuid().is_root();
        gatherer.itself = itself.and_then(|path| {
            let from = InRoot::open(&HostPath::new(request.from.as_path())).ok()?;
            from.find_inside(path.as_path())
        });
        let accounts = Accounts::read(tree);
        gatherer.engine.set_preload(preload(&loaded).as_bytes());
        merged_usr(&mut gatherer);
        for item in &request.items {
            let shown = item.shown();
            let by = if item.0.contains(&b'/') {
                format!("path {shown}")
            } else {
                format!("program {shown}")
            };
            let who = For {
                reason: gatherer.reason(&by),
                keep_privileges: request.keep_privileges,
                need: Need::Required,
                scripts: true,
            };
            items::take(&mut gatherer, item, "the command line", who);
        }
        for (profile, name) in loaded.iter().zip(&request.profiles) {
            let keep = request.keep_privileges;
            profiles::take(&mut gatherer, &mut content, profile, name, keep, &accounts);
        }
        content.users.extend(request.users.iter().cloned());
        profiles::check_users(&mut gatherer, &request.users, &accounts);
        if !gatherer.problems.is_empty() {
            return Err(failure(&gatherer.problems, &request.from));
        }
        gatherer.preload_file();
        gatherer.note_what_does_not_start();
        content.note_what_path_misses(&gatherer);
        for name in std::mem::take(&mut gatherer.not_preloaded) {
            let name = String::from_utf8_lossy(&name).into_owned();
            gatherer.notes.push(Note::NotPreloaded { name });
        }
        let around = Surroundings {
            accounts: &accounts,
            users: &content.users,
            resolver: root::read(tree, &RootPath::new("/etc/resolv.conf"), LIMIT).ok(),
            loader_cache: loader_cache(&mut gatherer),
        };
        let holds = |path: &RootPath| gatherer.holds(path);
        content.made.extend(base(&around, &holds));
        content.programs = std::mem::take(&mut gatherer.programs);
        content.needs_proc = std::mem::take(&mut gatherer.needs_proc);
        content.notes.append(&mut gatherer.notes);
        content.facts = gatherer.finish();
        content.helpful = helpful(request, &loaded);
        Ok(content)
    }

    /// A profile's PATH counts for whatever is started in the jail.
    fn note_what_path_misses(&mut self, gatherer: &Gatherer<'_>) {
        let Some(path) = self.environment.get("PATH") else {
            return;
        };
        let real = |path: &RootPath| root::canonical(gatherer.tree(), path).ok();
        let places: BTreeSet<RootPath> = path
            .split(':')
            .filter_map(|place| real(&RootPath::new(place)))
            .collect();
        for program in &gatherer.programs {
            if real(&program.parent()).is_some_and(|place| !places.contains(&place)) {
                self.notes.push(Note::NotInPath {
                    program: program.clone(),
                    path: path.clone(),
                });
            }
        }
    }

    /// Every path of the jail-to-be.
    pub(crate) fn wanted(&self, choices: &Choices) -> BTreeMap<RootPath, Wanted> {
        wanted(&self.facts, &self.made, choices)
    }

    /// What of it stands in the source, without what every jail has besides.
    pub(crate) fn files(&self, choices: &Choices) -> BTreeMap<RootPath, Wanted> {
        wanted(&self.facts, &[], choices)
    }

    /// Every path that stands in the source, no link in it.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &RootPath> {
        self.facts.found.keys()
    }

    /// Whether this path is one of them.
    pub(crate) fn has(&self, path: &RootPath) -> bool {
        self.facts.found.contains_key(path)
    }

    /// The manifest without its entries.
    pub(crate) fn manifest(&self, request: &Request) -> Manifest {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Manifest {
            version: MANIFEST_VERSION,
            tool: format!("newroot {}", env!("CARGO_PKG_VERSION")),
            written: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
            request: request.clone(),
            programs: self.programs.iter().cloned().collect(),
            needs_proc: !self.needs_proc.is_empty(),
            command: self.command.clone(),
            environment: self.environment.clone(),
            binds: self.binds.clone(),
            entries: Vec::new(),
        }
    }
}

/// LD_PRELOAD of whatever is started in the jail, as `take` lays the profiles' variables.
fn preload(profiles: &[Profile]) -> String {
    let of = |profile: &Profile| profile.environment.get("LD_PRELOAD").cloned();
    profiles.iter().rev().find_map(of).unwrap_or_default()
}

fn helpful(request: &Request, loaded: &[Profile]) -> Vec<String> {
    let items: Vec<String> = request.items.iter().map(Text::shown).collect();
    let names: Vec<&str> = items
        .iter()
        .map(|item| item.rsplit('/').next().unwrap_or(item))
        .collect();
    let mut taken = request.profiles.clone();
    taken.extend(loaded.iter().flat_map(|one| one.include.iter().cloned()));
    profiles::helpful(&names, &taken)
}

/// The caller's PATH for `/`; a foreign root has one of its own that nobody has asked.
fn search_path(from: &RootPath) -> Vec<RootPath> {
    const USUAL: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let callers = std::env::var_os("PATH").filter(|_| *from == RootPath::root());
    let text = callers.unwrap_or_else(|| USUAL.into());
    let mut places: Vec<RootPath> = Vec::new();
    for path in std::env::split_paths(&text).filter(|path| path.is_absolute()) {
        let path = RootPath::new(path);
        // Shells that start shells repeat themselves.
        if !places.contains(&path) {
            places.push(path);
        }
    }
    places
}

/// `/bin -> usr/bin` and its like, with the directories they lead to.
fn merged_usr(gatherer: &mut Gatherer<'_>) {
    let who = For {
        reason: gatherer.reason("jail"),
        keep_privileges: false,
        need: Need::Incidental,
        scripts: false,
    };
    for path in MERGED.map(RootPath::new) {
        let is_link = |meta: &Meta| meta.kind == Kind::Link;
        if gatherer
            .tree()
            .lstat(&path)
            .is_ok_and(|meta| is_link(&meta))
        {
            // A link that leads nowhere is left where it is.
            gatherer.want(&path, who).ok();
        }
    }
}

/// The source's cache cut down to what the jail holds, where some program needs it.
fn loader_cache(gatherer: &mut Gatherer<'_>) -> Option<Vec<u8>> {
    if !gatherer.engine.needs_cache() {
        return None;
    }
    let bytes = root::read(gatherer.tree(), &RootPath::new("/etc/ld.so.cache"), LIMIT).ok()?;
    // The byte order is the one that makes sense of the file.
    [true, false].into_iter().find_map(|little| {
        let cache = cache::Cache::parse(bytes.clone(), little, true)?;
        let kept: Vec<cache::CacheLine> = cache
            .lines()
            .filter(|line| gatherer.holds(&RootPath::from_bytes(&line.entry.path)))
            .collect();
        if kept.is_empty() {
            return None;
        }
        cache_write::write(&kept, little)
    })
}

/// Writes down which package brought each entry's source. Without a database, or with a damaged
/// one, no owners are named.
pub(super) fn name_owners<'e>(tree: &dyn Tree, entries: impl Iterator<Item = &'e mut Entry>) {
    let is_file = |kind| matches!(kind, EntryKind::File | EntryKind::Link);
    let mut with_source: Vec<(RootPath, &mut Entry)> = entries
        .filter(|entry| is_file(entry.kind))
        .filter_map(|entry| Some((entry.source.clone()?, entry)))
        // Many packages list /bin and its like as their directory; none brought the link.
        .filter(|(source, _)| source.parent() != RootPath::root())
        .collect();
    let sources: Vec<RootPath> = with_source
        .iter()
        .map(|(source, _)| source.clone())
        .collect();
    let owners = Packages::open(tree).owners_of(&sources).unwrap_or_default();
    for (source, entry) in &mut with_source {
        entry.package = owners.get(source).cloned();
    }
}

/// Everything that is missing, at once.
fn failure(problems: &[Problem], from: &RootPath) -> anyhow::Error {
    const SHOWN: usize = 20;
    let root = if *from == RootPath::root() {
        String::from("this system")
    } else {
        from.to_string()
    };
    let what = format!("cannot take everything from {root}");
    let why = match problems {
        [one] => one.line(),
        many => format!("{} things are missing", many.len()),
    };
    let mut failure = Failure::new(what, why);
    if problems.len() > 1 {
        for problem in problems.iter().take(SHOWN) {
            failure = failure.detail(problem.line());
        }
        if problems.len() > SHOWN {
            failure = failure.detail(format!("and {} more", problems.len() - SHOWN));
        }
    }
    for problem in problems {
        failure = advise(failure, problem, from);
    }
    failure.into()
}

fn advise(mut failure: Failure, problem: &Problem, from: &RootPath) -> Failure {
    match problem {
        Problem::NoProgram {
            name,
            searched,
            nearest,
            here,
            ..
        } => {
            let places: Vec<String> = searched.iter().map(ToString::to_string).collect();
            failure = failure.detail(format!("looked for {name} in {}", places.join(", ")));
            if *here {
                failure = failure.hint(
                    "the file in this directory",
                    format!("name it ./{name} instead of {name}"),
                );
            }
            match nearest {
                Some(near) => failure.hint("the nearest name there is", near.clone()),
                None if *here => failure,
                None => failure.hint(
                    "what lies elsewhere is named by its path; to look for it",
                    format!(
                        "find {} -xdev -name {}",
                        crate::ui::shell_quote(from.as_path()),
                        crate::ui::shell_quote(Path::new(name))
                    ),
                ),
            }
        }
        Problem::Unreadable {
            nearest: Some(near),
            ..
        } => failure.hint("the nearest name there is", near.to_string()),
        Problem::NoLibrary {
            program, searched, ..
        } => {
            if !searched.is_empty() && failure.details.len() < 40 {
                failure = failure.detail(format!("looked for it in {}", searched.join(", ")));
            }
            failure.hint(
                "who needs it, and where it is looked for",
                format!("newroot closure {program}"),
            )
        }
        Problem::NoInterpreter { script, name, .. } if name.as_bytes().ends_with(b"\r") => failure
            .detail("its first line ends in a carriage return, as on Windows")
            .hint(
                "take that away",
                format!(
                    "sed -i 's/\\r$//' {}",
                    crate::ui::shell_quote(script.as_path())
                ),
            ),
        Problem::CutOff { .. } => failure.hint(
            "a copy that broke off or a full disk does this; install or copy it again",
            "",
        ),
        _ => failure,
    }
}
