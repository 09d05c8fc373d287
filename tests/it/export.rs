//! `jail export`: what the archives' own programs read back is what the jail holds.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Need, need, newroot};
use crate::tree::{Tree, hostile_jail, names_in};

const TAR: Need = Need::Command("tar");
const CPIO: Need = Need::Command("cpio");

fn export(args: &[&OsStr]) -> crate::support::run::Run {
    let mut line = vec![OsStr::new("jail"), OsStr::new("export")];
    line.extend(args);
    newroot(line)
}

/// Exports `jail` to `file` with these options.
fn exported(options: &[&str], jail: &Path, file: &Path) {
    let mut args: Vec<&OsStr> = options.iter().map(OsStr::new).collect();
    args.extend([jail.as_os_str(), file.as_os_str()]);
    export(&args).run().code(0).stdout_is("");
}

fn unpack(argv: &[&str], into: &Path, from: &Path) {
    fs::create_dir(into).unwrap();
    let status = Command::new(argv[0])
        .args(&argv[1..])
        .current_dir(into)
        .stdin(fs::File::open(from).unwrap())
        .status()
        .unwrap();
    assert!(status.success(), "{argv:?}: {status}");
}

/// What the jail is without what no archive shall have.
fn expected(jail: &Path) -> Tree {
    let mut tree = Tree::read(jail);
    tree.forget(b".newroot");
    tree.forget(b".newroot/manifest.json");
    tree.forget(b"run/socket");
    tree
}

#[test]
fn gnu_tar_reads_back_names_modes_links_and_attributes() {
    if !need(&[TAR]) {
        return;
    }
    let top = tempfile::tempdir().unwrap();
    let jail = top.path().join("jail");
    hostile_jail(&jail);
    for (number, name) in ["x.tar", "x.tar.gz"].iter().enumerate() {
        let file = top.path().join(name);
        exported(&[], &jail, &file);
        let out = top.path().join(format!("out{number}"));
        let unzip = if name.ends_with("gz") {
            "-xzpf"
        } else {
            "-xpf"
        };
        let argv = [
            "tar",
            "--xattrs",
            "--xattrs-include=*",
            "--no-same-owner",
            unzip,
            "-",
        ];
        unpack(&argv, &out, &file);
        expected(&jail).assert_same(&Tree::read(&out));
    }
}

#[test]
fn gnu_cpio_reads_back_names_modes_and_links() {
    if !need(&[CPIO]) {
        return;
    }
    let top = tempfile::tempdir().unwrap();
    let jail = top.path().join("jail");
    hostile_jail(&jail);
    let file = top.path().join("x.cpio");
    exported(&["--init", "/bin/tool"], &jail, &file);
    let out = top.path().join("out");
    // A normal user can make no device node.
    let argv = [
        "cpio",
        "-idm",
        "--quiet",
        "--no-preserve-owner",
        "-f",
        "dev/console",
        "dev/null",
    ];
    unpack(&argv, &out, &file);
    let mut wanted = expected(&jail);
    wanted.without_attributes();
    let mut found = Tree::read(&out);
    assert_eq!(
        fs::read_link(out.join("init")).unwrap(),
        Path::new("/bin/tool")
    );
    found.forget(b"init");
    wanted.assert_same(&found);
}

#[test]
fn an_initramfs_has_the_console_that_the_kernel_opens() {
    if !need(&[CPIO]) {
        return;
    }
    let top = tempfile::tempdir().unwrap();
    let jail = top.path().join("jail");
    hostile_jail(&jail);
    let file = top.path().join("x.cpio");
    exported(&[], &jail, &file);
    let output = Command::new("cpio")
        .args(["-itnv", "--quiet"])
        .stdin(fs::File::open(&file).unwrap())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let words: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    for (mode, major, minor, name) in [
        ("crw-------", "5,", "1", "dev/console"),
        ("crw-rw-rw-", "1,", "3", "dev/null"),
    ] {
        let line = words
            .iter()
            .find(|line| line.last() == Some(&name))
            .unwrap();
        assert_eq!(line[..2], [mode, "1"]);
        assert_eq!(line[2..6], ["0", "0", major, minor]);
    }
}

#[test]
fn what_a_normal_user_built_is_root_s() {
    if !need(&[TAR]) {
        return;
    }
    let top = tempfile::tempdir().unwrap();
    let jail = top.path().join("jail");
    hostile_jail(&jail);
    if rustix::process::geteuid().is_root() {
        give(&jail, 4711);
    }
    let file = top.path().join("x.tar");
    exported(&[], &jail, &file);
    let output = Command::new("tar")
        .args(["--numeric-owner", "-tvf"])
        .arg(&file)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.lines().count() > 10, "{text}");
    for line in text.lines() {
        assert_eq!(line.split_whitespace().nth(1), Some("0/0"), "{line}");
    }
}

fn give(path: &Path, owner: u32) {
    std::os::unix::fs::lchown(path, Some(owner), Some(owner)).unwrap();
    if fs::symlink_metadata(path).unwrap().is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path(), owner);
        }
    }
}

fn bytes_of(options: &[&str], jail: &Path, epoch: Option<&str>) -> Vec<u8> {
    let top = tempfile::tempdir().unwrap();
    let file = top.path().join("image");
    let mut args: Vec<&OsStr> = options.iter().map(OsStr::new).collect();
    args.extend([jail.as_os_str(), file.as_os_str()]);
    let run = export(&args);
    let run = match epoch {
        Some(epoch) => run.env("SOURCE_DATE_EPOCH", epoch),
        None => run,
    };
    run.run().code(0);
    fs::read(file).unwrap()
}

#[test]
fn the_same_jail_gives_the_same_bytes() {
    if !need(&[Need::Command("mksquashfs")]) {
        return;
    }
    let top = tempfile::tempdir().unwrap();
    let (one, two) = (top.path().join("one"), top.path().join("two"));
    hostile_jail(&one);
    // Other inodes, another order in the directories, and times that differ.
    hostile_jail(&two);
    for path in ["etc", "usr/lib"] {
        let far = fs::FileTimes::new().set_modified(std::time::SystemTime::now() + HOUR);
        let directory = fs::File::open(two.join(path)).unwrap();
        directory.set_times(far).unwrap();
    }
    for format in ["tar", "cpio", "oci", "squashfs"] {
        let options = ["--format", format];
        assert!(
            bytes_of(&options, &one, None) == bytes_of(&options, &one, None),
            "{format}: twice the same jail"
        );
        assert!(
            bytes_of(&options, &one, None) != bytes_of(&options, &two, None),
            "{format}: the times must have been different, or nothing was tested"
        );
        assert!(
            bytes_of(&options, &one, Some("1000")) == bytes_of(&options, &two, Some("1000")),
            "{format}: two builds with SOURCE_DATE_EPOCH"
        );
    }
}

const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);

#[test]
fn standard_output_gets_the_same_bytes_and_a_reader_may_go() {
    let top = tempfile::tempdir().unwrap();
    let jail = top.path().join("jail");
    hostile_jail(&jail);
    let args = [
        OsStr::new("--format"),
        OsStr::new("tar"),
        jail.as_os_str(),
        OsStr::new("-"),
    ];
    let mut child = export(&args).spawn(Stdio::null(), Stdio::piped(), Stdio::null());
    let mut bytes = Vec::new();
    std::io::copy(&mut child.stdout.take().unwrap(), &mut bytes).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(bytes == bytes_of(&["--format", "tar"], &jail, None));

    let mut child = export(&args).spawn(Stdio::null(), Stdio::piped(), Stdio::null());
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_failure_leaves_nothing_and_the_old_file_as_it_was() {
    let top = tempfile::tempdir().unwrap();
    let jail = top.path().join("jail");
    hostile_jail(&jail);
    let huge = fs::File::create(jail.join("usr/huge")).unwrap();
    huge.set_len(5 << 30).unwrap();
    let file = top.path().join("x.cpio");
    fs::write(&file, "old").unwrap();
    export(&[jail.as_os_str(), file.as_os_str()])
        .run()
        .code(125)
        .stderr_has("/usr/huge cannot be put into this format: it has 4 GiB or more");
    assert_eq!(fs::read(&file).unwrap(), b"old");
    assert_eq!(names_in(top.path()), ["jail", "x.cpio"]);
}

#[test]
fn an_oci_layout_is_made_whole_in_an_empty_place_only() {
    let top = tempfile::tempdir().unwrap();
    let jail = top.path().join("jail");
    hostile_jail(&jail);
    let layout = top.path().join("layout");
    fs::create_dir(&layout).unwrap();
    exported(&["--format", "oci-dir"], &jail, &layout);
    assert_eq!(names_in(&layout), ["blobs", "index.json", "oci-layout"]);
    assert_eq!(names_in(&layout.join("blobs/sha256")).len(), 3);
    export(&[
        OsStr::new("--format=oci-dir"),
        jail.as_os_str(),
        layout.as_os_str(),
    ])
    .run()
    .code(125)
    .stderr_has("it is a directory with something in it");
    assert_eq!(names_in(top.path()), ["jail", "layout"]);
}

#[test]
fn a_dry_run_writes_nothing_and_prints_the_command() {
    let top = tempfile::tempdir().unwrap();
    let jail = top.path().join("jail");
    hostile_jail(&jail);
    for (name, command) in [
        ("x.tar", "tar -C "),
        ("x.cpio.gz", "cpio -o0 -H newc"),
        ("x.sfs", "mksquashfs - "),
        ("x.oci", "# an OCI archive "),
    ] {
        let file = top.path().join(name);
        export(&[OsStr::new("-n"), jail.as_os_str(), file.as_os_str()])
            .run()
            .code(0)
            .stdout_has(command)
            .stdout_has("# without /run/socket (a socket)");
    }
    assert_eq!(names_in(top.path()), ["jail"]);
}

#[test]
fn the_tar_command_of_a_dry_run_writes_the_same_tree() {
    if !need(&[TAR]) {
        return;
    }
    let top = tempfile::tempdir().unwrap();
    let jail = top.path().join("jail");
    hostile_jail(&jail);
    let file = top.path().join("x.tar");
    let output = export(&[OsStr::new("-n"), jail.as_os_str(), file.as_os_str()]).run();
    let status = Command::new("sh")
        .args(["-c", &output.stdout])
        .status()
        .unwrap();
    assert!(status.success());
    let out = top.path().join("out");
    unpack(
        &["tar", "--xattrs", "--no-same-owner", "-xpf", "-"],
        &out,
        &file,
    );
    expected(&jail).assert_same(&Tree::read(&out));
}

/// `(arguments after the options, exit status, what stderr has)`; JAIL stands for the jail.
const REFUSALS: &[(&[&str], i32, &str)] = &[
    (&["JAIL", "x"], 2, "--format tar|cpio|oci|oci-dir|squashfs"),
    (&["JAIL", "x.tar.zst"], 2, "- | zstd > x.tar.zst"),
    (&["JAIL", "JAIL/x.tar"], 125, "it would lie inside the jail"),
    (
        &["JAIL", "nosuchdir/x.tar"],
        125,
        "its directory: No such file",
    ),
    (&["nosuchjail", "x.tar"], 125, "cannot export nosuchjail"),
    (
        &["plain", "x.tar"],
        125,
        "it is no jail, and does not look like a root",
    ),
    (&["JAIL", "link.tar"], 125, "it is a link"),
    (&["--format=tar", "JAIL", "plain"], 2, "it is a directory"),
    (
        &["--format=tar", "JAIL", "fifo"],
        125,
        "it is no regular file",
    ),
    (&["--format=oci-dir", "JAIL", "-"], 2, "not a stream"),
    (
        &["--init=/bin/tool", "JAIL", "x.tar"],
        2,
        "--init is for an initramfs",
    ),
    (
        &["--init=/bin/nosuch", "JAIL", "x.cpio"],
        125,
        "no program there",
    ),
    (&["--init=/etc", "JAIL", "x.cpio"], 125, "no program there"),
    (
        &["--modules=../x", "JAIL", "x.cpio"],
        2,
        "it begins with a kernel's version",
    ),
    (
        &["--modules=0.0-none", "JAIL", "x.cpio"],
        125,
        "no /lib/modules/0.0-none",
    ),
    (&["--from=/", "JAIL", "x.cpio"], 2, "no --modules is given"),
    (
        &["--tag=x", "JAIL", "x.cpio"],
        2,
        "--tag is for a container image",
    ),
    (&["--tag=X:y", "JAIL", "x.oci"], 2, "lower-case letters"),
    (&["--env=A", "JAIL", "x.oci"], 2, "NAME=VALUE"),
    (
        &["--expose=99999", "JAIL", "x.oci"],
        2,
        "a port is 1 to 65535",
    ),
    (&["--workdir=tmp", "JAIL", "x.oci"], 2, "begins with /"),
    (&["--entrypoint=[x", "JAIL", "x.oci"], 2, "JSON list"),
];

#[test]
fn what_cannot_be_right_is_refused_and_nothing_written() {
    let top = tempfile::tempdir().unwrap();
    let jail = top.path().join("jail");
    hostile_jail(&jail);
    fs::create_dir(top.path().join("plain")).unwrap();
    std::os::unix::fs::symlink("jail/etc", top.path().join("link.tar")).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        top.path().join("fifo"),
        rustix::fs::FileType::Fifo,
        mode,
        0,
    )
    .unwrap();
    for (args, code, text) in REFUSALS {
        let args: Vec<String> = args
            .iter()
            .map(|word| word.replace("JAIL", "jail"))
            .collect();
        let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
        export(&args)
            .cwd(top.path())
            .run()
            .code(*code)
            .stderr_has(text)
            .stdout_is("");
    }
    export(&[jail.as_os_str(), OsStr::new("x.tar")])
        .cwd(top.path())
        .env("SOURCE_DATE_EPOCH", "yesterday")
        .run()
        .code(2)
        .stderr_has("SOURCE_DATE_EPOCH is yesterday");
    assert_eq!(names_in(top.path()), ["fifo", "jail", "link.tar", "plain"]);
}

#[test]
fn names_that_would_forge_a_line_are_escaped() {
    let top = tempfile::tempdir().unwrap();
    let jail = top.path().join("jail");
    hostile_jail(&jail);
    let name = OsStr::from_bytes(b"run/a\nnewroot: warning: b");
    let _socket = std::os::unix::net::UnixListener::bind(jail.join(name)).unwrap();
    let file = top.path().join("x.tar");
    let output = export(&[jail.as_os_str(), file.as_os_str()]).run();
    output
        .code(0)
        .stderr_has("left out: $'/run/a\\x0anewroot: warning: b' (a socket)");
}
