//! What runs in the root: the program, who runs it, where, with which environment.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::cmd::look::{Found, SHELL, explain, look, with_lent, with_separate_usr};
use crate::error::{Exit, Failure};
use crate::model::{HostPath, Kind, RootPath};
use crate::plan::environment::{Circumstances, environment, label};
use crate::plan::lent::Offer;
use crate::plan::{Command, Credentials};
use crate::probe::{Accounts, User};
use crate::root::{Tree, read};

/// A locale archive that is larger than this is taken to hold every locale.
const ARCHIVE_LIMIT: usize = 16 << 20;

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// The words of the command; none means a shell.
    pub(crate) words: &'a [OsString],
    /// `--user`.
    pub(crate) user: Option<&'a str>,
    /// `--env`.
    pub(crate) env: &'a [OsString],
    /// A profile's environment.
    pub(crate) given: &'a [(OsString, OsString)],
    /// A directory that comes first in PATH.
    pub(crate) first_in_path: Option<&'a str>,
    /// What the prompt calls the root; its last part counts.
    pub(crate) name: &'a Path,
    /// `--workdir`.
    pub(crate) directory: Option<&'a Path>,
    /// Whether ids other than 0 exist (not in a user namespace of one id).
    pub(crate) privileged: bool,
    /// Tools of the live system, which come before the root's own.
    pub(crate) lent: Option<&'a Offer>,
}

/// A command that can start, and whether it is an interactive shell.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) command: Command,
    pub(crate) is_shell: bool,
}

/// Who runs it.
struct Person {
    name: OsString,
    home: RootPath,
    shell: RootPath,
    credentials: Credentials,
}

/// Decides what runs, as `tree` will be when it is entered.
///
/// # Errors
/// A [`Failure`] that says what is in the way.
pub(crate) fn choose(
    tree: &dyn Tree,
    root: &HostPath,
    wanted: Wanted<'_>,
) -> anyhow::Result<Chosen> {
    let accounts = Accounts::read(tree);
    let person = person(&accounts, root, wanted)?;
    let directory = directory(tree, root, &person, wanted)?;
    let given = given(wanted);
    let set = |interactive: Option<String>| {
        let host: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        environment(&Circumstances {
            host: &host,
            user: person.name.clone(),
            home: person.home.as_path().into(),
            shell: person.shell.as_path().into(),
            is_root: person.credentials.uid == 0,
            knows_terminal: &|name| knows_terminal(tree, name),
            knows_locale: &|name| knows_locale(tree, name),
            first_in_path: wanted.first_in_path,
            label: label(wanted.name.file_name().unwrap_or_default()),
            interactive,
            given: &given,
            asked: wanted.env,
        })
    };
    let path = search_path(&set(None));
    let (found, words) = match (lent(wanted), wanted.words.split_first()) {
        (Some(lent), _) => lent,
        (None, Some((name, _))) => {
            let found = look(tree, name, &path, &directory)
                .map_err(|obstacle| explain(&obstacle, tree, root))?;
            (found, wanted.words.to_vec())
        }
        (None, None) => shell(tree, root, &person, &path, &directory)?,
    };
    let shell_name = interactive_shell(&found, &words);
    let mut command = Command {
        program: found.program.as_bytes().to_vec(),
        arguments: words,
        environment: set(shell_name.clone()),
        directory: directory.as_path().into(),
        user: wanted.privileged.then_some(person.credentials),
    };
    if found.for_shell {
        hand_to_shell(&mut command);
    }
    Ok(Chosen {
        command,
        is_shell: shell_name.is_some(),
    })
}

/// The command, where it is a lent tool or nothing but a shell was asked for.
fn lent(wanted: Wanted<'_>) -> Option<(Found, Vec<OsString>)> {
    let offer = wanted.lent?;
    let words = if wanted.words.is_empty() {
        &offer.shell
    } else {
        wanted.words
    };
    let program = offer.path(words.first()?.to_str()?)?;
    let found = Found {
        program,
        for_shell: false,
    };
    Some((found, words.to_vec()))
}

/// A jail's variables, then those of lent tools, which would not work without.
fn given(wanted: Wanted<'_>) -> Vec<(OsString, OsString)> {
    let mut all = wanted.given.to_vec();
    if let Some(offer) = wanted.lent {
        // Terminal descriptions are this system's, so its own name for the terminal is known.
        let term = std::env::var_os("TERM").map(|term| (OsString::from("TERM"), term));
        all.extend(term);
        all.extend(offer.environment.iter().cloned());
        let path = all.iter_mut().find(|(name, _)| name == "PATH");
        if let (Some((_, value)), Some(first)) = (path, wanted.first_in_path) {
            let mut longer = OsString::from(format!("{first}:"));
            longer.push(&*value);
            *value = longer;
        }
    }
    all
}

/// What execvp(3) does with a text that has no `#!` line.
fn hand_to_shell(command: &mut Command) {
    let script = OsStr::from_bytes(&command.program).to_os_string();
    let rest = command.arguments.split_off(1);
    command.program = SHELL.into();
    command.arguments = vec![OsString::from("sh"), script];
    command.arguments.extend(rest);
}

fn person(accounts: &Accounts, root: &HostPath, wanted: Wanted<'_>) -> anyhow::Result<Person> {
    let Some(asked) = wanted.user else {
        return Ok(known(accounts, accounts.uid(0), 0, 0));
    };
    let (user, group) = match asked.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (asked, None),
    };
    let by_name = accounts.user(user);
    let uid = by_name.map(|user| user.uid).or_else(|| user.parse().ok());
    let Some(uid) = uid else {
        return Err(unknown("user", user, root, "passwd"));
    };
    let entry = by_name.or_else(|| accounts.uid(uid));
    let gid = match group {
        None => entry.map_or(uid, |user| user.gid),
        Some(group) => accounts
            .group(group)
            .map(|group| group.gid)
            .or_else(|| group.parse().ok())
            .ok_or_else(|| unknown("group", group, root, "group"))?,
    };
    if !wanted.privileged && (uid, gid) != (0, 0) {
        return Err(Failure::new(
            format!("cannot run as {asked} in {root}"),
            "without root's rights there is one user in the root, and that is root",
        )
        .hint("as root", format!("sudo newroot enter --user {asked} …"))
        .into());
    }
    let mut person = known(accounts, entry, uid, gid);
    if group.is_some() {
        // `uid:gid` means exactly these, as with chroot(8) and podman(1).
        person.credentials.groups = Some(vec![gid]);
    }
    Ok(person)
}

fn unknown(what: &str, name: &str, root: &HostPath, file: &str) -> anyhow::Error {
    Failure::new(
        format!("cannot run as {what} {name} in {root}"),
        format!("there is no such {what} in its /etc/{file}"),
    )
    .hint("a number needs no entry", "--user UID:GID")
    .into()
}

fn known(accounts: &Accounts, user: Option<&User>, uid: u32, gid: u32) -> Person {
    let groups = match user {
        Some(user) => accounts.groups_of(&user.name),
        None => vec![gid],
    };
    let credentials = Credentials {
        uid,
        gid,
        groups: Some(groups),
    };
    match user {
        Some(user) => Person {
            name: user.name.clone(),
            home: user.home.clone(),
            shell: user.shell.clone(),
            credentials,
        },
        None => Person {
            name: if uid == 0 {
                OsString::from("root")
            } else {
                OsString::from(uid.to_string())
            },
            home: RootPath::new(if uid == 0 { "/root" } else { "/" }),
            shell: RootPath::new("/bin/sh"),
            credentials,
        },
    }
}

fn directory(
    tree: &dyn Tree,
    root: &HostPath,
    person: &Person,
    wanted: Wanted<'_>,
) -> anyhow::Result<RootPath> {
    let is_directory = |path: &RootPath| {
        tree.stat(path)
            .is_ok_and(|meta| meta.kind == Kind::Directory)
    };
    if let Some(asked) = wanted.directory {
        let path = RootPath::new(asked);
        if is_directory(&path) {
            return Ok(path);
        }
        return Err(Failure::new(
            format!("cannot start in {path}"),
            format!("there is no such directory in {root}"),
        )
        .into());
    }
    // A shell starts at home, where there is one; a command at the root, as with chroot(8).
    if wanted.words.is_empty() && is_directory(&person.home) {
        return Ok(person.home.clone());
    }
    Ok(RootPath::root())
}

fn search_path(set: &[(OsString, OsString)]) -> Vec<RootPath> {
    let path = set
        .iter()
        .find(|(name, _)| name == "PATH")
        .map(|(_, value)| value.clone())
        .unwrap_or_default();
    path.as_bytes()
        .split(|byte| *byte == b':')
        .filter(|part| !part.is_empty())
        .map(RootPath::from_bytes)
        .collect()
}

/// The root's own shell, else bash, sh, busybox sh: the first that can start. When none can, the
/// first that is there explains why.
fn shell(
    tree: &dyn Tree,
    root: &HostPath,
    person: &Person,
    path: &[RootPath],
    directory: &RootPath,
) -> anyhow::Result<(Found, Vec<OsString>)> {
    let own = person.shell.as_path().as_os_str().to_os_string();
    let no_login = ["nologin", "false"]
        .iter()
        .any(|name| Path::new(&own).file_name() == Some(OsStr::new(name)));
    let mut candidates: Vec<Vec<OsString>> = vec![
        vec!["/bin/bash".into()],
        vec!["/bin/sh".into()],
        vec!["bash".into()],
        vec!["sh".into()],
        vec!["busybox".into(), "sh".into()],
    ];
    if !no_login {
        candidates.insert(0, vec![own]);
    }
    let mut first = None;
    for words in candidates {
        match look(tree, &words[0], path, directory) {
            Ok(found) => return Ok((found, words)),
            Err(obstacle) => {
                let is_there = !matches!(obstacle, crate::plan::look::Obstacle::NotFound { .. });
                if is_there {
                    first.get_or_insert(obstacle);
                }
            }
        }
    }
    Err(match first {
        Some(obstacle) => explain(&obstacle, tree, root).into(),
        None => with_lent(
            with_separate_usr(
                Failure::new(
                    format!("cannot start a shell in {root}"),
                    "there is none in it",
                ),
                tree,
                root,
            ),
            root,
        )
        .detail(format!("looked for {}, bash, sh and busybox", person.shell))
        .exit(Exit::NotFound)
        .into(),
    })
}

/// The shell's name, when the command is a shell that reads from the terminal.
fn interactive_shell(found: &Found, words: &[OsString]) -> Option<String> {
    let terminal = crate::sys::tty::is_terminal(rustix::stdio::stdin());
    let mut name = found.program.file_name()?.to_str()?.to_owned();
    let mut arguments = &words[1..];
    if name == "busybox" {
        let (applet, rest) = arguments.split_first()?;
        name = applet.to_str()?.to_owned();
        arguments = rest;
    }
    let is_shell =
        ["sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "fish"].contains(&name.as_str());
    // `-c` and a script's name make it a command like any other.
    let reads_terminal = arguments.iter().all(|argument| {
        let bytes = argument.as_bytes();
        bytes.starts_with(b"--") || (bytes.starts_with(b"-") && !bytes.contains(&b'c'))
    });
    (terminal && is_shell && reads_terminal).then_some(name)
}

fn knows_terminal(tree: &dyn Tree, name: &str) -> bool {
    let Some(first) = name.chars().next().filter(char::is_ascii_alphanumeric) else {
        return false;
    };
    if name.contains('/') {
        return false;
    }
    let letter = format!("{first}/{name}");
    let hex = format!("{:x}/{name}", u32::from(first));
    [
        "/etc/terminfo",
        "/lib/terminfo",
        "/usr/lib/terminfo",
        "/usr/share/terminfo",
    ]
    .iter()
    .any(|directory| {
        let directory = RootPath::new(directory);
        [&letter, &hex]
            .iter()
            .any(|file| tree.stat(&directory.join(file)).is_ok())
    })
}

/// glibc keeps locales as directories or in one archive, with the charset in its own spelling;
/// where there is neither (musl), every locale will do.
fn knows_locale(tree: &dyn Tree, name: &str) -> bool {
    if ["C", "POSIX", "C.UTF-8", "C.utf8"].contains(&name) {
        return true;
    }
    if name.contains('/') {
        return false;
    }
    let base = RootPath::new("/usr/lib/locale");
    if tree.stat(&base).is_err() {
        return tree.list(&RootPath::new("/lib")).is_ok_and(|names| {
            names
                .iter()
                .any(|name| name.as_bytes().starts_with(b"ld-musl-"))
        });
    }
    let spelled = match name.split_once('.') {
        Some((language, charset)) => {
            let plain: String = charset
                .chars()
                .filter(char::is_ascii_alphanumeric)
                .collect();
            format!("{language}.{}", plain.to_ascii_lowercase())
        }
        None => name.to_owned(),
    };
    if [name, &spelled]
        .iter()
        .any(|name| tree.stat(&base.join(name)).is_ok())
    {
        return true;
    }
    match read(tree, &base.join("locale-archive"), ARCHIVE_LIMIT) {
        Ok(bytes) => {
            let needle = [spelled.as_bytes(), b"\0"].concat();
            bytes.windows(needle.len()).any(|window| window == needle)
        }
        Err(error) => crate::sys::errno_of(&error) == rustix::io::Errno::FBIG,
    }
}
