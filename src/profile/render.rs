//! A profile as TOML again: what `profile show -v` prints after the includes are merged.

use std::fmt::Write as _;

use super::model::Profile;

impl Profile {
    /// The profile as a file that [`super::parse()`] reads to the same profile. What is empty is
    /// left out. `include` becomes a comment, since its contents are merged in already.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        if !self.include.is_empty() {
            // A name may hold anything that a file name may; a newline would end the comment.
            let names: Vec<String> = self.include.iter().map(|name| quoted(name)).collect();
            writeln!(out, "# merged from {}", names.join(", ")).ok();
        }
        if !self.description.is_empty() {
            writeln!(out, "description = {}", quoted(&self.description)).ok();
        }
        let lists = [
            ("programs", &self.programs),
            ("optional_programs", &self.optional_programs),
            ("applets_of", &self.applets_of),
            ("packages", &self.packages),
            ("optional_packages", &self.optional_packages),
            ("files", &self.files),
            ("optional_files", &self.optional_files),
            ("exclude", &self.exclude),
            ("users", &self.users),
            ("devices", &self.devices),
        ];
        for (key, entries) in lists {
            list(&mut out, key, entries.iter().map(|entry| quoted(entry)));
        }
        let directories = self.directories.iter().map(|directory| {
            let path = quoted(&directory.path.to_string());
            let mut whose = String::new();
            for (key, name) in [("owner", &directory.owner), ("group", &directory.group)] {
                if let Some(name) = name {
                    write!(whose, ", {key} = {}", quoted(name)).ok();
                }
            }
            format!(
                "{{ path = {path}, mode = \"{:04o}\"{whose} }}",
                directory.mode
            )
        });
        list(&mut out, "directories", directories);
        let binds = self.binds.iter().map(|bind| {
            let end = if bind.read_only { ":ro" } else { "" };
            quoted(&format!("{}:{}{end}", bind.source.display(), bind.target))
        });
        list(&mut out, "binds", binds);
        if !self.command.is_empty() {
            let words: Vec<String> = self.command.iter().map(|word| quoted(word)).collect();
            writeln!(out, "command = [{}]", words.join(", ")).ok();
        }
        if self.keep_privileges {
            out.push_str("keep_privileges = true\n");
        }
        // Tables last: what follows a table's head belongs to it.
        let links = self.symlinks.iter();
        let links = links.map(|l| (l.path.to_string(), l.target.display().to_string()));
        table(&mut out, "symlinks", links);
        let variables = self.environment.clone().into_iter();
        table(&mut out, "environment", variables);
        out
    }
}

fn list(out: &mut String, key: &str, entries: impl Iterator<Item = String>) {
    let entries: Vec<String> = entries.collect();
    if !entries.is_empty() {
        writeln!(out, "{key} = [\n    {},\n]", entries.join(",\n    ")).ok();
    }
}

fn table(out: &mut String, key: &str, pairs: impl Iterator<Item = (String, String)>) {
    let mut pairs = pairs.peekable();
    if pairs.peek().is_some() {
        writeln!(out, "\n[{key}]").ok();
    }
    for (name, value) in pairs {
        writeln!(out, "{} = {}", quoted(&name), quoted(&value)).ok();
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            other if other.is_control() => {
                write!(out, "\\u{:04x}", u32::from(other)).ok();
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn what_is_rendered_reads_back_the_same() {
        let text = r#"
            description = "quotes \" and \\"
            programs = ["a", "/b \" c"]
            optional_programs = ["o"]
            applets_of = ["busybox"]
            packages = ["p"]
            optional_packages = ["q"]
            files = ["/f*"]
            optional_files = ["/g"]
            exclude = ["/**/x"]
            directories = [{ path = "/d", mode = "1777" }, { path = "/e", owner = "u", group = "g" }]
            symlinks = { "/l" = "../t\"" }
            users = ["u"]
            devices = ["/dev/fuse"]
            environment = { A = "tab\tand\nline", "B.C" = "" }
            command = ["a", "-x y"]
            binds = ["/s:/t:ro", "/u"]
            keep_privileges = true
        "#;
        let profile = parse(text, "x").unwrap();
        assert_eq!(parse(&profile.to_toml(), "x").unwrap(), profile);
        let empty = parse("", "x").unwrap();
        assert_eq!(empty.to_toml(), "");
    }
}
