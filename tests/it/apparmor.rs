//! The AppArmor profile, read by the real parser: the shipped one, and the one that
//! `newroot setup apparmor` writes. Nothing is loaded.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{Need, need, newroot};

/// A rule for user namespaces came with AppArmor 4.0, and with it the file of its abi.
const ABI: &str = "/etc/apparmor.d/abi/4.0";

/// Whether the parser takes it, and what it says.
fn parsed(profile: &Path) -> (bool, String) {
    let output = Command::new("apparmor_parser")
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .args(["-Q", "-T", "-K"])
        .arg(profile)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), said)
}

/// A parser of 4.0 takes the profile. An older one (Debian 12 has 3.0) has no `abi/4.0` and no
/// `userns`, and takes what is left without these two lines.
fn check(text: &str) {
    let top = tempfile::tempdir().unwrap();
    let path = top.path().join("newroot");
    fs::write(&path, text).unwrap();
    let (taken, said) = parsed(&path);
    if Path::new(ABI).exists() {
        assert!(taken, "{said}");
        return;
    }
    assert!(!taken && said.contains("abi/4.0"), "{said}");
    let older: Vec<&str> = text
        .lines()
        .filter(|line| *line != "abi <abi/4.0>," && *line != "  userns,")
        .collect();
    assert_eq!(older.len() + 2, text.lines().count(), "{text}");
    fs::write(&path, older.join("\n")).unwrap();
    let (taken, said) = parsed(&path);
    assert!(taken, "{said}");
    // And it does look: a line that means nothing is refused.
    fs::write(&path, older.join("\n").replace("profile", "profil")).unwrap();
    assert!(!parsed(&path).0);
}

#[test]
fn the_profile_is_what_the_parser_reads() {
    if !need(&[Need::Command("apparmor_parser")]) {
        return;
    }
    check(include_str!("../../profiles/apparmor/newroot"));
    let dry = newroot(["-n", "setup", "apparmor"]).run();
    dry.code(0)
        .stdout_has("apparmor_parser -r /etc/apparmor.d/newroot");
    let written = dry.stdout.strip_prefix("printf %s '").unwrap();
    check(written.split("' > ").next().unwrap());
}
