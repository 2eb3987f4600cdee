//! One end of the terminal, as the capsule keeps it.
//!
//! A write goes in three steps: the end notes where the output ring stands and how much will be written, the bytes enter the ring (all at once: a store of the ring's
//! position), the end notes that they did. Whoever finds the note knows by the ring's position whether the second step was taken, so that no write is lost and none goes out
//! twice, wherever the server died.

use serde::{Deserialize, Serialize};

/// Bytes of an end's record, at most.
pub const RECORD_BYTES: usize = 48;

/// What an end speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// `stream`.
    Stream,
    /// `terminal`.
    Terminal,
}

/// One end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct End {
    /// What it speaks.
    pub kind: Kind,
    /// Whether its holder leads the session.
    pub leads: bool,
    /// The process group of its holder; the leader's is 0.
    pub group: u32,
    /// Bytes written through it.
    position: u64,
    /// A write that has begun.
    writing: Option<Writing>,
}

/// A write that has begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Writing {
    /// Where the ring stood.
    ring_at: u64,
    /// Bytes of the writer.
    count: u32,
}

impl End {
    /// An end through which nothing was written.
    pub fn new(kind: Kind, leads: bool, group: u32) -> Self {
        Self {
            kind,
            leads,
            group,
            position: 0,
            writing: None,
        }
    }

    /// Bytes written through it.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Notes that `count` bytes are about to enter the ring, which stands at `ring_at`.
    #[must_use]
    pub fn begun(self, ring_at: u64, count: u32) -> Self {
        let writing = Some(Writing { ring_at, count });
        Self { writing, ..self }
    }

    /// Notes what became of the write that has begun, now that the ring stands at `ring_at`.
    #[must_use]
    pub fn settled(self, ring_at: u64) -> Self {
        let written = match self.writing {
            Some(writing) if writing.ring_at != ring_at => writing.count,
            _ => 0,
        };
        Self {
            position: self.position + u64::from(written),
            writing: None,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: End = End {
        kind: Kind::Stream,
        leads: false,
        group: 7,
        position: 100,
        writing: None,
    };

    #[test]
    fn a_write_whose_bytes_entered_the_ring_counts_and_another_does_not() {
        let begun = NEW.begun(5000, 40);
        assert_eq!(begun.position(), 100, "nothing has happened yet");
        assert_eq!(begun.settled(5000), NEW, "died before the bytes");
        // The ring has more bytes than the writer: newlines become two.
        assert_eq!(begun.settled(5041).position(), 140, "died after them");
    }

    #[test]
    fn what_was_settled_stays() {
        let settled = NEW.begun(5000, 40).settled(5041);
        assert_eq!(settled.settled(9999), settled);
    }

    #[test]
    fn an_end_fits_its_record() {
        let largest = NEW
            .begun(u64::MAX, u32::MAX)
            .settled(0)
            .begun(u64::MAX, u32::MAX);
        let largest = End {
            position: u64::MAX,
            group: u32::MAX,
            ..largest
        };
        let bytes = postcard::to_allocvec(&largest).expect("it has a size");
        assert!(bytes.len() <= crate::end::RECORD_BYTES, "{}", bytes.len());
    }
}
