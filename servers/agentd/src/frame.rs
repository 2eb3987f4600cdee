//! Cutting a connection's bytes into texts, one a line.

use alloc::vec::Vec;

/// Bytes of a line before login, at most.
pub const MAX_LINE_BEFORE_LOGIN: usize = 16 * 1024;
/// Bytes of a line or body after login, at most.
pub const MAX_LINE: usize = 1024 * 1024;

/// What the first byte of a connection says about the rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// JSON texts, one a line.
    Lines,
    /// HTTP/1.1.
    Http,
    /// Nothing that we speak.
    Unknown,
}

impl Transport {
    /// Decides by the first byte.
    pub fn of(first: u8) -> Self {
        match first {
            b'{' | b'[' | b' ' | b'\t' | b'\r' | b'\n' => Self::Lines,
            b'A'..=b'Z' => Self::Http,
            _ => Self::Unknown,
        }
    }
}

/// A line is longer than allowed. The connection is of no further use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LineTooLong {
    /// What is allowed.
    pub limit: usize,
    /// Bytes that came without an end of line.
    pub size: usize,
}

/// Bytes of which the end of the line has not come yet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Lines {
    buffer: Vec<u8>,
    /// Bytes of the buffer without an end of line, so that a slow sender is not read again and again.
    searched: usize,
}

impl Lines {
    /// Takes bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes the next line without its end, skipping empty ones; `None` if none is complete.
    pub fn next(&mut self, limit: usize) -> Result<Option<Vec<u8>>, LineTooLong> {
        loop {
            let Some(length) = self.buffer[self.searched..]
                .iter()
                .position(|&byte| byte == b'\n')
            else {
                self.searched = self.buffer.len();
                // One byte more than the limit is allowed as long as it may be the CR of the line's end.
                if self.buffer.len() > limit + 1 {
                    return Err(LineTooLong {
                        limit,
                        size: self.buffer.len(),
                    });
                }
                return Ok(None);
            };
            let end = self.searched + length;
            self.searched = 0;
            let rest = self.buffer.split_off(end + 1);
            let mut line = core::mem::replace(&mut self.buffer, rest);
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            if line.len() > limit {
                return Err(LineTooLong {
                    limit,
                    size: line.len(),
                });
            }
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(line));
            }
        }
    }

    /// Bytes that wait for the end of their line.
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// Gives up the bytes that were not used.
    pub fn into_rest(self) -> Vec<u8> {
        self.buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn lines(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut splitter = Lines::default();
        let mut found = Vec::new();
        for chunk in chunks {
            splitter.push(chunk);
            while let Some(line) = splitter.next(100).expect("short lines") {
                found.push(line);
            }
        }
        found
    }

    #[test]
    fn ends_of_lines_and_empty_lines_are_no_part_of_texts() {
        assert_eq!(
            lines(&[b"{}\r\n\n \r\n[1]\n{"]),
            [b"{}".to_vec(), b"[1]".to_vec()]
        );
    }

    #[test]
    fn the_limit_is_the_limit() {
        let mut splitter = Lines::default();
        splitter.push(&[b'x'; 10]);
        splitter.push(b"\r\n");
        assert_eq!(splitter.next(10), Ok(Some(vec![b'x'; 10])));
        splitter.push(&[b'x'; 11]);
        splitter.push(b"\n");
        assert_eq!(
            splitter.next(10),
            Err(LineTooLong {
                limit: 10,
                size: 11
            })
        );
        let mut endless = Lines::default();
        endless.push(&[b'x'; 12]);
        assert_eq!(
            endless.next(10),
            Err(LineTooLong {
                limit: 10,
                size: 12
            })
        );
    }

    #[test]
    fn the_first_byte_decides() {
        let kinds = [b'{', b'[', b'\n', b'G', b'x', 0].map(Transport::of);
        use Transport::{Http, Lines, Unknown};
        assert_eq!(kinds, [Lines, Lines, Lines, Http, Unknown, Unknown]);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_bytes_arrive(texts in proptest::collection::vec("[a-z{}]{1,20}", 0..10), cut in 1usize..9) {
            let bytes: Vec<u8> = texts.iter().flat_map(|text| [text.as_bytes(), b"\n"].concat()).collect();
            let chunks: Vec<&[u8]> = bytes.chunks(cut).collect();
            let expected: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
            prop_assert_eq!(lines(&chunks), expected);
        }
    }
}
