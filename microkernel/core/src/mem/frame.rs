//! Physical memory by number: frames, ranges of frames, and places inside frames.

use abi::layout::PAGE_SIZE;

/// Words in a frame.
pub const WORDS_PER_FRAME: usize = PAGE_SIZE / 8;
/// Objects start at multiples of this many bytes.
pub const LOCATION_ALIGNMENT: u64 = 64;

/// A physical frame, by number (address / 4096).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct Frame(u64);

impl Frame {
    /// The frame with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The frame that holds this physical address.
    pub const fn containing(address: u64) -> Self {
        Self(address / PAGE_SIZE as u64)
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Its physical address.
    pub const fn address(self) -> u64 {
        self.0 * PAGE_SIZE as u64
    }

    /// The frame so many further on.
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0 + count)
    }

    /// The place so many bytes into the frame. `offset` is a multiple of 64 below the frame's size; the rest is cut off.
    pub const fn at(self, offset: u64) -> Location {
        Location(self.address() | (offset & (PAGE_SIZE as u64 - LOCATION_ALIGNMENT)))
    }
}

/// Frames that follow each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameRange {
    /// The first one.
    pub first: Frame,
    /// How many.
    pub count: u64,
}

impl FrameRange {
    /// No frames.
    pub const EMPTY: Self = Self { first: Frame(0), count: 0 };

    /// Whether the two have a frame in common.
    pub const fn overlaps(self, other: Self) -> bool {
        self.first.0 < other.first.0.saturating_add(other.count)
            && other.first.0 < self.first.0.saturating_add(self.count)
    }
}

/// Where an object lies: a physical address, aligned to 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(transparent)]
pub struct Location(u64);

impl Location {
    /// The location at a physical address; the lowest six bits are cut off.
    pub(crate) const fn from_address(address: u64) -> Self {
        Self(address & !(LOCATION_ALIGNMENT - 1))
    }

    /// Its physical address.
    pub const fn address(self) -> u64 {
        self.0
    }

    /// The frame that it is in.
    pub const fn frame(self) -> Frame {
        Frame::containing(self.0)
    }
}
