//! G3, G4: what is loaded, and in which order.

use newroot::elf::{Engine, Needer, Options};
use newroot::model::RootPath;

use super::super::lab::{Lab, names, path, rule};
use super::super::writer::{AUXILIARY, Elf, FILTER};
use super::{GCC, OLD, closure, tree};
use crate::support::need;

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
