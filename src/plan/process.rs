//! Operations on processes: namespaces, the new `/`, the program.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use super::mount::word;
use crate::model::{HostPath, RootPath, shell_word};

/// How `/` is changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// pivot_root(2): the old root is unmounted afterwards.
    #[default]
    Pivot,
    /// chroot(2): the old root stays, out of sight.
    Chroot,
}

/// Who runs the program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// User id inside the root.
    pub uid: u32,
    /// Group id inside the root.
    pub gid: u32,
    /// Supplementary groups; `None` leaves them (a user namespace of one id cannot set them).
    pub groups: Option<Vec<u32>>,
}

impl Credentials {
    fn is_plain_root(&self) -> bool {
        let only_root = |groups: &Vec<u32>| groups.iter().all(|group| *group == 0);
        (self.uid, self.gid) == (0, 0) && self.groups.as_ref().is_none_or(only_root)
    }
}

/// A program, ready to be executed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// The file, absolute in the root.
    pub program: Vec<u8>,
    /// Its arguments, its own name first.
    pub arguments: Vec<OsString>,
    /// Its whole environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Where it starts.
    pub directory: OsString,
    /// Who runs it; `None` leaves the caller's ids.
    pub user: Option<Credentials>,
}

/// One operation on processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessOp {
    /// A mount namespace that is slave to the caller's, and an init with mount and PID
    /// namespaces of its own.
    Namespaces {
        /// In a user namespace, where the caller is root.
        user: bool,
        /// The init stays in the host's root; the program gets a mount namespace of its own.
        apart: bool,
    },
    /// ROOT becomes `/`.
    NewRoot {
        /// How.
        mode: Mode,
        /// Whether the root has the programs that the shell form of a pivot needs.
        shell_can_pivot: bool,
    },
    /// The program.
    Execute {
        /// What is executed.
        command: Command,
        /// Whether the shell is in the root already (see [`ProcessOp::NewRoot`]).
        inside: bool,
    },
}

impl ProcessOp {
    /// The shell commands that do the same for a root at `base`.
    ///
    /// # Errors
    /// Those of the formatter.
    pub fn shell(&self, base: &HostPath, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespaces { user, apart } => {
                let user = if *user { " --user --map-root-user" } else { "" };
                // With an `exit` after it the first sh does not turn into the second unshare.
                let program = if *apart {
                    "sh -c 'unshare --mount --propagation slave sh -e /dev/fd/3; exit $?'"
                } else {
                    "sh -e /dev/fd/3"
                };
                write!(
                    f,
                    "unshare{user} --mount --propagation slave --pid --fork --kill-child \
                     {program} 3<<'{}'",
                    super::SCRIPT_END
                )
            }
            Self::NewRoot {
                mode: Mode::Chroot, ..
            } => write!(f, "# chroot comes with the program"),
            Self::NewRoot {
                shell_can_pivot: false,
                ..
            } => write!(
                f,
                "# newroot pivots; in this root there is no umount(8) or env(1) to finish that \
                 with, so the line below uses chroot"
            ),
            Self::NewRoot { .. } => write!(
                f,
                "cd {}\npivot_root . .\n# newroot unmounts the old root mount by mount; a shell \
                 stands on it\numount -l .\ncd /",
                word(base.as_path())
            ),
            Self::Execute { command, inside } => command.shell(base, *inside, f),
        }
    }
}

impl Command {
    fn shell(&self, base: &HostPath, inside: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if inside && self.directory.as_bytes() != b"/" {
            writeln!(f, "cd {}", shell_word(self.directory.as_bytes()))?;
        }
        write!(f, "exec env -i")?;
        for (name, value) in &self.environment {
            let mut pair = name.clone();
            pair.push("=");
            pair.push(value);
            write!(f, " {}", shell_word(pair.as_bytes()))?;
        }
        // Plain root is who the shell is already.
        let user = self.user.as_ref().filter(|user| !user.is_plain_root());
        if inside {
            if let Some(user) = user {
                write!(f, " setpriv --reuid={} --regid={}", user.uid, user.gid)?;
                match &user.groups {
                    Some(groups) if groups.is_empty() => write!(f, " --clear-groups")?,
                    Some(groups) => write!(f, " --groups={}", list(groups))?,
                    None => write!(f, " --keep-groups")?,
                }
            }
        } else {
            write!(f, " chroot")?;
            if let Some(user) = user {
                write!(f, " --userspec={}:{}", user.uid, user.gid)?;
                if let Some(groups) = &user.groups {
                    write!(f, " --groups={}", list(groups))?;
                }
            }
            write!(f, " {}", word(base.as_path()))?;
        }
        self.shell_words(inside, f)
    }

    fn shell_words(&self, inside: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !inside && self.directory.as_bytes() != b"/" {
            write!(
                f,
                " sh -c 'cd \"$1\" && shift && exec \"$@\"' sh {}",
                shell_word(self.directory.as_bytes())
            )?;
        }
        write!(f, " {}", shell_word(&self.program))?;
        for argument in self.arguments.iter().skip(1) {
            write!(f, " {}", shell_word(argument.as_bytes()))?;
        }
        Ok(())
    }

    /// The program as a path inside the root.
    #[must_use]
    pub fn path(&self) -> RootPath {
        RootPath::from_bytes(&self.program)
    }
}

fn list(groups: &[u32]) -> String {
    let words: Vec<String> = groups.iter().map(u32::to_string).collect();
    words.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Shown<'a>(&'a ProcessOp);

    impl fmt::Display for Shown<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.shell(&HostPath::new("/mnt"), f)
        }
    }

    #[test]
    fn a_program_is_executed_inside_or_through_chroot() {
        let command = Command {
            program: b"/bin/ls".to_vec(),
            arguments: vec!["ls".into(), "a b".into()],
            environment: vec![("HOME".into(), "/root".into())],
            directory: "/".into(),
            user: None,
        };
        let mut op = ProcessOp::Execute {
            command: command.clone(),
            inside: true,
        };
        assert_eq!(
            Shown(&op).to_string(),
            "exec env -i HOME=/root /bin/ls 'a b'"
        );
        op = ProcessOp::Execute {
            command,
            inside: false,
        };
        assert_eq!(
            Shown(&op).to_string(),
            "exec env -i HOME=/root chroot /mnt /bin/ls 'a b'"
        );
    }
}
