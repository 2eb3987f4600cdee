//! The text form of the virtual store (system document section 5.5): one line per entry, sorted by name, each
//! `name TAB mtime TAB content`, all three escaped.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::text_helpers::{escape_text, unescape_text};

/// Folders are entries under this name, with empty content.
pub const DIRECTORY_PREFIX: &str = ".__pebble_dir__/";

/// The file that holds the store.
pub const STORE_FILE: &str = ".__pebble_vfs__.db";

/// One file of the store, or one folder (see [`DIRECTORY_PREFIX`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreEntry {
    /// Storage name.
    pub name: String,
    /// `YYYY-MM-DD, HH:MM:SS`.
    pub modified: String,
    /// The whole text.
    pub content: String,
}

/// A line that is not an entry. Its text is what a program sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidStore;

impl core::fmt::Display for InvalidStore {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("invalid Pebble filesystem backing store")
    }
}

/// Reads a store. Blank lines are skipped.
pub fn parse_store(text: &str) -> Result<Vec<StoreEntry>, InvalidStore> {
    text.split('\n')
        .filter(|line| !line.is_empty())
        .map(parse_line)
        .collect()
}

fn parse_line(line: &str) -> Result<StoreEntry, InvalidStore> {
    let mut fields = line.split('\t');
    match (fields.next(), fields.next(), fields.next(), fields.next()) {
        (Some(name), Some(modified), Some(content), None) if !name.is_empty() => Ok(StoreEntry {
            name: unescape_text(name),
            modified: unescape_text(modified),
            content: unescape_text(content),
        }),
        _ => Err(InvalidStore),
    }
}

/// Writes a store, sorted by name.
pub fn dump_store(entries: &[StoreEntry]) -> String {
    let mut lines: Vec<&StoreEntry> = entries.iter().collect();
    lines.sort_by(|a, b| a.name.cmp(&b.name));
    let mut text = String::new();
    for (index, entry) in lines.into_iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        text.push_str(&escape_text(&entry.name));
        text.push('\t');
        text.push_str(&escape_text(&entry.modified));
        text.push('\t');
        text.push_str(&escape_text(&entry.content));
    }
    text
}

/// Whether the store has that folder: an entry of its own, or a file below it. The root always exists.
pub fn directory_exists(entries: &[StoreEntry], name: &str) -> bool {
    let below = name.to_string() + "/";
    name.is_empty()
        || entries.iter().any(|entry| {
            entry.name.strip_prefix(DIRECTORY_PREFIX) == Some(name)
                || entry.name.starts_with(&below)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(name: &str, content: &str) -> StoreEntry {
        StoreEntry {
            name: name.into(),
            modified: "2026-11-22, 05:00:00".into(),
            content: content.into(),
        }
    }

    #[test]
    fn entries_are_sorted_and_escaped() {
        let text = dump_store(&[entry("b", "two\nlines"), entry("a", "t\tab")]);
        assert_eq!(
            text,
            "a\t2026-11-22, 05:00:00\tt\\tab\nb\t2026-11-22, 05:00:00\ttwo\\nlines"
        );
    }

    #[test]
    fn a_bad_line_is_refused() {
        assert_eq!(parse_store("name only"), Err(InvalidStore));
        assert_eq!(parse_store("a\tb\tc\td"), Err(InvalidStore));
        assert_eq!(parse_store("\tb\tc"), Err(InvalidStore));
        assert_eq!(parse_store(""), Ok(Vec::new()));
    }

    #[test]
    fn folders_exist_by_entry_or_by_content() {
        let entries = [entry("docs/a.txt", ""), entry(".__pebble_dir__/empty", "")];
        assert!(
            directory_exists(&entries, "")
                && directory_exists(&entries, "docs")
                && directory_exists(&entries, "empty")
        );
        assert!(!directory_exists(&entries, "doc") && !directory_exists(&entries, "docs/a.txt"));
    }

    proptest! {
        #[test]
        fn reading_undoes_writing(name in "[a-z\\\\\n\t]{1,8}", content in "[a-z\\\\\n\t\r]{0,20}") {
            let entries = alloc::vec![entry(&name, &content)];
            prop_assert_eq!(parse_store(&dump_store(&entries)), Ok(entries));
        }
    }
}
