//! `newroot jail`: a program with all it needs, in a directory that serves as `/`.

mod add;
mod applets;
mod build;
mod check;
mod content;
mod failure;
mod gather;
mod items;
mod needs;
mod problem;
mod profiles;
mod remove;
mod report;
mod show;
mod survey;
mod throwaway;
mod update;

pub(super) use build::fill;
pub(super) use content::Content;

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::cli::Globals;
use crate::cli::jail::{ContentOptions, JailAction, JailArgs};
use crate::error::{Exit, Failure};
use crate::model::{HostPath, Request, RootPath};
use crate::plan::Owner;
use crate::plan::jail::Choices;
use crate::root::{Host, InRoot, Tree, read};
use crate::ui::Ui;

pub(super) fn run(args: &JailArgs, globals: &Globals, ui: &Ui) -> anyhow::Result<Exit> {
    match &args.action {
        JailAction::Build(args) => build::run(args, globals, ui),
        JailAction::Add(args) => add::run(args, globals, ui),
        JailAction::Try(args) => throwaway::run(args, globals, ui),
        JailAction::Check(args) => check::run(args, ui),
        JailAction::Update(args) => update::run(args, globals, ui),
        JailAction::Show(args) => show::run(args, ui),
        JailAction::Remove(args) => remove::run(args, globals, ui),
        JailAction::Export(args) => super::export::run(args, globals, ui),
    }
}

/// What the options and arguments ask for, in a form that `update` can ask for again from
/// another directory.
pub(super) fn request(options: &ContentOptions, items: &[PathBuf]) -> anyhow::Result<Request> {
    let working = std::env::current_dir()?;
    let from = options.from.as_deref().unwrap_or_else(|| Path::new("/"));
    let from = HostPath::new(working.join(from).components().collect::<PathBuf>());
    let from = match InRoot::open(&from) {
        Ok(root) if root.is_host() => HostPath::new("/"),
        _ => from,
    };
    let profiles = options.profile.iter().map(|name| {
        // As newroot-profile(5) tells a file from a name.
        if name.contains('/') || name.ends_with(".toml") {
            let path: PathBuf = working.join(name).components().collect();
            path.display().to_string()
        } else {
            name.clone()
        }
    });
    Ok(Request {
        profiles: profiles.collect(),
        items: items
            .iter()
            .map(|item| items::normalize(item, &from, &working))
            .collect(),
        users: options.with_user.clone(),
        keep_privileges: options.keep_privileges,
        from: RootPath::new(from.as_path()),
    })
}

/// Whether two names are those of one directory.
pub(super) fn is_same_root(one: &RootPath, other: &RootPath) -> bool {
    let id = |path: &RootPath| Host.stat(path).map(|meta| meta.id).ok();
    one == other || (id(one).is_some() && id(one) == id(other))
}

/// What this caller may do with a jail in `dir`.
pub(super) fn choices(dir: &HostPath, from: &RootPath) -> Choices {
    let builder = Owner {
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
    };
    let all = builder.uid == 0 && maps_every_id();
    Choices {
        base: dir.clone(),
        from: HostPath::new(from.as_path()),
        builder,
        owners: all,
        nodes: all,
    }
}

/// In a user namespace that maps one id, root cannot give files to anybody.
fn maps_every_id() -> bool {
    read(&Host, &RootPath::new("/proc/self/uid_map"), 1 << 16).is_ok_and(|bytes| {
        let text = String::from_utf8_lossy(&bytes);
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        words.len() > 3 || words.get(2).is_some_and(|count| *count != "1")
    })
}

/// DIR as it was typed, without a trailing slash, so that its parent and name can be told apart.
pub(super) fn directory(dir: &Path) -> HostPath {
    HostPath::new(dir.components().collect::<PathBuf>())
}

/// The same from `/`, links resolved as far as the directory exists.
pub(super) fn absolute(dir: &HostPath) -> HostPath {
    let full = std::env::current_dir().map_or_else(
        |_| dir.as_path().to_path_buf(),
        |working| working.join(dir.as_path()),
    );
    let path = RootPath::new(&full);
    let real = crate::root::canonical(&Host, &path).or_else(|_| {
        let above = crate::root::canonical(&Host, &path.parent())?;
        Ok::<_, std::io::Error>(
            path.file_name()
                .map_or_else(|| above.clone(), |name| above.join(name)),
        )
    });
    HostPath::new(real.map_or(full, |real| real.as_path().to_path_buf()))
}

/// `cp`'s order, `jail build PROGRAM DIR`: the first word names a program, the last a place.
pub(super) fn wrong_order(verb: &str, dir: &Path, items: &[PathBuf]) -> Option<Failure> {
    use crate::root::Tree;
    let last = items.last()?;
    let is_name = !dir.as_os_str().as_bytes().contains(&b'/');
    // The name itself: a link that leads nowhere is a place as well.
    let exists = Host.lstat(&RootPath::new(std::env::current_dir().ok()?.join(dir)));
    let is_program = is_name
        && exists.is_err()
        && std::env::split_paths(&std::env::var_os("PATH")?).any(|place| {
            Host.stat(&RootPath::new(place.join(dir)))
                .is_ok_and(|meta| meta.kind == crate::model::Kind::File)
        });
    let is_file = exists.is_ok_and(|meta| meta.kind == crate::model::Kind::File);
    if !(is_program || is_file) {
        return None;
    }
    let word = |path: &Path| crate::ui::shell_quote(path);
    let others = items[..items.len() - 1].iter().map(|item| word(item));
    let programs: Vec<String> = std::iter::once(word(dir)).chain(others).collect();
    let programs = programs.join(" ");
    let shown = dir.display();
    let kind = if is_program { "a program" } else { "a file" };
    let failure = Failure::new(
        format!("cannot {verb} a jail in \"{shown}\""),
        format!("that is {kind}, not a directory"),
    )
    .exit(Exit::Usage)
    .hint(
        "the directory comes first",
        format!("newroot jail {verb} {} {programs}", word(last)),
    );
    Some(if is_program {
        failure.hint(
            format!("if a directory ./{shown} is meant"),
            format!("newroot jail {verb} ./{} PROGRAM", word(dir)),
        )
    } else {
        failure
    })
}

/// The request of an older one with more in it.
pub(super) fn extended(old: &Request, more: Request) -> Request {
    let mut all = old.clone();
    let add = |list: &mut Vec<String>, more: Vec<String>| {
        for one in more {
            if !list.contains(&one) {
                list.push(one);
            }
        }
    };
    add(&mut all.profiles, more.profiles);
    add(&mut all.users, more.users);
    for item in more.items {
        if !all.items.contains(&item) {
            all.items.push(item);
        }
    }
    all.keep_privileges |= more.keep_privileges;
    all
}
