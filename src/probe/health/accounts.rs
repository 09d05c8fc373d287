//! Who can log in: passwd, shadow, group, sudoers, PAM, read as the programs that use them do.

use crate::model::{Kind, RootPath};
use crate::root::{self, Tree};

/// Longer files are taken as broken: no real one comes near it.
const LIMIT: usize = 16 << 20;
/// So many bad lines are reported for a file.
const MOST_LINES: usize = 6;

/// A file of lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// It is there and can be read.
    pub there: bool,
    /// How long it is.
    pub size: u64,
    /// Lines that are not what the format wants, from 1, and why.
    pub bad: Vec<(usize, &'static str)>,
    /// How many lines have the right shape.
    pub good: usize,
}

/// The state of a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// Hash of a kind that crypt(3) knows.
    Set,
    /// None is asked.
    Empty,
    /// `!`, `*`: nobody can type it.
    Locked,
}

/// What root is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootAccount {
    /// There is a line for root in passwd.
    pub there: bool,
    /// Its number.
    pub uid: Option<u32>,
    /// Its shell, as written.
    pub shell: String,
    /// The shell leads to a program file.
    pub shell_runs: bool,
    /// Its password; `None` when no line says so.
    pub password: Option<Password>,
}

/// A service of PAM that names a module which is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PamGap {
    /// The file in /etc/pam.d.
    pub file: RootPath,
    /// The line, from 1.
    pub line: usize,
    /// The module.
    pub module: String,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountFacts {
    /// /etc/passwd.
    pub passwd: Lines,
    /// /etc/shadow.
    pub shadow: Lines,
    /// /etc/group.
    pub group: Lines,
    /// root.
    pub root: RootAccount,
    /// Users whose password is in shadow, and who have no line there.
    pub without_shadow: Vec<String>,
    /// Users besides root who can type a password.
    pub with_password: Vec<String>,
    /// /etc/sudoers and what it includes; absent where sudo is not installed.
    pub sudoers: Option<Lines>,
    /// The bad line of an included file lies there.
    pub sudoers_file: RootPath,
    /// sudo is installed.
    pub sudo: bool,
    /// Modules that PAM will not find.
    pub pam: Vec<PamGap>,
    /// PAM is used and its directory is empty or gone.
    pub pam_gone: bool,
}

/// Reads all of it.
#[must_use]
pub fn look(tree: &dyn Tree) -> AccountFacts {
    let mut facts = AccountFacts::default();
    let passwd = text(tree, "/etc/passwd", &mut facts.passwd);
    let shadow = text(tree, "/etc/shadow", &mut facts.shadow);
    let group = text(tree, "/etc/group", &mut facts.group);
    read_passwd(&passwd, &mut facts);
    read_shadow(&shadow, &mut facts);
    read_group(&group, &mut facts.group);
    facts.root.shell_runs = runs(tree, &facts.root.shell);
    facts.sudo = runs(tree, "/usr/bin/sudo");
    if facts.sudo {
        super::sudoers::look(tree, &mut facts);
    }
    super::pam::look(tree, &mut facts);
    facts
}

/// Whether a path leads to a file that may be executed.
pub(super) fn runs(tree: &dyn Tree, path: &str) -> bool {
    let path = if path.is_empty() { "/bin/sh" } else { path };
    tree.stat(&RootPath::new(path))
        .is_ok_and(|meta| meta.kind == Kind::File && meta.mode & 0o111 != 0)
}

pub(super) fn text(tree: &dyn Tree, path: &str, lines: &mut Lines) -> Vec<u8> {
    match root::read(tree, &RootPath::new(path), LIMIT) {
        Ok(bytes) => {
            lines.there = true;
            lines.size = bytes.len() as u64;
            bytes
        }
        Err(_) => Vec::new(),
    }
}

impl Lines {
    pub(super) fn bad(&mut self, line: usize, why: &'static str) {
        if self.bad.len() < MOST_LINES {
            self.bad.push((line, why));
        }
    }
}

/// Numbered lines that say something. Of NIS' `+` and `-` lines nothing is asked.
fn lines(text: &[u8]) -> impl Iterator<Item = (usize, Vec<&[u8]>)> {
    text.split(|byte| *byte == b'\n')
        .enumerate()
        .filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"))
        .filter(|(_, line)| !line.starts_with(b"+") && !line.starts_with(b"-"))
        .map(|(at, line)| (at + 1, line.split(|byte| *byte == b':').collect()))
}

fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn number(field: &[u8]) -> Option<u32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

fn read_passwd(text: &[u8], facts: &mut AccountFacts) {
    for (at, fields) in lines(text) {
        let &[name, password, uid, gid, _, _, shell] = fields.as_slice() else {
            facts
                .passwd
                .bad(at, "a line needs seven fields between colons");
            continue;
        };
        let (Some(uid), Some(_)) = (number(uid), number(gid)) else {
            facts.passwd.bad(at, "user and group must be numbers");
            continue;
        };
        if name.is_empty() {
            facts.passwd.bad(at, "a name is missing");
            continue;
        }
        facts.passwd.good += 1;
        if name == b"root" && !facts.root.there {
            facts.root.there = true;
            facts.root.uid = Some(uid);
            facts.root.shell = show(shell);
            // Without an x the password stands right here.
            if password != b"x" {
                facts.root.password = Some(state(password));
            }
        }
        if password == b"x" && facts.without_shadow.len() < 10_000 {
            facts.without_shadow.push(show(name));
        }
    }
}

fn state(hash: &[u8]) -> Password {
    match hash.first() {
        None => Password::Empty,
        Some(b'!' | b'*') => Password::Locked,
        // A word that crypt(3) never gives is a lock as well: `x`, `NP`.
        Some(_) if hash.len() < 13 => Password::Locked,
        Some(_) => Password::Set,
    }
}

fn read_shadow(text: &[u8], facts: &mut AccountFacts) {
    let mut named = std::collections::BTreeSet::new();
    for (at, fields) in lines(text) {
        // A line that is broken is no line that is missing: one finding is enough.
        named.insert(show(fields[0]));
        if fields.len() != 9 {
            facts
                .shadow
                .bad(at, "a line needs nine fields between colons");
            continue;
        }
        let (name, hash) = (show(fields[0]), state(fields[1]));
        if fields[2..8]
            .iter()
            .any(|field| !field.is_empty() && number(field).is_none() && *field != b"-1")
        {
            facts
                .shadow
                .bad(at, "fields three to eight must be numbers or empty");
            continue;
        }
        facts.shadow.good += 1;
        if name == "root" {
            facts.root.password.get_or_insert(hash);
        } else if hash == Password::Set && facts.with_password.len() < 100 {
            facts.with_password.push(name);
        }
    }
    facts.without_shadow.retain(|name| !named.contains(name));
    facts.without_shadow.truncate(MOST_LINES);
}

fn read_group(text: &[u8], into: &mut Lines) {
    for (at, fields) in lines(text) {
        if fields.len() != 4 {
            into.bad(at, "a line needs four fields between colons");
        } else if number(fields[2]).is_none() {
            into.bad(at, "the group must be a number");
        } else {
            into.good += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Mem;

    fn facts(passwd: &str, shadow: &str) -> AccountFacts {
        let tree = Mem::new()
            .with_file("/etc/passwd", passwd)
            .with_file("/etc/shadow", shadow)
            .with_file("/etc/group", "root:x:0:\n")
            .with_file("/bin/sh", "x");
        look(&tree)
    }

    #[test]
    fn a_healthy_pair_has_nothing_bad() {
        let facts = facts(
            "root:x:0:0:root:/root:/bin/sh\n+::::::\nann:x:1000:1000::/home/ann:\n",
            "root:$y$j9T$abcdefghij:19000:0:99999:7:::\nann:!:19000::::::\n",
        );
        assert!(facts.passwd.bad.is_empty() && facts.shadow.bad.is_empty());
        assert_eq!(facts.root.password, Some(Password::Set));
        assert!(facts.root.shell_runs && facts.without_shadow.is_empty());
    }

    #[test]
    fn what_is_broken_is_named_with_its_line() {
        let facts = facts("ann\nroot:x:zero:0::/:\n", "root:*\n");
        assert_eq!(
            facts.passwd.bad.iter().map(|it| it.0).collect::<Vec<_>>(),
            [1, 2]
        );
        assert_eq!(facts.shadow.bad.len(), 1);
        assert!(!facts.root.there);
    }
}
