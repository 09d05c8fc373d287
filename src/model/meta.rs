//! What `stat` says of a file, without the parts that nobody here asks for.

/// Which file this is, whatever name it was reached by (`st_dev`, `st_ino`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    /// `st_dev`, as the kernel packs it.
    pub device: u64,
    /// `st_ino`.
    pub inode: u64,
}

/// The file type bits of `st_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// Something this kernel knows and we do not.
    Other,
}

/// One file's metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Identity.
    pub id: FileId,
    /// Type.
    pub kind: Kind,
    /// Permission bits with set-id and sticky (`st_mode & 0o7777`).
    pub mode: u32,
    /// Owner, in the caller's user namespace.
    pub uid: u32,
    /// Group, in the caller's user namespace.
    pub gid: u32,
    /// Number of names.
    pub links: u64,
    /// Length in bytes.
    pub size: u64,
    /// Allocated 512-byte units: less than `size` for a sparse file.
    pub blocks: u64,
    /// Modification time: seconds and nanoseconds since 1970.
    pub modified: (i64, u32),
    /// Device number of a device node (`st_rdev`).
    pub rdev: u64,
}
