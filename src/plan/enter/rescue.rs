//! What a rescue has beyond an ordinary entry: the target is a system with a boot loader, a
//! package manager and services, and its tools must take this for what it is, a chroot.
//!
//! Everything of newroot's lies in `/run/newroot` on the session's own /run; the target is not
//! written.

use std::ffi::OsString;

use super::{Builder, Facts};
use crate::model::{LENT, RootPath, shell_word};
use crate::plan::{BindSource, FileOp, MountOp};

/// Where newroot keeps its own files in the root.
const OWN: &str = "/run/newroot";
/// Variables that systemd's own programs look at (systemd ENVIRONMENT.md): what talks to a
/// manager is skipped, and this is a chroot whatever the namespaces look like.
const ENVIRONMENT: [(&str, &str); 2] = [("SYSTEMD_IN_CHROOT", "1"), ("SYSTEMD_OFFLINE", "1")];
/// Comes first in PATH.
pub const PROGRAMS: &str = "/run/newroot/bin";
/// Debian's invoke-rc.d(8) and deb-systemd-invoke ask it before they start a service.
pub const POLICY: &str = "/usr/sbin/policy-rc.d";
/// 101: not allowed.
pub const NO_SERVICE: &str =
    "#!/bin/sh\n# newroot: no service is started during a rescue\nexit 101\n";
/// Directories of /run in which programs of the target and of the host have to agree: on locks
/// and on what is active.
pub const SHARED: [&str; 4] = ["lock", "lvm", "cryptsetup", "mdadm"];

/// What is to be done about `policy-rc.d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Nothing: it is none of Debian's, or there is no place for one.
    Leave,
    /// One is there: ours is mounted over it.
    Cover,
}

/// Programs that would end the machine, replaced by questions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shims {
    /// The target's own systemctl(1), where it has one.
    pub systemctl: Option<RootPath>,
}

/// What was found, and what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rescue {
    /// The kernel command line that the target boots with.
    pub command_line: Option<Vec<u8>>,
    /// Nothing can be written in the target.
    pub read_only: bool,
    /// EFI variables can be written.
    pub writable_efi: bool,
    /// Those of [`SHARED`] that the host has.
    pub shared: Vec<&'static str>,
    /// `policy-rc.d`.
    pub policy: Policy,
    /// `None`: the root has no shell that could ask.
    pub shims: Option<Shims>,
}

/// Variables that every program of a rescue gets.
#[must_use]
pub fn environment() -> Vec<(OsString, OsString)> {
    let pair = |(name, value): (&str, &str)| (name.into(), value.into());
    ENVIRONMENT.into_iter().map(pair).collect()
}

/// Whether /run/lock is the host's.
pub(super) fn has_host_lock(facts: &Facts) -> bool {
    let rescue = facts.rescue.as_ref();
    rescue.is_some_and(|rescue| rescue.shared.contains(&"lock"))
}

pub(super) fn build(plan: &mut Builder<'_>) {
    let facts = plan.facts;
    let Some(rescue) = facts.rescue.as_ref().filter(|_| !plan.is_taken("/run")) else {
        return;
    };
    for name in &rescue.shared {
        let path = format!("/run/{name}");
        plan.directory(&path, 0o755);
        plan.host_bind(&path, false);
    }
    plan.directory(OWN, 0o755);
    if let Some(line) = rescue
        .command_line
        .as_ref()
        .filter(|_| !plan.is_taken("/proc"))
    {
        cover(plan, "cmdline", line.clone(), 0o444, "/proc/cmdline");
    }
    if rescue.policy == Policy::Cover {
        cover(plan, "policy-rc.d", NO_SERVICE.into(), 0o755, POLICY);
    }
    if let Some(shims) = &rescue.shims {
        programs(plan, shims);
    }
}

/// A file of ours, mounted over one that is there.
fn cover(plan: &mut Builder<'_>, name: &str, bytes: Vec<u8>, mode: u32, target: &str) {
    let path = RootPath::new(OWN).join(name);
    plan.file(FileOp::Write {
        path: path.clone(),
        bytes,
        mode,
    });
    plan.mount(MountOp::Bind {
        source: BindSource::Tree(path),
        target: RootPath::new(target),
        recursive: false,
        read_only: true,
        over_link: false,
    });
}

fn programs(plan: &mut Builder<'_>, shims: &Shims) {
    plan.directory(PROGRAMS, 0o755);
    let directory = RootPath::new(PROGRAMS);
    let mut text = script(shims);
    if plan.facts.lent.is_some() {
        // The root's own shell is what does not start.
        text = text.replacen("/bin/sh", &format!("{LENT}/bin/sh"), 1);
    }
    plan.file(FileOp::Write {
        path: directory.join("reboot"),
        bytes: text.into_bytes(),
        mode: 0o755,
    });
    let mut names = vec!["poweroff", "halt", "shutdown"];
    if shims.systemctl.is_some() {
        names.push("systemctl");
    }
    for name in names {
        plan.file(FileOp::Symlink {
            path: directory.join(name),
            target: "reboot".into(),
        });
    }
}

/// Asks, leaves the word where newroot looks when the program has ended, and ends the shell that
/// it was typed in. A script that reboots (a package's, say) is refused.
fn script(shims: &Shims) -> String {
    use std::os::unix::ffi::OsStrExt;
    let systemctl = shims.systemctl.as_ref().map_or_else(String::new, |path| {
        let path = shell_word(path.as_path().as_os_str().as_bytes());
        format!(
            "systemctl)
    for word; do
        case $word in
        reboot | poweroff | halt) deed=$word && break ;;
        -*) ;;
        *) break ;;
        esac
    done
    [ -n \"$deed\" ] || exec {path} \"$@\" ;;
"
        )
    });
    format!(
        "#!/bin/sh
# From newroot: this is a rescue. newroot leaves and closes this system, then does it.
name=${{0##*/}} deed=
case $name in
shutdown)
    deed=poweroff
    for word; do
        case $word in
        -r | --reboot) deed=reboot ;;
        -H | --halt) deed=halt ;;
        -c) exit 0 ;;
        esac
    done ;;
{systemctl}*) deed=$name ;;
esac
if ! [ -t 0 ]; then
    echo \"newroot: $name is refused during a rescue, unless it is typed in a terminal\" >&2
    exit 1
fi
printf 'Leave this system, finish, and %s the machine? Type yes or no [no]: ' \"$deed\" >&2
read -r answer
if [ \"$answer\" != yes ]; then
    echo 'newroot: nothing happens' >&2
    exit 1
fi
echo \"$deed\" >/run/newroot/wish
echo \"newroot: closing everything, then $deed (if a shell stays open: exit)\" >&2
kill -HUP \"$PPID\"
"
    )
}
