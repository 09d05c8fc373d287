//! From a root on the disk to the list of entries: sorted, no link followed, no mount entered.

use std::collections::HashMap;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::ImageError;
use super::entry::{Body, Content, Entry, Image, Lost, Note, Xattr};
use crate::model::{FileId, Kind, Meta, RootPath};
use crate::root::InRoot;
use crate::sys::fs::{READ_FLAGS, list_directory, meta_of_fd, read_link_at};
use crate::sys::tree::open_beneath;
use crate::sys::xattr;

/// What of a root is taken, and how.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Left out with everything below: the manifest's directory.
    pub leave_out: Vec<RootPath>,
    /// Whose files become root's (uid 0, gid 0): the normal user who built the root.
    pub builder: Option<u32>,
}

impl Image {
    /// Reads the whole root behind `root`.
    ///
    /// # Errors
    /// The first file or directory that cannot be read.
    pub fn read(root: Arc<InRoot>, policy: &Policy) -> Result<Self, ImageError> {
        let mut walk = Walk {
            image: Self::new(Arc::clone(&root)),
            root,
            policy,
            names_of: HashMap::new(),
        };
        // Directories still to be listed. Each is opened by its path from the root's descriptor,
        // so that a deep tree costs no descriptors.
        let mut pending = vec![RootPath::root()];
        walk.take(&RootPath::root())?;
        while let Some(directory) = pending.pop() {
            pending.extend(walk.list(&directory)?);
        }
        walk.tie_names();
        Ok(walk.image)
    }
}

struct Walk<'p> {
    image: Image,
    root: Arc<InRoot>,
    policy: &'p Policy,
    /// Every name of each file that has several.
    names_of: HashMap<FileId, Vec<RootPath>>,
}

impl Walk<'_> {
    /// Takes everything in `directory`; returns the directories among it.
    fn list(&mut self, directory: &RootPath) -> Result<Vec<RootPath>, ImageError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let names = open_beneath(self.root.fd(), directory.relative(), flags)
            .and_then(list_directory)
            .map_err(|source| read_error(directory, source))?;
        let mut below = Vec::new();
        for name in names {
            let path = directory.join(name);
            if !self.policy.leave_out.contains(&path) && self.take(&path)? {
                below.push(path);
            }
        }
        Ok(below)
    }

    /// Takes one name; true for a directory whose content is to be taken as well.
    fn take(&mut self, path: &RootPath) -> Result<bool, ImageError> {
        let handle = match open_beneath(self.root.fd(), path.relative(), OFlags::PATH) {
            Ok(handle) => handle,
            Err(error) if error.raw_os_error() == Some(Errno::XDEV.raw_os_error()) => {
                self.take_mount(path)?;
                return Ok(false);
            }
            Err(source) => return Err(read_error(path, source)),
        };
        let meta = meta_of_fd(&handle).map_err(|source| read_error(path, source))?;
        let body = match meta.kind {
            Kind::Directory => Body::Directory,
            Kind::File => self.file(path, &meta),
            Kind::Link => {
                let target = read_link_at(&handle, Path::new(""));
                let target = target.map_err(|source| read_error(path, source))?;
                let target = target.into_os_string().into_vec();
                Body::Link { target }
            }
            Kind::CharDevice | Kind::BlockDevice => Body::Device {
                block: meta.kind == Kind::BlockDevice,
                major: rustix::fs::major(meta.rdev),
                minor: rustix::fs::minor(meta.rdev),
            },
            Kind::Fifo => Body::Fifo,
            Kind::Socket => return Ok(self.lose(path, Lost::Socket)),
            Kind::Other => return Ok(self.lose(path, Lost::Unknown)),
        };
        let xattrs = match body {
            Body::Directory | Body::File { .. } => self
                .xattrs(path)
                .map_err(|source| read_error(path, source))?,
            // user.* is not allowed on the others, and security.capability means nothing there.
            _ => Vec::new(),
        };
        let foreign = self.policy.builder != Some(meta.uid);
        self.image.put(Entry {
            path: path.clone(),
            mode: meta.mode,
            uid: if foreign { meta.uid } else { 0 },
            gid: if foreign { meta.gid } else { 0 },
            modified: meta.modified.0,
            xattrs,
            body,
        });
        Ok(meta.kind == Kind::Directory)
    }

    fn file(&mut self, path: &RootPath, meta: &Meta) -> Body {
        if meta.links > 1 {
            let names = self.names_of.entry(meta.id).or_default();
            names.push(path.clone());
        }
        Body::File {
            size: meta.size,
            content: Content::Root,
        }
    }

    /// Turns all names of a file but the one that sorts first into hard links to it.
    fn tie_names(&mut self) {
        for mut names in std::mem::take(&mut self.names_of).into_values() {
            names.sort();
            let mut names = names.into_iter();
            let Some(first) = names.next() else { continue };
            for name in names {
                let first = first.clone();
                self.image.set_body(&name, Body::HardLink { first });
            }
        }
    }

    fn xattrs(&self, path: &RootPath) -> io::Result<Vec<Xattr>> {
        let fd = open_beneath(self.root.fd(), path.relative(), READ_FLAGS)?;
        let mut found = Vec::new();
        let names = xattr::list(&fd).map_err(|error| error.errno)?;
        for name in names.iter().filter(|name| portable(name.to_bytes())) {
            // One that vanished in between is left out.
            if let Some(value) = xattr::get(&fd, name).map_err(|error| error.errno)? {
                let name = name.to_bytes().to_vec();
                found.push(Xattr { name, value });
            }
        }
        found.sort();
        Ok(found)
    }

    /// What lies under a mount cannot be seen; what is mounted is not part of the root.
    fn take_mount(&mut self, path: &RootPath) -> Result<(), ImageError> {
        let mounted = self.root.handle_nofollow(path).and_then(meta_of_fd);
        let mounted = mounted.map_err(|source| read_error(path, source))?;
        if mounted.kind != Kind::Directory {
            self.lose(path, Lost::MountedFile);
            return Ok(());
        }
        let modified = self
            .image
            .get(&path.parent())
            .map_or(0, |above| above.modified);
        let empty = Entry::of_root(path.clone(), 0o755, modified, Body::Directory);
        self.image.put(empty);
        self.lose(path, Lost::Mount);
        Ok(())
    }

    fn lose(&mut self, path: &RootPath, lost: Lost) -> bool {
        let path = path.clone();
        self.image.notes.push(Note { path, lost });
        false
    }
}

/// The attributes that mean the same on another machine. SELinux labels, IMA hashes and
/// `trusted.*` (overlayfs) belong to the machine that the root lies on.
fn portable(name: &[u8]) -> bool {
    name.starts_with(b"user.")
        || name == b"security.capability"
        || name.starts_with(b"system.posix_acl_")
}

fn read_error(path: &RootPath, source: io::Error) -> ImageError {
    let path = path.clone();
    ImageError::Read { path, source }
}

#[cfg(test)]
mod tests {
    use super::super::write_tar;
    use super::*;
    use crate::model::HostPath;
    use std::fs;
    use std::path::PathBuf;

    fn image(top: &Path) -> Image {
        let root = InRoot::open(&HostPath::new(top)).unwrap();
        Image::read(Arc::new(root), &Policy::default()).unwrap()
    }

    /// A root with one file, walked; then `change` is done to the file, then it is written.
    fn changed(change: impl FnOnce(&PathBuf)) -> ImageError {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("file");
        fs::write(&path, vec![7; 300_000]).unwrap();
        let image = image(top.path());
        change(&path);
        write_tar(&image, &mut io::sink()).unwrap_err()
    }

    #[test]
    fn what_is_swapped_after_the_walk_is_an_error_and_never_followed() {
        let shorter = changed(|path| fs::write(path, "x").unwrap());
        assert!(matches!(shorter, ImageError::Changed { .. }), "{shorter}");
        let link = changed(|path| {
            fs::remove_file(path).unwrap();
            std::os::unix::fs::symlink("/etc/passwd", path).unwrap();
        });
        assert!(
            link.to_string()
                .contains("Too many levels of symbolic links"),
            "{link}"
        );
        let fifo = changed(|path| {
            fs::remove_file(path).unwrap();
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            let kind = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
        });
        assert!(matches!(fifo, ImageError::Changed { .. }), "{fifo}");
    }

    #[test]
    fn of_several_names_the_first_has_the_content_and_an_heir() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir(top.path().join("a")).unwrap();
        fs::write(top.path().join("z"), "content").unwrap();
        for name in ["a/b", "y"] {
            fs::hard_link(top.path().join("z"), top.path().join(name)).unwrap();
        }
        let mut image = image(top.path());
        let first = |image: &Image, path: &str| match &image.get(&RootPath::new(path)).unwrap().body
        {
            Body::HardLink { first } => Some(first.as_path().to_path_buf()),
            _ => None,
        };
        assert_eq!(first(&image, "/a/b"), None);
        assert_eq!(first(&image, "/y"), Some(PathBuf::from("/a/b")));
        // What had the content is replaced: another name takes it over.
        image.put(Entry::of_root(RootPath::new("/a/b"), 0o644, 0, Body::Fifo));
        assert_eq!(first(&image, "/y"), None);
        assert_eq!(first(&image, "/z"), Some(PathBuf::from("/y")));
        let mut out = Vec::new();
        write_tar(&image, &mut out).unwrap();
        assert!(out.windows(7).any(|part| part == b"content"));
    }

    #[test]
    fn paths_are_resolved_by_the_image_s_own_links() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir_all(top.path().join("usr/lib")).unwrap();
        for (name, target) in [
            ("lib", "usr/lib"),
            ("abs", "/lib/x"),
            ("up", "../../usr"),
            ("loop", "loop"),
        ] {
            std::os::unix::fs::symlink(target, top.path().join(name)).unwrap();
        }
        let image = image(top.path());
        for (path, real) in [
            ("/lib/modules/1", "/usr/lib/modules/1"),
            ("/abs", "/usr/lib/x"),
            ("/up/lib", "/usr/lib"),
            ("/none/x", "/none/x"),
            ("/loop", "/loop"),
        ] {
            assert_eq!(
                image.resolve(&RootPath::new(path)).as_path(),
                Path::new(real),
                "{path}"
            );
        }
    }
}
