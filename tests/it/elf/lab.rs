//! Programs and libraries made by a real compiler in a directory of their own, and the question
//! that every fixture asks: does the engine say what the real loader does?

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use newroot::elf::{Closure, Engine, Options};
use newroot::model::RootPath;
use newroot::probe::cpu::cpu;
use newroot::root::Host;

use super::truth::{Loads, loads_of, trace};

/// A directory with fixtures. `@` in a flag stands for it.
pub(super) struct Lab {
    directory: tempfile::TempDir,
    compiler: Vec<String>,
}

impl Lab {
    /// `compiler` may have flags: `gcc -m32`.
    pub(super) fn new(compiler: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            directory,
            compiler: compiler.split(' ').map(str::to_string).collect(),
        }
    }

    /// A path in the lab, links resolved (a lab may be reached through one).
    pub(super) fn path(&self, name: &str) -> PathBuf {
        fs::canonicalize(self.directory.path()).unwrap().join(name)
    }

    pub(super) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_string()
    }

    /// A shared object that needs `needs` (names in the lab); its soname is its file name unless
    /// a flag sets another.
    pub(super) fn lib(&self, name: &str, flags: &[&str], needs: &[&str]) -> &Self {
        let file = name.rsplit('/').next().unwrap();
        let soname = format!("-Wl,-soname,{file}");
        let mut all = vec!["-shared", "-fPIC"];
        if !flags.iter().any(|flag| flag.contains("-soname")) {
            all.push(&soname);
        }
        all.extend_from_slice(flags);
        self.compile(name, &all, needs)
    }

    /// A program.
    pub(super) fn prog(&self, name: &str, flags: &[&str], needs: &[&str]) -> &Self {
        self.compile(name, flags, needs)
    }

    fn compile(&self, name: &str, flags: &[&str], needs: &[&str]) -> &Self {
        let out = self.path(name);
        fs::create_dir_all(out.parent().unwrap()).unwrap();
        let source = self.path("source.c");
        fs::write(&source, "int main(void) { return 0; }\n").unwrap();
        let base = self.text("");
        let output = Command::new(&self.compiler[0])
            .args(&self.compiler[1..])
            .args(["-o".as_ref(), out.as_os_str(), source.as_os_str()])
            .args(["-Wl,--no-as-needed", "-Wl,--unresolved-symbols=ignore-all"])
            .args(flags.iter().map(|flag| flag.replace("@/", &base)))
            .args(needs.iter().map(|need| self.path(need)))
            .env("LC_ALL", "C")
            .output()
            .unwrap_or_else(|error| panic!("{:?}: {error}", self.compiler));
        assert!(output.status.success(), "{name}: {output:?}");
        self
    }

    pub(super) fn link(&self, name: &str, target: &str) -> &Self {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target.replace("@/", &self.text("")), self.path(name)).unwrap();
        self
    }

    pub(super) fn copy(&self, from: &str, to: &str) -> &Self {
        fs::create_dir_all(self.path(to).parent().unwrap()).unwrap();
        fs::copy(self.path(from), self.path(to)).unwrap();
        self
    }

    pub(super) fn remove(&self, name: &str) -> &Self {
        fs::remove_file(self.path(name)).unwrap();
        self
    }

    /// Overwrites one byte.
    pub(super) fn poke(&self, name: &str, at: usize, byte: u8) -> &Self {
        let mut bytes = fs::read(self.path(name)).unwrap();
        bytes[at] = byte;
        fs::write(self.path(name), bytes).unwrap();
        self
    }

    /// What the engine says of a program.
    pub(super) fn closure(&self, name: &str, options: Options) -> Closure {
        let mut engine = Engine::with_options(&Host, options);
        engine.closure(&RootPath::new(self.path(name))).unwrap()
    }

    /// Asks the engine and glibc's loader; they must agree. Gives the engine's answer.
    #[track_caller]
    pub(super) fn agree(&self, name: &str) -> Closure {
        self.agree_with(name, "")
    }

    /// The same with an LD_LIBRARY_PATH.
    #[track_caller]
    pub(super) fn agree_with(&self, name: &str, library_path: &str) -> Closure {
        let library_path = library_path.replace("@/", &self.text(""));
        let options = Options {
            library_path: library_path.clone().into_bytes(),
            ..host_options()
        };
        let closure = self.closure(name, options);
        let mut env = Vec::new();
        if !library_path.is_empty() {
            env.push(("LD_LIBRARY_PATH", library_path.as_str()));
        }
        let truth = trace(&self.path(name), &closure, &env);
        assert_eq!(Some(loads_of(&closure)), truth, "engine left, loader right");
        closure
    }

    /// Asks the engine and musl's loader.
    #[track_caller]
    pub(super) fn agree_musl(&self, name: &str, library_path: &str) -> Closure {
        let library_path = library_path.replace("@/", &self.text(""));
        let options = Options {
            library_path: library_path.clone().into_bytes(),
            ..host_options()
        };
        let closure = self.closure(name, options);
        let truth = musl_trace(&self.path(name), &library_path);
        assert_eq!(loads_of(&closure), truth, "engine left, loader right");
        closure
    }

    /// What the loader prints on standard error when it starts the program.
    pub(super) fn start(&self, name: &str, library_path: &str) -> Output {
        Command::new(self.path(name))
            .env_clear()
            .env(
                "LD_LIBRARY_PATH",
                library_path.replace("@/", &self.text("")),
            )
            .output()
            .unwrap()
    }
}

pub(super) fn host_options() -> Options {
    Options {
        cpu,
        versions: true,
        ..Options::default()
    }
}

/// `ld-musl --list`: prints what it loads, as ldd does, and runs nothing.
fn musl_trace(program: &Path, library_path: &str) -> Loads {
    let output = Command::new("/lib/ld-musl-x86_64.so.1")
        .arg("--list")
        .arg(program)
        .env_clear()
        .env("LD_LIBRARY_PATH", library_path)
        .output()
        .unwrap();
    let mut loads = Loads::default();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let path = line.trim().split(" (0x").next().unwrap();
        let path = path.split(" => ").last().unwrap();
        let is_loader = path.contains("ld-musl-");
        if path.starts_with('/') && !is_loader {
            loads.files.insert(fs::canonicalize(path).unwrap());
        }
    }
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        // "Error loading shared library NAME: No such file … (needed by PROGRAM)"
        if let Some(rest) = line.strip_prefix("Error loading shared library ") {
            let name = rest.split(": ").next().unwrap();
            loads.missing.insert(name.to_string());
        }
    }
    loads
}

/// The names of the objects, in load order.
pub(super) fn names(closure: &Closure) -> Vec<String> {
    closure
        .objects
        .iter()
        .map(|object| String::from_utf8_lossy(&object.name).into_owned())
        .collect()
}

/// `name: rule` for an object.
pub(super) fn rule(closure: &Closure, name: &str) -> Option<&'static str> {
    closure
        .objects
        .iter()
        .find(|object| *object.name == *name.as_bytes())
        .map(|object| object.found_by.word())
}

/// The path of an object.
pub(super) fn path(closure: &Closure, name: &str) -> String {
    closure
        .objects
        .iter()
        .find(|object| *object.name == *name.as_bytes())
        .map_or_else(
            || format!("{name} is not loaded"),
            |object| object.path.to_string(),
        )
}
