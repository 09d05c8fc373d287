//! What the command line names: programs by name, paths, directories.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::gather::{For, Gatherer};
use super::problem::Problem;
use crate::model::{HostPath, Kind, RootPath, Text};
use crate::profile::nearest;
use crate::root::{InRoot, Tree};

/// How an item is written into the request: a name as it is, a path as one inside `from`.
pub(super) fn normalize(item: &Path, from: &HostPath, working: &Path) -> Text {
    let bytes = item.as_os_str().as_bytes();
    if !bytes.contains(&b'/') {
        return Text(bytes.to_vec());
    }
    let inside = if from.as_path() == Path::new("/") {
        // `.` is dropped here, `..` is left to whoever resolves the links before it.
        working.join(item).components().collect::<PathBuf>()
    } else {
        // A path given with the root's prefix is understood.
        let whole = working.join(item);
        let inside = InRoot::open(from).ok();
        let inside = inside.and_then(|root| root.find_inside(&whole));
        Path::new("/").join(inside.as_ref().map_or(item, |path| path.as_path()))
    };
    Text(inside.as_os_str().as_bytes().to_vec())
}

/// Gathers one item of a request.
pub(super) fn take(gatherer: &mut Gatherer<'_>, item: &Text, by: &str, who: For) {
    if !item.0.contains(&b'/') {
        if let Some(path) = find(gatherer, OsStr::from_bytes(&item.0)) {
            gatherer.program(&path, who);
        } else {
            let problem = no_program(gatherer, item, by);
            gatherer.problems.push(problem);
        }
        return;
    }
    path(gatherer, &RootPath::from_bytes(&item.0), who);
}

/// Gathers a path whatever stands there.
pub(super) fn path(gatherer: &mut Gatherer<'_>, path: &RootPath, who: For) {
    match gatherer.want(path, who).map(|(_, meta)| meta.kind) {
        Ok(Kind::Directory) => gatherer.directory(path, who),
        Ok(Kind::File) => gatherer.program(path, who),
        Ok(_) => {}
        Err(error) => gatherer.failed(path, &error, who.need),
    }
}

/// The program of that name, as the PATH gives it. The wrappers of version managers (pyenv,
/// rbenv, asdf) are passed over where there is a real one: they start what their user's
/// configuration says, which no jail has.
pub(super) fn find(gatherer: &Gatherer<'_>, name: &OsStr) -> Option<RootPath> {
    let is_program = |path: &RootPath| {
        gatherer
            .tree()
            .stat(path)
            .is_ok_and(|meta| meta.kind == Kind::File && meta.mode & 0o111 != 0)
    };
    let all = gatherer.search_path().iter();
    let (wrappers, real): (Vec<&RootPath>, Vec<&RootPath>) =
        all.partition(|directory| directory.file_name() == Some(OsStr::new("shims")));
    real.into_iter()
        .chain(wrappers)
        .map(|directory| directory.join(name))
        .find(is_program)
}

fn no_program(gatherer: &Gatherer<'_>, item: &Text, by: &str) -> Problem {
    let name = item.shown();
    let mut known: Vec<String> = Vec::new();
    for directory in gatherer.search_path() {
        let names = gatherer.tree().list(directory).unwrap_or_default();
        known.extend(names.into_iter().filter_map(|name| name.into_string().ok()));
    }
    Problem::NoProgram {
        nearest: nearest(&name, known.iter().map(String::as_str)).map(str::to_owned),
        here: crate::root::Host
            .stat(&working_directory(&name))
            .is_ok_and(|meta| meta.kind == Kind::File),
        searched: gatherer.search_path().to_vec(),
        by: by.to_owned(),
        name,
    }
}

fn working_directory(name: &str) -> RootPath {
    std::env::current_dir().map_or_else(|_| RootPath::new(name), |at| RootPath::new(at).join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_paths_inside_the_root_or_names() {
        let base = tempfile::tempdir().unwrap();
        let named = |name: &str| base.path().join(name).to_str().unwrap().to_owned();
        let (root, link) = (named("root"), named("link"));
        std::fs::create_dir(&root).unwrap();
        std::os::unix::fs::symlink("root", &link).unwrap();
        let table = [
            ("bash", "/", "bash"),
            ("/bin/sh", "/", "/bin/sh"),
            ("./prog", "/", "/work/prog"),
            ("../x", "/", "/work/../x"),
            (&format!("{root}/bin/sh"), &root, "/bin/sh"),
            (&format!("{root}/bin/sh"), &link, "/bin/sh"),
            (&format!("{link}/bin/sh"), &root, "/bin/sh"),
            ("/bin/sh", &root, "/bin/sh"),
            ("bin/sh", &root, "/bin/sh"),
        ];
        for (item, from, expected) in table {
            let text = normalize(Path::new(item), &HostPath::new(from), Path::new("/work"));
            assert_eq!(text.shown(), expected, "{item} from {from}");
        }
    }
}
