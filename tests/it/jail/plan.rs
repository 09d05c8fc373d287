//! A plan and then its inverses leave a tree as it was, on a real file system.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use newroot::exec::{Files, Machine as _, Silent, UndoStack, apply};
use newroot::model::{HostPath, RootPath};
use newroot::plan::jail::{Choices, Facts, Made, MadeWhat, build, wanted};
use newroot::plan::{Owner, Step};
use newroot::root::{InRoot, Mem};
use proptest::prelude::*;

/// A small tree: paths of up to three short names, each a file, a link or a directory.
fn made() -> impl Strategy<Value = Vec<Made>> {
    let name = prop::sample::select(vec!["a", "b", "c", "d"]);
    let path = prop::collection::vec(name, 1..4);
    let what = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20)
            .prop_map(|bytes| MadeWhat::Write { bytes, mode: 0o644 }),
        Just(MadeWhat::Directory {
            mode: 0o755,
            owner: None
        }),
        prop::sample::select(vec!["a", "../b", "/c/d", "nowhere"]).prop_map(|target| {
            MadeWhat::Link {
                target: PathBuf::from(target),
            }
        }),
    ];
    prop::collection::vec((path, what), 0..12).prop_map(|all| {
        all.into_iter()
            .map(|(path, what)| Made {
                path: RootPath::new(path.join("/")),
                what,
                reason: "test".into(),
                weak: false,
            })
            .collect()
    })
}

fn choices() -> Choices {
    Choices {
        base: HostPath::new("/jail"),
        from: HostPath::new("/"),
        builder: Owner {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
        },
        owners: false,
        nodes: false,
    }
}

/// Everything but times: undoing changes those of the directory above.
fn snapshot(top: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut out = BTreeMap::new();
    // The top itself is finished too, and it is not of this plan.
    for entry in walkdir::WalkDir::new(top).min_depth(1) {
        let entry = entry.unwrap();
        let meta = entry.path().symlink_metadata().unwrap();
        let content = if meta.is_file() {
            fs::read(entry.path()).unwrap()
        } else if meta.is_symlink() {
            fs::read_link(entry.path())
                .unwrap()
                .into_os_string()
                .into_encoded_bytes()
        } else {
            Vec::new()
        };
        out.insert(entry.path().to_path_buf(), (meta.mode(), content));
    }
    out
}

fn open(top: &Path) -> InRoot {
    InRoot::open(&HostPath::new(top)).unwrap()
}

/// Steps without those that only set what inverses need not take back.
fn steps(made: &[Made]) -> Option<Vec<Step>> {
    let all = wanted(&Facts::default(), made, &choices());
    // A path below what is a file or link by a later item is no tree: the planner's callers
    // gather from real trees, where that cannot be.
    let clash = all.keys().any(|path| {
        let above = path.parent();
        *path != RootPath::root() && all[&above].entry.kind != newroot::model::EntryKind::Directory
    });
    (!clash).then(|| build(all, &choices()).steps)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_and_its_inverses_leave_the_tree_as_it_was(made in made(), stop in 0_usize..40) {
        let Some(steps) = steps(&made) else { return Ok(()) };
        let top = tempfile::tempdir().unwrap();
        fs::write(top.path().join("there"), "before").unwrap();
        let before = snapshot(top.path());
        let nothing = Mem::new();
        let mut files = Files::new(open(top.path()), &nothing);
        let mut undo = UndoStack::new();
        // As if the step after `stop` had failed.
        let part = &steps[..stop.min(steps.len())];
        apply(part, &mut files, &mut undo, &mut Silent).unwrap();
        undo.finish(&mut files, &mut Silent).unwrap();
        let after = snapshot(top.path());
        prop_assert_eq!(before, after);
    }

    #[test]
    fn every_path_comes_once_and_after_the_directory_it_is_in(made in made()) {
        let Some(steps) = steps(&made) else { return Ok(()) };
        let top = tempfile::tempdir().unwrap();
        let nothing = Mem::new();
        let mut files = Files::new(open(top.path()), &nothing);
        // O_EXCL and real parents: the file system itself checks it.
        for step in &steps {
            files.perform(step).unwrap();
        }
    }
}
