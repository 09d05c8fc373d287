//! `jail export --modules`: against depmod and modprobe themselves, with modules of our own.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::need::find_program;
use crate::support::{Need, need, newroot};
use crate::tree::hostile_jail;

const NEEDS: &[Need] = &[
    Need::Command("gcc"),
    Need::Command("depmod"),
    Need::Command("modprobe"),
    Need::Command("cpio"),
    Need::Command("xz"),
];
const KERNEL: &str = "9.9-test";

/// Name, symbols it gives, symbols it needs, lines of its .modinfo.
type Module = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
);

const MODULES: &[Module] = &[
    ("libcrc", &["crc_do"], &[], &["alias=crypto-crc32c"]),
    ("mbcache", &["mb_get"], &[], &[]),
    ("jbd2", &["jbd2_go"], &["mb_get"], &[]),
    (
        "ext4",
        &[],
        &["jbd2_go", "mb_get"],
        &[
            "alias=fs-ext4",
            "alias=ext3",
            "softdep=pre: crypto-crc32c post: nothere",
        ],
    ),
    (
        "virtio-net",
        &[],
        &[],
        &[
            "alias=virtio:d00000001v*",
            "alias=pci:v00001AF4d[0-9]*sv-x",
            "alias=ext3",
        ],
    ),
    (
        "dm-mod",
        &["dm_x"],
        &[],
        &["alias=devname:mapper/control", "alias=char-major-10-236"],
    ),
    ("dm-crypt", &[], &["dm_x"], &[]),
    ("unasked", &["other"], &[], &["alias=fs-other"]),
];

/// A root with these modules, dm-crypt compressed, and depmod's tables.
fn kernel_root(top: &Path) -> PathBuf {
    let root = top.join("kernel-root");
    let directory = root.join("lib/modules").join(KERNEL);
    fs::create_dir_all(directory.join("kernel/fs")).unwrap();
    let mut order = String::new();
    for module in MODULES {
        let source = top.join("module.c");
        fs::write(&source, source_of(module)).unwrap();
        let object = directory.join(format!("kernel/fs/{}.ko", module.0));
        let compiled = Command::new("gcc")
            .arg("-c")
            .arg("-o")
            .args([&object, &source])
            .status();
        assert!(compiled.unwrap().success());
        writeln!(order, "kernel/fs/{}.ko", module.0).unwrap();
    }
    let compressed = directory.join("kernel/fs/dm-crypt.ko");
    assert!(
        Command::new("xz")
            .arg(compressed)
            .status()
            .unwrap()
            .success()
    );
    fs::write(directory.join("modules.order"), order).unwrap();
    fs::write(
        directory.join("modules.builtin"),
        "kernel/drivers/block/loop.ko\n",
    )
    .unwrap();
    fs::write(directory.join("modules.builtin.modinfo"), "").unwrap();
    let depmod = Command::new(find_program("depmod").unwrap())
        .arg("-b")
        .args([root.as_os_str(), OsStr::new(KERNEL)])
        .status();
    assert!(depmod.unwrap().success());
    root
}

/// C that has the sections which depmod reads.
fn source_of((name, gives, needs, info): &Module) -> String {
    let mut text = String::new();
    let in_section = "__attribute__((section(\"__ksymtab_strings\"),used))";
    for symbol in *gives {
        writeln!(text, "const char k_{symbol}[] {in_section} = \"{symbol}\";").unwrap();
    }
    let name = format!("name={name}");
    let in_section = "__attribute__((section(\".modinfo\"),used,aligned(1)))";
    for (number, line) in info.iter().copied().chain([name.as_str()]).enumerate() {
        writeln!(
            text,
            "static const char m{number}[] {in_section} = \"{line}\";"
        )
        .unwrap();
    }
    for symbol in *needs {
        writeln!(text, "extern void {symbol}(void);").unwrap();
    }
    let calls: String = needs.iter().map(|symbol| format!("{symbol}();")).collect();
    writeln!(text, "int start(void) {{ {calls} return 0; }}").unwrap();
    text
}

/// Exports with these modules and unpacks; returns the new root.
fn exported(top: &Path, from: &Path, modules: &str, options: &[&str]) -> PathBuf {
    let (jail, file, out) = (top.join("jail"), top.join("x.cpio"), top.join("out"));
    if !jail.is_dir() {
        hostile_jail(&jail);
    }
    let line = [
        OsStr::new("jail"),
        OsStr::new("export"),
        OsStr::new("--from"),
        from.as_os_str(),
        OsStr::new("--modules"),
        OsStr::new(modules),
        jail.as_os_str(),
        file.as_os_str(),
    ];
    let line = line.into_iter().chain(options.iter().map(OsStr::new));
    newroot(line).run().code(0);
    fs::create_dir(&out).unwrap();
    let unpacked = Command::new("cpio")
        .args(["-id", "--quiet", "--no-preserve-owner", "*lib/modules*"])
        .current_dir(&out)
        .stdin(fs::File::open(&file).unwrap())
        .status();
    assert!(unpacked.unwrap().success());
    out
}

/// What modprobe would load, paths relative to the root.
fn modprobe(root: &Path, name: &str) -> (bool, String) {
    let output = Command::new(find_program("modprobe").unwrap())
        .arg("-d")
        .arg(root)
        .args(["-S", KERNEL, "--show-depends", name])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (
        output.status.success(),
        text.replace(root.to_str().unwrap(), ""),
    )
}

fn files(root: &Path) -> BTreeSet<String> {
    walkdir::WalkDir::new(root)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| !entry.file_type().is_dir())
        .map(|entry| {
            entry
                .path()
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_string()
        })
        .collect()
}

#[test]
fn modprobe_finds_in_the_image_what_it_finds_in_the_system() {
    if !need(NEEDS) {
        return;
    }
    let top = tempfile::tempdir().unwrap();
    let from = kernel_root(top.path());
    let request = format!("{KERNEL}:ext4:dm_crypt,loop:virtio-net");
    let out = exported(top.path(), &from, &request, &[]);
    for name in [
        "ext4",
        "dm-crypt",
        "dm_crypt",
        "fs-ext4",
        "ext3",
        "virtio:d00000001v5",
        "pci:v00001AF4d77sv_x",
        "symbol:jbd2_go",
        "crypto-crc32c",
        "char-major-10-236",
        "loop",
    ] {
        let (found, text) = modprobe(&from, name);
        assert!(found, "{name} is not even in the system");
        assert_eq!(modprobe(&out, name), (true, text), "{name}");
    }
    for name in ["unasked", "fs-other", "symbol:other"] {
        assert!(modprobe(&from, name).0, "{name}");
        assert!(!modprobe(&out, name).0, "{name}");
    }
    let objects: Vec<String> = files(&out)
        .into_iter()
        .filter_map(|path| {
            path.split_once("kernel/fs/")
                .map(|(_, name)| name.to_string())
        })
        .collect();
    let wanted = [
        "dm-crypt.ko.xz",
        "dm-mod.ko",
        "ext4.ko",
        "jbd2.ko",
        "libcrc.ko",
        "mbcache.ko",
        "virtio-net.ko",
    ];
    assert_eq!(objects, wanted);
}

#[test]
fn without_a_name_all_tables_are_depmod_s_to_the_byte() {
    if !need(NEEDS) {
        return;
    }
    let top = tempfile::tempdir().unwrap();
    let from = kernel_root(top.path());
    let out = exported(top.path(), &from, KERNEL, &[]);
    assert_eq!(files(&out), files(&from));
    for name in files(&from) {
        let (theirs, ours) = (fs::read(from.join(&name)), fs::read(out.join(&name)));
        assert!(theirs.unwrap() == ours.unwrap(), "{name}");
    }
}

#[test]
fn modules_go_where_the_jail_s_lib_leads() {
    if !need(NEEDS) {
        return;
    }
    let top = tempfile::tempdir().unwrap();
    let from = kernel_root(top.path());
    let jail = top.path().join("jail");
    hostile_jail(&jail);
    std::os::unix::fs::symlink("usr/lib", jail.join("lib")).unwrap();
    let out = exported(top.path(), &from, &format!("{KERNEL}:libcrc"), &[]);
    assert!(
        out.join("usr/lib/modules")
            .join(KERNEL)
            .join("kernel/fs/libcrc.ko")
            .is_file()
    );
    assert!(
        fs::symlink_metadata(out.join("lib")).is_err(),
        "the link is not in the pattern"
    );
}

#[test]
fn a_module_that_is_not_there_is_named() {
    let top = tempfile::tempdir().unwrap();
    let jail = top.path().join("jail");
    hostile_jail(&jail);
    let directory = top.path().join("root/lib/modules/1");
    fs::create_dir_all(&directory).unwrap();
    // Paths that lead elsewhere are no modules.
    fs::write(
        directory.join("modules.dep"),
        "../../../etc/a.ko:\n/etc/b.ko:\nc.ko: ../d.ko\n",
    )
    .unwrap();
    fs::write(directory.join("c.ko"), "c").unwrap();
    let root = top.path().join("root");
    let file = top.path().join("x.cpio");
    let line = |modules: &str| {
        newroot([
            OsStr::new("jail"),
            OsStr::new("export"),
            OsStr::new("--from"),
            root.as_os_str(),
            OsStr::new("--modules"),
            OsStr::new(modules),
            jail.as_os_str(),
            file.as_os_str(),
        ])
        .run()
    };
    line("1:a:b:c")
        .code(125)
        .stderr_has("this kernel has no module a, b\n");
    line("1:c").code(0);
}
