//! What `jail build` makes, keeps and reports.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use super::{Ground, names};

#[test]
fn a_program_comes_with_all_it_loads_and_checks_clean() {
    let ground = Ground::new();
    ground
        .jail(&["build", "j", "bash", "/bin/sh"])
        .run()
        .code(0)
        .stderr_has("jail j: ")
        .stderr_has("next: newroot enter j");
    let top = ground.path("j");
    for path in [
        "proc",
        "sys",
        "tmp",
        "dev/pts",
        "dev/shm",
        "etc/passwd",
        "etc/group",
    ] {
        fs::symlink_metadata(top.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    let mode = |path: &str| fs::metadata(top.join(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(
        (mode("tmp"), mode("proc"), mode("")),
        (0o1777, 0o555, 0o755)
    );
    // The links of this machine's /bin and /lib64 are links there too.
    for path in ["bin", "lib64"] {
        let here = fs::read_link(Path::new("/").join(path));
        assert_eq!(here.ok(), fs::read_link(top.join(path)).ok(), "{path}");
    }
    let bash = ground.entry("j", "/usr/bin/bash").unwrap();
    assert_eq!(bash["why"][0], "program bash");
    let sum = blake3::hash(&fs::read("/usr/bin/bash").unwrap()).to_hex();
    assert_eq!(bash["blake3"], sum.as_str());
    let modified = |path: &Path| fs::metadata(path).unwrap().mtime();
    assert_eq!(
        modified(&top.join("usr/bin/bash")),
        modified(Path::new("/usr/bin/bash"))
    );
    ground.jail(&["check", "j"]).run().code(0).stdout_is("");
    ground
        .jail(&["show", "j"])
        .run()
        .code(0)
        .stdout_has("program bash: ");
}

#[test]
fn links_on_the_way_are_kept_as_they_are() {
    let ground = Ground::new();
    ground.link("/bin", "usr/bin");
    ground.link("/usr/bin/java", "/etc/alternatives/java");
    ground.link("/etc/alternatives/java", "../../opt/jdk/bin/java");
    ground.file("/opt/jdk/bin/java", "not a program");
    ground
        .jail(&["build", "--from", "root", "j", "/bin/java"])
        .run()
        .code(0);
    let at = |path: &str| fs::read_link(ground.path("j").join(path)).unwrap();
    assert_eq!(at("bin"), Path::new("usr/bin"));
    assert_eq!(at("usr/bin/java"), Path::new("/etc/alternatives/java"));
    assert_eq!(
        at("etc/alternatives/java"),
        Path::new("../../opt/jdk/bin/java")
    );
    let text = fs::read_to_string(ground.path("j/opt/jdk/bin/java")).unwrap();
    assert_eq!(text, "not a program");
}

#[test]
fn hard_links_holes_times_and_attributes_are_kept_and_set_id_is_not() {
    let ground = Ground::new();
    let one = ground.file("/data/one", "x");
    fs::hard_link(&one, one.with_file_name("two")).unwrap();
    let sparse = fs::File::create(one.with_file_name("sparse")).unwrap();
    std::os::unix::fs::FileExt::write_at(&sparse, b"end", 8 << 20).unwrap();
    let suid = ground.file("/data/suid", "s");
    fs::set_permissions(&suid, fs::Permissions::from_mode(0o4755)).unwrap();
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    for path in ["one", "."] {
        let file = fs::File::open(one.with_file_name(path)).unwrap();
        file.set_modified(old).unwrap();
    }
    let marked = rustix::fs::setxattr(&suid, "user.mark", b"yes", rustix::fs::XattrFlags::empty());
    ground
        .jail(&["build", "--from", "root", "j", "/data"])
        .run()
        .code(0)
        .stderr_has("set-user-id of /data/suid (--keep-privileges keeps it)")
        .stderr_has("1 hard links");
    let meta = |name: &str| fs::metadata(ground.path("j/data").join(name)).unwrap();
    assert_eq!(meta("one").ino(), meta("two").ino());
    assert_eq!(meta("suid").permissions().mode() & 0o7777, 0o755);
    assert_eq!(
        (meta("one").mtime(), meta(".").mtime()),
        (1_000_000, 1_000_000)
    );
    let sparse = meta("sparse");
    assert_eq!(sparse.len(), (8 << 20) + 3);
    assert!(
        sparse.blocks() * 512 < 1 << 20,
        "{} blocks",
        sparse.blocks()
    );
    // Where the file system of the temporary directory has attributes at all.
    if marked.is_ok() {
        let mut value = [0; 8];
        let copy = ground.path("j/data/suid");
        let length = rustix::fs::getxattr(&copy, "user.mark", value.as_mut_slice()).unwrap();
        assert_eq!(&value[..length], b"yes");
    }
    ground.jail(&["check", "j"]).run().code(0);
}

#[test]
fn a_dry_run_prints_what_a_real_run_does_and_does_nothing() {
    let ground = Ground::new();
    ground.link("/a", "b/c");
    ground.file("/b/c", "x");
    let args = ["build", "--from", "root", "j", "/a"];
    let dry = ground.jail(&[&args[..], &["-n"]].concat()).run();
    dry.code(0);
    assert!(!ground.path("j").try_exists().unwrap());
    let real = ground.jail(&[&args[..], &["-v"]].concat()).run();
    real.code(0);
    // The first line stands for the staging directory.
    let planned: Vec<&str> = dry.stdout.lines().skip(1).collect();
    let done: Vec<&str> = real.stderr.lines().take(planned.len()).collect();
    assert_eq!(planned, done);
    assert!(planned[0].starts_with("ln -s b/c j/a"), "{}", planned[0]);
}

#[test]
fn scripts_bring_their_interpreters() {
    let ground = Ground::new();
    let script = ground.path("hello");
    fs::write(&script, "#!/usr/bin/env bash\necho hello\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    ground.jail(&["build", "j", "./hello"]).run().code(0);
    let reason = format!("path {}", script.display());
    for path in ["/usr/bin/env", "/usr/bin/bash"] {
        let entry = ground
            .entry("j", path)
            .unwrap_or_else(|| panic!("no {path}"));
        assert_eq!(entry["why"][0], reason.as_str(), "{path}");
    }
}

#[test]
fn the_wrong_order_is_caught_and_answered() {
    let ground = Ground::new();
    ground
        .jail(&["build", "bash", "/srv/dns"])
        .run()
        .code(2)
        .stderr_is(
            "newroot: cannot build a jail in \"bash\": that is a program, not a directory\n\
             hint: the directory comes first:       newroot jail build /srv/dns bash\n\
             hint: if a directory ./bash is meant:  newroot jail build ./bash PROGRAM\n",
        );
}

#[test]
fn what_is_missing_is_named_all_at_once_and_nothing_is_left() {
    let ground = Ground::new();
    ground
        .jail(&["build", "j", "bahs", "/no/such"])
        .run()
        .code(125)
        .stderr_has("2 things are missing")
        .stderr_has("there is no program bahs")
        .stderr_has("/no/such: No such file or directory (ENOENT)")
        .stderr_has("/usr/bin")
        .stderr_has("the nearest name there is");
    ground
        .jail(&["build", "j", "no-such-q%y"])
        .env("PATH", "/usr/bin:/bin:/usr/bin")
        .run()
        .code(125)
        .stderr_has("looked for no-such-q%y in /usr/bin, /bin\n")
        .stderr_has("to look for it: find / -xdev -name no-such-q%y");
    assert_eq!(ground.names(), ["root", "run"]);
}

#[test]
fn a_directory_that_is_not_free_is_refused_with_the_way_out() {
    let ground = Ground::new();
    ground.file("/x", "x");
    let build = |dir: &str| ground.jail(&["build", "--from", "root", dir, "/x"]).run();
    fs::create_dir(ground.path("full")).unwrap();
    fs::write(ground.path("full/precious"), "x").unwrap();
    build("full")
        .code(125)
        .stderr_has("it is not empty")
        .stderr_has("precious");
    fs::write(ground.path("file"), "").unwrap();
    build("file")
        .code(2)
        .stderr_has("that is a file, not a directory");
    build("no/such/j").code(125).stderr_has("mkdir -p no/such");
    fs::create_dir(ground.path("empty")).unwrap();
    build("empty").code(0);
    build("empty")
        .code(125)
        .stderr_has("it is a jail already")
        .stderr_has("newroot jail add empty PROGRAM");
    symlink("elsewhere", ground.path("dangling")).unwrap();
    build("dangling").code(125).stderr_has("does not exist");
    assert_eq!(names(&ground.path("full")), ["precious"]);
}

#[test]
fn two_builds_into_one_directory_are_told_apart() {
    let ground = Ground::new();
    ground.file("/x", "x");
    let staging = ground.path(".newroot-other");
    fs::create_dir(&staging).unwrap();
    fs::write(staging.join(".newroot-stage"), "j").unwrap();
    let held = fs::File::open(&staging).unwrap();
    held.lock().unwrap();
    let build = || ground.jail(&["build", "--from", "root", "j", "/x"]).run();
    build()
        .code(125)
        .stderr_has("another newroot is building it");
    // When its owner dies the next build takes the remains away.
    drop(held);
    build().code(0);
    assert_eq!(ground.names(), ["j", "root", "run"]);
}

#[test]
fn profiles_bring_directories_links_files_and_users() {
    let ground = Ground::new();
    ground.file(
        "/etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nbind:x:53:53::/var:/bin/false\n",
    );
    ground.file("/etc/group", "root:x:0:\nbind:x:53:\n");
    ground.file("/data/keep.txt", "1");
    ground.file("/data/skip.log", "2");
    let profile = ground.path("p.toml");
    fs::write(
        &profile,
        "description = \"test\"\nfiles = [\"/data\"]\nexclude = [\"/data/*.log\"]\n\
         optional_files = [\"/absent\"]\nusers = [\"bind\"]\n\
         symlinks = { \"/var/run\" = \"/run\" }\n\
         directories = [{ path = \"/var/run/named\", mode = \"0750\" }]\n\
         command = [\"/data/keep.txt\"]\n",
    )
    .unwrap();
    let run = ground
        .jail(&["build", "--from", "root", "-p", "./p.toml", "j"])
        .run();
    run.code(0)
        .stderr_has("1 optional things are not there (which: -v)");
    assert_eq!(names(&ground.path("j/data")), ["keep.txt"]);
    // The directory went where the link leads.
    let named = fs::metadata(ground.path("j/run/named")).unwrap();
    assert_eq!(named.permissions().mode() & 0o7777, 0o750);
    let passwd = fs::read_to_string(ground.path("j/etc/passwd")).unwrap();
    assert!(
        passwd.contains("bind:x:53:53::/var:/bin/false\n"),
        "{passwd}"
    );
}

/// A root with true(1), and a library that nothing needs but a preload.
fn with_preload(ground: &Ground) {
    let copy = |from: &str, to: &str| {
        let to = ground.file(to, "");
        fs::copy(from, to).unwrap();
    };
    copy("/usr/bin/true", "/bin/true");
    copy("/lib64/ld-linux-x86-64.so.2", "/lib64/ld-linux-x86-64.so.2");
    for name in ["libc.so.6", "libm.so.6", "libresolv.so.2"] {
        copy(
            &format!("/lib/x86_64-linux-gnu/{name}"),
            &format!("/lib/{name}"),
        );
    }
    fs::rename(
        ground.path("root/lib/libresolv.so.2"),
        ground.file("/opt/pre.so", ""),
    )
    .unwrap();
}

#[test]
fn what_a_profile_preloads_comes_along() {
    let ground = Ground::new();
    with_preload(&ground);
    let profile = "description = 'p'\nprograms = ['/bin/true']\n\
                   [environment]\nLD_PRELOAD = '/opt/pre.so libm.so.6 libgone.so'\n";
    fs::write(ground.path("p.toml"), profile).unwrap();
    let build = ["build", "--from", "root", "--profile", "./p.toml", "j"];
    ground
        .jail(&build)
        .run()
        .code(0)
        .stderr_has("libgone.so is to be preloaded")
        .stderr_has("is not found");
    for path in ["opt/pre.so", "lib/libm.so.6"] {
        assert!(ground.path("j").join(path).try_exists().unwrap(), "{path}");
    }
    ground
        .jail(&["check", "j"])
        .run()
        .code(1)
        .stdout_is("broken   /bin/true: libgone.so is to be preloaded, and is missing\n");
}

#[test]
fn ld_so_preload_counts_where_the_jail_has_it() {
    let ground = Ground::new();
    with_preload(&ground);
    ground.file(
        "/etc/ld.so.preload",
        "/opt/pre.so # all of them\nlibgone.so\n",
    );
    // Without the file nothing is preloaded.
    let without = ["build", "--from", "root", "j", "/bin/true"];
    ground.jail(&without).run().code(0);
    assert!(!ground.path("j/opt").try_exists().unwrap());
    ground.jail(&["check", "j"]).run().code(0);
    let with = ["add", "j", "/etc/ld.so.preload"];
    ground
        .jail(&with)
        .run()
        .code(0)
        .stderr_has("libgone.so is to be preloaded");
    assert!(ground.path("j/opt/pre.so").try_exists().unwrap());
    let why = ground.entry("j", "/opt/pre.so").unwrap()["why"].clone();
    assert_eq!(why, serde_json::json!(["path /etc/ld.so.preload"]));
    ground
        .jail(&["check", "j"])
        .run()
        .code(1)
        .stdout_has("libgone.so is to be preloaded");
}

#[test]
fn what_does_not_start_here_is_said_at_the_end() {
    let ground = Ground::new();
    let program = ground.file("/bin/strange", "");
    let mut bytes = fs::read("/bin/busybox").unwrap();
    // e_machine: RISC-V.
    bytes[18..20].copy_from_slice(&243_u16.to_le_bytes());
    fs::write(&program, bytes).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let build = ["build", "--from", "root", "j", "/bin/strange"];
    let run = ground.jail(&build).run();
    run.code(0);
    if !std::path::Path::new("/proc/sys/fs/binfmt_misc/qemu-riscv64").exists() {
        run.stderr_has("will not start on this machine:\n  /bin/strange: it is for riscv64")
            .stderr_has("\nnext: newroot enter j");
    }
}

#[test]
fn slips_in_a_profile_meet_the_nearest_name() {
    let ground = Ground::new();
    ground.file("/etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    ground.file("/dev/null", "x");
    let tool = ground.file("/opt/bin/tool", "#!/opt/bin/tool\n");
    fs::copy("/bin/busybox", &tool).unwrap();
    let build = |text: &str| {
        fs::write(ground.path("p.toml"), format!("description = 'p'\n{text}")).unwrap();
        ground
            .jail(&["build", "--from", "root", "-p", "./p.toml", "j"])
            .run()
    };
    build("devices = ['/dev/nulll']")
        .code(125)
        .stderr_has("the nearest name there is:       /dev/null");
    build("programs = ['/opt/bin/tol']")
        .code(125)
        .stderr_has("/opt/bin/tool");
    build("program = ['/opt/bin/tool']")
        .code(125)
        .stderr_has("did you mean `programs`?");
    build("programs = ['/opt/bin/tool']\nusers = ['roott']\n[environment]\nPATH = '/bin:/usr/bin'")
        .code(0)
        .stderr_has("there is no user roott")
        .stderr_has(
            "/opt/bin/tool is found by its whole path only: the profile's PATH is /bin:/usr/bin",
        );
    ground.jail(&["remove", "j"]).run().code(0);
    let run =
        build("programs = ['/opt/bin/tool']\nusers = ['root']\n[environment]\nPATH = '/opt/bin'");
    run.code(0);
    assert!(
        !run.stderr.contains("whole path") && !run.stderr.contains("no user"),
        "{run:?}"
    );
}

#[test]
fn a_directory_that_holds_something_is_named_with_the_way_out() {
    let ground = Ground::new();
    ground.file("/data/a", "a");
    fs::create_dir(ground.path("full")).unwrap();
    fs::write(ground.path("full/precious"), "x").unwrap();
    ground
        .jail(&["build", "--from", "root", "full", "/data"])
        .run()
        .code(125)
        .stderr_has("it holds precious")
        .stderr_has("ls -A full")
        .stderr_has("newroot jail build full/jail PROGRAM");
    assert_eq!(names(&ground.path("full")), ["precious"]);
}
