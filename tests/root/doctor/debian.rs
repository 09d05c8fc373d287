//! A real Debian to break: made once by debian.sh, kept below the target directory for as long
//! as that script is the same, never written to. The bench measures it too.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

const RECIPE: &str = include_str!("debian.sh");

/// The disk, made when it is not there yet.
pub(crate) fn disk() -> PathBuf {
    let mut hash = DefaultHasher::new();
    RECIPE.hash(&mut hash);
    let name = format!("debian-{:016x}", hash.finish());
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&place).unwrap();
    let lock = File::create(place.join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let disk = place.join("made.img");
    if !disk.is_file() {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/root/doctor/debian.sh");
        // It mounts what it fills: in a namespace that goes with it.
        let output = Command::new("unshare")
            .args(["--mount", "--propagation", "private"])
            .args([&script, &place])
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        fs::rename(place.join("disk.img"), &disk).unwrap();
    }
    disk
}
