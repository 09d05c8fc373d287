//! The environment of a program in another root: clean, and such that the root can use it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// What is known.
pub struct Circumstances<'a> {
    /// The caller's environment.
    pub host: &'a [(OsString, OsString)],
    /// The user's name in the root.
    pub user: OsString,
    /// His home directory.
    pub home: OsString,
    /// His shell.
    pub shell: OsString,
    /// Whether he is root.
    pub is_root: bool,
    /// Whether the root has a terminal description of this name.
    pub knows_terminal: &'a dyn Fn(&str) -> bool,
    /// Whether the root has this locale.
    pub knows_locale: &'a dyn Fn(&str) -> bool,
    /// A directory that comes first in PATH.
    pub first_in_path: Option<&'a str>,
    /// `newroot:NAME`, for prompts.
    pub label: String,
    /// The name of the interactive shell that is started, if one is.
    pub interactive: Option<String>,
    /// A jail's profile, or anything else that comes before the user's own wishes.
    pub given: &'a [(OsString, OsString)],
    /// `--env`, in order.
    pub asked: &'a [OsString],
}

impl std::fmt::Debug for Circumstances<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Circumstances")
            .field("user", &self.user)
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

const ROOT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const USER_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Passed on as they are: without them nothing reaches the network on many a site.
const PASSED: [&str; 11] = [
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "no_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "COLORTERM",
];

/// What a terminal can be taken for when the root does not know its name.
const TERMINALS: [&str; 4] = ["xterm-256color", "xterm", "linux", "vt100"];

/// The whole environment, sorted by name.
#[must_use]
pub fn environment(it: &Circumstances<'_>) -> Vec<(OsString, OsString)> {
    let mut set = Environment(Vec::new());
    let path = if it.is_root { ROOT_PATH } else { USER_PATH };
    match it.first_in_path {
        Some(first) => set.put("PATH", format!("{first}:{path}")),
        None => set.put("PATH", path),
    }
    set.put("HOME", &it.home);
    set.put("USER", &it.user);
    set.put("LOGNAME", &it.user);
    set.put("SHELL", &it.shell);
    for name in PASSED {
        if let Some(value) = lookup(it.host, name) {
            set.put(name, value);
        }
    }
    terminal(it, &mut set);
    locale(it, &mut set);
    prompt(it, &mut set);
    for (name, value) in it.given {
        set.put(name, value);
    }
    for wish in it.asked {
        match split(wish) {
            (name, Some(value)) => set.put(name, value),
            // `--env NAME` passes the caller's own on, if there is one.
            (name, None) => {
                if let Some(value) = lookup(it.host, &name) {
                    set.put(name, value);
                }
            }
        }
    }
    set.0.sort();
    set.0
}

struct Environment(Vec<(OsString, OsString)>);

impl Environment {
    fn put(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) {
        let (name, value) = (name.as_ref(), value.as_ref().to_os_string());
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some(entry) => entry.1 = value,
            None => self.0.push((name.to_os_string(), value)),
        }
    }
}

fn lookup(host: &[(OsString, OsString)], name: impl AsRef<OsStr>) -> Option<&OsString> {
    host.iter()
        .find(|(known, _)| known == name.as_ref())
        .map(|(_, value)| value)
}

fn split(wish: &OsStr) -> (OsString, Option<OsString>) {
    let bytes = wish.as_bytes();
    match bytes.iter().position(|byte| *byte == b'=') {
        Some(at) => (
            OsString::from_vec(bytes[..at].to_vec()),
            Some(OsString::from_vec(bytes[at + 1..].to_vec())),
        ),
        None => (wish.to_os_string(), None),
    }
}

/// A terminal that the root does not know makes editors and pagers refuse to work.
fn terminal(it: &Circumstances<'_>, set: &mut Environment) {
    let Some(term) = lookup(it.host, "TERM") else {
        return;
    };
    let known = |name: &str| (it.knows_terminal)(name);
    let name = term.to_str().unwrap_or("dumb");
    // A root without any description (busybox) has programs that need none.
    if known(name) || !TERMINALS.iter().any(|other| known(other)) {
        return set.put("TERM", term);
    }
    // Only what behaves like an xterm is taken for one.
    let like_xterm = !["linux", "vt", "dumb", "ansi"]
        .iter()
        .any(|start| name.starts_with(start));
    let usable = TERMINALS
        .iter()
        .skip(if like_xterm { 0 } else { 2 })
        .find(|other| known(other));
    set.put("TERM", usable.copied().unwrap_or("dumb"));
}

fn locale(it: &Circumstances<'_>, set: &mut Environment) {
    let lang = lookup(it.host, "LANG").and_then(|lang| lang.to_str());
    match lang.filter(|lang| (it.knows_locale)(lang)) {
        Some(lang) => set.put("LANG", lang),
        None => set.put("LANG", "C.UTF-8"),
    }
    for (name, value) in it.host {
        let name_text = name.to_str().unwrap_or_default();
        let is_locale = name_text.starts_with("LC_") || name_text == "LANGUAGE";
        let usable = value
            .to_str()
            .is_some_and(|value| name_text == "LANGUAGE" || (it.knows_locale)(value));
        if is_locale && usable && lang.is_some() {
            set.put(name, value);
        }
    }
}

/// Debian's and Ubuntu's bashrc put debian_chroot into the prompt by themselves. Elsewhere the
/// bashrc replaces PS1, so bash is told to put the label in front once, just before it prompts:
/// no file is touched, and a prompt that has the label (or debian_chroot) is left alone.
fn prompt(it: &Circumstances<'_>, set: &mut Environment) {
    set.put("debian_chroot", &it.label);
    let Some(shell) = &it.interactive else {
        return;
    };
    let label = &it.label;
    if shell == "bash" {
        set.put("PS1", format!("({label})\\u@\\h:\\w\\$ "));
        set.put(
            "PROMPT_COMMAND",
            format!("case $PS1 in *newroot:*|*debian_chroot*) ;; *) PS1=\"({label})$PS1\" ;; esac"),
        );
    } else {
        let sign = if it.is_root { '#' } else { '$' };
        set.put("PS1", format!("({label}){sign} "));
    }
}

/// A label for prompts, of letters and digits only: a shell expands its prompt.
#[must_use]
pub fn label(name: &OsStr) -> String {
    let plain: String = name
        .to_string_lossy()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "._-".contains(c) {
                c
            } else {
                '_'
            }
        })
        .take(32)
        .collect();
    if plain.is_empty() {
        String::from("newroot:/")
    } else {
        format!("newroot:{plain}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(host: &[(&str, &str)], terminals: &[&str], asked: &[&str]) -> Vec<(String, String)> {
        let host: Vec<(OsString, OsString)> = host
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        let asked: Vec<OsString> = asked.iter().map(OsString::from).collect();
        environment(&Circumstances {
            host: &host,
            user: "root".into(),
            home: "/root".into(),
            shell: "/bin/sh".into(),
            is_root: true,
            knows_terminal: &|name| terminals.contains(&name),
            knows_locale: &|name| name == "de_DE.UTF-8",
            first_in_path: None,
            label: String::from("newroot:mnt"),
            interactive: None,
            given: &[],
            asked: &asked,
        })
        .into_iter()
        .map(|(name, value)| (name.into_string().unwrap(), value.into_string().unwrap()))
        .collect()
    }

    fn value(set: &[(String, String)], name: &str) -> Option<String> {
        set.iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
    }

    #[test]
    fn nothing_of_the_callers_gets_in_unasked() {
        let host = [
            ("SECRET", "x"),
            ("LD_PRELOAD", "/evil.so"),
            ("http_proxy", "http://p:1"),
            ("PASSED", "yes"),
        ];
        let set = with(&host, &[], &["A=b=c", "PASSED", "ABSENT", "HOME=/x"]);
        assert_eq!(value(&set, "SECRET"), None);
        assert_eq!(value(&set, "LD_PRELOAD"), None);
        assert_eq!(value(&set, "http_proxy").unwrap(), "http://p:1");
        assert_eq!(value(&set, "A").unwrap(), "b=c");
        assert_eq!(value(&set, "PASSED").unwrap(), "yes");
        assert_eq!(value(&set, "ABSENT"), None);
        assert_eq!(value(&set, "HOME").unwrap(), "/x");
    }

    #[test]
    fn the_terminal_is_one_that_the_root_knows() {
        let table: &[(&str, &[&str], &str)] = &[
            (
                "xterm-kitty",
                &["xterm-256color", "xterm"],
                "xterm-256color",
            ),
            ("xterm-kitty", &["xterm-kitty", "xterm"], "xterm-kitty"),
            ("screen", &["linux", "vt100"], "linux"),
            ("vt220", &["xterm", "vt100"], "vt100"),
            ("vt220", &["xterm"], "dumb"),
            ("anything", &[], "anything"),
        ];
        for (term, known, expected) in table {
            let set = with(&[("TERM", term)], known, &[]);
            assert_eq!(value(&set, "TERM").unwrap(), *expected, "{term} {known:?}");
        }
    }

    #[test]
    fn a_locale_that_the_root_lacks_becomes_c() {
        let host = [("LANG", "de_DE.UTF-8"), ("LC_TIME", "fr_FR.UTF-8")];
        let set = with(&host, &[], &[]);
        assert_eq!(value(&set, "LANG").unwrap(), "de_DE.UTF-8");
        assert_eq!(value(&set, "LC_TIME"), None);
        let set = with(&[("LANG", "xx_YY")], &[], &[]);
        assert_eq!(value(&set, "LANG").unwrap(), "C.UTF-8");
    }

    #[test]
    fn a_label_holds_nothing_that_a_prompt_expands() {
        assert_eq!(label(OsStr::new("web03")), "newroot:web03");
        assert_eq!(label(OsStr::new("$(rm x)`y`")), "newroot:__rm_x__y_");
        assert_eq!(label(OsStr::new("")), "newroot:/");
    }
}
