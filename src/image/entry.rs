//! What an image holds: entries sorted by path, each a name with metadata and a body.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;

use rustix::fs::OFlags;

use super::ImageError;
use crate::model::{Kind, RootPath};
use crate::root::InRoot;
use crate::sys::fs::{READ_FLAGS, meta_of_fd};
use crate::sys::tree::open_beneath;

/// A root, ready to be written in any format.
#[derive(Clone, Debug)]
pub struct Image {
    /// Parents before what is in them; the root itself first, as `/`.
    entries: BTreeMap<RootPath, Entry>,
    /// What was left out, in the order it was met.
    pub notes: Vec<Note>,
    root: Arc<InRoot>,
}

/// One name of an image.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where, absolute inside the image.
    pub path: RootPath,
    /// Permission bits with set-id and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since 1970.
    pub modified: i64,
    /// Sorted by name.
    pub xattrs: Vec<Xattr>,
    /// What it is.
    pub body: Body,
}

/// One extended attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Xattr {
    /// With its namespace: `security.capability`.
    pub name: Vec<u8>,
    /// Its bytes.
    pub value: Vec<u8>,
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub enum Body {
    /// A directory.
    Directory,
    /// A regular file, or the first name of one that has several.
    File {
        /// Its length in bytes.
        size: u64,
        /// Where its bytes are.
        content: Content,
    },
    /// A further name of the file at `first`, which sorts before this one.
    HardLink {
        /// The entry with the content.
        first: RootPath,
    },
    /// A symbolic link.
    Link {
        /// Its text.
        target: Vec<u8>,
    },
    /// A device node.
    Device {
        /// A block device; otherwise a character device.
        block: bool,
        /// Device number, first half.
        major: u32,
        /// Device number, second half.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

/// Where a file's bytes come from.
#[derive(Clone, Debug)]
pub enum Content {
    /// The root that the image was read from, under the entry's own path.
    Root,
    /// Another root (kernel modules).
    Other(Arc<InRoot>, RootPath),
    /// Made by us (`modules.dep`).
    Bytes(Vec<u8>),
}

/// Something of the root that the image does not have as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// In the root.
    pub path: RootPath,
    /// Why.
    pub lost: Lost,
}

/// Why something is not in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// No archive format keeps a socket; it means nothing without its process.
    Socket,
    /// Another file system is mounted there; an empty directory stands in its place.
    Mount,
    /// A file is mounted over it.
    MountedFile,
    /// A device node, in a format whose readers make their own.
    Device,
    /// A type of file that newroot does not know.
    Unknown,
}

impl Entry {
    /// The path without its leading slash, as archives hold it; empty for the root.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.path.as_bytes().strip_prefix(b"/").unwrap_or_default()
    }

    /// An entry of root's, with the time `modified`.
    #[must_use]
    pub fn of_root(path: RootPath, mode: u32, modified: i64, body: Body) -> Self {
        Self {
            path,
            mode,
            uid: 0,
            gid: 0,
            modified,
            xattrs: Vec::new(),
            body,
        }
    }
}

impl Image {
    pub(super) fn new(root: Arc<InRoot>) -> Self {
        Self {
            entries: BTreeMap::new(),
            notes: Vec::new(),
            root,
        }
    }

    /// The entries, parents first, otherwise sorted by the bytes of each component.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry at exactly this path.
    #[must_use]
    pub fn get(&self, path: &RootPath) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// Puts an entry in, in the place of what has its path.
    pub fn put(&mut self, entry: Entry) {
        self.remove(&entry.path);
        self.entries.insert(entry.path.clone(), entry);
    }

    /// Makes another thing of an entry that is there.
    pub(super) fn set_body(&mut self, path: &RootPath, body: Body) {
        if let Some(entry) = self.entries.get_mut(path) {
            entry.body = body;
        }
    }

    /// Puts a directory of root's at `path`, with those above it, where there is nothing.
    pub fn put_directories(&mut self, path: &RootPath, modified: i64) {
        let mut missing = Vec::new();
        let mut at = path.clone();
        while at != RootPath::root() && !self.entries.contains_key(&at) {
            missing.push(at.clone());
            at = at.parent();
        }
        for path in missing {
            self.put(Entry::of_root(path, 0o755, modified, Body::Directory));
        }
    }

    /// Takes an entry out. A further hard link of a removed file becomes the file.
    pub fn remove(&mut self, path: &RootPath) {
        let Some(Entry {
            body: Body::File { size, content },
            ..
        }) = self.entries.remove(path)
        else {
            return;
        };
        let content = match content {
            Content::Root => Content::Other(Arc::clone(&self.root), path.clone()),
            other => other,
        };
        let mut heir: Option<RootPath> = None;
        for entry in self.entries.values_mut() {
            let Body::HardLink { first } = &mut entry.body else {
                continue;
            };
            if first != path {
                continue;
            }
            if let Some(heir) = &heir {
                first.clone_from(heir);
            } else {
                heir = Some(entry.path.clone());
                entry.body = Body::File {
                    size,
                    content: content.clone(),
                };
            }
        }
    }

    /// Takes out every device node, and notes it.
    pub fn drop_devices(&mut self) {
        let devices: Vec<RootPath> = self
            .entries()
            .filter(|entry| matches!(entry.body, Body::Device { .. }))
            .map(|entry| entry.path.clone())
            .collect();
        for path in devices {
            self.entries.remove(&path);
            let lost = Lost::Device;
            self.notes.push(Note { path, lost });
        }
    }

    /// Where `path` lies once the links of the image itself are followed, as text: `/lib/x`
    /// becomes `/usr/lib/x` on a merged-/usr root. What does not exist is left as it is.
    #[must_use]
    pub fn resolve(&self, path: &RootPath) -> RootPath {
        const MAX_LINKS: usize = 40;
        let mut pending = path.normalized();
        for _ in 0..MAX_LINKS {
            match self.follow_one(&pending) {
                Some(next) => pending = next,
                None => return pending,
            }
        }
        pending
    }

    /// The path with its first link replaced; `None` when there is no link on it.
    fn follow_one(&self, path: &RootPath) -> Option<RootPath> {
        use std::os::unix::ffi::OsStrExt;
        let mut at = RootPath::root();
        let mut parts = path.relative().components();
        while let Some(part) = parts.next() {
            let next = at.join(part.as_os_str());
            if let Some(Body::Link { target }) = self.get(&next).map(|entry| &entry.body) {
                let rest = parts.as_path();
                let target = std::path::Path::new(std::ffi::OsStr::from_bytes(target));
                let base = if target.is_absolute() {
                    RootPath::new(target)
                } else {
                    at.join(target)
                };
                return Some(base.join(rest).normalized());
            }
            at = next;
        }
        None
    }

    /// Sets every time that is later to `epoch` (SOURCE_DATE_EPOCH's meaning).
    pub fn clamp_times(&mut self, epoch: i64) {
        for entry in self.entries.values_mut() {
            entry.modified = entry.modified.min(epoch);
        }
    }

    /// The latest time of any entry: the image's own age where nobody set another.
    #[must_use]
    pub fn newest(&self) -> i64 {
        self.entries()
            .map(|entry| entry.modified)
            .max()
            .unwrap_or_default()
    }

    /// Length of all files together, in bytes.
    #[must_use]
    pub fn total_size(&self) -> u64 {
        self.entries()
            .map(|entry| match entry.body {
                Body::File { size, .. } => size,
                _ => 0,
            })
            .sum()
    }

    /// Opens a file's content.
    ///
    /// # Errors
    /// Unreadable, or no longer the file that the walk saw.
    pub fn open(&self, path: &RootPath, content: &Content) -> Result<Reader, ImageError> {
        let (root, at) = match content {
            Content::Bytes(bytes) => return Ok(Reader::Bytes(io::Cursor::new(bytes.clone()))),
            Content::Root => (&self.root, path),
            Content::Other(root, at) => (root, at),
        };
        let read = |source| ImageError::Read {
            path: at.clone(),
            source,
        };
        let fd =
            open_beneath(root.fd(), at.relative(), READ_FLAGS | OFlags::NOFOLLOW).map_err(read)?;
        // Between the walk and now it may have become a device, whose bytes never end.
        if meta_of_fd(&fd).map_err(read)?.kind != Kind::File {
            return Err(ImageError::Changed { path: at.clone() });
        }
        Ok(Reader::File(File::from(fd)))
    }

    /// Copies exactly `size` bytes of a file's content to `out`.
    ///
    /// # Errors
    /// Unreadable, shorter than `size`, or `out` cannot take it.
    pub fn copy(
        &self,
        path: &RootPath,
        content: &Content,
        size: u64,
        out: &mut dyn Write,
    ) -> Result<(), ImageError> {
        let mut reader = self.open(path, content)?;
        let mut buffer = vec![0; 128 * 1024];
        let mut left = size;
        while left > 0 {
            let most = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(buffer.len());
            let count = match reader.read(&mut buffer[..most]) {
                Ok(0) => return Err(ImageError::Changed { path: path.clone() }),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => {
                    let path = path.clone();
                    return Err(ImageError::Read { path, source });
                }
            };
            out.write_all(&buffer[..count])?;
            left -= count as u64;
        }
        Ok(())
    }
}

/// A file's bytes.
#[derive(Debug)]
pub enum Reader {
    /// On a disk.
    File(File),
    /// In memory.
    Bytes(io::Cursor<Vec<u8>>),
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Bytes(bytes) => bytes.read(buffer),
        }
    }
}
