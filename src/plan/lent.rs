//! Lent tools: programs of the live system, usable in a root whose own libc or loader is gone.
//!
//! A tmpfs at [`LENT`] inside the root holds a jail of the tools (`root/`), newroot itself once
//! for each tool's name (`bin/`), and a table that says how a name is started: by the lent loader,
//! told where the lent libraries are. Nothing of the root's own loader, cache or libraries is
//! used, and nothing is written outside the tmpfs.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;

use super::jail::{Choices, JailPlan, Wanted, build};
use super::{FileOp, Op, Place, Source, Step};
use crate::model::{
    EntryKind, HostPath, LENT, LENT_TABLE, LentStart, LentTable, LentTool, RootPath, Text,
};

/// Where root's programs are, after the lent ones.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where a terminal's description may be.
const TERMINFO: [&str; 4] = [
    "/etc/terminfo",
    "/lib/terminfo",
    "/usr/lib/terminfo",
    "/usr/share/terminfo",
];

/// A tool that was found in the live system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// What a person types.
    pub name: String,
    /// The file, no link in its path.
    pub program: RootPath,
    /// How it starts.
    pub start: Start,
}

/// How a program starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Without a loader.
    Static,
    /// By another tool, which its first line names.
    Script,
    /// By a loader.
    Loader(Loader),
}

/// What is known of a program's loader and libraries; no path has a link in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Loader {
    /// The file.
    pub path: RootPath,
    /// Otherwise it is musl's.
    pub is_glibc: bool,
    /// Whether it knows `--argv0`.
    pub knows_argv0: bool,
    /// Where the program's libraries are, in the order in which they are found.
    pub directories: Vec<RootPath>,
    /// The program or libraries whose DT_RPATH names directories of the root.
    pub rpaths: Vec<RootPath>,
}

/// What is lent.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The first of a name wins.
    pub tools: Vec<Tool>,
    /// The jail of the tools.
    pub files: BTreeMap<RootPath, Wanted>,
    /// Files that would lead into the root, and their names in their directory. They are lent as
    /// they are, for whoever puts them back into the root, and once more changed, for the tools.
    pub edited: BTreeMap<RootPath, BTreeSet<RootPath>>,
    /// This newroot, and its length.
    pub newroot: (Source, u64),
}

/// What was decided.
#[derive(Clone, Debug, Default)]
pub struct LentPlan {
    /// Before the jail: paths in the tmpfs.
    pub before: Vec<Step>,
    /// The jail, paths in `root/` of the tmpfs.
    pub jail: JailPlan,
    /// After it: paths in the tmpfs.
    pub after: Vec<Step>,
    /// What whoever enters needs to know.
    pub offer: Offer,
}

impl LentPlan {
    /// Every step, in order, for showing.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.before
            .iter()
            .chain(&self.jail.steps)
            .chain(&self.after)
    }
}

/// What is offered to a program that runs in the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Names of the tools.
    pub tools: BTreeSet<String>,
    /// The words of an interactive shell, its name first; empty when there is none.
    pub shell: Vec<OsString>,
    /// Variables: PATH, SHELL, where terminal descriptions and locales are.
    pub environment: Vec<(OsString, OsString)>,
}

impl Offer {
    /// The path of a tool in the root.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<RootPath> {
        self.tools
            .contains(name)
            .then(|| RootPath::new(LENT).join("bin").join(name))
    }
}

/// Decides. `root` is where the root lies on the host; `choices` says what the caller may do.
#[must_use]
pub fn plan(facts: &Facts, root: &HostPath, choices: &Choices) -> LentPlan {
    let base = root.shown_inside(&RootPath::new(LENT));
    let choices = Choices {
        base: base.join("root"),
        ..choices.clone()
    };
    let mut jail = build(inside(&facts.files), &choices);
    for step in &mut jail.steps {
        step.place = Place::Session;
    }
    let table = table(&facts.tools, &facts.edited);
    let step = |op| Step {
        place: Place::Session,
        op: Op::File(op),
        base: base.clone(),
    };
    LentPlan {
        before: ["/root", "/bin", "/names"]
            .map(|path| step(directory(path)))
            .into(),
        jail,
        after: edited(facts)
            .into_iter()
            .chain(shims(facts, &table))
            .map(step)
            .collect(),
        offer: offer_from_files(&table, &facts.files),
    }
}

fn directory(path: &str) -> FileOp {
    FileOp::MakeDir {
        path: RootPath::new(path),
        mode: 0o755,
        owner: None,
    }
}

/// The files with links that stay among them: an absolute one would lead into the root.
fn inside(files: &BTreeMap<RootPath, Wanted>) -> BTreeMap<RootPath, Wanted> {
    let mut files = files.clone();
    for (path, wanted) in &mut files {
        let entry = &mut wanted.entry;
        if let Some(Text(target)) = entry.target.as_mut().filter(|it| it.0.starts_with(b"/")) {
            // The root directory is the first component.
            let up = path.parent().as_path().components().count() - 1;
            let text = [b"../".repeat(up).as_slice(), target[1..].as_ref()].concat();
            *target = if text.is_empty() { b".".to_vec() } else { text };
        }
    }
    files
}

/// The changed copies, with the names by which a loader opens them.
fn edited(facts: &Facts) -> Vec<FileOp> {
    let place = |path: &RootPath| RootPath::new("/edited").join(path.relative());
    let mut directories = BTreeSet::new();
    let mut ops = Vec::new();
    for (file, names) in &facts.edited {
        for path in names.iter().chain([file]) {
            let mut above = place(&path.parent());
            while above != RootPath::root() {
                directories.insert(above.clone());
                above = above.parent();
            }
        }
        let known = facts.files.get(file);
        ops.push(FileOp::Copy {
            source: Source {
                path: file.clone(),
                shown: HostPath::new(file.as_path()),
            },
            path: place(file),
            size: known.map_or(0, |it| it.entry.size),
            mode: 0o755,
            owner: None,
            keep_capabilities: false,
        });
        for name in names.iter().filter(|name| *name != file) {
            let up = place(&name.parent()).as_path().components().count() - 1;
            ops.push(FileOp::Symlink {
                path: place(name),
                target: PathBuf::from("../".repeat(up)).join(place(file).relative()),
            });
        }
    }
    let made = directories
        .iter()
        .map(|path| directory(path.as_path().to_str().unwrap_or("/edited")));
    made.chain(ops).collect()
}

/// newroot under each tool's name, links for loaders without `--argv0`, the table last.
fn shims(facts: &Facts, table: &LentTable) -> Vec<FileOp> {
    let (newroot, size) = &facts.newroot;
    let shim = RootPath::new("/shim");
    let mut ops = vec![FileOp::Copy {
        source: newroot.clone(),
        path: shim.clone(),
        size: *size,
        mode: 0o755,
        owner: None,
        keep_capabilities: false,
    }];
    for (name, tool) in &table.tools {
        ops.push(FileOp::HardLink {
            existing: shim.clone(),
            path: RootPath::new("/bin").join(name),
        });
        if let LentTool::Dynamic { program, .. } = tool
            && program.starts_with(&format!("{LENT}/names/"))
        {
            let own = facts.tools.iter().find(|tool| tool.name == *name);
            ops.extend(own.map(|tool| {
                FileOp::Symlink {
                    path: RootPath::new("/names").join(name),
                    target: PathBuf::from(if facts.edited.contains_key(&tool.program) {
                        "../edited"
                    } else {
                        "../root"
                    })
                    .join(tool.program.relative()),
                }
            }));
        }
    }
    ops.push(FileOp::Write {
        path: RootPath::new("/").join(LENT_TABLE),
        // These types have no map with keys that JSON cannot hold.
        bytes: serde_json::to_vec(table).unwrap_or_default(),
        mode: 0o644,
    });
    ops
}

/// The same of a changed copy.
fn changed(path: &RootPath) -> Option<String> {
    Some(format!("{LENT}/edited{}", path.as_path().to_str()?))
}

/// As the root sees a path of the jail; `None` where it is no text.
fn lent(path: &RootPath) -> Option<String> {
    Some(format!("{LENT}/root{}", path.as_path().to_str()?))
}

type Files = BTreeMap<RootPath, BTreeSet<RootPath>>;

fn table(tools: &[Tool], edited: &Files) -> LentTable {
    let everywhere = everywhere(tools);
    let mut table = LentTable::default();
    for tool in tools {
        if table.tools.contains_key(&tool.name) {
            continue;
        }
        let Some(program) = of_file(&tool.program, edited) else {
            continue;
        };
        let entry = match &tool.start {
            Start::Static => LentTool::Static { program },
            Start::Script => LentTool::Script { program },
            Start::Loader(loader) => {
                let Some(start) = start(tool, loader, &everywhere, edited) else {
                    continue;
                };
                // A program that goes by its name has to find it in its path.
                let program = if start.knows_argv0 {
                    program
                } else {
                    format!("{LENT}/names/{}", tool.name)
                };
                LentTool::Dynamic {
                    program,
                    start: index(&mut table.starts, start),
                }
            }
        };
        table.tools.insert(tool.name.clone(), entry);
    }
    table
}

/// The copy that a tool is started with.
fn of_file(path: &RootPath, edited: &Files) -> Option<String> {
    if edited.contains_key(path) {
        changed(path)
    } else {
        lent(path)
    }
}

fn index(starts: &mut Vec<LentStart>, start: LentStart) -> usize {
    starts
        .iter()
        .position(|known| *known == start)
        .unwrap_or_else(|| {
            starts.push(start);
            starts.len() - 1
        })
}

/// Where any tool's libraries are, by loader: plugins that are loaded later are there, too.
fn everywhere(tools: &[Tool]) -> BTreeMap<&RootPath, Vec<&RootPath>> {
    let mut all: BTreeMap<&RootPath, Vec<&RootPath>> = BTreeMap::new();
    for tool in tools {
        if let Start::Loader(loader) = &tool.start {
            let known = all.entry(&loader.path).or_default();
            for directory in &loader.directories {
                if !known.contains(&directory) {
                    known.push(directory);
                }
            }
        }
    }
    all
}

fn start(
    tool: &Tool,
    loader: &Loader,
    everywhere: &BTreeMap<&RootPath, Vec<&RootPath>>,
    edited: &Files,
) -> Option<LentStart> {
    let mut directories: Vec<&RootPath> = loader.directories.iter().collect();
    for directory in everywhere.get(&loader.path).into_iter().flatten() {
        if !directories.contains(directory) {
            directories.push(directory);
        }
    }
    // A colon in a name cannot be told to a loader.
    let holds_changed = |directory: &RootPath| {
        edited
            .values()
            .flatten()
            .any(|name| name.parent() == *directory)
    };
    let directories: Vec<String> = directories
        .into_iter()
        .flat_map(|directory| {
            let changed = changed(directory).filter(|_| holds_changed(directory));
            changed.into_iter().chain(lent(directory))
        })
        .filter(|path| !path.contains(':'))
        .collect();
    let rpaths = loader.rpaths.iter();
    let mut ignored_rpaths: Vec<String> = rpaths
        .flat_map(|path| lent(path).into_iter().chain(changed(path)))
        .collect();
    if loader.rpaths.contains(&tool.program) {
        // glibc knows the main program by an empty name.
        ignored_rpaths.insert(0, String::new());
    }
    Some(LentStart {
        loader: of_file(&loader.path, edited)?,
        is_glibc: loader.is_glibc,
        knows_argv0: loader.knows_argv0,
        library_path: directories.join(":"),
        ignored_rpaths,
    })
}

fn offer_from_files(table: &LentTable, files: &BTreeMap<RootPath, Wanted>) -> Offer {
    let has = |path: &RootPath| {
        files
            .get(path)
            .is_some_and(|it| it.entry.kind != EntryKind::Link)
    };
    let named = |end: &str| {
        let ends = |path: &&RootPath| path.as_bytes().ends_with(end.as_bytes()) && has(path);
        files.keys().find(ends).and_then(lent)
    };
    let mut offer = offer(table, &has);
    for (name, end) in [
        ("OPENSSL_MODULES", "/ossl-modules"),
        ("MAGIC", "/magic.mgc"),
    ] {
        let found = named(end).map(|path| (name.into(), path.into()));
        offer.environment.extend(found);
    }
    offer
}

/// What these tools offer. `has` says what the jail of the tools holds.
#[must_use]
pub fn offer(table: &LentTable, has: &dyn Fn(&RootPath) -> bool) -> Offer {
    let tools: BTreeSet<String> = table.tools.keys().cloned().collect();
    let mut environment: Vec<(OsString, OsString)> =
        vec![("PATH".into(), format!("{LENT}/bin:{PATH}").into())];
    // The start-up files are the root's, and call its programs.
    let shells: [&[&str]; 3] = [&["bash", "--norc"], &["sh"], &["busybox", "sh"]];
    let shell = shells.into_iter().find(|words| tools.contains(words[0]));
    if let Some(words) = shell {
        environment.push(("SHELL".into(), format!("{LENT}/bin/{}", words[0]).into()));
    }
    let terminfo: Vec<String> = TERMINFO
        .map(RootPath::new)
        .iter()
        .filter(|path| has(path))
        .filter_map(lent)
        .collect();
    if !terminfo.is_empty() {
        environment.push(("TERMINFO_DIRS".into(), terminfo.join(":").into()));
    }
    let locales = RootPath::new("/usr/lib/locale");
    if has(&locales) {
        environment.extend(lent(&locales).map(|path| ("LOCPATH".into(), path.into())));
    }
    environment.push(("LANG".into(), "C.UTF-8".into()));
    Offer {
        tools,
        shell: shell.unwrap_or_default().iter().map(Into::into).collect(),
        environment,
    }
}

#[cfg(test)]
mod tests;
