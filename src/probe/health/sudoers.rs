//! sudoers(5), as far as a person breaks it: a line that is no rule.

use super::accounts::{AccountFacts, Lines, text};
use crate::model::RootPath;
use crate::root::Tree;

/// sudo itself gives up at 128.
const MOST_FILES: usize = 128;

/// Reads /etc/sudoers and what it includes; the first file with a bad line is reported.
pub(super) fn look(tree: &dyn Tree, facts: &mut AccountFacts) {
    let mut pending = vec![RootPath::new("/etc/sudoers")];
    let mut main = None;
    let mut read = 0;
    while let Some(path) = pending.pop() {
        read += 1;
        if read > MOST_FILES {
            break;
        }
        let mut lines = Lines::default();
        let bytes = text(tree, &path.to_string(), &mut lines);
        parse(&bytes, &mut lines, tree, &mut pending);
        if main.is_none() || !lines.bad.is_empty() {
            let done = !lines.bad.is_empty();
            main = Some(lines);
            facts.sudoers_file = path;
            if done {
                break;
            }
        }
    }
    facts.sudoers = main;
}

fn parse(bytes: &[u8], lines: &mut Lines, tree: &dyn Tree, pending: &mut Vec<RootPath>) {
    let text = String::from_utf8_lossy(bytes);
    let mut whole = String::new();
    for (at, line) in text.lines().enumerate() {
        if let Some(begun) = line.strip_suffix('\\') {
            whole.push_str(begun);
            continue;
        }
        whole.push_str(line);
        let rule = std::mem::take(&mut whole);
        match judge(rule.trim()) {
            Rule::Nothing => {}
            Rule::Good => lines.good += 1,
            Rule::Bad(why) => lines.bad(at + 1, why),
            Rule::File(name) => pending.push(RootPath::new(name)),
            Rule::Directory(name) => {
                let directory = RootPath::new(name);
                // sudo skips names with a dot or a tilde at the end.
                let names = tree.list(&directory).unwrap_or_default();
                let used = names.into_iter().filter(|name| {
                    let name = name.to_string_lossy();
                    !name.contains('.') && !name.ends_with('~')
                });
                pending.extend(used.map(|name| directory.join(name)));
            }
        }
    }
}

enum Rule {
    Nothing,
    Good,
    File(String),
    Directory(String),
    Bad(&'static str),
}

fn judge(line: &str) -> Rule {
    let included = |word: &str| {
        let rest = line.strip_prefix(['#', '@'])?.strip_prefix(word)?;
        let path = rest.trim().trim_matches('"');
        (rest.starts_with([' ', '\t']) && path.starts_with('/')).then(|| path.to_string())
    };
    if let Some(path) = included("includedir") {
        return Rule::Directory(path);
    }
    if let Some(path) = included("include") {
        return Rule::File(path);
    }
    // `#1000` begins a rule for a user by number.
    let comment = line.starts_with('#') && !line[1..].starts_with(|c: char| c.is_ascii_digit());
    if line.is_empty() || comment {
        return Rule::Nothing;
    }
    if line.starts_with("Defaults") {
        return Rule::Good;
    }
    match line.split_once('=') {
        None => Rule::Bad("a rule needs a \"=\""),
        Some((_, rest)) if rest.trim().is_empty() => Rule::Bad("nothing follows the \"=\""),
        Some((left, _)) if left.trim().is_empty() => Rule::Bad("nothing stands before the \"=\""),
        Some((left, _)) if left.split_whitespace().count() < 2 && !line.contains("_Alias") => {
            Rule::Bad("a rule needs a user and a host before the \"=\"")
        }
        Some(_) => Rule::Good,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_told_from_noise() {
        let good = [
            "root ALL=(ALL:ALL) ALL",
            "%sudo\tALL=(ALL:ALL) ALL",
            "#1000 ALL=(ALL) NOPASSWD: ALL",
            "Defaults env_reset",
            "User_Alias ADMINS = ann, bob",
        ];
        for line in good {
            assert!(matches!(judge(line), Rule::Good), "{line}");
        }
        for line in ["root ALL", "nonsense", "=ALL", "root=ALL", "x ALL="] {
            assert!(matches!(judge(line), Rule::Bad(_)), "{line}");
        }
        assert!(matches!(
            judge("@includedir /etc/sudoers.d"),
            Rule::Directory(_)
        ));
        assert!(matches!(judge("# a comment = x"), Rule::Nothing));
    }
}
