//! Names, links and files that mean harm.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::{Ground, names};

#[test]
fn a_name_is_never_a_command_and_never_reaches_the_terminal_raw() {
    let ground = Ground::new();
    for name in ["a;touch PWNED", "b\x1b[31m\nred", "$(touch PWNED)"] {
        let path = ground.path("root").join(name);
        fs::copy("/usr/bin/true", &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let dir = ground.path("root");
    let item = dir.to_str().unwrap();
    let dry = ground.jail(&["build", "-n", "j", item]).run();
    dry.code(0);
    // What -n prints can be pasted: nothing but quoted words.
    let script = dry.stdout.replace("mknod", "true");
    fs::write(ground.path("paste.sh"), script).unwrap();
    let pasted = std::process::Command::new("bash")
        .arg("paste.sh")
        .current_dir(ground.path(""))
        .output()
        .unwrap();
    assert!(pasted.status.success(), "{pasted:?}");
    fs::rename(ground.path("j"), ground.path("pasted")).unwrap();
    ground.jail(&["build", "j", item]).run().code(0);
    let inside = item.trim_start_matches('/');
    let (copied, by_hand) = (
        ground.path("j").join(inside),
        ground.path("pasted").join(inside),
    );
    assert_eq!(names(&copied), names(&by_hand));
    for verb in ["check", "show"] {
        let run = ground.jail(&[verb, "j"]).run();
        run.code(0);
        assert!(!run.stdout.contains('\x1b'), "{}", run.stdout);
    }
    fs::write(copied.join("b\x1b[31m\nred"), "edited").unwrap();
    let run = ground.jail(&["check", "j"]).run();
    run.code(1).stdout_has("b\\x1b[31m\\nred");
    assert_eq!(
        run.stdout
            .lines()
            .filter(|line| line.starts_with("content"))
            .count(),
        1
    );
    assert!(!ground.names().contains(&String::from("PWNED")));
}

#[test]
fn a_pipe_or_socket_is_left_out_and_never_waited_for() {
    let ground = Ground::new();
    ground.file("/data/x", "x");
    let fifo = ground.path("root/data/pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    ground
        .jail(&["build", "--from", "root", "j", "/data"])
        .run()
        .code(0)
        .stderr_has("/data/pipe: a socket or named pipe is not copied");
    assert_eq!(names(&ground.path("j/data")), ["x"]);
    ground
        .jail(&["build", "--from", "root", "k", "/data/pipe"])
        .run()
        .code(125)
        .stderr_has("/data/pipe is neither a file nor a directory nor a device");
}

/// What `name` of this machine begins with, as a file of the root.
fn cut(ground: &Ground, name: &str, as_path: &str, length: usize) {
    let bytes = fs::read(name).unwrap();
    let path = ground.file(as_path, "");
    fs::write(&path, &bytes[..length.min(bytes.len())]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_program_or_library_that_is_cut_off_is_refused() {
    let ground = Ground::new();
    let whole = usize::MAX;
    cut(
        &ground,
        "/lib64/ld-linux-x86-64.so.2",
        "/lib64/ld-linux-x86-64.so.2",
        whole,
    );
    cut(
        &ground,
        "/lib/x86_64-linux-gnu/libc.so.6",
        "/lib/libc.so.6",
        whole,
    );
    cut(&ground, "/usr/bin/true", "/bin/true", 20_000);
    let closure = |path: &str| {
        crate::support::newroot(["closure", "--root", "root", path])
            .cwd(ground.path(""))
            .run()
    };
    let build = |name: &str| {
        ground
            .jail(&["build", "--from", "root", name, "/bin/true"])
            .run()
    };
    build("j")
        .code(125)
        .stderr_has("/bin/true: the file is cut off: it has 20000 bytes");
    closure("/bin/true")
        .code(1)
        .stderr_has("/bin/true: the file is cut off");
    assert!(!ground.path("j").try_exists().unwrap());
    cut(&ground, "/usr/bin/true", "/bin/true", whole);
    closure("/bin/true").code(0);
    build("j").code(0);
    cut(
        &ground,
        "/lib/x86_64-linux-gnu/libc.so.6",
        "/lib/libc.so.6",
        1_000_000,
    );
    build("k")
        .code(125)
        .stderr_has("/bin/true needs /lib/libc.so.6: the file is cut off: it has 1000000 bytes");
    // It happens in the jail, too.
    cut(
        &ground,
        "/lib64/ld-linux-x86-64.so.2",
        "/lib64/ld-linux-x86-64.so.2",
        9000,
    );
    fs::copy(
        ground.path("root/lib64/ld-linux-x86-64.so.2"),
        ground.path("j/lib64/ld-linux-x86-64.so.2"),
    )
    .unwrap();
    ground
        .jail(&["check", "j"])
        .run()
        .code(1)
        .stdout_has("broken   /bin/true: /lib64/ld-linux-x86-64.so.2: the file is cut off");
    // Among other files it is one of them.
    ground
        .jail(&["build", "--from", "root", "l", "/bin"])
        .run()
        .code(0)
        .stderr_has("is cut off");
}

#[test]
fn links_of_a_foreign_root_do_not_lead_out_of_it() {
    let ground = Ground::new();
    ground.file("/etc/passwd", "inside\n");
    ground.link("/up", "../../../../../../../../etc/passwd");
    ground.link("/absolute", "/etc/passwd");
    ground.link("/round", "round");
    ground
        .jail(&["build", "--from", "root", "j", "/up", "/absolute"])
        .run()
        .code(0);
    let text = fs::read_to_string(ground.path("j/etc/passwd")).unwrap();
    assert_eq!(text, "inside\n");
    // Thirty, one on the way after them, and fifteen more: the kernel follows forty.
    for at in 1..=30 {
        ground.link(&format!("/l{at}"), &format!("l{}", at - 1));
    }
    ground.link("/l0", "d");
    for at in 1..=15 {
        ground.link(&format!("/m{at}"), &format!("m{}", at - 1));
    }
    ground.link("/m0", "e");
    ground.file("/e/g", "end");
    ground.link("/d/f", "/m15/g");
    for endless in ["/round", "/l30/f"] {
        ground
            .jail(&["build", "--from", "root", "k", endless])
            .run()
            .code(125)
            .stderr_has("ELOOP");
    }
}

/// The kernel's word counts on whether a path leads anywhere.
#[test]
fn a_file_is_no_directory() {
    let ground = Ground::new();
    let profile = "description = 'p'\nprograms = ['/usr/bin/true/']\n";
    fs::write(ground.path("p.toml"), profile).unwrap();
    ground
        .jail(&["build", "-p", "./p.toml", "j"])
        .run()
        .code(125)
        .stderr_has("ENOTDIR");
}

#[test]
fn an_update_never_writes_through_a_link_of_the_jail() {
    let ground = Ground::new();
    ground.file("/data/a", "a1");
    ground
        .jail(&["build", "--from", "root", "j", "/data"])
        .run()
        .code(0);
    let outside = ground.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("a"), "untouched").unwrap();
    fs::remove_dir_all(ground.path("j/data")).unwrap();
    symlink(&outside, ground.path("j/data")).unwrap();
    ground.file("/data/a", "a2");
    ground.file("/data/b", "b");
    ground
        .jail(&["update", "j"])
        .run()
        .code(1)
        .stderr_has("/data: was edited in the jail")
        .stderr_has("/data/b: something that newroot did not make is in the way");
    assert_eq!(names(&outside), ["a"]);
    assert_eq!(fs::read_to_string(outside.join("a")).unwrap(), "untouched");
    // And removing does not follow it either.
    ground.jail(&["remove", "--all", "j"]).run().code(0);
    assert_eq!(names(&outside), ["a"]);
}

#[test]
fn a_damaged_manifest_is_refused() {
    let ground = Ground::new();
    ground.file("/x", "x");
    ground
        .jail(&["build", "--from", "root", "j", "/x"])
        .run()
        .code(0);
    let manifest = ground.path("j/.newroot/manifest.json");
    let good = fs::read_to_string(&manifest).unwrap();
    for bad in ["", "{", "[]", "{\"version\": 99}", &good[..good.len() / 2]] {
        fs::write(&manifest, bad).unwrap();
        for verb in ["check", "update", "show", "remove"] {
            ground
                .jail(&[verb, "j"])
                .run()
                .code(125)
                .stderr_has("its manifest");
        }
    }
    // A path that climbs stays inside.
    fs::write(ground.path("victim"), "x").unwrap();
    fs::write(&manifest, good.replace("\"/x\"", "\"/../victim\"")).unwrap();
    ground.jail(&["remove", "j"]).run();
    assert!(ground.path("victim").try_exists().unwrap());
}
