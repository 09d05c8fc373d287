//! `jail export` as root: images that container tools check and run, devices, capabilities,
//! mounts inside the jail.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::fixture::busybox_root;
use crate::need::Need;
use crate::run::newroot;
use crate::trial::Trial;

const BUSYBOX: Need = Need::Command("busybox");

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new(
            "export::skopeo_checks_the_archive",
            &[BUSYBOX, Need::Command("skopeo")],
            skopeo_checks_the_archive,
        ),
        Trial::new(
            "export::crun_runs_the_image",
            &[BUSYBOX, Need::Command("umoci"), Need::Command("crun")],
            crun_runs_the_image,
        ),
        Trial::new(
            "export::devices_and_capabilities_go_where_the_format_wants_them",
            &[BUSYBOX, Need::Command("setcap"), Need::Command("umoci")],
            devices_and_capabilities,
        ),
        Trial::new(
            "export::busybox_unpacks_an_initramfs",
            &[BUSYBOX],
            busybox_unpacks,
        ),
        Trial::new("export::mounts_stay_out", &[BUSYBOX], mounts_stay_out),
        Trial::new(
            "export::a_squashfs_of_nobody_is_root_s",
            &[
                BUSYBOX,
                Need::Command("mksquashfs"),
                Need::Command("unsquashfs"),
            ],
            a_squashfs_of_nobody,
        ),
        Trial::new(
            "export::unreadable_files_are_an_error",
            &[BUSYBOX],
            unreadable,
        ),
    ]
}

/// A busybox jail with a manifest, in a directory that any user can enter.
fn jail() -> (tempfile::TempDir, PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;
    let top = tempfile::tempdir().unwrap();
    fs::set_permissions(top.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let jail = top.path().join("jail");
    fs::create_dir(&jail).unwrap();
    busybox_root(&jail);
    fs::hard_link(jail.join("bin/busybox"), jail.join("usr/bin/again")).unwrap();
    fs::create_dir(jail.join(".newroot")).unwrap();
    let manifest = json!({
        "version": 1,
        "programs": ["/bin/busybox"],
        "command": ["/bin/sh", "-c", "echo from the manifest"],
        "environment": { "COLOR": "blue" },
    });
    fs::write(jail.join(".newroot/manifest.json"), manifest.to_string()).unwrap();
    (top, jail)
}

fn export(options: &[&str], jail: &Path, file: &Path) {
    let line = ["jail", "export"].iter().chain(options).map(OsStr::new);
    newroot(line.chain([jail.as_os_str(), file.as_os_str()]))
        .run()
        .code(0);
}

/// Standard output of a program that must succeed.
fn output(argv: &[&OsStr]) -> String {
    let output = Command::new(argv[0]).args(&argv[1..]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{argv:?}: {}\n{text}{errors}",
        output.status
    );
    text
}

fn words(line: &str) -> Vec<&OsStr> {
    line.split(' ').map(OsStr::new).collect()
}

fn skopeo_checks_the_archive() {
    let (top, jail) = jail();
    let file = top.path().join("x.oci");
    let options = [
        "--tag",
        "quay.io/me/web:1.2",
        "--entrypoint",
        "/bin/sh",
        "--entrypoint",
        "-c",
        "--env",
        "COLOR=red",
        "--user",
        "5:6",
        "--workdir",
        "/tmp",
        "--expose",
        "80",
        "--expose",
        "53/udp",
    ];
    export(&options, &jail, &file);
    let name = format!("oci-archive:{}:1.2", file.display());
    let config: Value =
        serde_json::from_str(&output(&words(&format!("skopeo inspect --config {name}")))).unwrap();
    assert_eq!(config["config"]["Entrypoint"], json!(["/bin/sh", "-c"]));
    assert_eq!(
        config["config"].get("Cmd"),
        None,
        "the manifest's command is no argument"
    );
    assert_eq!(config["config"]["User"], "5:6");
    assert_eq!(config["config"]["WorkingDir"], "/tmp");
    assert_eq!(
        config["config"]["ExposedPorts"],
        json!({ "53/udp": {}, "80/tcp": {} })
    );
    let environment = config["config"]["Env"].as_array().unwrap();
    assert!(environment.contains(&json!("COLOR=red")), "{environment:?}");
    // A copy reads every blob and compares its digest, that of the unpacked layer too.
    let copy = format!("dir:{}", top.path().join("copy").display());
    let line = format!("skopeo --insecure-policy copy --dest-decompress {name} {copy}");
    output(&words(&line));

    export(&[], &jail, &file);
    let name = format!("oci-archive:{}", file.display());
    let config: Value =
        serde_json::from_str(&output(&words(&format!("skopeo inspect --config {name}")))).unwrap();
    let command = json!(["/bin/sh", "-c", "echo from the manifest"]);
    assert_eq!(config["config"]["Cmd"], command);
}

/// Unpacks `latest` of a layout as a bundle.
fn bundle(top: &Path, layout: &Path) -> PathBuf {
    let bundle = top.join("bundle");
    let image = format!("{}:latest", layout.display());
    output(&[
        OsStr::new("umoci"),
        OsStr::new("unpack"),
        OsStr::new("--image"),
        OsStr::new(&image),
        bundle.as_os_str(),
    ]);
    bundle
}

fn crun_runs_the_image() {
    let (top, jail) = jail();
    let layout = top.path().join("layout");
    let script = "echo $COLOR; id -u; id -g; pwd; ls /; ls -a /.newroot";
    let options = [
        "--format",
        "oci-dir",
        "--entrypoint",
        "/bin/sh",
        "--entrypoint",
        "-c",
        "--entrypoint",
        script,
        "--user",
        "5:6",
        "--workdir",
        "/tmp",
    ];
    export(&options, &jail, &layout);
    let bundle = bundle(top.path(), &layout);
    let file = bundle.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    config["process"]["terminal"] = json!(false);
    fs::write(&file, config.to_string()).unwrap();
    // crun before 1.27 refuses a v2 hierarchy beside v1: hidden where only crun sees it.
    let script = "! [ -d /sys/fs/cgroup/unified ] || umount /sys/fs/cgroup/unified
        exec crun --root /tmp/crun --cgroup-manager=disabled run --bundle \"$0\" newroot-trial";
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-ec", script])
        .arg(&bundle)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let (head, rest) = text.split_at(text.find("bin\n").unwrap_or(0));
    assert_eq!(head, "blue\n5\n6\n/tmp\n", "{text}{errors}");
    assert_eq!(rest, "bin\ndev\netc\nproc\nroot\nrun\nsys\ntmp\nusr\n");
    assert!(errors.contains("/.newroot: No such file"), "{errors}");
}

fn devices_and_capabilities() {
    let (top, jail) = jail();
    let ping = jail.join("bin/ping");
    fs::copy(jail.join("bin/busybox"), &ping).unwrap();
    output(&words(&format!("setcap cap_net_raw+ep {}", ping.display())));
    output(&words(&format!(
        "mknod -m 640 {} b 7 300",
        jail.join("dev/disk").display()
    )));
    std::os::unix::fs::chown(jail.join("etc/passwd"), Some(3_000_000), Some(7)).unwrap();

    let tar = top.path().join("x.tar");
    export(&[], &jail, &tar);
    let out = top.path().join("out");
    fs::create_dir(&out).unwrap();
    let line = format!(
        "tar --xattrs --xattrs-include=* -C {} -xpf {}",
        out.display(),
        tar.display()
    );
    output(&words(&line));
    let caps = |root: &Path| output(&[OsStr::new("getcap"), root.join("bin/ping").as_os_str()]);
    assert!(caps(&out).contains("cap_net_raw=ep"));
    let disk = fs::metadata(out.join("dev/disk")).unwrap();
    assert!(disk.file_type().is_block_device());
    assert_eq!(
        (
            rustix::fs::major(disk.rdev()),
            rustix::fs::minor(disk.rdev())
        ),
        (7, 300)
    );
    let passwd = fs::metadata(out.join("etc/passwd")).unwrap();
    assert_eq!((passwd.uid(), passwd.gid()), (3_000_000, 7));
    assert!(!out.join("dev/console").try_exists().unwrap());

    let layout = top.path().join("layout");
    let line = ["jail", "export", "--format", "oci-dir"].map(OsStr::new);
    newroot(
        line.into_iter()
            .chain([jail.as_os_str(), layout.as_os_str()]),
    )
    .run()
    .code(0)
    .stderr_has("left out: /dev/disk (a device node");
    let rootfs = bundle(top.path(), &layout).join("rootfs");
    assert!(caps(&rootfs).contains("cap_net_raw=ep"));
    assert_eq!(fs::read_dir(rootfs.join("dev")).unwrap().count(), 0);

    let line = ["jail", "export"].map(OsStr::new);
    let cpio = top.path().join("x.cpio");
    newroot(line.into_iter().chain([jail.as_os_str(), cpio.as_os_str()]))
        .run()
        .code(0)
        .stderr_has("lost from /bin/ping");
}

fn busybox_unpacks() {
    let (top, jail) = jail();
    let file = top.path().join("x.cpio");
    fs::write(jail.join("bin/start"), "#!/bin/sh\ncat /etc/group\n").unwrap();
    output(&words(&format!(
        "chmod 755 {}",
        jail.join("bin/start").display()
    )));
    export(&["--init", "/bin/start"], &jail, &file);
    let out = top.path().join("out");
    fs::create_dir(&out).unwrap();
    let status = Command::new("busybox")
        .args(["cpio", "-id"])
        .current_dir(&out)
        .stdin(fs::File::open(&file).unwrap())
        .status();
    assert!(status.unwrap().success());
    let names = ["bin/busybox", "usr/bin/again"].map(|name| fs::metadata(out.join(name)).unwrap());
    assert_eq!(names[0].ino(), names[1].ino());
    assert_eq!(names[0].nlink(), 2);
    assert_eq!(
        fs::read(out.join("bin/busybox")).unwrap(),
        fs::read(jail.join("bin/busybox")).unwrap()
    );
    let console = fs::metadata(out.join("dev/console")).unwrap();
    assert!(console.file_type().is_char_device());
    assert_eq!(console.rdev(), rustix::fs::makedev(5, 1));
    // What the kernel would start, started in its root.
    let started = Command::new("chroot")
        .arg(&out)
        .arg("/init")
        .output()
        .unwrap();
    assert_eq!(started.stdout, fs::read(jail.join("etc/group")).unwrap());
    assert!(!out.join(".newroot").try_exists().unwrap());
}

fn mounts_stay_out() {
    let (top, jail) = jail();
    let mount = |arguments: &str| output(&words(&format!("mount {arguments}")));
    mount(&format!(
        "-t tmpfs newroot-trial {}",
        jail.join("run").display()
    ));
    fs::write(jail.join("run/secret"), "x").unwrap();
    // Of the same file system, so that st_dev tells nothing.
    let outside = top.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret2"), "x").unwrap();
    mount(&format!(
        "--bind {} {}",
        outside.display(),
        jail.join("root").display()
    ));
    let group = jail.join("etc/group");
    mount(&format!(
        "--bind {} {}",
        outside.join("secret2").display(),
        group.display()
    ));
    let file = top.path().join("x.tar");
    let line = ["jail", "export"].map(OsStr::new);
    newroot(line.into_iter().chain([jail.as_os_str(), file.as_os_str()]))
        .run()
        .code(0)
        .stderr_has("left out: /run (another file system is mounted there")
        .stderr_has("left out: /root (another file system is mounted there")
        .stderr_has("left out: /etc/group (a file is mounted over it)");
    let names = output(&words(&format!("tar -tf {}", file.display())));
    let names: Vec<&str> = names.lines().collect();
    for wanted in ["run/", "root/", "etc/passwd"] {
        assert!(names.contains(&wanted), "{names:?}");
    }
    let hidden = ["secret", "etc/group"];
    assert!(
        !names
            .iter()
            .any(|name| hidden.iter().any(|part| name.contains(part))),
        "{names:?}"
    );
    for name in ["run", "root", "etc/group"] {
        output(&words(&format!("umount {}", jail.join(name).display())));
    }
}

fn as_nobody() -> Vec<&'static str> {
    vec![
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--",
    ]
}

fn a_squashfs_of_nobody() {
    let (top, jail) = jail();
    output(&words(&format!(
        "chown -R -h 65534:65534 {}",
        top.path().display()
    )));
    let file = top.path().join("x.sfs");
    let line = ["jail", "export"].map(OsStr::new);
    newroot(line.into_iter().chain([jail.as_os_str(), file.as_os_str()]))
        .through(as_nobody())
        .run()
        .code(0);
    let list = output(&words(&format!("unsquashfs -lln {}", file.display())));
    let lines: Vec<&str> = list
        .lines()
        .filter(|line| line.contains("squashfs-root"))
        .collect();
    assert!(lines.len() > 10, "{list}");
    for line in lines {
        assert_eq!(line.split_whitespace().nth(1), Some("0/0"), "{list}");
    }
    let out = top.path().join("out");
    output(&words(&format!(
        "unsquashfs -no-progress -d {} {}",
        out.display(),
        file.display()
    )));
    assert_eq!(fs::metadata(&out).unwrap().mode() & 0o7777, 0o755);
    assert_eq!(fs::metadata(out.join("bin/busybox")).unwrap().nlink(), 2);
    assert!(!out.join(".newroot").try_exists().unwrap());
}

fn unreadable() {
    use std::os::unix::fs::PermissionsExt as _;
    let (top, jail) = jail();
    fs::set_permissions(jail.join("etc/group"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(top.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let file = top.path().join("x.tar");
    let line = ["jail", "export"].map(OsStr::new);
    newroot(line.into_iter().chain([jail.as_os_str(), file.as_os_str()]))
        .through(as_nobody())
        .run()
        .code(125)
        .stderr_has("cannot read /etc/group: Permission denied")
        .stderr_has("hint: read it as root");
    assert!(!file.try_exists().unwrap());
}
