//! The Debian kernel that the live system runs: taken from its package, not installed (its hooks
//! would write to /boot and build an initramfs of the machine the tests run on).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::bench::Bench;
use crate::tools;

/// An unpacked kernel package.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// `6.1.0-56-amd64`.
    pub(crate) version: String,
    /// Holds `boot` and `lib/modules`.
    pub(crate) root: PathBuf,
}

impl Kernel {
    /// The one in the cache, else the package that linux-image-amd64 stands for.
    pub(crate) fn get(bench: &Bench) -> Result<Kernel> {
        let root = bench.cache.join("kernel");
        if fs::metadata(&root).is_err() {
            fetch(bench, &root)?;
        }
        let version = version(&root)?;
        Ok(Kernel { version, root })
    }

    /// The kernel's image.
    pub(crate) fn image(&self) -> PathBuf {
        self.root
            .join("boot")
            .join(format!("vmlinuz-{}", self.version))
    }
}

fn fetch(bench: &Bench, root: &Path) -> Result<()> {
    let depends = tools::run("apt-cache", &["depends", "linux-image-amd64"])?;
    let found = depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "));
    let Some(package) = found
        .into_iter()
        .find(|name| name.starts_with("linux-image-"))
    else {
        bail!("apt knows no linux-image-amd64 (apt-get update)");
    };
    let download = bench.file("kernel-package");
    fs::create_dir_all(&download).context("make the download directory")?;
    tools::run_in(&download, "apt-get", &["download", "-q", package])?;
    let mut files = fs::read_dir(&download).context("read the download directory")?;
    let Some(file) = files.next() else {
        bail!("apt-get download left no file")
    };
    let unpacked = download.join("root");
    let file = file?.path();
    tools::output(
        tools::command("dpkg-deb")
            .arg("-x")
            .arg(&file)
            .arg(&unpacked),
    )?;
    // modules.dep comes with no package: its installation makes it.
    let version = version(&unpacked)?;
    tools::output(
        tools::command("depmod")
            .arg("-b")
            .arg(&unpacked)
            .arg(version),
    )?;
    fs::rename(&unpacked, root).context("keep the kernel")
}

/// The one kernel whose modules are there.
fn version(root: &Path) -> Result<String> {
    let modules = root.join("lib/modules");
    let mut versions =
        fs::read_dir(&modules).with_context(|| format!("read {}", modules.display()))?;
    let Some(version) = versions.next() else {
        bail!("{} is empty", modules.display())
    };
    Ok(version?.file_name().to_string_lossy().into_owned())
}
