//! A fixture for each of musl's rules, M1 to M8. The truth is `ld-musl --list`.

use std::fs;

use newroot::elf::{Engine, Needer, Options};
use newroot::model::RootPath;
use newroot::root::Mem;

use super::lab::{Lab, names, path, rule};
use super::writer::{Elf, RPATH, RUNPATH};
use crate::support::{Need, need};

const MUSL: &[Need] = &[
    Need::Command("musl-gcc"),
    Need::File("/lib/ld-musl-x86_64.so.1"),
];
const OLD: &str = "-Wl,--disable-new-dtags";

const LOADER: &str = "/lib/ld-musl-x86_64.so.1";

fn tree() -> Mem {
    Mem::new().with_file(LOADER, Elf::lib().soname("libc.so").build())
}

fn prog() -> Elf {
    Elf::lib().interp(LOADER)
}

#[test]
fn m01_libc_serves_its_own_names() {
    let needs = [
        "libc.so",
        "libm.so.6",
        "libpthread.so.0",
        "libdl.so.2",
        "librt.so.1",
    ];
    let tree = tree().with_file("/p", prog().needs(&needs).build());
    let closure = Engine::new(&tree).closure(&RootPath::new("/p")).unwrap();
    assert!(closure.objects.is_empty());
    assert!(closure.missing.is_empty());
    assert_eq!(closure.interpreter.unwrap().needed_by, [Needer::Program]);
    if !need(MUSL) {
        return;
    }
    let lab = Lab::new("musl-gcc");
    // Built, and there, and still not used.
    lab.lib("libm.so.6", &[], &[]);
    lab.prog("p", &["-Wl,-rpath,@/"], &["libm.so.6"]);
    assert!(lab.agree_musl("p", "").objects.is_empty());
}

#[test]
fn m02_a_slash_is_a_path_without_tokens() {
    if !need(MUSL) {
        return;
    }
    let lab = Lab::new("musl-gcc");
    lab.lib("abs/libabs.so", &["-Wl,-soname,@/abs/libabs.so"], &[]);
    lab.lib("rel/libo.so", &["-Wl,-soname,$ORIGIN/rel/libo.so"], &[]);
    lab.prog("p", &[], &["abs/libabs.so", "rel/libo.so"]);
    let closure = lab.agree_musl("p", "");
    assert_eq!(closure.objects.len(), 1);
    assert_eq!(closure.missing.len(), 1);
}

#[test]
fn m03_known_by_the_name_it_was_found_under() {
    if !need(MUSL) {
        return;
    }
    let lab = Lab::new("musl-gcc");
    lab.lib("libreal.so", &["-Wl,-soname,libreal.so"], &[]);
    // Another object wants it by a soname that it would have for glibc.
    lab.lib("build/libsoname.so", &[], &[]);
    lab.lib("libneeds.so", &[], &["build/libsoname.so"]);
    lab.prog("p", &["-Wl,-rpath,@/"], &["libreal.so", "libneeds.so"]);
    lab.lib("libreal.so", &["-Wl,-soname,libsoname.so"], &[]);
    assert_eq!(lab.agree_musl("p", "").missing.len(), 1);
    // The same file under another name is one object.
    lab.link("libsoname.so", "libreal.so");
    let closure = lab.agree_musl("p", "");
    assert_eq!(names(&closure), ["libreal.so", "libneeds.so"]);
}

#[test]
fn m04_library_path_first_then_inherited_rpaths() {
    if !need(MUSL) {
        return;
    }
    let lab = Lab::new("musl-gcc");
    lab.lib("one/libx.so", &[], &[])
        .lib("two/libx.so", &[], &[]);
    lab.prog("rpath", &[OLD, "-Wl,-rpath,@/one"], &["one/libx.so"]);
    let closure = lab.agree_musl("rpath", "@/two");
    assert_eq!(rule(&closure, "libx.so"), Some("library-path"));
    // RUNPATH is inherited here.
    lab.lib("libmid.so", &[], &["one/libx.so"]);
    lab.prog("inherit", &["-Wl,-rpath,@/:@/one"], &["libmid.so"]);
    let closure = lab.agree_musl("inherit", "");
    assert_eq!(rule(&closure, "libx.so"), Some("runpath"));
    // No glibc-hwcaps, no NODEFLIB, no filters.
    lab.lib("h/liby.so", &["-Wl,-f,libaux.so"], &[])
        .copy("h/liby.so", "h/glibc-hwcaps/x86-64-v2/liby.so");
    let flags = ["-Wl,-rpath,@/h", "-Wl,-z,nodefaultlib"];
    lab.prog("plain", &flags, &["h/liby.so"]);
    assert_eq!(
        path(&lab.agree_musl("plain", ""), "liby.so"),
        lab.text("h/liby.so")
    );
}

#[test]
fn m05_other_tokens_make_the_whole_rpath_worthless() {
    if !need(MUSL) {
        return;
    }
    let lab = Lab::new("musl-gcc");
    lab.lib("lib/libx.so", &[], &[]);
    lab.prog(
        "good",
        &["-Wl,-rpath,${ORIGIN}/none:$ORIGIN/lib"],
        &["lib/libx.so"],
    );
    let closure = lab.agree_musl("good", "");
    assert!(closure.missing.is_empty());
    assert!(closure.needs_proc);
    lab.prog("bad", &["-Wl,-rpath,@/lib:$LIB"], &["lib/libx.so"]);
    assert_eq!(lab.agree_musl("bad", "").missing.len(), 1);
}

#[test]
fn m06_system_path_file() {
    let lib = || Elf::lib().build();
    let base = tree()
        .with_file("/p", prog().needs(&["libx.so"]).build())
        .with_file("/usr/local/lib/libx.so", lib())
        .with_file("/opt/musl/libx.so", lib());
    let found = |tree: &Mem| {
        let closure = Engine::new(tree).closure(&RootPath::new("/p")).unwrap();
        path(&closure, "libx.so")
    };
    assert_eq!(found(&base), "/usr/local/lib/libx.so");
    let file = "/etc/ld-musl-x86_64.path";
    let with_file = base
        .clone()
        .with_file(file, "/none\n/opt/musl:/usr/local/lib\n");
    assert_eq!(found(&with_file), "/opt/musl/libx.so");
    // Any error but "no such file" is an empty list.
    let unreadable = base.with_dir(file);
    assert!(found(&unreadable).contains("not loaded"));
    // The file lies beside the loader's own prefix.
    let other = Mem::new()
        .with_file("/m/lib/ld-musl-x86_64.so.1", lib())
        .with_file("/m/etc/ld-musl-x86_64.path", "/m/lib")
        .with_file("/m/lib/libx.so", lib())
        .with_file("/p", {
            let elf = Elf::lib().interp("/m/lib/ld-musl-x86_64.so.1");
            elf.needs(&["libx.so"]).build()
        });
    assert_eq!(found(&other), "/m/lib/libx.so");
}

#[test]
fn m07_the_first_file_that_opens_is_taken() {
    if !need(MUSL) {
        return;
    }
    let lab = Lab::new("musl-gcc");
    lab.lib("good/libx.so", &[], &[]);
    lab.prog("p", &["-Wl,-rpath,@/bad:@/good"], &["good/libx.so"]);
    lab.copy("good/libx.so", "bad/libx.so")
        .poke("bad/libx.so", 4, 1);
    let closure = lab.agree_musl("p", "");
    assert_eq!(path(&closure, "libx.so"), lab.text("bad/libx.so"));
    fs::write(lab.path("bad/libx.so"), "no library at all").unwrap();
    let closure = lab.agree_musl("p", "");
    assert!(closure.missing[0].refused.is_some());
}

#[test]
fn m07_such_a_library_has_its_notes() {
    let mut strange = Elf::lib().note(r#"[{"soname":["libz.so.1"]}]"#).build();
    strange[4] = 1;
    let tree = tree()
        .with_file("/lib/libx.so", strange)
        .with_file("/p", prog().needs(&["libx.so"]).build());
    let options = Options {
        notes: true,
        ..Options::default()
    };
    let mut engine = Engine::with_options(&tree, options);
    let closure = engine.closure(&RootPath::new("/p")).unwrap();
    assert_eq!(names(&closure), ["libx.so"]);
    assert_eq!(closure.notes[0].sonames, ["libz.so.1"]);
}

#[test]
fn m08_breadth_first_and_no_preload_file() {
    let tree = tree()
        .with_file("/etc/ld.so.preload", "/lib/libp.so\n")
        .with_file("/lib/libp.so", Elf::lib().build())
        .with_file(
            "/lib/liba.so",
            Elf::lib().text(RPATH, "/x").needs(&["libc1.so"]).build(),
        )
        .with_file(
            "/x/libc1.so",
            Elf::lib().text(RUNPATH, "/y").needs(&["libd.so"]).build(),
        )
        .with_file("/lib/libb.so", Elf::lib().needs(&["libd.so"]).build())
        .with_file("/lib/libd.so", Elf::lib().build())
        .with_file("/y/libd.so", Elf::lib().build())
        .with_file("/p", prog().needs(&["liba.so", "libb.so"]).build());
    let closure = Engine::new(&tree).closure(&RootPath::new("/p")).unwrap();
    assert_eq!(
        names(&closure),
        ["liba.so", "libb.so", "libc1.so", "libd.so"]
    );
    assert_eq!(path(&closure, "libd.so"), "/lib/libd.so");
    if !need(MUSL) {
        return;
    }
    let lab = Lab::new("musl-gcc");
    lab.lib("x/libd.so", &[], &[]).lib("y/libd.so", &[], &[]);
    lab.lib("libc1.so", &["-Wl,-rpath,@/x"], &["x/libd.so"]);
    lab.lib("liba.so", &["-Wl,-rpath,@/"], &["libc1.so"]);
    lab.lib("libb.so", &["-Wl,-rpath,@/y"], &["y/libd.so"]);
    lab.prog("p", &["-Wl,-rpath,@/"], &["liba.so", "libb.so"]);
    assert_eq!(
        path(&lab.agree_musl("p", ""), "libd.so"),
        lab.text("y/libd.so")
    );
}
