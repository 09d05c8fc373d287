//! What is in a jail that root builds.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};

use super::{command, in_root, jail, names, works};
use crate::need::Need;
use crate::strace::as_nobody;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        Trial::new(
            "jail::programs_run_in_it",
            &[Need::Command("git")],
            programs_run_in_it,
        ),
        Trial::new("jail::devices_work", &[], devices_work),
        Trial::new(
            "jail::privileges_are_dropped_and_kept",
            &[Need::Command("setcap"), Need::Command("getcap")],
            privileges_are_dropped_and_kept,
        ),
        Trial::new(
            "jail::attributes_and_owners_are_kept",
            &[Need::Command("setfacl"), Need::Command("getfacl")],
            attributes_and_owners_are_kept,
        ),
        Trial::new(
            "jail::modes_do_not_depend_on_the_umask",
            &[],
            modes_do_not_depend_on_the_umask,
        ),
        Trial::new("jail::nobody_builds_one", &[], nobody_builds_one),
        Trial::new(
            "jail::root_copies_what_others_own",
            &[],
            root_copies_what_others_own,
        ),
    ]
}

fn programs_run_in_it() {
    jail(&["build", "j", "bash", "ls", "git"]).run().code(0);
    let text = works("/tmp/j", &["/bin/bash", "-c", "ls / && git --version"]);
    assert!(text.contains("git version"), "{text}");
    for name in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
        assert!(text.lines().any(|line| line == name), "{name}: {text}");
    }
    // Those programs and nothing else.
    assert!(!in_root("/tmp/j", &["cat", "/etc/passwd"]).status.success());
    jail(&["check", "j"]).run().code(0).stdout_is("");
    jail(&["remove", "j"]).run().code(0);
    assert_eq!(names("/tmp"), [""; 0]);
}

fn devices_work() {
    jail(&["build", "j", "sh", "head", "wc"]).run().code(0);
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let meta = fs::metadata(format!("/tmp/j/dev/{name}")).unwrap();
        assert!(meta.file_type().is_char_device(), "{name}");
        assert_eq!(meta.permissions().mode() & 0o777, 0o666, "{name}");
        let host = fs::metadata(format!("/dev/{name}")).unwrap();
        assert_eq!(meta.rdev(), host.rdev(), "{name}");
    }
    assert_eq!(
        fs::read_link("/tmp/j/dev/ptmx").unwrap().to_str(),
        Some("pts/ptmx")
    );
}

fn privileges_are_dropped_and_kept() {
    fs::create_dir_all("/tmp/from/bin").unwrap();
    fs::copy("/usr/bin/true", "/tmp/from/bin/able").unwrap();
    fs::copy("/usr/bin/true", "/tmp/from/bin/suid").unwrap();
    command(&["setcap", "cap_net_raw+ep", "/tmp/from/bin/able"]);
    fs::set_permissions("/tmp/from/bin/suid", fs::Permissions::from_mode(0o6755)).unwrap();
    let mode = |path: &str| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let able = |path: &str| {
        let output = std::process::Command::new("getcap")
            .arg(path)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).contains("cap_net_raw")
    };
    jail(&["build", "j", "/tmp/from"])
        .run()
        .code(0)
        .stderr_has("set-user-id and set-group-id of /tmp/from/bin/suid")
        .stderr_has("file capabilities of /tmp/from/bin/able");
    assert_eq!(mode("/tmp/j/tmp/from/bin/suid"), 0o755);
    assert!(!able("/tmp/j/tmp/from/bin/able"));
    jail(&["check", "j"]).run().code(0);
    let kept = jail(&["build", "--keep-privileges", "k", "/tmp/from"]).run();
    kept.code(0);
    assert!(!kept.stderr.contains("left out"), "{}", kept.stderr);
    assert_eq!(mode("/tmp/k/tmp/from/bin/suid"), 0o6755);
    assert!(able("/tmp/k/tmp/from/bin/able"));
    jail(&["check", "k"]).run().code(0);
}

fn attributes_and_owners_are_kept() {
    fs::create_dir_all("/tmp/from/sub").unwrap();
    fs::write("/tmp/from/sub/file", "x").unwrap();
    command(&["chown", "-R", "12:34", "/tmp/from/sub"]);
    command(&["setfacl", "-m", "u:77:r--", "/tmp/from/sub/file"]);
    command(&["setfacl", "-d", "-m", "g:78:rwx", "/tmp/from/sub"]);
    jail(&["build", "j", "/tmp/from"]).run().code(0);
    for path in ["sub", "sub/file"] {
        let acl = |top: &str| {
            let file = format!("{top}/tmp/from/{path}");
            let output = std::process::Command::new("getfacl")
                .args(["-n", "-c", &file])
                .output()
                .unwrap();
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        assert_eq!(acl(""), acl("/tmp/j"), "{path}");
        let meta = fs::metadata(format!("/tmp/j/tmp/from/{path}")).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (12, 34), "{path}");
    }
}

fn modes_do_not_depend_on_the_umask() {
    const MODES: [u32; 10] = [
        0o644, 0o755, 0o600, 0o640, 0o444, 0o666, 0o711, 0o022, 0o1755, 0,
    ];
    fs::create_dir_all("/tmp/from").unwrap();
    for mode in MODES {
        for owner in ["0:0", "12:34"] {
            let file = format!("/tmp/from/{mode:o}.{owner}");
            fs::write(&file, "x").unwrap();
            command(&["chown", owner, &file]);
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
    for mask in ["000", "022", "077", "777"] {
        let script = format!("umask {mask} && exec \"$0\" \"$@\"");
        jail(&["build", "j", "/tmp/from"])
            .through(["sh", "-c", &script])
            .run()
            .code(0);
        for mode in MODES {
            for (owner, ids) in [("0:0", (0, 0)), ("12:34", (12, 34))] {
                let file = format!("/tmp/j/tmp/from/{mode:o}.{owner}");
                let meta = fs::metadata(&file).unwrap();
                assert_eq!(meta.mode() & 0o7777, mode, "{file}, umask {mask}");
                assert_eq!((meta.uid(), meta.gid()), ids, "{file}, umask {mask}");
            }
        }
        jail(&["check", "j"]).run().code(0).stdout_is("");
        jail(&["remove", "j"]).run().code(0);
    }
}

fn nobody_builds_one() {
    let run = as_nobody(jail(&["build", "j", "bash"])).run();
    run.code(0)
        .stderr_has("device nodes: only root may make them");
    let meta = fs::metadata("/tmp/j/usr/bin/bash").unwrap();
    assert_eq!((meta.uid(), meta.gid()), (65534, 65534));
    assert_eq!(works("/tmp/j", &["bash", "-c", "echo hello"]), "hello\n");
    as_nobody(jail(&["check", "j"])).run().code(0).stdout_is("");
    as_nobody(jail(&["remove", "j"])).run().code(0);
    assert!(!super::is_there("/tmp/j"));
}

fn root_copies_what_others_own() {
    fs::create_dir_all("/tmp/from/shut").unwrap();
    fs::write("/tmp/from/shut/file", "x").unwrap();
    fs::set_permissions("/tmp/from/shut", fs::Permissions::from_mode(0o500)).unwrap();
    fs::set_permissions("/tmp/from/shut/file", fs::Permissions::from_mode(0o000)).unwrap();
    command(&["chown", "-R", "65534:65534", "/tmp/from"]);
    // A user may neither write into such a directory nor read such a file.
    as_nobody(jail(&["build", "j", "/tmp/from"]))
        .run()
        .code(0)
        .stderr_has("/tmp/from/shut/file: left out: Permission denied (EACCES)");
    let mode = |path: &str| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode("/tmp/j/tmp/from/shut"), 0o500);
    as_nobody(jail(&["remove", "j"])).run().code(0);
    jail(&["build", "j", "/tmp/from"]).run().code(0);
    assert_eq!(mode("/tmp/j/tmp/from/shut/file"), 0);
}
