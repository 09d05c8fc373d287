//! What depmod wrote about a kernel's modules: which one a name means, what it needs, and the
//! same tables cut down to a few modules.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;

use super::ImageError;
use super::kmod_index::{Item, index};
use super::modules::ModuleReport;
use crate::model::{RootPath, shell_word};
use crate::root::{Tree, read};

/// No table of a real kernel comes near this; a root may hold anything under the name.
const TABLE_LIMIT: usize = 64 * 1024 * 1024;

/// What depmod wrote.
pub(super) struct Tables {
    /// By module name: its own path, then those of what it needs, all relative.
    dependencies: BTreeMap<String, Vec<String>>,
    /// The names in the order of modules.dep.
    in_order: Vec<String>,
    built_in: HashSet<String>,
    /// Lines of modules.softdep and modules.weakdep: the module, and the rest.
    soft: Vec<(String, Vec<String>)>,
    /// Text of the tables whose lines belong to modules.
    alias: String,
    symbols: String,
    softdep: String,
    weakdep: String,
    devname: String,
    order: BTreeMap<String, u32>,
}

impl Tables {
    pub(super) fn read(from: &dyn Tree, directory: &RootPath) -> Result<Self, ImageError> {
        let table = |name: &str, needed: bool| {
            let path = directory.join(name);
            match read(from, &path, TABLE_LIMIT) {
                Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
                Err(error) if error.kind() == io::ErrorKind::NotFound && !needed => {
                    Ok(String::new())
                }
                Err(source) => Err(ImageError::Read { path, source }),
            }
        };
        let mut dependencies = BTreeMap::new();
        let mut in_order = Vec::new();
        for line in table("modules.dep", true)?.lines() {
            if let Some((path, needs)) = line.split_once(':')
                && safe(path)
            {
                let mut paths = vec![path.to_string()];
                paths.extend(
                    needs
                        .split_whitespace()
                        .filter(|path| safe(path))
                        .map(str::to_string),
                );
                in_order.push(name_of(path));
                dependencies.insert(name_of(path), paths);
            }
        }
        let built_in = table("modules.builtin", false)?
            .lines()
            .map(name_of)
            .collect();
        let order = table("modules.order", false)?;
        let order = order
            .lines()
            .zip(0..)
            .map(|(path, number)| (name_of(path), number));
        let (softdep, weakdep) = (
            table("modules.softdep", false)?,
            table("modules.weakdep", false)?,
        );
        let soft = softdep
            .lines()
            .chain(weakdep.lines())
            .filter_map(soft_line)
            .collect();
        Ok(Self {
            dependencies,
            in_order,
            built_in,
            soft,
            alias: table("modules.alias", false)?,
            symbols: table("modules.symbols", false)?,
            softdep,
            weakdep,
            devname: table("modules.devname", false)?,
            order: order.collect(),
        })
    }

    /// The paths to copy: the modules, their dependencies, and softly what those like to have.
    pub(super) fn choose(
        &self,
        names: &[String],
    ) -> Result<(BTreeSet<String>, ModuleReport), ImageError> {
        let mut report = ModuleReport::default();
        let mut pending: Vec<String> = Vec::new();
        let mut missing = Vec::new();
        for name in names {
            match self.find(name) {
                Found::Modules(found) => pending.extend(found),
                Found::BuiltIn => report.built_in.push(name.clone()),
                Found::Nothing => missing.push(shell_word(name.as_bytes())),
            }
        }
        if !missing.is_empty() {
            let text = format!("this kernel has no module {}", missing.join(", "));
            return Err(ImageError::Modules(text));
        }
        if names.is_empty() {
            pending.extend(self.dependencies.keys().cloned());
        }
        let mut seen = BTreeSet::new();
        let mut paths = BTreeSet::new();
        let mut soft_missing = BTreeSet::new();
        while let Some(name) = pending.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            for path in self.dependencies.get(&name).into_iter().flatten() {
                pending.push(name_of(path));
                paths.insert(path.clone());
            }
            let wishes = self.soft.iter().filter(|(module, _)| *module == name);
            for wish in wishes.flat_map(|(_, wishes)| wishes) {
                match self.find(wish) {
                    Found::Modules(found) => pending.extend(found),
                    Found::BuiltIn => {}
                    Found::Nothing => {
                        soft_missing.insert(wish.clone());
                    }
                }
            }
        }
        report.copied = paths.len();
        report.soft_missing = soft_missing.into_iter().collect();
        Ok((paths, report))
    }

    fn find(&self, name: &str) -> Found {
        let module = normal(name);
        if self.dependencies.contains_key(&module) {
            return Found::Modules(vec![module]);
        }
        if self.built_in.contains(&module) {
            return Found::BuiltIn;
        }
        let by_alias: Vec<String> = self
            .alias
            .lines()
            .filter_map(|line| line.strip_prefix("alias ")?.rsplit_once(' '))
            .filter(|(alias, _)| normal(alias) == module)
            .map(|(_, module)| normal(module))
            .filter(|module| self.dependencies.contains_key(module))
            .collect();
        if by_alias.is_empty() {
            Found::Nothing
        } else {
            Found::Modules(by_alias)
        }
    }

    /// The tables with the lines of the chosen modules only, and kmod's indexes of them.
    pub(super) fn restricted_to(&self, paths: &BTreeSet<String>) -> Vec<(&'static str, Vec<u8>)> {
        let names: BTreeSet<String> = paths.iter().map(|path| name_of(path)).collect();
        let priority = |name: &str| self.order.get(name).copied().unwrap_or(u32::MAX / 2);
        let mut dep = String::new();
        let mut dep_items = Vec::new();
        for name in self.in_order.iter().filter(|name| names.contains(*name)) {
            let Some((path, needs)) = self
                .dependencies
                .get(name)
                .and_then(|line| line.split_first())
            else {
                continue;
            };
            let needs: String = needs.iter().map(|path| format!(" {path}")).collect();
            let text = format!("{path}:{needs}");
            dep.push_str(&text);
            dep.push('\n');
            dep_items.push(Item {
                priority: priority(name),
                key: name.clone().into_bytes(),
                value: text.into_bytes(),
            });
        }
        let (alias, symbols) = (
            owned_by(&self.alias, &names),
            owned_by(&self.symbols, &names),
        );
        let items = |table: &str| {
            let pairs = table
                .lines()
                .filter_map(|line| line.strip_prefix("alias ")?.rsplit_once(' '));
            pairs
                .map(|(alias, module)| Item {
                    key: normal_alias(alias).into_bytes(),
                    priority: priority(&normal(module)),
                    value: normal(module).into_bytes(),
                })
                .collect::<Vec<Item>>()
        };
        let second = |table: &str| {
            lines_where(table, |line| {
                line.split_whitespace()
                    .nth(1)
                    .is_some_and(|name| names.contains(&normal(name)))
            })
        };
        let devname = lines_where(&self.devname, |line| {
            line.split_whitespace()
                .next()
                .is_some_and(|name| names.contains(&normal(name)))
        });
        let mut tables = vec![
            ("modules.dep", dep.into_bytes()),
            ("modules.dep.bin", index(dep_items)),
            ("modules.alias.bin", index(items(&alias))),
            ("modules.symbols.bin", index(items(&symbols))),
            ("modules.alias", alias.into_bytes()),
            ("modules.symbols", symbols.into_bytes()),
            ("modules.softdep", second(&self.softdep).into_bytes()),
            ("modules.devname", devname.into_bytes()),
        ];
        // Only kmod 33 and later write and read it.
        if !self.weakdep.is_empty() {
            tables.push(("modules.weakdep", second(&self.weakdep).into_bytes()));
        }
        tables
    }
}

enum Found {
    Modules(Vec<String>),
    BuiltIn,
    Nothing,
}

/// Lines of `alias PATTERN MODULE` tables whose module is among `names`.
fn owned_by(table: &str, names: &BTreeSet<String>) -> String {
    lines_where(table, |line| {
        line.rsplit_once(' ')
            .is_some_and(|(_, module)| names.contains(&normal(module)))
    })
}

/// Comments stay: depmod puts the meaning of a table there.
fn lines_where(table: &str, wanted: impl Fn(&str) -> bool) -> String {
    let lines = table
        .lines()
        .filter(|line| line.starts_with('#') || wanted(line));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// `softdep NAME pre: A B post: C` and `weakdep NAME A B`.
fn soft_line(line: &str) -> Option<(String, Vec<String>)> {
    let mut words = line.split_whitespace();
    if !matches!(words.next(), Some("softdep" | "weakdep")) {
        return None;
    }
    let module = normal(words.next()?);
    let wishes = words.filter(|word| *word != "pre:" && *word != "post:");
    Some((module, wishes.map(str::to_string).collect()))
}

/// `kernel/fs/ext4/ext4.ko.xz` is the module `ext4`; `-` and `_` are the same to the kernel.
fn name_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    normal(file.split(".ko").next().unwrap_or(file))
}

fn normal(name: &str) -> String {
    name.replace('-', "_")
}

/// The same for a pattern, where `-` means a range inside brackets.
fn normal_alias(alias: &str) -> String {
    let mut inside = false;
    let normal = |c| {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            _ => {}
        }
        if c == '-' && !inside { '_' } else { c }
    };
    alias.chars().map(normal).collect()
}

/// Relative and without `..`: a hostile table must not name files elsewhere in the image.
/// (An absolute path would be that of a module outside the kernel's directory, which depmod
/// writes for no distribution.)
fn safe(path: &str) -> bool {
    !path.is_empty()
        && !path.starts_with('/')
        && path.split('/').all(|part| part != ".." && !part.is_empty())
}
