//! Names: a tree of directories and files below some root.
//!
//! One protocol for every level: vfs serves it with the mounts put together, each filesystem for its own tree. A Connection is a *view*: a root and rights
//! that whoever minted it chose; paths can't leave the root. Opening a file gives a Connection that the filesystem itself minted, so reading
//! and writing do not pass through vfs.

use libipc::prelude::*;

/// Bytes of a path, at most.
pub const MAX_PATH_BYTES: usize = 1024;
/// Bytes of one name in a path, at most.
pub const MAX_NAME_BYTES: usize = 255;

/// The names along a path, with `.` and `..` resolved textually. The root has none.
///
/// # Errors
/// `InvalidName`, `Escapes`, `TooLarge`.
pub fn names(path: &str) -> Result<Vec<&str>, Error> {
    if path.len() > MAX_PATH_BYTES {
        return Err(Error::TooLarge {
            limit: MAX_PATH_BYTES as u64,
        });
    }
    let mut names = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop().ok_or(Error::Escapes)?;
            }
            _ if name.len() > MAX_NAME_BYTES || name.contains('\0') => {
                return Err(Error::InvalidName);
            }
            _ => names.push(name),
        }
    }
    Ok(names)
}

/// What a name stands for.
#[message]
#[derive(Copy, Eq)]
pub enum FileType {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A device of `/dev`.
    Device,
}

/// About a file or directory.
#[message]
pub struct Metadata {
    /// What it is.
    pub file_type: FileType,
    /// Bytes.
    pub size: u64,
    /// Permissions, as in POSIX (lowest nine bits).
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// When its contents changed, nanoseconds since 1970.
    pub modified_ns: i64,
    /// When its metadata changed, nanoseconds since 1970.
    pub changed_ns: i64,
    /// Names that lead to it.
    pub links: u32,
    /// Grows with every change.
    pub version: u64,
    /// A number that is its own within the filesystem.
    pub inode: u64,
}

/// One entry of a directory.
#[message]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// About it.
    pub metadata: Metadata,
}

/// A part of a directory.
#[message]
pub struct Listing {
    /// Entries sorted by name, as many as fit.
    pub entries: Vec<Entry>,
    /// Give this as `after` to go on; `None` at the end.
    pub next: Option<String>,
}

/// How a file is opened.
#[message]
#[derive(Copy, Eq)]
pub struct OpenOptions {
    /// Reading is allowed.
    pub read: bool,
    /// Writing is allowed.
    pub write: bool,
    /// What happens if it does not exist, or does.
    pub create: Create,
    /// Its contents are dropped.
    pub truncate: bool,
}

/// Whether opening makes a file.
#[message]
#[derive(Copy, Eq)]
pub enum Create {
    /// It must exist.
    Never,
    /// It is made if it does not exist.
    IfMissing,
    /// It must not exist.
    New,
    /// As `IfMissing`, and missing parent directories are made.
    WithParents,
}

/// Rights of a view.
#[message]
#[derive(Copy, Eq)]
pub struct Access {
    /// Names and contents can be read.
    pub read: bool,
    /// They can be changed.
    pub write: bool,
}

/// A mounted filesystem.
#[message]
pub struct Mount {
    /// Where.
    pub path: String,
    /// The service behind it.
    pub service: String,
    /// Whether it can be written.
    pub writable: bool,
    /// Bytes it can hold.
    pub total_bytes: u64,
    /// Bytes in use.
    pub used_bytes: u64,
}

/// Errors of names and files.
#[message]
pub enum Error {
    /// No such file or directory.
    NotFound,
    /// It exists already.
    AlreadyExists,
    /// A part of the path is no directory.
    NotADirectory,
    /// It is a directory.
    IsADirectory,
    /// The directory is not empty.
    NotEmpty,
    /// The view or the mount is read-only.
    ReadOnly,
    /// The view does not reach that far, or does not allow this.
    NotPermitted,
    /// A name is empty, too long, has a NUL or is no UTF-8.
    InvalidName,
    /// The path leads out of the root.
    Escapes,
    /// More than a message, a name or the filesystem can take.
    TooLarge {
        /// What is allowed.
        limit: u64,
    },
    /// No space left.
    NoSpace,
    /// From one filesystem to another.
    CrossDevice,
    /// The version is not the expected one.
    Conflict {
        /// The version it has.
        current: u64,
    },
    /// Too many open files.
    LimitReached,
    /// The device failed.
    Io,
}

/// See the module. Paths are absolute within the view (`/a/b`); `.` and `..` are resolved textually.
#[protocol(name = "directory", version = 1)]
pub trait Directory {
    /// Opens a file; answers a Connection that speaks `file`.
    fn open(
        &mut self,
        path: String,
        options: OpenOptions,
    ) -> Result<(Handle<Connection>, Metadata), Error>;

    /// Describes a name.
    #[idempotent]
    fn stat(&mut self, path: String) -> Result<Metadata, Error>;

    /// Lists a directory, names after `after` (empty: from the start).
    #[idempotent]
    fn list(&mut self, path: String, after: String) -> Result<Listing, Error>;

    /// Reads up to `length` (at most 3072) bytes of a file, with its metadata, without opening it.
    #[idempotent]
    fn read(
        &mut self,
        path: String,
        offset: u64,
        length: u32,
    ) -> Result<(Vec<u8>, Metadata), Error>;

    /// Makes a directory; with `parents`, missing parents too, and it is no error if it exists.
    #[journaled]
    fn make_directory(&mut self, path: String, parents: bool) -> Result<Metadata, Error>;

    /// Removes a file or an empty directory; with `recursive`, all below it too.
    #[journaled]
    fn remove(&mut self, path: String, recursive: bool) -> Result<(), Error>;

    /// Gives a file or directory another name, replacing a file that has it, at once.
    #[journaled]
    fn rename(&mut self, from: String, to: String) -> Result<Metadata, Error>;

    /// Sets permissions, and owner and group where given.
    #[idempotent]
    fn set_attributes(
        &mut self,
        path: String,
        mode: Option<u16>,
        owner: Option<(u32, u32)>,
        modified_ns: Option<i64>,
    ) -> Result<Metadata, Error>;

    /// Makes a view of the part below `root` with at most the caller's rights; answers a Connection that speaks `directory`.
    fn view(&mut self, root: String, access: Access) -> Result<Handle<Connection>, Error>;

    /// What is mounted (a filesystem gives itself, at `/`).
    #[idempotent]
    fn mounts(&mut self) -> Result<Vec<Mount>, Error>;

    /// Returns once everything acknowledged is where it survives loss of power (in memory filesystems: at once); answers a number that grows.
    #[idempotent]
    fn sync(&mut self) -> Result<u64, Error>;
}
