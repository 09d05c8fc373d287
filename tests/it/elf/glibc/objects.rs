//! G1, G2, G8, G9, G12: what a file is, whether it will do, and what is missing.

use std::fs;
use std::process::Command;

use newroot::elf::{Needer, Options, ProgramKind};

use super::super::lab::{Lab, host_options, names, path, rule};
use super::super::writer::{Elf, RPATH, RUNPATH};
use super::{GCC, closure, tree};
use crate::support::{Need, need};

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
