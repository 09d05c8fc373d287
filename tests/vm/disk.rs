//! Disks as files, made without privilege: nothing is mounted and no loop device is used.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::bench::Bench;
use crate::tools;

/// Where the first partition begins, and what every size is a multiple of.
const MIB: u64 = 1 << 20;

/// A disk of a machine.
#[derive(Debug)]
pub(crate) struct Disk {
    name: String,
    path: PathBuf,
    /// Whether what the machine writes is thrown away.
    throw_away: bool,
    /// QEMU's blkdebug rules, in a file.
    faults: Option<PathBuf>,
}

/// What a file system is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ext4,
    Btrfs,
    Vfat,
    /// Empty: mkfs.xfs cannot fill it from a directory.
    Xfs,
}

/// A partition: its type for sfdisk (`uefi`, `linux`, `lvm`, `raid`) and the file with its content.
#[derive(Debug)]
pub(crate) struct Partition<'a> {
    pub(crate) kind: &'a str,
    pub(crate) content: &'a Path,
}

impl Disk {
    /// An empty one.
    pub(crate) fn empty(bench: &Bench, name: &str, mib: u64) -> Result<Disk> {
        let path = bench.file(name);
        sized(&path, mib)?;
        Ok(Disk {
            name: name.to_string(),
            path,
            throw_away: false,
            faults: None,
        })
    }

    /// The content of `file`; what touches this sector cannot be read.
    pub(crate) fn failing(bench: &Bench, name: &str, file: &Path, sector: u64) -> Result<Disk> {
        let faults = bench.file(&format!("{name}-faults"));
        let rule =
            format!("[inject-error]\nevent = \"read_aio\"\nerrno = \"5\"\nsector = \"{sector}\"\n");
        fs::write(&faults, rule).context("write the rules of blkdebug")?;
        Ok(Disk {
            name: name.to_string(),
            path: file.to_path_buf(),
            throw_away: false,
            faults: Some(faults),
        })
    }

    /// One that is kept for other cases: what this machine writes is thrown away.
    pub(crate) fn kept(name: &str, path: &Path) -> Disk {
        Disk {
            name: name.to_string(),
            path: path.to_path_buf(),
            throw_away: true,
            faults: None,
        }
    }

    /// A GPT disk with these partitions, each as large as its content.
    pub(crate) fn partitioned(bench: &Bench, name: &str, parts: &[Partition<'_>]) -> Result<Disk> {
        let mut table = String::from("label: gpt\n");
        let mut start = MIB;
        let mut places = Vec::new();
        for part in parts {
            let size = fs::metadata(part.content)
                .context("a partition's content")?
                .len();
            table += &format!(
                "start={}, size={}, type={}\n",
                start / 512,
                size / 512,
                part.kind
            );
            places.push((part.content, start));
            start += size.next_multiple_of(MIB);
        }
        let disk = Disk::empty(bench, name, start / MIB + 1)?;
        let script = bench.file("sfdisk-script");
        fs::write(&script, table).context("write the partition table's script")?;
        let input = File::open(&script).context("open the partition table's script")?;
        tools::output(
            tools::command("sfdisk")
                .arg("-q")
                .arg(&disk.path)
                .stdin(input),
        )?;
        for (content, start) in places {
            copy_to(content, &disk.path, start)?;
        }
        Ok(disk)
    }

    /// QEMU's arguments for it.
    pub(crate) fn arguments(&self) -> [String; 4] {
        let Disk {
            name,
            path,
            throw_away,
            faults,
        } = self;
        let snapshot = if *throw_away { "on" } else { "off" };
        let path = match faults {
            Some(faults) => format!("blkdebug:{}:{}", faults.display(), path.display()),
            None => path.display().to_string(),
        };
        [
            "-drive".into(),
            format!("id={name},file={path},format=raw,if=none,cache=unsafe,snapshot={snapshot}"),
            "-device".into(),
            format!("virtio-blk-pci,drive={name},serial={name}"),
        ]
    }
}

/// A file system in a file, with what is in `tree`; labelled with the file's name.
pub(crate) fn filesystem(file: &Path, kind: Kind, mib: u64, tree: Option<&Path>) -> Result<()> {
    sized(file, mib)?;
    let label = file.file_name().unwrap_or_default();
    let mut command = match kind {
        Kind::Ext4 => tools::command("mke2fs"),
        Kind::Btrfs => tools::command("mkfs.btrfs"),
        Kind::Vfat => tools::command("mkfs.vfat"),
        Kind::Xfs => tools::command("mkfs.xfs"),
    };
    match kind {
        // Blocks as on a disk of usual size: a page is what cannot be read, when one sector is bad.
        Kind::Ext4 => command.args(["-q", "-F", "-b", "4096", "-t", "ext4", "-L"]),
        Kind::Btrfs => command.args(["-q", "-f", "-L"]),
        Kind::Vfat => command.arg("-n"),
        Kind::Xfs => command.args(["-q", "-f", "-L"]),
    };
    command.arg(label);
    match (kind, tree) {
        (Kind::Ext4, Some(tree)) => command.arg("-d").arg(tree),
        (Kind::Btrfs, Some(tree)) => command.arg("--rootdir").arg(tree),
        _ => &mut command,
    };
    tools::output(command.arg(file))?;
    if let (Kind::Vfat, Some(tree)) = (kind, tree) {
        let mut copy = tools::command("mcopy");
        copy.args(["-s", "-i"]).arg(file);
        for entry in fs::read_dir(tree).context("read the tree")? {
            copy.arg(entry.context("read the tree")?.path());
        }
        tools::output(copy.arg("::"))?;
    }
    Ok(())
}

fn sized(path: &Path, mib: u64) -> Result<()> {
    let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
    file.set_len(mib * MIB)
        .with_context(|| format!("size of {}", path.display()))
}

fn copy_to(from: &Path, to: &Path, offset: u64) -> Result<()> {
    let mut input = File::open(from).with_context(|| format!("open {}", from.display()))?;
    let mut output = File::options()
        .write(true)
        .open(to)
        .context("open the disk")?;
    output
        .seek(SeekFrom::Start(offset))
        .context("seek in the disk")?;
    io::copy(&mut input, &mut output).context("fill a partition")?;
    Ok(())
}
