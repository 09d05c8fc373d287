//! Libraries in unusual places: a cache of the jail's own, variants for other CPUs, `$ORIGIN`.

use std::fs;
use std::path::Path;

use super::{command, in_root, is_there, jail, works};
use crate::fixture;
use crate::need::Need;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let needs = [Need::Command("gcc"), Need::Command("ldconfig")];
    vec![
        Trial::new("jail::a_cache_of_its_own", &needs, own_cache),
        Trial::new("jail::variants_come_along", &needs, variants),
        Trial::new("jail::origin_needs_proc", &needs, origin),
        Trial::new("jail::a_linker_script_is_no_library", &needs, linker_script),
        Trial::new(
            "jail::what_is_built_for_a_better_cpu_is_named",
            &needs,
            levels,
        ),
    ]
}

/// A shared library whose `answer()` gives `number`.
fn library(path: &str, number: u32) {
    let path = Path::new(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(
        "/tmp/lib.c",
        format!("int answer(void) {{ return {number}; }}\n"),
    )
    .unwrap();
    let soname = format!(
        "-Wl,-soname,{}",
        path.file_name().unwrap().to_str().unwrap()
    );
    command(&[
        "gcc",
        "-shared",
        "-fPIC",
        "-o",
        path.to_str().unwrap(),
        &soname,
        "/tmp/lib.c",
    ]);
}

/// A program that exits with `answer()`, in `/tmp/root/bin/prog`.
fn program(library: &str, more: &[&str]) {
    fs::write(
        "/tmp/main.c",
        "int answer(void); int main(void) { return answer(); }\n",
    )
    .unwrap();
    let base = ["gcc", "-o", "/tmp/root/bin/prog", "/tmp/main.c", library];
    command(&[&base[..], more].concat());
}

fn root() {
    fixture::glibc_root(Path::new("/tmp/root"), &["true"]);
}

fn configure(directories: &str) {
    fs::write("/tmp/root/etc/ld.so.conf", directories).unwrap();
    command(&["ldconfig", "-r", "/tmp/root"]);
}

fn answer(jail: &str) -> Option<i32> {
    in_root(jail, &["/bin/prog"]).status.code()
}

fn own_cache() {
    root();
    library("/tmp/root/opt/odd/libodd.so.1", 42);
    program("/tmp/root/opt/odd/libodd.so.1", &[]);
    configure("/opt/odd\n");
    jail(&["build", "--from", "/tmp/root", "j", "/bin/prog"])
        .run()
        .code(0);
    assert!(is_there("/tmp/j/etc/ld.so.cache"));
    assert_eq!(answer("/tmp/j"), Some(42));
    jail(&["check", "j"]).run().code(0);
    // What lies in the loader's own directories needs none.
    jail(&["build", "--from", "/tmp/root", "k", "/bin/true"])
        .run()
        .code(0);
    assert!(!is_there("/tmp/k/etc/ld.so.cache"));
    works("/tmp/k", &["/bin/true"]);
}

fn variants() {
    root();
    let base = "/tmp/root/opt/odd";
    library(&format!("{base}/libodd.so.1"), 1);
    for level in [2, 3, 4] {
        let name = format!("{base}/glibc-hwcaps/x86-64-v{level}/libodd.so.1");
        library(&name, level);
    }
    program(&format!("{base}/libodd.so.1"), &[]);
    configure("/opt/odd\n");
    let expected = answer("/tmp/root");
    jail(&["build", "--from", "/tmp/root", "j", "/bin/prog"])
        .run()
        .code(0);
    for level in [2, 3, 4] {
        assert!(is_there(&format!(
            "/tmp/j/opt/odd/glibc-hwcaps/x86-64-v{level}/libodd.so.1"
        )));
    }
    assert!(is_there("/tmp/j/opt/odd/libodd.so.1"));
    // This CPU takes the same one as outside; without variants the baseline is there.
    assert_eq!(answer("/tmp/j"), expected);
    fs::remove_dir_all("/tmp/j/opt/odd/glibc-hwcaps").unwrap();
    fs::remove_file("/tmp/j/etc/ld.so.cache").unwrap();
    let path = [
        "env",
        "-i",
        "LD_LIBRARY_PATH=/opt/odd",
        "/usr/sbin/chroot",
        "/tmp/j",
        "/bin/prog",
    ];
    let status = std::process::Command::new(path[0])
        .args(&path[1..])
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
}

fn origin() {
    root();
    library("/tmp/root/opt/app/lib/libodd.so.1", 7);
    program(
        "/tmp/root/opt/app/lib/libodd.so.1",
        &["-Wl,-rpath,$ORIGIN/../opt/app/lib"],
    );
    jail(&["build", "--from", "/tmp/root", "j", "/bin/prog"])
        .run()
        .code(0)
        .stderr_has("/bin/prog finds its libraries by $ORIGIN")
        .stderr_has("/proc is mounted");
    assert_ne!(answer("/tmp/j"), Some(7));
    command(&["mount", "-t", "proc", "proc", "/tmp/j/proc"]);
    let with_proc = answer("/tmp/j");
    command(&["umount", "/tmp/j/proc"]);
    assert_eq!(with_proc, Some(7));
}

fn linker_script() {
    root();
    library("/tmp/root/usr/lib/libodd.so.1", 5);
    fs::write("/tmp/root/usr/lib/libodd.so", "INPUT(libodd.so.1)\n").unwrap();
    program("/tmp/root/usr/lib/libodd.so.1", &[]);
    jail(&["build", "--from", "/tmp/root", "j", "/bin/prog"])
        .run()
        .code(0);
    assert!(!is_there("/tmp/j/usr/lib/libodd.so"));
    assert_eq!(answer("/tmp/j"), Some(5));
}

/// The machine's own loader says for which levels this CPU is too old.
fn levels() {
    root();
    library("/tmp/root/lib/libodd.so.1", 42);
    for level in ["x86-64-v2", "x86-64-v3", "x86-64-v4"] {
        let mark = format!("-Wl,-z,{level}");
        program("/tmp/root/lib/libodd.so.1", &[&mark]);
        let starts = answer("/tmp/root") == Some(42);
        let run = jail(&["build", "--from", "/tmp/root", "j", "/bin/prog"]).run();
        run.code(0);
        let line = format!("/bin/prog was built for CPUs of level {level}, and this one has v");
        assert_eq!(
            !starts,
            run.stderr.contains(&line),
            "{level}: {}",
            run.stderr
        );
        assert_eq!(answer("/tmp/j") == Some(42), starts, "{level}");
        jail(&["remove", "j"]).run().code(0);
    }
}
