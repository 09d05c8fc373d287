//! What the workers found, folded to causes: one entry for a missing library, however many
//! programs lack it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::sys::{describe, errno_of};

/// So many programs are named for one cause; the rest is counted.
const MOST_NAMES: usize = 6;
/// A root with more causes than this is hopeless; the rest is only counted.
const MOST_CAUSES: usize = 400;

/// A root for more kinds of machine than this is made to trap us.
const MOST_MACHINES: usize = 64;

/// Class (1: 32 bit, 2: 64 bit) and `e_machine`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Machine {
    /// `EI_CLASS`.
    pub class: u8,
    /// `e_machine`.
    pub machine: u16,
}

/// A cause for which programs do not start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Wrong {
    /// The loader that they name is not there, or not for them.
    Loader {
        /// PT_INTERP.
        path: Vec<u8>,
    },
    /// No rule of the loader finds this library.
    Library {
        /// The needed name.
        name: Vec<u8>,
    },
    /// The loader finds this file and gives up.
    Refused {
        /// The file.
        path: Vec<u8>,
        /// The loader's words.
        reason: String,
    },
    /// An object that is there lacks a version that is demanded of it.
    Version {
        /// The object, as the loader opens it.
        path: Vec<u8>,
        /// The versions, the first few.
        versions: BTreeSet<Vec<u8>>,
    },
    /// A file of its own accord: cut off, empty, or no ELF file that anything can load.
    Damaged {
        /// The file.
        path: Vec<u8>,
        /// What is wrong with it.
        reason: String,
    },
}

impl Wrong {
    /// What two workers must agree on to mean the same cause.
    fn key(&self) -> (u8, &[u8]) {
        match self {
            Self::Loader { path } => (0, path),
            Self::Library { name } => (1, name),
            Self::Refused { path, .. } => (2, path),
            Self::Version { path, .. } => (3, path),
            Self::Damaged { path, .. } => (4, path),
        }
    }
}

/// A program that has the trouble, and whose need it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Who {
    /// The program or library that was looked at.
    pub path: Vec<u8>,
    /// The object that needs it, where that is another one.
    pub needed_by: Option<Vec<u8>>,
}

/// One cause, folded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// What is wrong.
    pub wrong: Wrong,
    /// For which kind of machine the programs are.
    pub machine: Machine,
    /// Programs that do not start for it.
    pub programs: u32,
    /// Of these: in a directory of PATH, or part of systemd.
    pub common: u32,
    /// Libraries in the search path that cannot be loaded for it.
    pub libraries: u32,
    /// The first of them by name: programs where there are any, else libraries.
    pub who: BTreeSet<Who>,
}

/// All that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Programs {
    /// ELF programs that were looked at.
    pub programs: u32,
    /// Libraries of the search path that were looked at, and plugins.
    pub libraries: u32,
    /// Causes, the one with the most programs first once the folding is done.
    pub troubles: Vec<Trouble>,
    /// Causes beyond the limit.
    pub dropped: u32,
    /// How many programs are for which machine.
    pub machines: Vec<(Machine, u32)>,
    /// Files and directories that could not be read, the first few: path and why.
    pub unread: Vec<(Vec<u8>, String)>,
    /// Of those that the disk or a damaged filesystem keeps back, the first few.
    pub failing: Vec<(Vec<u8>, String)>,
    /// How many there are.
    pub failing_count: u32,
    /// Parts that were not looked at because a worker ended early, or there were too many files.
    pub lost: Vec<String>,
}

/// A file that has a trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Program { common: bool },
    Library,
}

impl Programs {
    /// Adds one occurrence of a cause.
    pub(super) fn add(&mut self, wrong: Wrong, machine: Machine, role: Role, who: Who) {
        let (program, common) = match role {
            Role::Program { common } => (true, common),
            Role::Library => (false, false),
        };
        let one = Trouble {
            wrong,
            machine,
            programs: u32::from(program),
            common: u32::from(common),
            libraries: u32::from(!program),
            who: BTreeSet::from([who]),
        };
        self.merge_trouble(one);
    }

    fn merge_trouble(&mut self, new: Trouble) {
        let same =
            |old: &&mut Trouble| old.machine == new.machine && old.wrong.key() == new.wrong.key();
        let Some(old) = self.troubles.iter_mut().find(same) else {
            if self.troubles.len() < MOST_CAUSES {
                self.troubles.push(new);
            } else {
                self.dropped += 1;
            }
            return;
        };
        // Programs are more telling than libraries, whoever came first.
        match (old.programs > 0, new.programs > 0) {
            (false, true) => old.who = new.who,
            (true, false) => {}
            _ => old.who.extend(new.who),
        }
        old.programs += new.programs;
        old.common += new.common;
        old.libraries += new.libraries;
        if let (Wrong::Version { versions, .. }, Wrong::Version { versions: more, .. }) =
            (&mut old.wrong, new.wrong)
        {
            versions.extend(more);
            trim(versions);
        }
        trim(&mut old.who);
    }

    /// Counts a program for its machine.
    pub(super) fn count(&mut self, machine: Machine) {
        self.programs += 1;
        let known = self
            .machines
            .iter_mut()
            .find(|(known, _)| *known == machine);
        if let Some((_, count)) = known {
            *count += 1;
        } else if self.machines.len() < MOST_MACHINES {
            self.machines.push((machine, 1));
        }
    }

    /// Notes a file or directory that could not be read.
    pub(super) fn unread(&mut self, path: &[u8], error: &io::Error) {
        // What a bad sector, a broken tree of blocks and a wrong checksum give.
        const FAILING: [Errno; 3] = [Errno::IO, Errno::UCLEAN, Errno::BADMSG];
        let errno = errno_of(error);
        let list = if FAILING.contains(&errno) {
            self.failing_count += 1;
            &mut self.failing
        } else {
            &mut self.unread
        };
        keep(list, path.to_vec(), describe(errno));
    }

    /// What another worker found.
    pub(super) fn merge(&mut self, other: Self) {
        self.programs += other.programs;
        self.libraries += other.libraries;
        self.dropped += other.dropped;
        for trouble in other.troubles {
            self.merge_trouble(trouble);
        }
        let mut machines: BTreeMap<Machine, u32> = self.machines.drain(..).collect();
        for (machine, count) in other.machines {
            *machines.entry(machine).or_default() += count;
        }
        self.machines = machines.into_iter().collect();
        for (path, why) in other.unread {
            keep(&mut self.unread, path, why);
        }
        for (path, why) in other.failing {
            keep(&mut self.failing, path, why);
        }
        self.failing_count += other.failing_count;
        self.lost.extend(other.lost);
    }

    /// Puts everything in an order that does not depend on which worker was faster.
    pub(super) fn settle(&mut self) {
        self.troubles.sort_by(|a, b| {
            let size = |it: &Trouble| std::cmp::Reverse((it.programs, it.libraries));
            size(a).cmp(&size(b)).then_with(|| a.wrong.cmp(&b.wrong))
        });
        self.machines
            .sort_by_key(|(machine, count)| (std::cmp::Reverse(*count), *machine));
        self.unread.sort();
        self.failing.sort();
        self.lost.sort();
    }

    /// The machine that most programs are for: the system's own.
    #[must_use]
    pub fn own_machine(&self) -> Option<Machine> {
        self.machines.first().map(|(machine, _)| *machine)
    }
}

fn keep(list: &mut Vec<(Vec<u8>, String)>, path: Vec<u8>, why: String) {
    if list.len() < MOST_NAMES {
        list.push((path, why));
    }
}

fn trim<T: Ord>(names: &mut BTreeSet<T>) {
    while names.len() > MOST_NAMES {
        names.pop_last();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(path: &str) -> Who {
        Who {
            path: path.into(),
            needed_by: None,
        }
    }

    fn library(name: &str) -> Wrong {
        Wrong::Library { name: name.into() }
    }

    #[test]
    fn one_cause_is_one_entry_and_programs_name_it() {
        let machine = Machine::default();
        let (mut one, mut two) = (Programs::default(), Programs::default());
        one.add(
            library("libc.so.6"),
            machine,
            Role::Library,
            who("/lib/a.so"),
        );
        for index in 0..20 {
            let role = Role::Program { common: index < 3 };
            two.add(
                library("libc.so.6"),
                machine,
                role,
                who(&format!("/bin/p{index:02}")),
            );
        }
        two.add(
            library("libz.so.1"),
            machine,
            Role::Library,
            who("/lib/b.so"),
        );
        one.merge(two);
        one.settle();
        assert_eq!(one.troubles.len(), 2);
        let first = &one.troubles[0];
        assert_eq!((first.programs, first.common, first.libraries), (20, 3, 1));
        assert_eq!(first.who.len(), MOST_NAMES);
        assert!(first.who.contains(&who("/bin/p00")));
    }

    #[test]
    fn causes_are_bounded() {
        let mut all = Programs::default();
        for index in 0..MOST_CAUSES + 5 {
            let wrong = library(&format!("lib{index}.so"));
            all.add(wrong, Machine::default(), Role::Library, who("/x"));
        }
        assert_eq!((all.troubles.len(), all.dropped), (MOST_CAUSES, 5));
    }
}
