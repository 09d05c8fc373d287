//! A fixture for each of glibc's rules, G1 to G12, named after it. Where a compiler can make the
//! case, the truth is the real loader; where not, the expected answer is the rule's.

use std::fs;
use std::process::Command;

use newroot::elf::{Closure, Engine, Needer, Options, ProgramKind};
use newroot::model::RootPath;
use newroot::probe::cpu::cpu;
use newroot::root::{Mem, Tree};

use super::lab::{Lab, host_options, names, path, rule};
use super::writer::{AUXILIARY, Elf, FILTER, FLAGS_1, RPATH, RUNPATH, loader};
use crate::support::{Need, need};

const GCC: &[Need] = &[Need::Command("gcc")];
const OLD: &str = "-Wl,--disable-new-dtags";
const NEW: &str = "-Wl,--enable-new-dtags";

/// A tree with a loader and an empty default directory.
fn tree() -> Mem {
    Mem::new()
        .with_file("/lib64/ld-linux-x86-64.so.2", loader())
        .with_dir("/usr/lib")
}

fn closure(tree: &dyn Tree, program: &str) -> Closure {
    Engine::new(tree).closure(&RootPath::new(program)).unwrap()
}

#[test]
fn g01_root_kinds() {
    let tree = tree()
        .with_file("/static", Elf::lib().no_dynamic().build())
        .with_file("/static-pie", Elf::lib().build())
        .with_file("/library", Elf::lib().needs(&["libx.so"]).build())
        .with_file("/dynamic", Elf::prog().needs(&["libx.so"]).build())
        .with_file(
            "/klibc",
            Elf::lib().interp("/lib/klibc.so").no_dynamic().build(),
        )
        .with_file("/lib/klibc.so", Elf::lib().no_dynamic().build())
        .with_file("/data", "hello")
        .with_file(
            "/usr/lib/libx.so",
            Elf::lib().needs(&["ld-linux-x86-64.so.2"]).build(),
        );
    let loader = Some("/lib64/ld-linux-x86-64.so.2");
    let table = [
        ("/static", ProgramKind::Static, None, 0),
        ("/static-pie", ProgramKind::Static, None, 0),
        ("/lib64/ld-linux-x86-64.so.2", ProgramKind::Static, None, 0),
        ("/library", ProgramKind::Library, loader, 1),
        ("/dynamic", ProgramKind::Dynamic, loader, 1),
        ("/klibc", ProgramKind::Dynamic, Some("/lib/klibc.so"), 0),
        ("/data", ProgramKind::Data, None, 0),
    ];
    for (program, kind, interpreter, objects) in table {
        let closure = closure(&tree, program);
        assert_eq!(closure.kind, kind, "{program}");
        let found = closure.interpreter.as_ref().map(|it| it.path.to_string());
        assert_eq!(found.as_deref(), interpreter, "{program}");
        assert_eq!(closure.objects.len(), objects, "{program}: {closure:?}");
    }
    // The loader's own soname is satisfied by the loader that runs.
    let dynamic = closure(&tree, "/dynamic");
    assert_eq!(dynamic.interpreter.unwrap().needed_by, [Needer::Object(0)]);
}

#[test]
fn g01_static_and_static_pie_from_a_compiler() {
    if !need(GCC) {
        return;
    }
    let lab = Lab::new("gcc");
    lab.prog("static", &["-static"], &[]);
    lab.prog("static-pie", &["-static-pie"], &[]);
    for name in ["static", "static-pie"] {
        let closure = lab.closure(name, host_options());
        assert_eq!(closure.kind, ProgramKind::Static, "{name}");
        assert_eq!(closure.paths().len(), 1);
    }
}

#[test]
fn g02_dynamic_tags() {
    let lib = |dir: &str| format!("{dir}/libx.so");
    let tree = tree()
        .with_file(&lib("/one"), Elf::lib().build())
        .with_file(&lib("/two"), Elf::lib().build())
        .with_file("/last", {
            let elf = Elf::prog().text(RPATH, "/one").needs(&["libx.so"]);
            elf.text(RPATH, "/two").build()
        })
        .with_file("/dropped", {
            let elf = Elf::prog().text(RUNPATH, "/two").text(RPATH, "/one");
            elf.needs(&["libx.so"]).build()
        })
        .with_file(
            "/debug",
            Elf::prog().needs(&["libx.so"]).empty_dynamic().build(),
        );
    assert_eq!(path(&closure(&tree, "/last"), "libx.so"), "/two/libx.so");
    let dropped = closure(&tree, "/dropped");
    assert_eq!(path(&dropped, "libx.so"), "/two/libx.so");
    assert_eq!(rule(&dropped, "libx.so"), Some("runpath"));
    assert!(closure(&tree, "/debug").objects.is_empty());
}

/// libc first would be depth first: `d` must come from the program's direct neighbour.
#[test]
fn g03_breadth_first() {
    if !need(GCC) {
        return;
    }
    let lab = Lab::new("gcc");
    lab.lib("x/libd.so", &[], &[]).lib("y/libd.so", &[], &[]);
    // a needs d through its own path, b (a sibling) is loaded before a's needs are looked at.
    lab.lib("libc1.so", &[OLD, "-Wl,-rpath,@/x"], &["x/libd.so"]);
    lab.lib("liba.so", &[OLD, "-Wl,-rpath,@/"], &["libc1.so"]);
    lab.lib("libb.so", &[OLD, "-Wl,-rpath,@/y"], &["y/libd.so"]);
    lab.prog("p", &[OLD, "-Wl,-rpath,@/"], &["liba.so", "libb.so"]);
    let closure = lab.agree("p");
    let wanted = ["liba.so", "libb.so", "libc.so.6", "libc1.so", "libd.so"];
    assert_eq!(names(&closure), wanted);
    assert_eq!(path(&closure, "libd.so"), lab.text("y/libd.so"));
}

#[test]
fn g03_auxiliary_and_filter() {
    if !need(GCC) {
        return;
    }
    let lab = Lab::new("gcc");
    lab.lib("libaux.so", &[], &[]).lib("libfil.so", &[], &[]);
    let flags = ["-Wl,-f,libaux.so", "-Wl,-rpath,@/"];
    lab.lib("libone.so", &flags, &[]);
    lab.lib("libtwo.so", &["-Wl,-F,libfil.so", "-Wl,-rpath,@/"], &[]);
    lab.prog("p", &["-Wl,-rpath,@/"], &["libone.so", "libtwo.so"]);
    let closure = lab.agree("p");
    assert!(names(&closure).contains(&"libaux.so".to_string()));
    assert!(names(&closure).contains(&"libfil.so".to_string()));
    // Missing: an auxiliary is ignored, a filtered object is not.
    let elf = |tag| Elf::lib().text(tag, "libgone.so").build();
    let tree = tree()
        .with_file("/usr/lib/liba.so", elf(AUXILIARY))
        .with_file("/usr/lib/libf.so", elf(FILTER))
        .with_file("/a", Elf::prog().needs(&["liba.so"]).build())
        .with_file("/f", Elf::prog().needs(&["libf.so"]).build());
    assert!(self::closure(&tree, "/a").missing.is_empty());
    assert_eq!(self::closure(&tree, "/f").missing.len(), 1);
}

#[test]
fn g03_preloads() {
    let tree = tree()
        .with_file(
            "/etc/ld.so.preload",
            "libp1.so # libno.so\n/opt/libp2.so:libgone.so\n",
        )
        .with_file("/usr/lib/libp1.so", Elf::lib().build())
        .with_file("/usr/lib/libp0.so", Elf::lib().build())
        .with_file("/opt/libp2.so", Elf::lib().needs(&["liba.so"]).build())
        .with_file("/usr/lib/liba.so", Elf::lib().build())
        .with_file("/usr/lib/libb.so", Elf::lib().build())
        .with_file("/p", Elf::prog().needs(&["libb.so"]).build());
    let options = Options {
        preload: b"libp0.so".to_vec(),
        ..Options::default()
    };
    let mut engine = Engine::with_options(&tree, options);
    let closure = engine.closure(&RootPath::new("/p")).unwrap();
    let wanted = [
        "libp0.so",
        "libp1.so",
        "/opt/libp2.so",
        "libb.so",
        "liba.so",
    ];
    assert_eq!(names(&closure), wanted);
    assert_eq!(rule(&closure, "libp1.so"), Some("preload"));
    assert_eq!(closure.objects[0].needed_by, [Needer::Preload]);
    assert!(
        closure.missing.is_empty(),
        "a preload that is not there is a warning"
    );
}

#[test]
fn g04_soname_of_a_loaded_object() {
    if !need(GCC) {
        return;
    }
    let lab = Lab::new("gcc");
    // The file is libreal.so; what libneeds wants is its soname, and no file's name.
    lab.lib("libreal.so", &[], &[])
        .lib("build/libsoname.so", &[], &[]);
    lab.lib("libneeds.so", &[], &["build/libsoname.so"]);
    lab.prog("p", &["-Wl,-rpath,@/"], &["libreal.so", "libneeds.so"]);
    lab.lib("libreal.so", &["-Wl,-soname,libsoname.so"], &[]);
    let closure = lab.agree("p");
    assert_eq!(names(&closure), ["libreal.so", "libneeds.so", "libc.so.6"]);
    let tree = tree()
        .with_file(
            "/usr/lib/libreal.so",
            Elf::lib().soname("libsoname.so").build(),
        )
        .with_file(
            "/p",
            Elf::prog().needs(&["libreal.so", "libsoname.so"]).build(),
        );
    let closure = self::closure(&tree, "/p");
    assert_eq!(names(&closure), ["libreal.so"]);
    assert!(closure.missing.is_empty());
}

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

/// Each change to a library's header, and what the loader makes of it: found elsewhere, or the
/// end.
#[test]
fn g08_judgement_of_a_candidate() {
    if !need(GCC) {
        return;
    }
    let lab = Lab::new("gcc");
    lab.lib("good/libx.so", &[], &[]);
    lab.prog("p", &["-Wl,-rpath,@/bad:@/good"], &["good/libx.so"]);
    let table: [(&str, usize, u8); 12] = [
        ("magic", 1, b'X'),
        ("class", 4, 1),
        ("class 7", 4, 7),
        ("byte order", 5, 2),
        ("version", 6, 9),
        ("OS ABI", 7, 9),
        ("ABI version", 8, 77),
        ("padding", 12, 1),
        ("type", 16, 1),
        ("machine", 18, 3),
        ("long version", 20, 5),
        ("phentsize", 54, 32),
    ];
    for (what, at, byte) in table {
        lab.copy("good/libx.so", "bad/libx.so")
            .poke("bad/libx.so", at, byte);
        compare_refusal(&lab, what);
    }
    let whole = fs::read(lab.path("good/libx.so")).unwrap();
    for length in [0, 3, 40, 63, 64, 100] {
        fs::write(lab.path("bad/libx.so"), &whole[..length]).unwrap();
        compare_refusal(&lab, &format!("{length} bytes"));
    }
    fs::write(lab.path("bad/libx.so"), "GROUP ( libx.so.1 )\n").unwrap();
    compare_refusal(&lab, "a linker script");
    lab.remove("bad/libx.so")
        .prog("bad/libx.so", &["-no-pie"], &[]);
    compare_refusal(&lab, "an executable");
    lab.prog("bad/libx.so", &["-pie"], &[]);
    compare_refusal(&lab, "a position-independent executable");
}

#[track_caller]
fn compare_refusal(lab: &Lab, what: &str) {
    let closure = lab.closure("p", host_options());
    let real = lab.start("p", "");
    let stderr = String::from_utf8_lossy(&real.stderr).into_owned();
    let refused = closure.missing.iter().find_map(|it| it.refused.as_ref());
    match refused {
        Some((_, reason)) => {
            assert!(
                stderr.contains(reason.as_str()),
                "{what}: {reason}: {stderr}"
            );
        }
        None => {
            assert!(real.status.success(), "{what}: {stderr}");
            assert_eq!(
                path(&closure, "libx.so"),
                lab.text("good/libx.so"),
                "{what}"
            );
        }
    }
}

#[test]
fn g08_a_32_bit_program_skips_64_bit_libraries() {
    if !need(&[Need::Command("gcc-12"), Need::File("/lib/ld-linux.so.2")]) {
        return;
    }
    let lab = Lab::new("gcc-12 -m32");
    lab.lib("small/libx.so", &[], &[]);
    let wide = Lab::new("gcc-12");
    wide.lib("libx.so", &[], &[]);
    fs::create_dir_all(lab.path("wide")).unwrap();
    fs::copy(wide.path("libx.so"), lab.path("wide/libx.so")).unwrap();
    lab.prog("p", &["-Wl,-rpath,@/wide:@/small"], &["small/libx.so"]);
    let closure = lab.agree("p");
    assert_eq!(path(&closure, "libx.so"), lab.text("small/libx.so"));
}

#[test]
fn g09_one_file_under_two_names() {
    if !need(GCC) {
        return;
    }
    let lab = Lab::new("gcc");
    lab.lib("libone.so", &[], &[])
        .lib("build/libtwo.so", &[], &[]);
    lab.prog("p", &["-Wl,-rpath,@/"], &["libone.so", "build/libtwo.so"]);
    lab.link("libtwo.so", "libone.so");
    assert_eq!(names(&lab.agree("p")), ["libone.so", "libc.so.6"]);
    let tree = tree()
        .with_file("/usr/lib/libone.so", Elf::lib().build())
        .with_hard_link("/usr/lib/libtwo.so", "/usr/lib/libone.so")
        .with_link("/usr/lib/libthree.so", "libone.so")
        .with_file("/p", {
            let needs = ["libone.so", "libtwo.so", "libthree.so", "libtwo.so"];
            Elf::prog().needs(&needs).build()
        });
    let found = closure(&tree, "/p");
    assert_eq!(names(&found), ["libone.so"]);
    assert!(found.missing.is_empty());
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

#[test]
fn g12_missing_objects_and_versions() {
    if !need(GCC) {
        return;
    }
    let lab = Lab::new("gcc");
    lab.lib("build/libgone.so", &[], &[]);
    lab.lib("liba.so", &["-Wl,-rpath,@/"], &["build/libgone.so"]);
    lab.prog("p", &["-Wl,-rpath,@/"], &["build/libgone.so", "liba.so"]);
    let closure = lab.agree("p");
    let by: Vec<Needer> = closure.missing.iter().map(|it| it.needed_by).collect();
    assert_eq!(by, [Needer::Program, Needer::Object(0)]);
    versions(&lab);
}

fn versions(lab: &Lab) {
    let source = "int f(void) { return 1; }\n";
    fs::write(lab.path("v.c"), source).unwrap();
    fs::write(lab.path("v2.map"), "V1 { }; V2 { global: f; } V1;").unwrap();
    fs::write(lab.path("v1.map"), "V1 { global: f; };").unwrap();
    let build = |map: &str, out: &str| {
        let script = format!("-Wl,--version-script={}", lab.text(map));
        fs::create_dir_all(lab.path(out).parent().unwrap()).unwrap();
        let status = Command::new("gcc")
            .args(["-shared", "-fPIC", "-Wl,-soname,libv.so", &script, "-o"])
            .args([lab.path(out), lab.path("v.c")])
            .status()
            .unwrap();
        assert!(status.success());
    };
    build("v2.map", "new/libv.so");
    build("v1.map", "old/libv.so");
    fs::write(
        lab.path("u.c"),
        "int f(void); int main(void) { return f() - 1; }\n",
    )
    .unwrap();
    let status = Command::new("gcc")
        .args([lab.path("u.c"), lab.path("new/libv.so")])
        .arg("-o")
        .arg(lab.path("user"))
        .status()
        .unwrap();
    assert!(status.success());
    let answer = |directory: &str| {
        let options = Options {
            library_path: lab.text(directory).into_bytes(),
            ..host_options()
        };
        lab.closure("user", options).versions
    };
    assert!(lab.start("user", "@/new").status.success());
    assert_eq!(answer("new"), []);
    let real = lab.start("user", "@/old");
    assert!(String::from_utf8_lossy(&real.stderr).contains("version `V2' not found"));
    let problems = answer("old");
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].version, b"V2");
    assert_eq!(problems[0].object, b"libv.so");
}
