//! What a machine holds that a verb could leave behind: compared before and after.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use crate::vm::Vm;

/// Prints it, a thing a line, with nothing but a shell, `cat`, `cut`, `find` and `readlink`. No
/// pipe where processes are listed: its own processes must be the same each time. /run/newroot
/// itself may come (what is in it may not). What udev and LVM write down of devices that went they
/// take away when they like, and udev's processes come and go; its links in /dev count, but for
/// those by diskseq: a number that the kernel gives anew whenever a loop device is used. What udev
/// has still to do (loading kvm at boot) is waited for. A case may have left `set -e` to the shell.
const SCRIPT: &str = r#"
set +e
command -v udevadm >/dev/null && udevadm settle
cut -d" " -f4- /proc/self/mountinfo
for file in /sys/block/loop*/loop/backing_file /sys/block/dm-*/dm/name /sys/block/md*/md/level; do
    [ -e "$file" ] && echo "block $file $(cat "$file")"
done
find /sys/fs/cgroup -type d
find /run /tmp /dev /root -xdev ! -path "/dev/pts/*" ! -path "/run/udev/*" ! -path "/dev/disk/by-diskseq/*" ! -path "/run/lvm/*" ! -path "/run/systemd/transient*" ! -path "/run/systemd/journal/streams/*" ! -path /run/newroot
list=$(for process in /proc/[0-9]*; do
    program=$(readlink "$process/exe") && [ "$program" != /usr/bin/udevadm ] && echo "process $program"
done)
echo "$list"
"#;

/// Things and how many there are of each.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct State(BTreeMap<String, usize>);

impl Vm {
    /// What is there now.
    pub(crate) fn state(&mut self) -> Result<State> {
        let mut state = BTreeMap::new();
        for line in self.ok(SCRIPT)?.lines() {
            *state.entry(line.to_string()).or_insert(0) += 1;
        }
        Ok(State(state))
    }

    /// That nothing has come or gone since `before`.
    pub(crate) fn same_as(&mut self, before: &State) -> Result<()> {
        let after = self.state()?;
        let left = missing_from(before, &after);
        let lost = missing_from(&after, before);
        ensure!(
            left.is_empty() && lost.is_empty(),
            "left behind: {left:#?}\nlost: {lost:#?}"
        );
        Ok(())
    }
}

/// What `other` has more of than `state`.
fn missing_from<'a>(state: &State, other: &'a State) -> Vec<&'a str> {
    let more = other
        .0
        .iter()
        .filter(|(line, count)| state.0.get(*line) < Some(count));
    more.map(|(line, _)| line.as_str()).collect()
}
