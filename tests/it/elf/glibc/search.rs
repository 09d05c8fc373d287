//! G5, G6, G7, G10, G11: where a name is looked for.

use std::fs;
use std::process::Command;

use newroot::elf::{Engine, Options};
use newroot::model::RootPath;
use newroot::probe::cpu::cpu;

use super::super::lab::{Lab, host_options, names, path, rule};
use super::super::writer::{Elf, FLAGS_1, RUNPATH};
use super::{GCC, NEW, OLD, closure, tree};
use crate::support::{Need, need};

#[test]
fn g05_names_with_a_slash() {
    if !need(GCC) {
        return;
    }
    let lab = Lab::new("gcc");
    let soname = "-Wl,-soname,@/abs/libabs.so";
    lab.lib("abs/libabs.so", &[soname], &[]);
    lab.lib("rel/libo.so", &["-Wl,-soname,$ORIGIN/rel/libo.so"], &[]);
    lab.prog("p", &[], &["abs/libabs.so", "rel/libo.so"]);
    let closure = lab.agree("p");
    assert_eq!(closure.objects.len(), 3);
    assert!(closure.needs_proc);
    assert_eq!(closure.objects[0].found_by.word(), "path");
    // No search, whatever directories there are.
    lab.remove("abs/libabs.so").lib("other/libabs.so", &[], &[]);
    assert_eq!(lab.agree_with("p", "@/other").missing.len(), 1);
    // A colon is a plain character.
    lab.lib("a:b/libcolon.so", &["-Wl,-soname,@/a:b/libcolon.so"], &[]);
    lab.prog("colon", &[], &["a:b/libcolon.so"]);
    assert!(lab.agree("colon").missing.is_empty());
}

#[test]
fn g06_rpath_is_inherited_and_runpath_is_not() {
    if !need(GCC) {
        return;
    }
    let lab = Lab::new("gcc");
    lab.lib("deep/libc1.so", &[], &[]);
    lab.lib("libb.so", &[], &["deep/libc1.so"]);
    lab.lib("liba.so", &[], &["libb.so"]);
    let paths = "-Wl,-rpath,@/:@/deep";
    lab.prog("rpath", &[OLD, paths], &["liba.so"]);
    lab.prog("runpath", &[NEW, paths], &["liba.so"]);
    assert!(lab.agree("rpath").missing.is_empty());
    assert_eq!(names(&lab.agree("runpath")), ["liba.so", "libc.so.6"]);
    // A library in between passes its RPATH on; one with RUNPATH is passed over.
    lab.lib("libb.so", &[OLD, "-Wl,-rpath,@/deep"], &["deep/libc1.so"]);
    lab.prog("middle", &[NEW, "-Wl,-rpath,@/"], &["liba.so"]);
    lab.lib("liba.so", &[NEW, "-Wl,-rpath,@/nowhere"], &["libb.so"]);
    lab.agree("middle");
    // RUNPATH in the requester switches off what it would inherit.
    lab.prog("off", &[OLD, paths], &["liba.so"]);
    assert_eq!(lab.agree("off").missing.len(), 1);
}

#[test]
fn g06_library_path_loses_to_rpath_and_beats_runpath() {
    if !need(GCC) {
        return;
    }
    let lab = Lab::new("gcc");
    lab.lib("one/libx.so", &[], &[])
        .lib("two/libx.so", &[], &[]);
    lab.prog("rpath", &[OLD, "-Wl,-rpath,@/one"], &["one/libx.so"]);
    lab.prog("runpath", &[NEW, "-Wl,-rpath,@/one"], &["one/libx.so"]);
    let closure = lab.agree_with("rpath", "@/none;@/two");
    assert_eq!(rule(&closure, "libx.so"), Some("rpath"));
    let closure = lab.agree_with("runpath", "@/none;@/two");
    assert_eq!(rule(&closure, "libx.so"), Some("library-path"));
    assert_eq!(path(&closure, "libx.so"), lab.text("two/libx.so"));
}

#[test]
fn g06_nodeflib_refuses_the_default_directories() {
    if !need(GCC) {
        return;
    }
    let lab = Lab::new("gcc");
    lab.prog("p", &["-Wl,-z,nodefaultlib"], &[]);
    let closure = lab.agree("p");
    assert_eq!(closure.missing.len(), 1, "{closure:?}");
    // Only the requester's own flag counts.
    let tree = tree()
        .with_file("/usr/lib/libx.so", Elf::lib().build())
        .with_file("/opt/liby.so", Elf::lib().needs(&["libx.so"]).build())
        .with_file("/p", {
            let elf = Elf::prog().number(FLAGS_1, 0x800).text(RUNPATH, "/opt");
            elf.needs(&["liby.so"]).build()
        });
    assert!(self::closure(&tree, "/p").missing.is_empty());
}

#[test]
fn g06_empty_elements_are_the_working_directory() {
    let tree = tree()
        .with_file("/work/libx.so", Elf::lib().build())
        .with_file(
            "/p",
            Elf::prog()
                .text(RUNPATH, "/a::/b")
                .needs(&["libx.so"])
                .build(),
        )
        .with_file(
            "/q",
            Elf::prog().text(RUNPATH, "").needs(&["libx.so"]).build(),
        );
    let options = Options {
        cwd: RootPath::new("/work"),
        ..Options::default()
    };
    let mut engine = Engine::with_options(&tree, options);
    let found = engine.closure(&RootPath::new("/p")).unwrap();
    assert_eq!(path(&found, "libx.so"), "/work/libx.so");
    let none = engine.closure(&RootPath::new("/q")).unwrap();
    assert_eq!(none.missing.len(), 1, "an empty text is no path at all");
}

#[test]
fn g07_hwcaps_subdirectories() {
    if !need(GCC) {
        return;
    }
    let lab = Lab::new("gcc");
    lab.lib("d/libx.so", &[], &[]);
    for level in ["x86-64-v2", "x86-64-v3", "x86-64-v4", "x86-64-v9"] {
        lab.copy("d/libx.so", &format!("d/glibc-hwcaps/{level}/libx.so"));
    }
    lab.prog("p", &["-Wl,-rpath,@/d"], &["d/libx.so"]);
    lab.agree("p");
    // Legacy directories, which glibc has not looked at since 2.37.
    lab.lib("l/liby.so", &[], &[]);
    for sub in ["tls", "x86_64", "haswell", "tls/haswell", "tls/x86_64"] {
        lab.copy("l/liby.so", &format!("l/{sub}/liby.so"));
    }
    lab.prog("q", &["-Wl,-rpath,@/l"], &["l/liby.so"]);
    lab.agree("q");
    let options = Options {
        variants: true,
        ..host_options()
    };
    let closure = lab.closure("p", options);
    let variants = &closure.objects[0].variants;
    assert_eq!(variants.len(), 5, "{variants:?}");
    assert_eq!(variants[0].path.to_string(), lab.text("d/libx.so"));
    assert_eq!(variants[0].level, None);
}

#[test]
fn g10_origin_of_program_and_library() {
    if !need(GCC) {
        return;
    }
    let lab = Lab::new("gcc");
    lab.lib("real/lib/libx.so", &[], &[]);
    lab.prog(
        "real/bin/p",
        &["-Wl,-rpath,$ORIGIN/../lib"],
        &["real/lib/libx.so"],
    );
    // A program: the directory of its real file.
    lab.link("links/p", "../real/bin/p");
    let closure = lab.agree("links/p");
    assert_eq!(
        path(&closure, "libx.so"),
        lab.text("real/bin/../lib/libx.so")
    );
    assert!(closure.needs_proc);
    // A library: the directory of the path it was opened by, links and all.
    lab.lib("store/a/libz.so", &[], &[]);
    lab.lib(
        "store/a/liby.so",
        &["-Wl,-rpath,$ORIGIN"],
        &["store/a/libz.so"],
    );
    lab.remove("store/a/libz.so");
    lab.link("farm/liby.so", "../store/a/liby.so")
        .lib("farm/libz.so", &[], &[]);
    lab.prog("q", &["-Wl,-rpath,@/farm"], &["store/a/liby.so"]);
    assert_eq!(path(&lab.agree("q"), "libz.so"), lab.text("farm/libz.so"));
}

#[test]
fn g10_lib_platform_and_unknown_tokens() {
    if !need(GCC) {
        return;
    }
    let lab = Lab::new("gcc");
    lab.lib("build/libx.so", &[], &[]);
    let system = if fs::metadata("/usr/lib64/libc.so.6").is_ok() {
        "lib64"
    } else {
        "lib/x86_64-linux-gnu"
    };
    let places = [
        ("plain", "@/$LIB", system),
        ("braces", "@/b/${LIB}x", &format!("b/{system}x")),
        ("platform", "@/p/$PLATFORM", "p/x86_64"),
        ("unknown", "@/u/$OTHER", "u/$OTHER"),
        ("longer", "@/l/$LIBx", "l/$LIBx"),
    ];
    for (name, rpath, directory) in places {
        lab.copy("build/libx.so", &format!("{directory}/libx.so"));
        let program = format!("bin/{name}");
        lab.prog(
            &program,
            &[&format!("-Wl,-rpath,{rpath}")],
            &["build/libx.so"],
        );
        lab.agree(&program);
    }
}

#[test]
fn g10_a_set_id_program_trusts_origin_only_below_the_default_directories() {
    use std::os::unix::fs::PermissionsExt;
    if !need(GCC) {
        return;
    }
    let lab = Lab::new("gcc");
    lab.lib("libx.so", &[], &[]);
    lab.prog("p", &["-Wl,-rpath,$ORIGIN"], &["libx.so"]);
    assert!(lab.closure("p", host_options()).missing.is_empty());
    fs::set_permissions(lab.path("p"), fs::Permissions::from_mode(0o4755)).unwrap();
    assert_eq!(lab.closure("p", host_options()).missing.len(), 1);
}

/// What the loader says of itself is what the engine reads from its data.
#[test]
fn g11_the_loader_knows_its_directories() {
    let loader = "/lib64/ld-linux-x86-64.so.2";
    if !need(&[
        Need::Command("gcc"),
        Need::File("/lib64/ld-linux-x86-64.so.2"),
    ]) {
        return;
    }
    let output = Command::new(loader)
        .arg("--list-diagnostics")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let values = |key: &str| -> Vec<String> {
        text.lines()
            .filter(|line| line.starts_with(key))
            .map(|line| {
                line.split('"')
                    .nth(1)
                    .unwrap()
                    .trim_end_matches('/')
                    .to_string()
            })
            .collect()
    };
    let directories = values("path.system_dirs[");
    assert!(directories.len() > 1, "{text}");
    // A name that is nowhere is looked for everywhere.
    let lab = Lab::new("gcc");
    lab.lib("build/libnowhere.so", &[], &[]);
    lab.prog("p", &[], &["build/libnowhere.so"]);
    let closure = lab.agree("p");
    let searched: Vec<String> = closure.missing[0]
        .searched
        .iter()
        .filter_map(|place| place.strip_suffix(" (default)"))
        .map(str::to_string)
        .collect();
    assert_eq!(searched, directories);
    let levels = values("dl_hwcaps_subdirs=");
    let active = text
        .lines()
        .find_map(|line| line.strip_prefix("dl_hwcaps_subdirs_active=0x"))
        .map(|hex| u32::from_str_radix(hex, 16).unwrap())
        .unwrap();
    assert_eq!(levels.len(), 1);
    assert_eq!(
        u32::from(cpu().x86_level) - 1,
        active.count_ones(),
        "{levels:?}"
    );
}
