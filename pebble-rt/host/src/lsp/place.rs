//! Between the protocol's positions (lines and UTF-16 units from 0) and byte offsets.

use lsp_types::{Position, Range, Uri};
use pebble_rt::syntax::SourceMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The byte offset of a position. Past the end of a line means its end, past the last line the end of the text.
pub fn offset_of(source: &str, position: Position) -> usize {
    let map = SourceMap::new(source);
    let Some(line) = map.line(position.line.saturating_add(1)) else {
        return source.len();
    };
    let start = line.as_ptr() as usize - source.as_ptr() as usize;
    let mut units = 0;
    for (offset, character) in line.char_indices() {
        if units >= position.character {
            return start + offset;
        }
        units += character.len_utf16() as u32;
    }
    start + line.len()
}

/// The position of a byte offset.
pub fn position_of(source: &str, map: &SourceMap<'_>, offset: u32) -> Position {
    let location = map.locate(offset);
    let line = map.line(location.line).unwrap_or("");
    let before = line.chars().take(location.column as usize - 1);
    let units: usize = before.map(char::len_utf16).sum();
    debug_assert!(offset as usize <= source.len());
    Position::new(location.line - 1, units as u32)
}

/// The range of two byte offsets.
pub fn range_of(source: &str, map: &SourceMap<'_>, start: u32, end: u32) -> Range {
    Range::new(
        position_of(source, map, start),
        position_of(source, map, end.max(start)),
    )
}

/// The path of a `file:` address.
pub fn path_of(uri: &Uri) -> Option<PathBuf> {
    let rest = uri.as_str().strip_prefix("file://")?;
    let path = &rest[rest.find('/')?..];
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'%' {
            let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &rest[2..];
        } else {
            bytes.push(*byte);
        }
    }
    String::from_utf8(bytes).ok().map(PathBuf::from)
}

/// The `file:` address of a path.
pub fn uri_of(path: &Path) -> Option<Uri> {
    let absolute = path.canonicalize().ok()?;
    let mut text = String::from("file://");
    for byte in absolute.to_str()?.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                text.push(char::from(byte))
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    Uri::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_utf_16_units() {
        let source = "a\n😀é = 1\n";
        let offset = offset_of(source, Position::new(1, 3));
        assert_eq!(&source[offset..], " = 1\n");
        assert_eq!(
            position_of(source, &SourceMap::new(source), offset as u32),
            Position::new(1, 3)
        );
        assert_eq!(offset_of(source, Position::new(9, 0)), source.len());
        assert_eq!(offset_of(source, Position::new(0, 9)), 1);
    }

    #[test]
    fn addresses_and_paths_correspond() {
        let uri = Uri::from_str("file:///a%20b/c.peb").expect("an address");
        assert_eq!(path_of(&uri), Some(PathBuf::from("/a b/c.peb")));
        assert_eq!(
            path_of(&Uri::from_str("untitled:x").expect("an address")),
            None
        );
    }
}
