//! Operations on mounts: what a root is entered with.
//!
//! All of them happen in the init's own mount namespace. Targets are paths inside the root and
//! are resolved there, on a descriptor; the shell form names them below ROOT as a person would.

use std::fmt;

use crate::model::{HostPath, MountFlags, RootPath, shell_word};

/// What is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindSource {
    /// Something of the host.
    Host(HostPath),
    /// Something of the root that a skeleton covers.
    Root(RootPath),
    /// Something of the tree as it is by now: a file on a filesystem of ours.
    Tree(RootPath),
}

/// One operation on mounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountOp {
    /// ROOT, with everything that is mounted below it, becomes a private tree of its own.
    Tree,
    /// An empty tmpfs takes ROOT's place, for a root that lacks mount points: ROOT's own entries
    /// are bound into it, and nothing is ever written in ROOT.
    Skeleton,
    /// Nothing can be written through the tree as it is by now; what is mounted later is not
    /// concerned.
    ReadOnly,
    /// The tree is the host's own: nothing becomes `/`. For a shell outside of a root.
    HostTree,
    /// A new filesystem.
    New {
        /// Its type.
        fstype: &'static str,
        /// What the mount table shows as its source.
        source: &'static str,
        /// Its options.
        options: Vec<(String, Option<String>)>,
        /// What the mount forbids.
        flags: MountFlags,
        /// Where.
        target: RootPath,
    },
    /// The tmpfs that the supervisor filled with lent tools (see [`super::lent`]).
    Lent {
        /// Where.
        target: RootPath,
    },
    /// A directory or file is shown at a second place.
    Bind {
        /// What.
        source: BindSource,
        /// Where.
        target: RootPath,
        /// With what is mounted below it; then what the host mounts there later appears as well,
        /// and nothing that happens here reaches the host (a slave).
        recursive: bool,
        /// Nothing can be written through it.
        read_only: bool,
        /// The target is a symbolic link, and is covered itself instead of what it names.
        over_link: bool,
    },
}

impl MountOp {
    /// The shell commands that do the same for a root at `base`.
    ///
    /// # Errors
    /// Those of the formatter.
    pub fn shell(&self, base: &HostPath, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = word(base.as_path());
        match self {
            Self::Tree => write!(
                f,
                "mount --rbind {root} {root}\nmount --make-rprivate {root}"
            ),
            // The descriptor keeps a way to what the tmpfs covers.
            Self::Skeleton => write!(
                f,
                "exec 4<{root}\nmount -t tmpfs -o nosuid,nodev,mode=755 newroot {root}"
            ),
            // A remount concerns one mount; newroot's mount_setattr(2) those below it, too.
            Self::ReadOnly => write!(f, "mount -o remount,bind,ro {root}"),
            Self::HostTree => write!(f, "# in the live system's own root"),
            Self::New {
                fstype,
                source,
                options,
                flags,
                target,
            } => {
                let words = words(*flags, options);
                let target = word(&base.show_inside(target));
                write!(f, "mount -t {fstype}")?;
                if !words.is_empty() {
                    write!(f, " -o {}", shell_word(words.as_bytes()))?;
                }
                write!(f, " {source} {target}")
            }
            Self::Lent { target } => write!(
                f,
                "mount -t tmpfs -o nosuid,nodev,mode=755 newroot {}\n# newroot makes the copies in \
                 edited/ call /run/sh, a lent shell, instead of /bin/sh",
                word(&base.show_inside(target))
            ),
            Self::Bind {
                source,
                target,
                recursive,
                read_only,
                over_link,
            } => bind_shell(
                f,
                &match source {
                    BindSource::Host(path) => word(path.as_path()),
                    BindSource::Root(path) => {
                        word(&HostPath::new("/proc/self/fd/4").show_inside(path))
                    }
                    BindSource::Tree(path) => word(&base.show_inside(path)),
                },
                &word(&base.show_inside(target)),
                (*recursive, *read_only, *over_link),
            ),
        }
    }
}

fn bind_shell(
    f: &mut fmt::Formatter<'_>,
    source: &str,
    target: &str,
    (recursive, read_only, over_link): (bool, bool, bool),
) -> fmt::Result {
    if over_link {
        // mount(8) follows the link; only open_tree(2) with move_mount(2) covers it.
        return write!(
            f,
            "# over the link itself, which mount(8) cannot: {source} on {target}"
        );
    }
    let kind = if recursive { "--rbind" } else { "--bind" };
    write!(f, "mount {kind} {source} {target}")?;
    if recursive {
        write!(f, "\nmount --make-rslave {target}")?;
    }
    if read_only && recursive {
        // mount(8) has ro=recursive since 2.39 only.
        write!(
            f,
            "\n# newroot makes what is mounted below it read-only as well"
        )?;
    }
    if read_only {
        write!(f, "\nmount -o remount,bind,ro {target}")?;
    }
    Ok(())
}

/// `ro,nosuid,mode=755`
fn words(flags: MountFlags, options: &[(String, Option<String>)]) -> String {
    let mut words = Vec::new();
    if flags != MountFlags::default() {
        words.push(flags.to_string());
    }
    for (key, value) in options {
        words.push(match value {
            Some(value) => format!("{key}={value}"),
            None => key.clone(),
        });
    }
    words.join(",")
}

pub(super) fn word(path: &std::path::Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    shell_word(path.as_os_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Shown<'a>(&'a MountOp);

    impl fmt::Display for Shown<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.shell(&HostPath::new("/mnt/a b"), f)
        }
    }

    #[test]
    fn the_shell_form_is_what_a_person_would_type() {
        let proc = MountOp::New {
            fstype: "proc",
            source: "proc",
            options: Vec::new(),
            flags: MountFlags::INERT,
            target: RootPath::new("/proc"),
        };
        assert_eq!(
            Shown(&proc).to_string(),
            "mount -t proc -o nosuid,nodev,noexec proc '/mnt/a b/proc'"
        );
        let bind = MountOp::Bind {
            source: BindSource::Host(HostPath::new("/srv")),
            target: RootPath::new("/srv"),
            recursive: false,
            read_only: true,
            over_link: false,
        };
        assert_eq!(
            Shown(&bind).to_string(),
            "mount --bind /srv '/mnt/a b/srv'\nmount -o remount,bind,ro '/mnt/a b/srv'"
        );
    }
}
