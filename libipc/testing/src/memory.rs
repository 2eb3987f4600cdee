//! Memory that test processes share, and the pages of their Calls.

use std::alloc::{Layout, alloc_zeroed};

const PAGE: usize = 4096;

/// Bytes that live as long as the test program: mappings of a test may outlive its machine.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    address: usize,
    length: usize,
}

impl Block {
    /// Zeroed pages. `None` for no length, or more than a test should want.
    pub fn new(length: usize) -> Option<Self> {
        if length == 0 || length > 256 << 20 {
            return None;
        }
        let layout = Layout::from_size_align(length, PAGE).ok()?;
        // SAFETY: the size is not zero.
        let address = unsafe { alloc_zeroed(layout) };
        (!address.is_null()).then_some(Self {
            address: address as usize,
            length,
        })
    }

    pub fn length(&self) -> usize {
        self.length
    }

    /// A copy of a range; empty if it is not inside.
    pub fn copy(&self, offset: usize, length: usize) -> Vec<u8> {
        match self.at(offset, length) {
            // SAFETY: the range is inside of the block, which lives for ever; the process that wrote it has stopped to look at it when a test does.
            Some(start) => unsafe { std::slice::from_raw_parts(start, length) }.to_vec(),
            None => Vec::new(),
        }
    }

    /// The address of a range, if it is inside.
    pub fn at(&self, offset: usize, length: usize) -> Option<*mut u8> {
        let end = offset.checked_add(length)?;
        (end <= self.length).then(|| (self.address + offset) as *mut u8)
    }
}

/// The message page of a Call: a whole block of one page.
#[derive(Clone, Copy, Debug)]
pub struct CallPage(usize);

impl CallPage {
    /// From the address that the process named. It came from `Backend::allocate_page`, and the runtime passes on no other.
    pub fn from_address(address: u64) -> Self {
        Self(address as usize)
    }

    pub fn read(self) -> Box<[u8; PAGE]> {
        // SAFETY: the page came from `allocate_page` and lives for ever; its process does not use it while the kernel does.
        Box::new(unsafe { *(self.0 as *const [u8; PAGE]) })
    }

    pub fn write(self, page: &[u8; PAGE]) {
        // SAFETY: as in `read`.
        unsafe { *(self.0 as *mut [u8; PAGE]) = *page };
    }
}
