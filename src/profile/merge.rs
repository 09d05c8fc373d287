//! Several profiles into one: lists add up, single answers go to the later one.

use super::model::Profile;

impl Profile {
    /// Adds `later` to this one. Lists keep their order and hold each entry once; where only one
    /// answer is possible (a variable, the command, what stands at a path) the later profile
    /// gives it. What one of them requires is required, whatever the other calls optional.
    /// Name and description stay.
    pub fn merge(&mut self, later: Self) {
        let lists = [
            (&mut self.include, later.include),
            (&mut self.programs, later.programs),
            (&mut self.optional_programs, later.optional_programs),
            (&mut self.packages, later.packages),
            (&mut self.optional_packages, later.optional_packages),
            (&mut self.files, later.files),
            (&mut self.optional_files, later.optional_files),
            (&mut self.exclude, later.exclude),
            (&mut self.users, later.users),
            (&mut self.devices, later.devices),
            (&mut self.applets_of, later.applets_of),
        ];
        for (list, more) in lists {
            for entry in more {
                if !list.contains(&entry) {
                    list.push(entry);
                }
            }
        }
        let required = |list: &mut Vec<String>, required: &[String]| {
            list.retain(|entry| !required.contains(entry));
        };
        required(&mut self.optional_programs, &self.programs);
        required(&mut self.optional_packages, &self.packages);
        required(&mut self.optional_files, &self.files);
        replace(&mut self.directories, later.directories, |a, b| {
            a.path == b.path
        });
        replace(&mut self.symlinks, later.symlinks, |a, b| a.path == b.path);
        replace(&mut self.binds, later.binds, |a, b| a.target == b.target);
        self.environment.extend(later.environment);
        if !later.command.is_empty() {
            self.command = later.command;
        }
        self.keep_privileges |= later.keep_privileges;
    }
}

fn replace<T>(list: &mut Vec<T>, later: Vec<T>, same: impl Fn(&T, &T) -> bool) {
    for entry in later {
        list.retain(|have| !same(have, &entry));
        list.push(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn lists_add_up_and_the_later_answer_counts() {
        let mut first = parse(
            r#"
            description = "first"
            programs = ["a", "b"]
            optional_programs = ["c"]
            directories = [{ path = "/d", mode = "0700" }, "/e"]
            symlinks = { "/l" = "one" }
            environment = { A = "1", B = "1" }
            command = ["a"]
            keep_privileges = true
            "#,
            "first",
        )
        .unwrap();
        let second = parse(
            r#"
            description = "second"
            programs = ["b", "c"]
            optional_programs = ["a", "z"]
            directories = ["/d"]
            symlinks = { "/l" = "two" }
            environment = { B = "2" }
            "#,
            "second",
        )
        .unwrap();
        first.merge(second);
        let want = parse(
            r#"
            description = "first"
            programs = ["a", "b", "c"]
            optional_programs = ["z"]
            directories = ["/e", "/d"]
            symlinks = { "/l" = "two" }
            environment = { A = "1", B = "2" }
            command = ["a"]
            keep_privileges = true
            "#,
            "first",
        )
        .unwrap();
        assert_eq!(first, want);
    }
}
