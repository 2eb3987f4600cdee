//! The folder that is the programs' `/`, with the system tree mounted at `system`.
//!
//! All paths go through a capability for the folder, which refuses to follow a symbolic link out of it.

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, Metadata, OpenOptions};
use pebble_rt::modules::{errno, path};
use pebble_rt::system::SystemError;

use super::files::io_error;
use super::tree;

/// What is known about a file or folder.
#[derive(Debug, Clone)]
pub struct Stat {
    /// `file`, `dir` or `device`.
    pub kind: &'static str,
    /// Bytes.
    pub size: u64,
    /// Milliseconds since 1970.
    pub mtime_ms: i64,
    /// Permission bits.
    pub mode: u32,
}

/// Files and folders of one machine.
#[derive(Debug)]
pub struct Sandbox {
    root: Dir,
    may_write_system: bool,
    started_ms: i64,
}

fn refused_system() -> SystemError {
    SystemError::new(
        errno::PERM,
        "system files are read-only; set PEBBLE_ALLOW_SYSTEM_WRITES=1 to modify them",
    )
}

fn missing() -> SystemError {
    SystemError::new(errno::NOENT, "no such file or directory")
}

/// The host's name for a storage name.
fn host(name: &str) -> &Path {
    Path::new(if name.is_empty() { "." } else { name })
}

impl Sandbox {
    /// Opens the folder.
    pub fn open(root: &Path, may_write_system: bool, started_ms: i64) -> io::Result<Self> {
        Ok(Self {
            root: Dir::open_ambient_dir(root, ambient_authority())?,
            may_write_system,
            started_ms,
        })
    }

    fn check_writable(&self, name: &str) -> Result<(), SystemError> {
        // With system writes allowed, a folder `system` of the root shadows the embedded tree.
        if path::is_system(name) && !self.may_write_system {
            Err(refused_system())
        } else {
            Ok(())
        }
    }

    fn is_embedded(&self, name: &str) -> bool {
        path::is_system(name) && !(self.may_write_system && self.root.exists(host(name)))
    }

    /// What is known about `name`.
    pub fn stat(&self, name: &str) -> Result<Stat, SystemError> {
        if self.is_embedded(name) {
            return match tree::content(name) {
                Some(content) => Ok(Stat {
                    kind: "file",
                    size: content.len() as u64,
                    mtime_ms: self.started_ms,
                    mode: 0o444,
                }),
                None if tree::is_folder(name) => Ok(Stat {
                    kind: "dir",
                    size: 0,
                    mtime_ms: self.started_ms,
                    mode: 0o555,
                }),
                None => Err(missing()),
            };
        }
        let metadata = self
            .root
            .metadata(host(name))
            .map_err(|error| io_error(&error))?;
        Ok(stat_of(&metadata))
    }

    /// The whole content of a file.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, SystemError> {
        if self.is_embedded(name) {
            return match tree::content(name) {
                Some(content) => Ok(content.to_vec()),
                None if tree::is_folder(name) => Err(is_folder()),
                None => Err(missing()),
            };
        }
        if self.stat(name)?.kind == "dir" {
            return Err(is_folder());
        }
        self.root.read(host(name)).map_err(|error| io_error(&error))
    }

    /// Opens a file to write, making missing parents.
    pub fn open_to_write(
        &self,
        name: &str,
        options: &mut OpenOptions,
    ) -> Result<File, SystemError> {
        self.check_writable(name)?;
        if name.is_empty() || self.root.is_dir(host(name)) {
            return Err(is_folder());
        }
        let parent = path::parent(name);
        if !parent.is_empty() {
            self.root
                .create_dir_all(host(parent))
                .map_err(|error| io_error(&error))?;
        }
        self.root
            .open_with(host(name), options)
            .map_err(|error| io_error(&error))
    }

    /// Opens a file to read.
    pub fn open_to_read(&self, name: &str) -> Result<File, SystemError> {
        self.root.open(host(name)).map_err(|error| io_error(&error))
    }

    /// Replaces the content of a file, or adds to it.
    pub fn write(
        &self,
        name: &str,
        content: &[u8],
        options: &mut OpenOptions,
    ) -> Result<(), SystemError> {
        let mut file = self.open_to_write(name, options)?;
        file.write_all(content).map_err(|error| io_error(&error))
    }

    /// Sets a file's time to now, making the file if there is none.
    pub fn touch(&self, name: &str) -> Result<(), SystemError> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        let file = self.open_to_write(name, &mut options)?;
        let now = std::time::SystemTime::now();
        file.into_std()
            .set_modified(now)
            .map_err(|error| io_error(&error))
    }

    /// Removes a file.
    pub fn remove(&self, name: &str) -> Result<(), SystemError> {
        self.check_writable(name)?;
        let metadata = self
            .root
            .symlink_metadata(host(name))
            .map_err(|error| io_error(&error))?;
        if metadata.is_dir() {
            return Err(is_folder());
        }
        self.root
            .remove_file(host(name))
            .map_err(|error| io_error(&error))
    }

    /// Makes a folder and its missing parents.
    pub fn make_directory(&self, name: &str) -> Result<(), SystemError> {
        if self.stat(name).is_ok() {
            return Err(SystemError::new(errno::EXIST, "already exists"));
        }
        self.check_writable(name)?;
        self.root
            .create_dir_all(host(name))
            .map_err(|error| io_error(&error))
    }

    /// Removes an empty folder.
    pub fn remove_directory(&self, name: &str) -> Result<(), SystemError> {
        self.check_writable(name)?;
        if name.is_empty() {
            return Err(SystemError::new(errno::BUSY, "the root cannot be removed"));
        }
        if self.stat(name)?.kind != "dir" {
            return Err(SystemError::new(errno::NOTDIR, "not a directory"));
        }
        self.root
            .remove_dir(host(name))
            .map_err(|error| io_error(&error))
    }

    /// Gives a file or folder another name, replacing a file that has it.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), SystemError> {
        self.check_writable(from)?;
        self.check_writable(to)?;
        self.stat(from)?;
        let parent = path::parent(to);
        if !parent.is_empty() {
            self.root
                .create_dir_all(host(parent))
                .map_err(|error| io_error(&error))?;
        }
        self.root
            .rename(host(from), &self.root, host(to))
            .map_err(|error| io_error(&error))
    }

    /// The entries of a folder with what is known about each, sorted by name.
    pub fn entries(&self, name: &str) -> Result<Vec<(String, Stat)>, SystemError> {
        if self.is_embedded(name) {
            if !tree::is_folder(name) {
                return Err(self.stat(name).map_or_else(|error| error, |_| not_folder()));
            }
            return Ok(tree::entries(name)
                .into_iter()
                .map(|(entry, size)| self.embedded_entry(entry, size))
                .collect());
        }
        if self.stat(name)?.kind != "dir" {
            return Err(not_folder());
        }
        let mut found = Vec::new();
        for entry in self
            .root
            .read_dir(host(name))
            .map_err(|error| io_error(&error))?
        {
            let entry = entry.map_err(|error| io_error(&error))?;
            let Ok(entry_name) = entry.file_name().into_string() else {
                continue;
            };
            if name.is_empty() && entry_name == "system" {
                continue;
            }
            let full = if name.is_empty() {
                entry_name.clone()
            } else {
                format!("{name}/{entry_name}")
            };
            // A link that leads out of the sandbox is shown for what it is: something that cannot be opened.
            if let Ok(stat) = self.stat(&full) {
                found.push((entry_name, stat));
            }
        }
        if name.is_empty() {
            found.push(self.embedded_entry("system", None));
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    fn embedded_entry(&self, name: &str, size: Option<usize>) -> (String, Stat) {
        let (kind, mode) = if size.is_some() {
            ("file", 0o444)
        } else {
            ("dir", 0o555)
        };
        (
            name.to_string(),
            Stat {
                kind,
                size: size.unwrap_or(0) as u64,
                mtime_ms: self.started_ms,
                mode,
            },
        )
    }

    /// The storage names of all files below a folder, with their sizes.
    pub fn walk(&self, folder: &str) -> Result<Vec<(String, u64)>, SystemError> {
        let mut files = Vec::new();
        let mut waiting = vec![folder.to_string()];
        while let Some(current) = waiting.pop() {
            let entries = match self.entries(&current) {
                Ok(entries) => entries,
                Err(error) if current == folder => return Err(error),
                // It vanished, or may not be read: what else is there still counts.
                Err(_) => continue,
            };
            for (name, stat) in entries {
                let full = if current.is_empty() {
                    name
                } else {
                    format!("{current}/{name}")
                };
                match stat.kind {
                    "dir" if !self.is_link(&full) => waiting.push(full),
                    "dir" => {}
                    _ => files.push((full, stat.size)),
                }
            }
        }
        files.sort();
        Ok(files)
    }

    fn is_link(&self, name: &str) -> bool {
        !self.is_embedded(name)
            && self
                .root
                .symlink_metadata(host(name))
                .is_ok_and(|data| data.is_symlink())
    }
}

fn is_folder() -> SystemError {
    SystemError::new(errno::ISDIR, "is a directory")
}

fn not_folder() -> SystemError {
    SystemError::new(errno::NOTDIR, "not a directory")
}

fn stat_of(metadata: &Metadata) -> Stat {
    let modified = metadata
        .modified()
        .ok()
        .map(cap_std::time::SystemTime::into_std);
    let since = modified
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .unwrap_or(Duration::ZERO);
    Stat {
        kind: if metadata.is_dir() { "dir" } else { "file" },
        size: metadata.len(),
        mtime_ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        mode: mode_of(metadata),
    }
}

#[cfg(unix)]
fn mode_of(metadata: &Metadata) -> u32 {
    use cap_std::fs::MetadataExt;
    metadata.mode() & 0o7777
}

#[cfg(not(unix))]
fn mode_of(metadata: &Metadata) -> u32 {
    if metadata.permissions().readonly() {
        0o444
    } else {
        0o644
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A folder of its own for each test, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir()
                .join(format!("pebble-sandbox-{}-{number}", std::process::id()));
            std::fs::create_dir_all(&path).expect("a writable temporary folder");
            Self(path)
        }

        fn sandbox(&self) -> Sandbox {
            Sandbox::open(&self.0, false, 0).expect("the folder is there")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn write(sandbox: &Sandbox, name: &str, content: &str) -> Result<(), i32> {
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true);
        sandbox
            .write(name, content.as_bytes(), options)
            .map_err(|error| error.errno)
    }

    #[test]
    fn files_are_written_with_their_parents() {
        let folder = Folder::new();
        let sandbox = folder.sandbox();
        assert_eq!(write(&sandbox, "a/b/c.txt", "text"), Ok(()));
        assert_eq!(
            sandbox
                .read("a/b/c.txt")
                .as_deref()
                .map_err(|error| error.errno),
            Ok(&b"text"[..])
        );
        assert_eq!(
            sandbox.read("a/b").map_err(|error| error.errno),
            Err(errno::ISDIR)
        );
        assert_eq!(
            sandbox.read("none").map_err(|error| error.errno),
            Err(errno::NOENT)
        );
        assert_eq!(
            sandbox.remove_directory("a").map_err(|error| error.errno),
            Err(errno::NOTEMPTY)
        );
        let names: Vec<String> = sandbox
            .walk("")
            .expect("readable")
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names.first().map(String::as_str), Some("a/b/c.txt"));
        assert!(names.contains(&"system/lib/base.peb".to_string()));
    }

    #[cfg(unix)]
    #[test]
    fn links_out_of_the_folder_are_not_followed() {
        let folder = Folder::new();
        std::os::unix::fs::symlink("/etc", folder.0.join("out")).expect("links can be made");
        std::os::unix::fs::symlink("../..", folder.0.join("up")).expect("links can be made");
        let sandbox = folder.sandbox();
        assert!(sandbox.read("out/passwd").is_err());
        assert!(sandbox.read("up/etc/passwd").is_err());
        assert!(write(&sandbox, "out/x", "x").is_err());
        assert!(sandbox.entries("out").is_err());
        assert!(
            sandbox
                .entries("")
                .expect("readable")
                .iter()
                .all(|(name, _)| name != "out" && name != "up")
        );
    }

    #[test]
    fn the_system_tree_can_only_be_read() {
        let folder = Folder::new();
        let sandbox = folder.sandbox();
        assert_eq!(write(&sandbox, "system/x", "x"), Err(errno::PERM));
        assert_eq!(
            sandbox
                .remove("system/runtime.peb")
                .map_err(|error| error.errno),
            Err(errno::PERM)
        );
        assert_eq!(
            sandbox
                .rename("system/lib", "lib")
                .map_err(|error| error.errno),
            Err(errno::PERM)
        );
        assert!(
            sandbox
                .entries("system/lib")
                .is_ok_and(|entries| entries.iter().any(|(name, _)| name == "cli.peb"))
        );
    }
}
