//! Finding and reading source files for the tools that work on many.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Folders inside folders, at most: a ring of links ends the search.
const MAX_DEPTH: usize = 32;

/// The `.peb` files that `words` name below `root`: files as they are, folders with all that is in them. Without words, all
/// below the root. In order of their paths.
pub fn find(root: &Path, words: &[String]) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if words.is_empty() {
        collect(root, &mut found, 0)?;
    }
    for word in words {
        let path = resolve(root, word);
        if fs::metadata(&path)
            .map_err(|error| io::Error::new(error.kind(), format!("{word}: {error}")))?
            .is_dir()
        {
            collect(&path, &mut found, 0)?;
        } else {
            found.push(path);
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// A name on the command line as a path of the host: below the root, where a leading slash means the root too.
pub fn resolve(root: &Path, word: &str) -> PathBuf {
    let inside = root.join(word.trim_start_matches('/'));
    if inside.exists() {
        inside
    } else {
        PathBuf::from(word)
    }
}

/// The path that people see: from the root.
pub fn label(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .display()
        .to_string()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>, depth: usize) -> io::Result<()> {
    if depth > MAX_DEPTH {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        if entry.file_type()?.is_dir() {
            if !is_hidden && entry.file_name() != "target" {
                collect(&path, found, depth + 1)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "peb") {
            found.push(path);
        }
    }
    Ok(())
}
