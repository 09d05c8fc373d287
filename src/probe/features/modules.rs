//! Kernel modules as depmod(8) lists them: what is built in, what could be loaded.

use std::collections::BTreeSet;

use super::State;
use crate::model::RootPath;
use crate::root::{Tree, read};

/// The list of a distribution's kernel has about 700 KiB.
const LIMIT: usize = 16 << 20;

/// The modules of one kernel.
#[derive(Debug, Default)]
pub(super) struct Modules {
    builtin: BTreeSet<String>,
    loadable: BTreeSet<String>,
    /// Whether there is a list at all: a live medium may have lost it, a kernel may need none.
    pub(super) known: bool,
}

impl Modules {
    pub(super) fn read(tree: &dyn Tree, release: &str) -> Self {
        let list = |name: &str| {
            let homes = [
                "/lib/modules",
                "/usr/lib/modules",
                "/run/booted-system/kernel-modules/lib/modules",
            ];
            homes.iter().find_map(|home| {
                read(tree, &RootPath::new(home).join(release).join(name), LIMIT).ok()
            })
        };
        let (builtin, loadable) = (list("modules.builtin"), list("modules.dep"));
        Self {
            known: builtin.is_some() || loadable.is_some(),
            builtin: names(&builtin.unwrap_or_default()),
            loadable: names(&loadable.unwrap_or_default()),
        }
    }

    /// The state of a module that /sys/module does or does not list as loaded.
    pub(super) fn state(&self, tree: &dyn Tree, name: &str) -> State {
        let loaded = RootPath::new("/sys/module").join(name);
        if self.builtin.contains(name) || tree.stat(&loaded).is_ok() {
            State::Yes
        } else if self.loadable.contains(name) {
            State::Loadable
        } else if self.known {
            State::No
        } else {
            State::Unknown
        }
    }

    pub(super) fn is_loadable(&self, name: &str) -> bool {
        self.loadable.contains(name)
    }
}

/// `kernel/fs/xfs/xfs.ko.zst: …` is `xfs`; the kernel takes `-` and `_` for the same.
fn names(list: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(list);
    text.lines()
        .filter_map(|line| {
            let path = line.split(':').next()?;
            let file = path.rsplit('/').next()?;
            let (name, _) = file.split_once(".ko")?;
            Some(name.replace('-', "_"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Mem;

    #[test]
    fn a_module_is_built_in_loaded_loadable_or_absent() {
        let tree = Mem::new()
            .with_file("/lib/modules/6.1/modules.builtin", "kernel/fs/ext4/ext4.ko\n")
            .with_file(
                "/lib/modules/6.1/modules.dep",
                "kernel/fs/xfs/xfs.ko.zst: kernel/lib/libcrc32c.ko\nkernel/drivers/md/dm-crypt.ko.xz:\n",
            )
            .with_dir("/sys/module/fuse");
        let modules = Modules::read(&tree, "6.1");
        let table = [
            ("ext4", State::Yes),
            ("xfs", State::Loadable),
            ("dm_crypt", State::Loadable),
            ("fuse", State::Yes),
            ("btrfs", State::No),
        ];
        for (name, expected) in table {
            assert_eq!(modules.state(&tree, name), expected, "{name}");
        }
        let other = Modules::read(&tree, "6.2");
        assert_eq!(other.state(&tree, "btrfs"), State::Unknown);
    }
}
