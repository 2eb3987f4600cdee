//! Paths of the one tree (system document section 5.1), resolved by their text alone.
//!
//! A *storage name* is an absolute path without its leading slash; the root is the empty name.

use alloc::string::String;
use alloc::vec::Vec;

/// Why a path names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathError {
    /// It is empty.
    Empty,
    /// It has a backslash or a NUL.
    Invalid,
    /// Its `..` parts climb above the root.
    Escapes,
}

impl core::fmt::Display for PathError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Empty => "file name cannot be empty",
            Self::Invalid => "invalid file name",
            Self::Escapes => "file path escapes the Pebble OS root",
        })
    }
}

/// Relative paths that begin with one of these parts mean the mount of that name from any working directory.
const MOUNT_NAMES: [&str; 1] = ["system"];

/// Resolves `path` against the working directory (`/`, `/docs`) to a storage name.
pub fn storage_name(path: &str, working_directory: &str) -> Result<String, PathError> {
    if path.is_empty() {
        return Err(PathError::Empty);
    }
    if path.contains(['\\', '\0']) {
        return Err(PathError::Invalid);
    }
    let mut parts = Vec::new();
    if !path.starts_with('/') && !starts_with_mount(path) {
        push_parts(&mut parts, working_directory)?;
    }
    push_parts(&mut parts, path)?;
    Ok(parts.join("/"))
}

/// The absolute path of a storage name.
pub fn display_path(name: &str) -> String {
    let mut path = String::with_capacity(name.len() + 1);
    path.push('/');
    path.push_str(name);
    path
}

/// The storage name of the folder that holds `name`; the root holds itself.
pub fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Whether the storage name lies in the read-only system tree.
pub fn is_system(name: &str) -> bool {
    name == "system" || name.starts_with("system/")
}

fn starts_with_mount(path: &str) -> bool {
    let first = path.split('/').next().unwrap_or("");
    MOUNT_NAMES.contains(&first)
}

fn push_parts<'a>(parts: &mut Vec<&'a str>, path: &'a str) -> Result<(), PathError> {
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or(PathError::Escapes)?;
            }
            name => parts.push(name),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_resolve_against_the_working_directory() {
        for (path, folder, name) in [
            ("a.txt", "/", "a.txt"),
            ("a.txt", "/docs", "docs/a.txt"),
            ("/a//b/./c", "/docs", "a/b/c"),
            ("../x", "/docs/deep", "docs/x"),
            ("system/lib", "/docs", "system/lib"),
            ("systematic", "/docs", "docs/systematic"),
            ("/", "/docs", ""),
            (".", "/docs", "docs"),
        ] {
            assert_eq!(
                storage_name(path, folder).as_deref(),
                Ok(name),
                "{path:?} in {folder:?}"
            );
        }
    }

    #[test]
    fn what_names_nothing_is_refused() {
        assert_eq!(storage_name("", "/"), Err(PathError::Empty));
        assert_eq!(storage_name("a\\b", "/"), Err(PathError::Invalid));
        assert_eq!(storage_name("..", "/"), Err(PathError::Escapes));
        assert_eq!(storage_name("a/../../b", "/"), Err(PathError::Escapes));
    }

    #[test]
    fn the_system_tree_is_known_by_its_first_part() {
        assert!(is_system("system") && is_system("system/bin/ls.peb"));
        assert!(!is_system("systems") && !is_system(""));
        assert_eq!((parent("a/b/c"), parent("a")), ("a/b", ""));
        assert_eq!(display_path(""), "/");
    }

    proptest! {
        #[test]
        fn a_storage_name_has_no_empty_or_dotted_part(path in "[a-c./]{0,16}", folder in "/[a-c/]{0,8}") {
            if let Ok(name) = storage_name(&path, &folder) {
                prop_assert!(name.is_empty() || name.split('/').all(|part| !matches!(part, "" | "." | "..")));
            }
        }
    }
}
