//! Replays the fuzz corpora through the bodies of the fuzz targets, on stable.

use std::fs;
use std::path::Path;

#[path = "../fuzz/bodies/elf_object.rs"]
mod elf_object;
#[path = "../fuzz/bodies/ld_so_cache.rs"]
mod ld_so_cache;
#[path = "../fuzz/bodies/profile.rs"]
mod profile;

/// Runs every file of `corpus/NAME`; an empty corpus would prove nothing.
fn replay(name: &str, body: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let mut count = 0;
    for entry in fs::read_dir(directory.join(name)).unwrap() {
        let file = entry.unwrap().path();
        // The name, for the message of a panic in the body.
        let shown = file.display();
        eprintln!("{shown}");
        body(&fs::read(&file).unwrap());
        count += 1;
    }
    assert!(count > 0, "no corpus for {name}");
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
