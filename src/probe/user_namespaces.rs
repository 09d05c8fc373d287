//! Which setting of this system forbids user namespaces to an ordinary user.

use rustix::io::Errno;

use crate::model::RootPath;
use crate::root::{Host, Tree, read};

/// A setting that forbids them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// `kernel.unprivileged_userns_clone`
    pub name: &'static str,
    /// What it is set to.
    pub value: String,
    /// The command that allows them.
    pub cure: &'static str,
}

/// The setting that explains a failure with this errno, the likeliest first.
#[must_use]
pub fn forbidden_by(errno: Errno) -> Option<Setting> {
    explain(&Host, errno)
}

fn explain(tree: &dyn Tree, errno: Errno) -> Option<Setting> {
    let value = |name: &str| {
        let path = RootPath::new("/proc/sys").join(name.replace('.', "/"));
        let bytes = read(tree, &path, 64).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    let setting = |name: &'static str, forbids: &dyn Fn(&str) -> bool, cure| {
        let value = value(name)?;
        forbids(&value).then_some(Setting { name, value, cure })
    };
    // Debian's own patch; upstream kernels have no such file.
    let debian = setting(
        "kernel.unprivileged_userns_clone",
        &|value| value == "0",
        "sysctl -w kernel.unprivileged_userns_clone=1",
    );
    let none_allowed = setting(
        "user.max_user_namespaces",
        &|value| value == "0" || errno == Errno::NOSPC,
        "sysctl -w user.max_user_namespaces=15000",
    );
    // Ubuntu since 23.10: the namespace is made, and then nothing is allowed in it.
    let apparmor = setting(
        "kernel.apparmor_restrict_unprivileged_userns",
        &|value| value == "1",
        "newroot setup apparmor",
    );
    debian.or(none_allowed).or(apparmor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Mem;

    #[test]
    fn the_setting_is_named_with_its_cure() {
        let table = [
            (
                "kernel/unprivileged_userns_clone",
                "0\n",
                Errno::PERM,
                "sysctl -w kernel.unprivileged_userns_clone=1",
            ),
            (
                "user/max_user_namespaces",
                "0\n",
                Errno::NOSPC,
                "sysctl -w user.max_user_namespaces=15000",
            ),
            (
                "kernel/apparmor_restrict_unprivileged_userns",
                "1\n",
                Errno::PERM,
                "newroot setup apparmor",
            ),
        ];
        for (file, value, errno, cure) in table {
            let tree = Mem::new().with_file(&format!("/proc/sys/{file}"), value);
            assert_eq!(explain(&tree, errno).unwrap().cure, cure);
        }
        let tree = Mem::new()
            .with_file("/proc/sys/kernel/unprivileged_userns_clone", "1\n")
            .with_file("/proc/sys/user/max_user_namespaces", "96364\n");
        assert_eq!(explain(&tree, Errno::PERM), None);
    }
}
