//! A folder of the host as files of the image.

use std::fs;
use std::io;
use std::path::Path;

/// A file to put into the image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TreeFile {
    /// Its path in the image, without a leading slash.
    pub path: String,
    /// Its bytes.
    pub contents: Vec<u8>,
}

/// Every file under `folder`, named `prefix/…`, sorted by path so that the image does not depend on the host's order.
/// What begins with a dot stays out: editors and tools leave such files behind.
pub fn collect(folder: &Path, prefix: &str) -> io::Result<Vec<TreeFile>> {
    let mut files = Vec::new();
    walk(folder, prefix, &mut files)?;
    files.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(files)
}

fn walk(folder: &Path, prefix: &str, files: &mut Vec<TreeFile>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|name| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "{} is not named in UTF-8: {}",
                    folder.display(),
                    name.to_string_lossy()
                ),
            )
        })?;
        if name.starts_with('.') {
            continue;
        }
        let path = if prefix.is_empty() {
            name
        } else {
            format!("{prefix}/{name}")
        };
        let kind = fs::metadata(entry.path())?;
        if kind.is_dir() {
            walk(&entry.path(), &path, files)?;
        } else {
            files.push(TreeFile {
                path,
                contents: fs::read(entry.path())?,
            });
        }
    }
    Ok(())
}
