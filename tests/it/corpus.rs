//! Replays the fuzz corpora through the bodies of the fuzz targets, on stable.

use std::fs;
use std::path::Path;

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
        profile::run(&fs::read(entry.unwrap().path()).unwrap());
    }
}
