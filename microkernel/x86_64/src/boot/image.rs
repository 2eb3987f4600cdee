//! The boot image, before anybody believes it: what the kernel uses itself is checked here, the directory and init's segments.

use crate::paging::direct;
use abi::image::{EntryKind, ImageEntry};
use core::fmt;
use core::ops::Range;
use heapless::Vec;
use image_builder::{Image, ImageError};
use kernel_core::machine::{Frame, InitSegment, MAX_INIT_SEGMENTS};

/// The segments of init.
pub type Segments = Vec<InitSegment, MAX_INIT_SEGMENTS>;

/// What is wrong with the boot image.
#[derive(Clone, Copy, Debug)]
pub enum ImageProblem {
    /// It lies where the kernel can't read it.
    OutOfReach,
    /// It does not start on a page.
    NotAligned,
    /// init has more segments than the kernel keeps.
    TooManySegments,
    /// It is not a whole boot image.
    Invalid(ImageError),
}

impl fmt::Display for ImageProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfReach => write!(out, "the boot image lies above 4 GiB"),
            Self::NotAligned => write!(out, "the boot image does not start on a page"),
            Self::TooManySegments => write!(out, "init has more than {MAX_INIT_SEGMENTS} segments"),
            Self::Invalid(error) => write!(out, "{error}; make it again with `cargo xtask image`"),
        }
    }
}

/// Checks the image's directory and the segments of init: where it begins, and they.
pub fn init(range: &Range<u64>) -> Result<(u64, Segments), ImageProblem> {
    if !range.start.is_multiple_of(abi::layout::PAGE_SIZE as u64) {
        return Err(ImageProblem::NotAligned);
    }
    let image = Image::parse(bytes(range).ok_or(ImageProblem::OutOfReach)?).map_err(ImageProblem::Invalid)?;
    let mut segments = Segments::new();
    for segment in image.of_kind(EntryKind::InitSegment) {
        let bytes = segment.checked().map_err(ImageProblem::Invalid)?.len() as u64;
        let &ImageEntry { address, memory_length: memory_bytes, flags, .. } = segment.raw();
        let first = Frame::containing(range.start + segment.offset());
        let segment = InitSegment { address, memory_bytes, bytes, first, flags };
        segments.push(segment).map_err(|_| ImageProblem::TooManySegments)?;
    }
    Ok((image.init_entry(), segments))
}

/// The kernel's symbols, if the image has them whole.
pub fn symbols(range: &Range<u64>) -> Option<&'static [u8]> {
    let image = Image::parse(bytes(range)?).ok()?;
    image.of_kind(EntryKind::KernelSymbols).next()?.checked().ok()
}

fn bytes(range: &Range<u64>) -> Option<&'static [u8]> {
    // SAFETY: the image is memory that the loader filled; the kernel takes it out of the free memory and maps it for
    // nobody but read-only.
    unsafe { direct::bytes(range.start, range.end.checked_sub(range.start)?) }
}
