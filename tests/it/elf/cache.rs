//! ld.so.cache: files that ldconfig(8) writes, in its three formats, and what the loader makes
//! of an entry (rule G6 d).

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use newroot::elf::cache::Cache;
use newroot::elf::{Closure, Engine, Options};
use newroot::model::{Cpu, RootPath};
use newroot::root::Mem;

use super::lab::{Lab, path, rule};
use super::writer::{Elf, Entry, FLAGS_1, cache, loader};
use crate::support::{Need, need};

fn tree(entries: &[Entry]) -> Mem {
    Mem::new()
        .with_file("/lib64/ld-linux-x86-64.so.2", loader())
        .with_file("/etc/ld.so.cache", cache(entries))
        .with_dir("/usr/lib")
}

fn at_level<const LEVEL: u8>() -> Cpu {
    Cpu {
        x86_level: LEVEL,
        ..Cpu::default()
    }
}

fn closure(tree: &Mem, level: u8) -> Closure {
    let options = Options {
        cpu: match level {
            1 => at_level::<1>,
            2 => at_level::<2>,
            3 => at_level::<3>,
            _ => at_level::<4>,
        },
        variants: true,
        ..Options::default()
    };
    let mut engine = Engine::with_options(tree, options);
    engine.closure(&RootPath::new("/p")).unwrap()
}

fn program() -> Vec<u8> {
    Elf::prog().needs(&["libx.so"]).build()
}

fn lib() -> Vec<u8> {
    Elf::lib().build()
}

#[test]
fn g06_the_cache_comes_before_the_default_directories() {
    let tree = tree(&[Entry::plain("libx.so", "/opt/libx.so")])
        .with_file("/opt/libx.so", lib())
        .with_file("/usr/lib/libx.so", lib())
        .with_file("/p", program());
    let found = closure(&tree, 1);
    assert_eq!(path(&found, "libx.so"), "/opt/libx.so");
    assert_eq!(rule(&found, "libx.so"), Some("cache"));
}

#[test]
fn g06_one_answer_only() {
    // The first entry's file is gone: the default directories are next, not the second entry.
    let entries = [
        Entry::plain("libx.so", "/gone/libx.so"),
        Entry::plain("libx.so", "/opt/libx.so"),
    ];
    let base = tree(&entries)
        .with_file("/opt/libx.so", lib())
        .with_file("/p", program());
    assert_eq!(closure(&base, 1).missing.len(), 1);
    let with_default = base.with_file("/usr/lib/libx.so", lib());
    let found = closure(&with_default, 1);
    assert_eq!(rule(&found, "libx.so"), Some("default"));
}

#[test]
fn g06_entries_for_another_machine_do_not_count() {
    let mut other = Entry::plain("libx.so", "/other/libx.so");
    other.flags = 0x0a03;
    let mut i386 = Entry::plain("libx.so", "/i386/libx.so");
    i386.flags = 3;
    let tree = tree(&[other, i386, Entry::plain("libx.so", "/opt/libx.so")])
        .with_file("/other/libx.so", lib())
        .with_file("/i386/libx.so", lib())
        .with_file("/opt/libx.so", lib())
        .with_file("/p", program());
    assert_eq!(path(&closure(&tree, 1), "libx.so"), "/opt/libx.so");
}

#[test]
fn g06_nodeflib_refuses_a_cached_default_path() {
    let flagged = Elf::prog()
        .number(FLAGS_1, 0x800)
        .needs(&["libx.so"])
        .build();
    let cached = |at: &'static str| {
        tree(&[Entry::plain("libx.so", at)])
            .with_file(at, lib())
            .with_file("/p", flagged.clone())
    };
    assert_eq!(
        closure(&cached("/usr/lib/deep/libx.so"), 1).missing.len(),
        1
    );
    let found = closure(&cached("/usr/library/libx.so"), 1);
    assert_eq!(rule(&found, "libx.so"), Some("cache"));
}

#[test]
fn g07_the_best_level_of_the_cache() {
    let level = |level, path, isa| Entry {
        level: Some(level),
        isa,
        ..Entry::plain("libx.so", path)
    };
    let entries = [
        level("x86-64-v2", "/d/glibc-hwcaps/x86-64-v2/libx.so", 1),
        level("x86-64-v3", "/d/glibc-hwcaps/x86-64-v3/libx.so", 2),
        Entry::plain("libx.so", "/d/libx.so"),
    ];
    let mut tree = tree(&entries).with_file("/p", program());
    for entry in &entries {
        tree = tree.with_file(entry.path, lib());
    }
    let table = [
        (1, "/d/libx.so"),
        (2, "/d/glibc-hwcaps/x86-64-v2/libx.so"),
        (4, "/d/glibc-hwcaps/x86-64-v3/libx.so"),
    ];
    for (cpu, wanted) in table {
        let found = closure(&tree, cpu);
        assert_eq!(path(&found, "libx.so"), wanted);
        // Whatever this CPU takes, a jail gets all three, the baseline first.
        let variants: Vec<String> = found.objects[0]
            .variants
            .iter()
            .map(|it| it.path.to_string())
            .collect();
        let mut all: Vec<&str> = entries.iter().map(|entry| entry.path).collect();
        all.rotate_right(1);
        assert_eq!(variants, all);
    }
    // A file that asks for more than the CPU has does not count, whatever its directory says.
    let greedy = [
        level("x86-64-v2", "/d/glibc-hwcaps/x86-64-v2/libx.so", 3),
        entries[2],
    ];
    let tree = self::tree(&greedy)
        .with_file("/p", program())
        .with_file("/d/libx.so", lib())
        .with_file(greedy[0].path, lib());
    assert_eq!(path(&closure(&tree, 2), "libx.so"), "/d/libx.so");
}

#[test]
fn a_cache_of_the_other_byte_order_is_none() {
    let bytes = cache(&[Entry::plain("libx.so", "/opt/libx.so")]);
    assert!(Cache::parse(bytes.clone(), true, true).is_some());
    assert!(Cache::parse(bytes, false, true).is_none());
    assert!(Cache::parse(b"nothing".to_vec(), true, true).is_none());
    assert!(Cache::parse(b"glibc-ld.so.cache1.1".to_vec(), true, true).is_none());
}

/// What `ldconfig -p` lists is what the parser finds, entry by entry.
#[test]
fn the_cache_of_this_machine_is_read_as_ldconfig_reads_it() {
    if !need(&[Need::Command("ldconfig"), Need::File("/etc/ld.so.cache")]) {
        return;
    }
    let bytes = fs::read("/etc/ld.so.cache").unwrap();
    compare_with_ldconfig(&bytes, "/etc/ld.so.cache");
}

#[test]
fn the_three_formats_that_ldconfig_writes() {
    if !need(&[Need::Command("gcc"), Need::Command("ldconfig")]) {
        return;
    }
    let lab = Lab::new("gcc");
    for name in [
        "libx1.so",
        "libx2.so.1",
        "libx10.so",
        "libx.so",
        "lib-a.so.3",
    ] {
        lab.lib(&format!("d/{name}"), &[], &[]);
    }
    lab.copy("d/libx.so", "d/glibc-hwcaps/x86-64-v3/libx.so");
    fs::write(lab.path("conf"), lab.text("d")).unwrap();
    for format in ["new", "compat", "old"] {
        let file = lab.path(format);
        let status = Command::new(crate::support::need::find_program("ldconfig").unwrap())
            .args(["-X", "-c", format, "-f"])
            .arg(lab.path("conf"))
            .arg("-C")
            .arg(&file)
            .status()
            .unwrap();
        assert!(status.success(), "{format}");
        let bytes = fs::read(&file).unwrap();
        let cache = Cache::parse(bytes.clone(), true, true).unwrap();
        assert!(cache.len() >= 5, "{format}: {}", cache.len());
        if format != "old" {
            compare_with_ldconfig(&bytes, file.to_str().unwrap());
        }
        for name in ["libx1.so", "libx2.so.1", "libx10.so", "lib-a.so.3"] {
            let found: Vec<_> = cache.entries(name.as_bytes(), |_| true).collect();
            let wanted = lab.text(&format!("d/{name}"));
            assert!(
                found.iter().any(|it| it.path == wanted.as_bytes()),
                "{format}: {name}"
            );
        }
        let levels: Vec<_> = cache
            .entries(b"libx.so", |_| true)
            .map(|it| it.level)
            .collect();
        let has_level = levels.iter().flatten().any(|level| level == b"x86-64-v3");
        // In "compat" ldconfig 2.36 counts the names of levels from the wrong place, and the
        // loader then takes no such entry (seen with a compat cache mounted over the real one).
        assert_eq!(has_level, format == "new", "{format}: {levels:?}");
    }
}

fn compare_with_ldconfig(bytes: &[u8], file: &str) {
    let output = Command::new(crate::support::need::find_program("ldconfig").unwrap())
        .args(["-p", "-C", file])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let cache = Cache::parse(bytes.to_vec(), true, true).unwrap();
    let mut compared = 0;
    let compat = bytes.starts_with(b"ld.so-1.7.0");
    let entries = text.lines().filter(|line| line.contains(" => "));
    for line in entries.filter(|line| !compat || !line.contains("hwcap: ")) {
        let (left, wanted) = line.trim().split_once(" => ").unwrap();
        let name = left.split(" (").next().unwrap();
        let found: BTreeSet<Vec<u8>> = cache
            .entries(name.as_bytes(), |_| true)
            .map(|entry| entry.path)
            .collect();
        assert!(
            found.contains(wanted.as_bytes()),
            "{file}: {line}: {found:?}"
        );
        compared += 1;
    }
    assert!(compared >= 5, "{text}");
}
