//! Kernel modules for an initramfs: those asked for, what they depend on, and the tables by which
//! modprobe finds them. Files are taken as they are, compressed or not; no firmware.

use std::io;
use std::sync::Arc;

use super::ImageError;
use super::entry::{Body, Content, Entry, Image};
use super::module_tables::Tables;
use crate::model::{Kind, RootPath, shell_word};
use crate::root::{InRoot, Tree};

/// `--modules KVER[:NAME...]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleRequest {
    /// A directory of /lib/modules.
    pub kernel: String,
    /// Names or aliases; all modules when empty.
    pub names: Vec<String>,
}

/// What was put into the image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModuleReport {
    /// How many modules.
    pub copied: usize,
    /// Asked for and built into the kernel.
    pub built_in: Vec<String>,
    /// Soft dependencies that this kernel does not have.
    pub soft_missing: Vec<String>,
}

impl ModuleRequest {
    /// Reads `KVER`, `KVER:NAME:NAME` or `KVER:NAME,NAME`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut parts = text.split([':', ',']);
        let kernel = parts.next().unwrap_or_default();
        if kernel.is_empty() || kernel.contains('/') || kernel == "." || kernel == ".." {
            return Err("it begins with a kernel's version, a directory of /lib/modules");
        }
        let names: Vec<String> = parts.map(str::to_string).collect();
        if names.iter().any(String::is_empty) {
            return Err("a module's name is empty");
        }
        let kernel = kernel.to_string();
        Ok(Self { kernel, names })
    }
}

/// Puts the modules into `image`, found in `from`'s /lib/modules.
///
/// # Errors
/// No such kernel, no such module, or an unreadable table.
pub fn add_modules(
    image: &mut Image,
    from: &Arc<InRoot>,
    request: &ModuleRequest,
) -> Result<ModuleReport, ImageError> {
    let source = RootPath::new("/lib/modules").join(&request.kernel);
    let source = crate::root::canonical(from.as_ref(), &source).map_err(|_absent| {
        let name = shell_word(request.kernel.as_bytes());
        ImageError::Modules(format!("there is no /lib/modules/{name}"))
    })?;
    let tables = Tables::read(from.as_ref(), &source)?;
    let (chosen, report) = tables.choose(&request.names)?;
    // The image's /lib may be a link to usr/lib.
    let target = image.resolve(&RootPath::new("/lib/modules").join(&request.kernel));
    let newest = image.newest();
    image.put_directories(&target, newest);
    for path in &chosen {
        let from_path = source.join(path);
        let to = target.join(path);
        image.put_directories(&to.parent(), newest);
        copy_file(image, from, &from_path, to)?;
    }
    for name in VERBATIM {
        let from_path = source.join(name);
        match copy_file(image, from, &from_path, target.join(name)) {
            // Older kernels and distributions have fewer of them.
            Err(ImageError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            done => done?,
        }
    }
    for (name, bytes) in tables.restricted_to(&chosen) {
        let body = Body::File {
            size: bytes.len() as u64,
            content: Content::Bytes(bytes),
        };
        image.put(Entry::of_root(target.join(name), 0o644, newest, body));
    }
    Ok(report)
}

/// Tables about the kernel itself; they stay true with fewer modules.
const VERBATIM: &[&str] = &[
    "modules.builtin",
    "modules.builtin.bin",
    "modules.builtin.alias.bin",
    "modules.builtin.modinfo",
    "modules.order",
];

fn copy_file(
    image: &mut Image,
    from: &Arc<InRoot>,
    path: &RootPath,
    to: RootPath,
) -> Result<(), ImageError> {
    let read_error = |source| ImageError::Read {
        path: path.clone(),
        source,
    };
    // The image opens it again without following links: so by its own name.
    let real = crate::root::canonical(from.as_ref(), path).map_err(read_error)?;
    let meta = from.lstat(&real).map_err(read_error)?;
    if meta.kind != Kind::File {
        return Err(ImageError::Changed { path: path.clone() });
    }
    let body = Body::File {
        size: meta.size,
        content: Content::Other(Arc::clone(from), real),
    };
    image.put(Entry::of_root(to, 0o644, meta.modified.0, body));
    Ok(())
}
