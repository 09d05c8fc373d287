//! Bad input: what is no library, what lies about its size, what loops, what is foreign.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use newroot::elf::{Closure, ElfError, Engine, ProgramKind, cache};
use newroot::model::{HostPath, Kind, RootPath};
use newroot::root::{InRoot, Mem, Tree};
use proptest::prelude::*;

use super::lab::{names, path};
use super::writer::{AARCH64, AUXILIARY, Elf, FILTER, NEEDED, RPATH, RUNPATH, loader};
use crate::support::{Need, need};

fn tree() -> Mem {
    Mem::new()
        .with_file("/lib64/ld-linux-x86-64.so.2", loader())
        .with_dir("/usr/lib")
}

fn closure(tree: &dyn Tree, program: &str) -> Closure {
    Engine::new(tree).closure(&RootPath::new(program)).unwrap()
}

fn refused(closure: &Closure) -> &str {
    &closure.missing[0].refused.as_ref().unwrap().1
}

#[test]
fn a_fifo_or_a_device_is_no_library_and_nothing_hangs() {
    for kind in [
        Kind::Fifo,
        Kind::CharDevice,
        Kind::BlockDevice,
        Kind::Socket,
    ] {
        let tree = tree()
            .with_special("/usr/lib/libx.so", kind)
            .with_special("/program", kind)
            .with_file("/p", Elf::prog().needs(&["libx.so"]).build());
        assert_eq!(refused(&closure(&tree, "/p")), "not a regular file");
        let error = Engine::new(&tree).closure(&RootPath::new("/program"));
        assert!(matches!(error, Err(ElfError::NotAFile { .. })));
    }
}

/// On a real file system, where open(2) of a FIFO could block.
#[test]
fn real_fifos_and_sparse_giants() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::create_dir_all(at("lib64")).unwrap();
    fs::create_dir_all(at("usr/lib")).unwrap();
    fs::write(at("lib64/ld-linux-x86-64.so.2"), loader()).unwrap();
    let needs = ["libfifo.so", "libgiant.so", "libdir.so"];
    fs::write(at("p"), Elf::prog().needs(&needs).build()).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        at("usr/lib/libfifo.so"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o644),
        0,
    )
    .unwrap();
    fs::create_dir(at("usr/lib/libdir.so")).unwrap();
    // 4 GiB, whose headers claim all of it.
    let giant = Elf::lib().needs(&["libdeep.so"]).build();
    let file = fs::File::create(at("usr/lib/libgiant.so")).unwrap();
    std::io::Write::write_all(&mut &file, &claim(giant, 4 << 30)).unwrap();
    file.set_len(4 << 30).unwrap();
    let tree = InRoot::open(&HostPath::new(root.path())).unwrap();
    let closure = closure(&tree, "/p");
    assert_eq!(names(&closure), ["libgiant.so"]);
    let missing: Vec<&[u8]> = closure.missing.iter().map(|it| &it.name[..]).collect();
    assert_eq!(missing, [&b"libfifo.so"[..], b"libdir.so", b"libdeep.so"]);
}

/// Makes every segment of a 64-bit file claim `size` bytes.
fn claim(mut bytes: Vec<u8>, size: u64) -> Vec<u8> {
    let count = usize::from(bytes[56]);
    for header in 0..count {
        let at = 64 + header * 56 + 32;
        bytes[at..at + 8].copy_from_slice(&size.to_le_bytes());
    }
    bytes
}

#[test]
fn libraries_that_need_each_other_end() {
    let tree = tree()
        .with_file(
            "/usr/lib/liba.so",
            Elf::lib().needs(&["libb.so", "liba.so"]).build(),
        )
        .with_file("/usr/lib/libb.so", Elf::lib().needs(&["liba.so"]).build())
        .with_link("/usr/lib/libloop.so", "libloop.so")
        .with_file("/p", Elf::prog().needs(&["liba.so", "libloop.so"]).build());
    let closure = closure(&tree, "/p");
    assert_eq!(names(&closure), ["liba.so", "libb.so"]);
    assert_eq!(closure.missing.len(), 1);
}

#[test]
fn filters_of_each_other_end() {
    let filter = |name: &str| Elf::lib().text(AUXILIARY, name).text(FILTER, name).build();
    let tree = tree()
        .with_file("/usr/lib/liba.so", filter("libb.so"))
        .with_file("/usr/lib/libb.so", filter("liba.so"))
        .with_file("/p", Elf::prog().needs(&["liba.so"]).build());
    assert_eq!(names(&closure(&tree, "/p")), ["liba.so", "libb.so"]);
}

#[test]
fn ten_thousand_libraries_in_a_chain_are_no_stack_overflow() {
    let mut tree = tree().with_file("/p", Elf::prog().needs(&["lib0.so"]).build());
    for number in 0..10_000 {
        let next = format!("lib{}.so", number + 1);
        let bytes = Elf::lib().needs(&[&next]).build();
        tree = tree.with_file(&format!("/usr/lib/lib{number}.so"), bytes);
    }
    let closure = closure(&tree, "/p");
    assert_eq!(closure.objects.len(), 10_000);
    assert_eq!(closure.missing.len(), 1);
}

#[test]
fn a_library_that_needs_too_much_is_bounded() {
    let mut elf = Elf::prog();
    for number in 0..70_000 {
        elf = elf.text(NEEDED, format!("lib{number}.so"));
    }
    let tree = tree().with_file("/p", elf.build());
    let closure = closure(&tree, "/p");
    assert!(closure.missing.len() > 60_000 && closure.missing.len() < 70_000);
}

#[test]
fn names_of_any_bytes_are_kept() {
    let name = b"lib\x1b[31m\xff\n.so";
    let tree = tree().with_file("/p", Elf::prog().text(NEEDED, name).build());
    assert_eq!(closure(&tree, "/p").missing[0].name, name);
}

#[test]
fn a_broken_elf_file_is_refused_with_the_loaders_words() {
    let whole = Elf::prog().needs(&["libx.so"]).build();
    for length in [4, 20, 60] {
        let tree = tree().with_file("/p", &whole[..length]);
        let error = Engine::new(&tree)
            .closure(&RootPath::new("/p"))
            .unwrap_err();
        assert_eq!(error.to_string(), "/p: file too short");
    }
    let tree = tree().with_file("/p", &whole[..3]);
    assert_eq!(closure(&tree, "/p").kind, ProgramKind::Data);
}

#[test]
fn absolute_links_and_dots_stay_inside_the_root() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("libx.so"), Elf::lib().build()).unwrap();
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    for directory in ["lib64", "usr/lib", "opt/bin", "opt/lib"] {
        fs::create_dir_all(at(directory)).unwrap();
    }
    fs::write(at("lib64/ld-linux-x86-64.so.2"), loader()).unwrap();
    let program = Elf::prog()
        .text(RPATH, "$ORIGIN/../../../../../../opt/lib")
        .needs(&["liby.so", "libx.so"]);
    fs::write(at("opt/bin/p"), program.build()).unwrap();
    fs::write(at("opt/lib/real.so"), Elf::lib().build()).unwrap();
    let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, at(name)).unwrap();
    link("/opt/lib/real.so", "opt/lib/liby.so");
    // Out of the root by name and by dots: both lead nowhere inside it.
    let escape = outside.path().join("libx.so");
    link(escape.to_str().unwrap(), "usr/lib/libx.so");
    let tree = InRoot::open(&HostPath::new(root.path())).unwrap();
    let closure = closure(&tree, "/opt/bin/p");
    assert_eq!(names(&closure), ["liby.so"]);
    assert_eq!(closure.missing.len(), 1, "{closure:?}");
}

#[test]
fn other_classes_byte_orders_and_machines() {
    for (class, little, machine) in [(2, true, AARCH64), (1, false, 8), (2, false, 22)] {
        let with = |mut elf: Elf| {
            (elf.class, elf.little, elf.machine) = (class, little, machine);
            elf.build()
        };
        let tree = Mem::new()
            .with_file("/lib/ld.so.1", with(Elf::lib().soname("ld.so.1")))
            .with_file("/opt/libx.so", with(Elf::lib().soname("libx.so")))
            .with_file("/bad/libx.so", Elf::lib().build())
            .with_file("/p", {
                let elf = Elf::lib().interp("/lib/ld.so.1");
                with(elf.text(RUNPATH, "/bad:/opt").needs(&["libx.so"]))
            });
        let closure = closure(&tree, "/p");
        // A file of the other byte order ends the search where the class is the same.
        if class == 2 && !little {
            assert!(refused(&closure).contains("big-endian"));
        } else {
            assert_eq!(path(&closure, "libx.so"), "/opt/libx.so");
        }
    }
}

#[test]
fn debians_cross_libraries_are_a_root() {
    let root = "/usr/aarch64-linux-gnu";
    let needs = [
        Need::Command("aarch64-linux-gnu-gcc"),
        Need::Command("qemu-aarch64-static"),
        Need::File("/usr/aarch64-linux-gnu/lib/libc.so.6"),
    ];
    if !need(&needs) {
        return;
    }
    let libc = fs::read(format!("{root}/lib/libc.so.6")).unwrap();
    assert!(libc.starts_with(b"\x7fELF"));
    let lab = super::lab::Lab::new("aarch64-linux-gnu-gcc");
    lab.prog("p", &[], &[]);
    let copy = tempfile::tempdir().unwrap();
    for entry in ["lib/libc.so.6", "lib/ld-linux-aarch64.so.1", "bin/p"] {
        let to = copy.path().join(entry);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        match entry {
            "bin/p" => fs::copy(lab.path("p"), to).unwrap(),
            _ => fs::copy(format!("{root}/{entry}"), to).unwrap(),
        };
    }
    let tree = InRoot::open(&HostPath::new(copy.path())).unwrap();
    let closure = closure(&tree, "/bin/p");
    assert!(closure.missing.is_empty(), "{closure:?}");
    assert_eq!(path(&closure, "libc.so.6"), "/lib/libc.so.6");
    assert_eq!(closure.objects[0].found_by.word(), "default");
    let loader = closure.interpreter.unwrap();
    assert!(loader.present && !loader.needed_by.is_empty());
    // The truth: that loader itself, run by qemu, which puts -L before every path.
    let output = std::process::Command::new("qemu-aarch64-static")
        .arg("-L")
        .arg(copy.path())
        .args(["-E", "LD_TRACE_LOADED_OBJECTS=1"])
        .arg(copy.path().join("bin/p"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let loaded: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split(" => ").nth(1)?.split(" (0x").next())
        .collect();
    assert_eq!(loaded, ["/lib/libc.so.6"], "{output:?}");
}

/// A file that lost its permission to be read: the loader skips it, and so do we (root reads
/// everything, so this looks at the errno by a tree).
#[test]
fn an_unreadable_directory_is_skipped() {
    if rustix::process::geteuid().is_root() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("shut")).unwrap();
    fs::create_dir_all(root.path().join("usr/lib")).unwrap();
    fs::write(root.path().join("usr/lib/libx.so"), Elf::lib().build()).unwrap();
    let program = Elf::prog().text(RUNPATH, "/shut").needs(&["libx.so"]);
    fs::write(root.path().join("p"), program.build()).unwrap();
    fs::set_permissions(root.path().join("shut"), fs::Permissions::from_mode(0o0)).unwrap();
    let tree = InRoot::open(&HostPath::new(root.path())).unwrap();
    assert_eq!(path(&closure(&tree, "/p"), "libx.so"), "/usr/lib/libx.so");
}

/// A tree of objects that need each other at random.
fn random_tree() -> impl Strategy<Value = (Mem, usize)> {
    let object = (
        prop::collection::vec(0_usize..12, 0..5),
        0_usize..4,
        prop::option::of(0_usize..4),
        any::<bool>(),
    );
    prop::collection::vec(object, 1..10).prop_map(|objects| {
        let directories = ["/usr/lib", "/opt/a", "/opt/b", "/opt/c"];
        let count = objects.len();
        let mut tree = tree();
        for (index, (needs, place, search, old)) in objects.into_iter().enumerate() {
            let mut elf = if index == 0 { Elf::prog() } else { Elf::lib() };
            for need in needs {
                elf = elf.text(NEEDED, format!("lib{need}.so"));
            }
            if let Some(search) = search {
                elf = elf.text(if old { RPATH } else { RUNPATH }, directories[search]);
            }
            let at = match index {
                0 => "/p".to_string(),
                _ => format!("{}/lib{index}.so", directories[place]),
            };
            tree = tree.with_file(&at, elf.build());
        }
        (tree, count)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever an object of the closure needs is in the closure or is reported missing.
    #[test]
    fn the_closure_is_closed((tree, count) in random_tree()) {
        let mut engine = Engine::new(&tree);
        let closure = engine.closure(&RootPath::new("/p")).unwrap();
        prop_assert!(closure.objects.len() <= count);
        let mut loaded: Vec<RootPath> = vec![RootPath::new("/p")];
        loaded.extend(closure.objects.iter().map(|object| object.path.clone()));
        for path in &loaded {
            let object = engine.object(path).unwrap();
            for need in &object.needs {
                let there = closure.objects.iter().any(|it| *it.name == *need.name);
                let missing = closure.missing.iter().any(|it| *it.name == *need.name);
                prop_assert!(there || missing, "{path} needs {:?}", need.name);
            }
        }
    }

    /// Changed bytes anywhere: an answer or a refusal, never a panic, never more than there is.
    #[test]
    fn changed_bytes_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        length in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let program = Elf::prog()
            .text(RPATH, "$ORIGIN:/opt")
            .needs(&["libx.so", "liby.so"])
            .note("[{\"soname\":[\"libz.so\"]}]");
        let mut bytes = program.build();
        for (at, byte) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        if cut {
            bytes.truncate(length.index(bytes.len()));
        }
        let tree = tree()
            .with_file("/p", bytes.clone())
            .with_file("/usr/lib/libx.so", bytes);
        let options = newroot::elf::Options { versions: true, notes: true, variants: true, ..Default::default() };
        let mut engine = Engine::with_options(&tree, options);
        if let Ok(closure) = engine.closure(&RootPath::new("/p")) {
            prop_assert!(closure.objects.len() <= 3);
        }
    }

    /// Any bytes behind a cache's magic: no panic, and only what the file holds.
    #[test]
    fn any_cache_is_searched_without_panic(
        body in prop::collection::vec(any::<u8>(), 0..512),
        name in prop::collection::vec(any::<u8>(), 0..8),
        old in any::<bool>(),
        little in any::<bool>(),
    ) {
        let magic: &[u8] = if old { b"ld.so-1.7.0\0" } else { b"glibc-ld.so.cache1.1" };
        let bytes = [magic, &body].concat();
        let size = bytes.len();
        if let Some(cache) = cache::Cache::parse(bytes, little, true) {
            prop_assert!(cache.entries(&name, |_| true).count() <= size);
        }
    }
}
