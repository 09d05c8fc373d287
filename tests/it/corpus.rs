//! Replays the fuzz corpora through the bodies of the fuzz targets, on stable.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../fuzz/bodies/accounts.rs"]
mod accounts;
#[path = "../fuzz/bodies/boot_config.rs"]
mod boot_config;
#[path = "../fuzz/bodies/elf_object.rs"]
mod elf_object;
#[path = "../fuzz/bodies/journal.rs"]
mod journal;
#[path = "../fuzz/bodies/ld_so_cache.rs"]
mod ld_so_cache;
#[path = "../fuzz/bodies/named.rs"]
mod named;
#[path = "../fuzz/bodies/packages.rs"]
mod packages;
#[path = "../fuzz/bodies/profile.rs"]
mod profile;
#[path = "../fuzz/bodies/superblocks.rs"]
mod superblocks;
#[path = "../fuzz/bodies/tables.rs"]
mod tables;

/// Every file of `corpus/NAME`; an empty corpus would prove nothing.
fn seeds(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let mut paths: Vec<PathBuf> = fs::read_dir(directory.join(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no corpus for {name}");
    let read = |path: PathBuf| {
        let bytes = fs::read(&path).unwrap();
        (path, bytes)
    };
    paths.into_iter().map(read).collect()
}

/// Runs every file of `corpus/NAME`.
fn replay(name: &str, body: fn(&[u8])) {
    for (path, seed) in seeds(name) {
        // The name, for the message of a panic in the body.
        eprintln!("{}", path.display());
        body(&seed);
    }
}

/// The same, then each file cut off, changed and doubled in places: the same ones in every run.
fn mutate(name: &str, rounds: u32, body: fn(&[u8])) {
    replay(name, body);
    let mut state = 1_u64;
    let mut next = move |below: usize| {
        // Knuth's MMIX constants.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below.max(1)
    };
    for (path, seed) in seeds(name) {
        for round in 0..rounds {
            let mut data = seed.clone();
            for _ in 0..=round % 5 {
                let (at, length) = (next(data.len()), next(16) + 1);
                let end = (at + length).min(data.len());
                match next(6) {
                    0 => data.truncate(at),
                    1 => drop(data.drain(at..end)),
                    2 => data.extend_from_within(at..end),
                    3 => data[at..end].fill([0, 0xff, b'\n', b' '][next(4)]),
                    4 => data[at..end].reverse(),
                    _ => {
                        if let Some(byte) = data.get_mut(at) {
                            *byte ^= 1 << next(8);
                        }
                    }
                }
            }
            eprintln!("{}, round {round}", path.display());
            body(&data);
        }
    }
}

#[test]
fn profiles() {
    replay("profile", profile::run);
    // The shipped ones are the best seeds and need not be copied.
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles")).unwrap() {
        let path = entry.unwrap().path();
        // A directory beside them has AppArmor's profile, another thing of the same name.
        if path.extension().is_some_and(|ending| ending == "toml") {
            profile::run(&fs::read(path).unwrap());
        }
    }
}

#[test]
fn elf_objects() {
    replay("elf_object", elf_object::run);
}

#[test]
fn ld_so_caches() {
    replay("ld_so_cache", ld_so_cache::run);
}

#[test]
fn files_of_accounts() {
    mutate("accounts", 300, accounts::run);
}

#[test]
fn files_that_boot() {
    mutate("boot_config", 300, boot_config::run);
}

#[test]
fn journals() {
    mutate("journal", 2000, journal::run);
}

#[test]
fn package_databases() {
    mutate("packages", 300, packages::run);
}

#[test]
fn filesystems() {
    mutate("superblocks", 500, superblocks::run);
}

#[test]
fn fstab_and_crypttab() {
    mutate("tables", 2000, tables::run);
}
