//! `newroot features` on the real kernel: true, and without a trace.

use std::fs;

use crate::run::newroot;
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("features::looking_changes_nothing", &[], no_trace),
        Trial::new("features::what_it_says_is_so", &[], truth),
        Trial::new(
            "features::what_forbids_user_namespaces_is_named",
            &[],
            forbidden,
        ),
        Trial::new(
            "features::a_missing_program_names_its_package",
            &[],
            packages,
        ),
    ]
}

fn report() -> serde_json::Value {
    let run = newroot(["features", "--json"]).run();
    run.code(0);
    serde_json::from_str(&run.stdout).unwrap()
}

fn state(report: &serde_json::Value, name: &str) -> String {
    let list = report["kernel"].as_array().unwrap();
    let found = list.iter().find(|it| it["name"] == name);
    let found = found.unwrap_or_else(|| panic!("no {name}"));
    found["state"].as_str().unwrap().to_owned()
}

/// Modules, filesystem drivers, mounts and devices.
fn machine() -> Vec<String> {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let list = |path: &str| {
        let mut names: Vec<String> = fs::read_dir(path)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names.join(" ")
    };
    vec![
        text("/proc/modules"),
        text("/proc/filesystems"),
        text("/proc/self/mountinfo"),
        list("/sys/module"),
        list("/sys/class/misc"),
        list("/dev"),
    ]
}

fn no_trace() {
    let before = machine();
    newroot(["features"]).run().code(0);
    report();
    assert_eq!(machine(), before);
}

fn truth() {
    let report = report();
    let drivers = fs::read_to_string("/proc/filesystems").unwrap();
    for name in ["ext4", "xfs", "btrfs", "overlay", "squashfs"] {
        let listed = drivers
            .lines()
            .any(|line| line.ends_with(&format!("\t{name}")));
        assert_eq!(state(&report, name) == "yes", listed, "{name}");
    }
    // What the other trials of this binary rest on.
    assert_eq!(state(&report, "newer system calls"), "yes");
    assert_eq!(state(&report, "seccomp"), "yes");
    let tools = report["tools"].as_array().unwrap();
    for tool in tools {
        let name = tool["name"].as_str().unwrap();
        if let Some(path) = tool["path"].as_str() {
            assert!(fs::metadata(path).unwrap().is_file(), "{name}: {path}");
        } else {
            assert!(!fs::exists(format!("/usr/sbin/{name}")).unwrap(), "{name}");
        }
    }
}

fn forbidden() {
    let limit = "/proc/sys/user/max_user_namespaces";
    assert_eq!(state(&report(), "user namespaces"), "yes");
    // The limit is a user namespace's own, so one is made, with everything else of the caller's.
    let script = format!(
        "echo 0 > {limit} && exec {} --plain features",
        std::env::var("NEWROOT_BIN").unwrap()
    );
    let output = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-c", &script])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert!(text.contains("user.max_user_namespaces=0"), "{text}");
    assert!(
        error.contains("sysctl -w user.max_user_namespaces"),
        "{error}"
    );
}

fn packages() {
    let run = newroot(["features"]).run();
    let report = report();
    let tools = report["tools"].as_array().unwrap();
    for tool in tools.iter().filter(|tool| tool["path"].is_null()) {
        let name = tool["name"].as_str().unwrap();
        let line = run
            .stdout
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap();
        assert!(line.contains(" NO "), "{line}");
        if let (Some(package), Some(installer)) =
            (tool["package"].as_str(), report["installer"].as_str())
        {
            run.stderr_has(installer).stderr_has(package);
        }
    }
    run.stderr_has("Nothing was changed by looking.");
}
