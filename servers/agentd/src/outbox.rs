//! Bytes that wait to be sent, in the pieces they came in: nothing is moved when a part of them is gone.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// The bytes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outbox {
    pieces: VecDeque<Vec<u8>>,
    /// Bytes of the first piece that are gone.
    gone: usize,
    length: usize,
}

impl Outbox {
    /// Bytes in here.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Puts bytes behind the others.
    pub fn push(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.length += bytes.len();
            self.pieces.push_back(bytes);
        }
    }

    /// The first bytes that lie together, `most` at most.
    pub fn first(&self, most: usize) -> &[u8] {
        match self.pieces.front() {
            None => &[],
            Some(piece) => &piece[self.gone..piece.len().min(self.gone.saturating_add(most))],
        }
    }

    /// Drops the first `count` bytes.
    pub fn advance(&mut self, count: usize) {
        let mut left = count.min(self.length);
        self.length -= left;
        while let Some(piece) = self.pieces.front() {
            let here = piece.len() - self.gone;
            if left < here {
                self.gone += left;
                return;
            }
            left -= here;
            self.gone = 0;
            self.pieces.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_go_out_as_they_came_in(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..10),
            most in 1usize..15,
        ) {
            let mut outbox = Outbox::default();
            let (mut expected, mut sent) = (Vec::new(), Vec::new());
            for piece in pieces {
                expected.extend_from_slice(&piece);
                outbox.push(piece);
                let first = outbox.first(most).to_vec();
                sent.extend_from_slice(&first);
                outbox.advance(first.len());
            }
            while !outbox.is_empty() {
                let first = outbox.first(most).to_vec();
                prop_assert!(!first.is_empty() && first.len() <= most);
                sent.extend_from_slice(&first);
                outbox.advance(first.len());
            }
            prop_assert_eq!(sent, expected);
            prop_assert_eq!(outbox, Outbox::default());
        }
    }
}
