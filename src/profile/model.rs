//! A profile as data. See newroot-profile(5).

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::model::RootPath;

/// One profile; after loading, with everything it includes merged in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Its name; the file's stem.
    pub name: String,
    /// One line for `profile list`.
    pub description: String,
    /// Other profiles, by name or by a path relative to this one's directory.
    pub include: Vec<String>,
    /// Programs by name (PATH of `--from`) or path; their closure comes along.
    pub programs: Vec<String>,
    /// The same; one that is absent is a note in the report, not an error.
    pub optional_programs: Vec<String>,
    /// Packages: all files that the database of `--from` lists for them.
    pub packages: Vec<String>,
    /// The same, absent ones noted.
    pub optional_packages: Vec<String>,
    /// Files and directories (with all in them) by path; `*`, `?`, `[…]` and `**` are globs.
    pub files: Vec<String>,
    /// The same, absent ones noted.
    pub optional_files: Vec<String>,
    /// Left out again, even when one of the lists above brings it in; globs.
    pub exclude: Vec<String>,
    /// Empty directories.
    pub directories: Vec<Directory>,
    /// Symbolic links.
    pub symlinks: Vec<Link>,
    /// Users of `--from` to put into the jail's passwd and group, with their groups.
    pub users: Vec<String>,
    /// Device nodes by path (`/dev/net/tun`) besides the usual ones.
    pub devices: Vec<String>,
    /// Variables for the command.
    pub environment: BTreeMap<String, String>,
    /// What to run when nothing else is asked for.
    pub command: Vec<String>,
    /// Host paths to show inside when the jail is entered.
    pub binds: Vec<Bind>,
    /// Applet links to make for a multi-call binary: the program, by name or path.
    pub applets_of: Vec<String>,
    /// Keep set-id bits and file capabilities.
    pub keep_privileges: bool,
}

/// An empty directory of the jail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Where.
    pub path: RootPath,
    /// Permission bits.
    pub mode: u32,
    /// The owner's name in the jail's passwd; root when absent.
    pub owner: Option<String>,
    /// The group's name in the jail's group file; the owner's own group when absent.
    pub group: Option<String>,
}

/// A symbolic link of the jail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where.
    pub path: RootPath,
    /// Its text.
    pub target: PathBuf,
}

/// A bind mount for when the jail is entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// On the host.
    pub source: PathBuf,
    /// In the root.
    pub target: RootPath,
    /// Whether it is read-only.
    pub read_only: bool,
}
