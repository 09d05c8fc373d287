//! Lent tools: gathered from the live system, put into a tmpfs that the session takes along.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::path::Path;

use super::jail::{self, Content};
use crate::elf::{Closure, Engine, Object, ProgramKind};
use crate::error::Failure;
use crate::exec::{Files, Silent, UndoStack, apply};
use crate::model::{HostPath, Kind, LENT, LENT_TABLE, LentTable, MountFlags, Request, RootPath};
use crate::plan::lent::{Facts, LentPlan, Loader, Offer, Start, Tool, offer, plan};
use crate::plan::{Source, Step};
use crate::root::{Edit, Edited, Host, InRoot, Tree, canonical, read};
use crate::sys;
use crate::ui::Ui;

/// The profile that says which tools are lent; a machine may have its own of this name.
const PROFILE: &str = "lent";

/// Where programs are, besides the caller's PATH.
const USUAL: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// What is compiled into programs and the C library would lead into the root: its shell, which
/// does not start, and libraries that its administrator wants in every program.
const EDITS: &[Edit] = &[
    Edit::new(b"\0/bin/sh\0", b"\0/run/sh\0"),
    Edit::new(b"/etc/ld.so.preload\0", b"/run/ld.so.preload\0"),
];

/// A loader is a quarter of a megabyte; what is larger is none.
const TABLE_LIMIT: usize = 8 << 20;
const LOADER_LIMIT: usize = 16 << 20;

/// Tools that can be lent; nothing was done yet.
#[derive(Debug)]
pub(super) struct Lending {
    request: Request,
    content: Content,
    plan: LentPlan,
    /// Files that are lent twice: as they are, and with [`EDITS`].
    edited: BTreeSet<RootPath>,
}

impl Lending {
    /// Looks for the tools of the live system, to be lent to `root`. Changes nothing.
    ///
    /// # Errors
    /// A [`Failure`] that names what the live system lacks.
    pub(super) fn gather(root: &HostPath) -> anyhow::Result<Self> {
        let request = Request {
            from: RootPath::root(),
            profiles: vec![PROFILE.to_owned()],
            ..Request::default()
        };
        let content = Content::gather(&request, &Host, None)?;
        let choices = jail::choices(&HostPath::new("/"), &request.from);
        let mut objects = Objects::new();
        let tools = tools(&content, &mut objects);
        let edited = edited(objects);
        let facts = Facts {
            tools,
            files: content.files(&choices),
            newroot: newroot()?,
            edited: edited.clone(),
        };
        let plan = plan(&facts, root, &choices);
        if plan.offer.shell.is_empty() {
            return Err(Failure::new(
                "cannot lend tools",
                "this system has no shell that can be lent",
            )
            .hint("what it has", "newroot jail try --profile lent -- true")
            .into());
        }
        Ok(Self {
            request,
            content,
            plan,
            edited: edited.into_keys().collect(),
        })
    }

    /// What whoever enters needs to know.
    pub(super) fn offer(&self) -> &Offer {
        &self.plan.offer
    }

    /// What [`Lending::make`] does, for `-n`.
    pub(super) fn steps(&self) -> Vec<Step> {
        self.plan.steps().cloned().collect()
    }

    /// Makes the tmpfs and fills it; it is attached nowhere, and gone when nobody holds it. The
    /// caller is in the namespaces of its session.
    ///
    /// # Errors
    /// The kernel has no detached mounts, memory is full, a file vanished.
    pub(super) fn make(&self, ui: &Ui) -> anyhow::Result<OwnedFd> {
        let cannot = |error: crate::exec::ExecError| {
            Failure::new("cannot lend tools", error.to_string())
                .detail(format!("they need memory: {}", self.size()))
                .caused_by(error)
        };
        let mount = new_tmpfs()?;
        let top = || mount.try_clone().map(InRoot::from_fd);
        let edited = Edited::new(&Host, &self.edited, EDITS);
        do_steps(&self.plan.before, top()?, &edited).map_err(cannot)?;
        let root = sys::file::open_directory(&mount, Path::new("root"))?;
        jail::fill(
            InRoot::from_fd(root),
            &self.request,
            &self.content,
            &self.plan.jail,
            &Host,
            false,
            ui,
        )
        .map_err(cannot)?;
        do_steps(&self.plan.after, top()?, &edited).map_err(cannot)?;
        ui.note(&format!(
            "lent: {} tools of this system, {}; PATH has them first",
            self.plan.offer.tools.len(),
            self.size()
        ));
        Ok(mount)
    }

    fn size(&self) -> crate::model::Bytes {
        crate::model::Bytes(self.plan.steps().map(|step| step.op.bytes()).sum())
    }
}

/// What a session that runs was lent, for one more command in it.
pub(super) fn offer_in(tree: &dyn Tree) -> Option<Offer> {
    let place = RootPath::new(LENT);
    let bytes = read(tree, &place.join(LENT_TABLE), TABLE_LIMIT).ok()?;
    let table: LentTable = serde_json::from_slice(&bytes).ok()?;
    let jail = place.join("root");
    let has = |path: &RootPath| tree.stat(&jail.join(path.relative())).is_ok();
    Some(offer(&table, &has))
}

fn do_steps(steps: &[Step], top: InRoot, from: &dyn Tree) -> Result<(), crate::exec::ExecError> {
    let mut files = Files::new(top, from);
    // Nothing is undone one by one: on an error the whole tmpfs goes.
    apply(steps, &mut files, &mut UndoStack::default(), &mut Silent)
}

fn new_tmpfs() -> anyhow::Result<OwnedFd> {
    let flags = MountFlags {
        no_suid: true,
        no_dev: true,
        ..MountFlags::default()
    };
    let options = [(String::from("mode"), Some(String::from("755")))];
    sys::mount::new_detached("tmpfs", "newroot", &options, flags).map_err(|error| {
        let absent = sys::mount::is_absent(&error);
        let failure =
            Failure::new("cannot lend tools", sys::describe(error.errno)).caused_by(error);
        if absent {
            failure
                .detail("this kernel cannot make a mount that is attached nowhere (Linux 5.2 can)")
                .into()
        } else {
            failure.into()
        }
    })
}

/// This program, which is the shim of every tool.
fn newroot() -> anyhow::Result<(Source, u64)> {
    // By this name it can be read even when it was removed or replaced meanwhile.
    let path = RootPath::new("/proc/self/exe");
    let cannot = |why: String| Failure::new("cannot lend tools", why);
    let meta = Host
        .stat(&path)
        .map_err(|error| cannot(format!("{path}: {}", sys::describe(sys::errno_of(&error)))))?;
    let kind = Engine::new(&Host)
        .closure(&path)
        .map(|closure| closure.kind);
    if !matches!(kind, Ok(ProgramKind::Static)) {
        return Err(cannot(String::from(
            "this newroot is no static program, and could not start where no libraries are",
        ))
        .into());
    }
    let shown = Host.read_link(&path)?;
    let source = Source {
        path,
        shown: HostPath::new(shown),
    };
    Ok((source, meta.size))
}

/// Programs, loaders and libraries: the file, and its names in its directory.
type Objects = BTreeMap<RootPath, BTreeSet<RootPath>>;

/// Those that [`EDITS`] change.
fn edited(mut objects: Objects) -> Objects {
    let files: BTreeSet<RootPath> = objects.keys().cloned().collect();
    let view = Edited::new(&Host, &files, EDITS);
    objects.retain(|file, _| view.changes(file));
    objects
}

/// Every program of the jail that PATH leads to, the first of a name first.
fn tools(content: &Content, objects: &mut Objects) -> Vec<Tool> {
    let mut engine = Engine::new(&Host);
    let mut tools = Vec::new();
    for directory in directories() {
        for path in content.paths().filter(|path| path.parent() == directory) {
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(name) = name else { continue };
            tools.extend(tool(&mut engine, content, objects, name, path));
        }
    }
    tools
}

fn directories() -> Vec<RootPath> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = std::env::split_paths(&path).filter(|it| it.is_absolute());
    let all = own.map(RootPath::new).chain(USUAL.map(RootPath::new));
    let mut seen = BTreeSet::new();
    all.filter_map(|path| canonical(&Host, &path).ok())
        .filter(|path| seen.insert(path.clone()))
        .collect()
}

fn tool(
    engine: &mut Engine<'_>,
    content: &Content,
    objects: &mut Objects,
    name: &str,
    path: &RootPath,
) -> Option<Tool> {
    let program = canonical(&Host, path).ok()?;
    let meta = Host.stat(&program).ok()?;
    if meta.kind != Kind::File || meta.mode & 0o111 == 0 || !content.has(&program) {
        return None;
    }
    let closure = engine.closure(&program).ok()?;
    let start = match closure.kind {
        ProgramKind::Static => {
            objects.entry(program.clone()).or_default();
            Start::Static
        }
        ProgramKind::Script => Start::Script,
        ProgramKind::Dynamic if closure.is_complete() => {
            Start::Loader(loader(engine, &closure, objects)?)
        }
        _ => return None,
    };
    Some(Tool {
        name: name.to_owned(),
        program,
        start,
    })
}

fn loader(engine: &mut Engine<'_>, closure: &Closure, files: &mut Objects) -> Option<Loader> {
    let interpreter = closure.interpreter.as_ref().filter(|it| it.present)?;
    let path = canonical(&Host, &interpreter.path).ok()?;
    let is_glibc = !interpreter
        .path
        .file_name()?
        .to_string_lossy()
        .starts_with("ld-musl");
    let mut directories = Vec::new();
    let mut rpaths = Vec::new();
    let objects = closure.objects.iter().map(|object| &object.path);
    for object in std::iter::once(&closure.program).chain(objects) {
        let directory = canonical(&Host, &object.parent()).ok()?;
        let real = directory.join(object.file_name()?);
        // The file is often behind a link, which is the name that the loader opens.
        let file = canonical(&Host, object).ok()?;
        files.entry(file).or_default().insert(real.clone());
        if engine.object(object).is_ok_and(|it| leads_into_root(&it)) {
            rpaths.push(real);
        }
        if *object != closure.program && !directories.contains(&directory) {
            directories.push(directory);
        }
    }
    files.entry(path.clone()).or_default();
    Some(Loader {
        knows_argv0: knows_argv0(&path),
        path,
        is_glibc,
        directories,
        rpaths,
    })
}

/// DT_RPATH comes before `--library-path`; a RUNPATH does not.
fn leads_into_root(object: &Object) -> bool {
    object.rpath.as_ref().is_some_and(|rpath| {
        rpath
            .split(|byte| *byte == b':')
            .any(|part| part.starts_with(b"/"))
    })
}

/// The option's name is in the loader's help text (glibc) or in its list of options (musl).
fn knows_argv0(loader: &RootPath) -> bool {
    read(&Host, loader, LOADER_LIMIT)
        .is_ok_and(|bytes| bytes.windows(5).any(|window| window == b"argv0"))
}
