//! Message pages seen as bytes: those of Calls, and the descriptors of handles in any of them.

use crate::error::SysError;
use crate::sys;
use abi::message::{HandleTransfer, MAX_HANDLES, MAX_MESSAGE_BYTES, TRANSFER_OFFSET};

/// The message page of a Call of ours.
///
/// The kernel reads it when the Call is started and writes it until its end was taken; the owner ([`Calls`](crate::Calls)) uses it before and after.
#[derive(Debug)]
pub(crate) struct CallPage(*mut u8);

impl CallPage {
    /// An address for the page of a Call that is about to be made.
    pub fn reserve() -> Result<Self, SysError> {
        sys::allocate_page().map(Self)
    }

    /// The address, for the kernel.
    pub fn address(&self) -> u64 {
        self.0 as u64
    }

    /// Lends the bytes for writing. The Call exists and is not under way.
    pub fn with_mut<R>(&mut self, job: impl FnOnce(&mut [u8]) -> R) -> R {
        // SAFETY: the page is mapped as long as the Call lives, which its owner keeps beside this value; the Call is not under way, so the kernel does not
        // touch it; `&mut self` says that nobody else here does.
        job(unsafe { core::slice::from_raw_parts_mut(self.0, MAX_MESSAGE_BYTES) })
    }

    /// Lends the first `length` bytes. The Call exists and is not under way.
    pub fn with<R>(&self, length: usize, job: impl FnOnce(&[u8]) -> R) -> R {
        // SAFETY: as above, for reading.
        job(unsafe { core::slice::from_raw_parts(self.0, length.min(MAX_MESSAGE_BYTES)) })
    }

    /// The descriptors of the handles of the answer.
    pub fn handles(&self, count: usize) -> ([HandleTransfer; MAX_HANDLES], u8) {
        read_handles(self.0, count)
    }
}

/// Reads the descriptors of `count` handles from a message page of ours.
pub(crate) fn read_handles(page: *const u8, count: usize) -> ([HandleTransfer; MAX_HANDLES], u8) {
    let mut handles = [HandleTransfer::default(); MAX_HANDLES];
    let count = count.min(MAX_HANDLES);
    for (index, handle) in handles.iter_mut().enumerate().take(count) {
        // SAFETY: both callers pass a whole mapped message page; descriptor `index` is below `MAX_HANDLES` and so inside of it, aligned because the
        // page and the offset are. Any bytes are a valid `HandleTransfer`.
        *handle = unsafe {
            page.add(TRANSFER_OFFSET)
                .cast::<HandleTransfer>()
                .add(index)
                .read()
        };
    }
    (handles, count as u8)
}
