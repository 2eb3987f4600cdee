//! From byte offsets to lines and columns.

use alloc::vec::Vec;

/// A place for people and editors: both numbers from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// Physical line.
    pub line: u32,
    /// Column in code points.
    pub column: u32,
}

/// Where each physical line of a source begins.
#[derive(Clone, Debug)]
pub struct SourceMap<'source> {
    source: &'source str,
    starts: Vec<usize>,
}

impl<'source> SourceMap<'source> {
    /// Finds the lines of `source`, which end in LF, CRLF or CR.
    pub fn new(source: &'source str) -> Self {
        let bytes = source.as_bytes();
        let mut starts = Vec::from([0]);
        for (offset, byte) in bytes.iter().enumerate() {
            let ends_line = match byte {
                b'\n' => true,
                b'\r' => bytes.get(offset + 1) != Some(&b'\n'),
                _ => false,
            };
            if ends_line {
                starts.push(offset + 1);
            }
        }
        Self { source, starts }
    }

    /// Physical lines, counting the empty one after a final line end.
    pub fn line_count(&self) -> usize {
        self.starts.len()
    }

    /// The physical line with this number (from 1), without its line end.
    pub fn line(&self, number: u32) -> Option<&'source str> {
        let index = (number as usize).checked_sub(1)?;
        let start = *self.starts.get(index)?;
        let end = self
            .starts
            .get(index + 1)
            .copied()
            .unwrap_or(self.source.len());
        Some(self.source.get(start..end)?.trim_end_matches(['\n', '\r']))
    }

    /// The line and column of a byte offset. One past the end, or inside a character, counts as the place before it.
    pub fn locate(&self, offset: u32) -> Location {
        let offset = (offset as usize).min(self.source.len());
        let index = self
            .starts
            .partition_point(|start| *start <= offset)
            .saturating_sub(1);
        let start = self.starts.get(index).copied().unwrap_or(0);
        let column = self.source.as_bytes()[start..offset]
            .iter()
            .filter(|byte| **byte & 0xc0 != 0x80)
            .count();
        Location {
            line: index as u32 + 1,
            column: column as u32 + 1,
        }
    }

    /// The byte offset of a line and column; past the end of the line means its end.
    pub fn offset(&self, location: Location) -> Option<u32> {
        let line = self.line(location.line)?;
        let start = self.starts.get(location.line as usize - 1)?;
        let skipped = location.column.saturating_sub(1) as usize;
        let within = line
            .char_indices()
            .nth(skipped)
            .map_or(line.len(), |(offset, _)| offset);
        Some((start + within) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_end_counts_once() {
        let map = SourceMap::new("a\nb\r\nc\rd");
        assert_eq!(map.line_count(), 4);
        assert_eq!(map.line(2), Some("b"));
        assert_eq!(map.line(4), Some("d"));
        assert_eq!(map.line(5), None);
        assert_eq!(map.line(0), None);
    }

    #[test]
    fn columns_count_characters() {
        let map = SourceMap::new("x\nüö = 1");
        assert_eq!(map.locate(2), Location { line: 2, column: 1 });
        assert_eq!(map.locate(6), Location { line: 2, column: 3 });
        assert_eq!(map.offset(Location { line: 2, column: 3 }), Some(6));
        assert_eq!(
            map.offset(Location {
                line: 2,
                column: 99
            }),
            Some(10)
        );
    }
}
