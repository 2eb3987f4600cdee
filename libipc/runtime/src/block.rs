//! What each thread has for itself: its message pages, the handles of the message that it is packing or unpacking, and the reply that its next
//! `receive` takes along.
//!
//! Only the thread itself ever touches its block, so cells are enough.

use crate::message::Words;
use abi::message::{HandleTransfer, MAX_HANDLES, MAX_MESSAGE_BYTES, TRANSFER_OFFSET};
use core::cell::Cell;

/// One thread's own.
#[repr(C)]
pub struct ThreadBlock {
    // First, because `fs:[0]` is how the thread finds its block.
    itself: Cell<*const ThreadBlock>,
    send: *mut u8,
    receive: *mut u8,
    send_lent: Cell<bool>,
    pub(crate) outgoing: Transfers,
    pub(crate) incoming: Transfers,
    pub(crate) pending: PendingReply,
}

/// Handles beside the bytes of a message.
#[derive(Default)]
pub(crate) struct Transfers {
    pub count: Cell<u8>,
    /// `TransferMode` of what is sent.
    pub mode: Cell<u8>,
    pub list: [Cell<HandleTransfer>; MAX_HANDLES],
}

/// A reply that waits to go out with the next `receive`.
#[derive(Default)]
pub(crate) struct PendingReply {
    /// The Reply; 0 if nothing waits.
    pub reply: Cell<u32>,
    /// Shape of the message.
    pub info: Cell<u32>,
    /// Its first 64 bytes, or nothing if it is in the send page.
    pub words: Cell<Words>,
}

impl ThreadBlock {
    /// A block over two pages of a thread, which nobody else uses and which stay as long as the block.
    pub(crate) const fn new(send: *mut u8, receive: *mut u8) -> Self {
        Self {
            itself: Cell::new(core::ptr::null()),
            send,
            receive,
            send_lent: Cell::new(false),
            outgoing: Transfers::new(),
            incoming: Transfers::new(),
            pending: PendingReply {
                reply: Cell::new(0),
                info: Cell::new(0),
                words: Cell::new(Words([0; 64])),
            },
        }
    }

    #[cfg(target_os = "none")]
    pub(crate) fn remember_address(&self) {
        self.itself.set(self);
    }

    #[cfg(not(target_os = "none"))]
    pub(crate) fn send_page(&self) -> *mut u8 {
        self.send
    }

    #[cfg(not(target_os = "none"))]
    pub(crate) fn receive_page(&self) -> *mut u8 {
        self.receive
    }

    /// Lends the send page. `None` while it is lent already: a value whose encoding itself sends messages.
    pub(crate) fn with_send_page<R>(&self, job: impl FnOnce(&mut [u8]) -> R) -> Option<R> {
        if self.send_lent.replace(true) {
            return None;
        }
        // SAFETY: the page is this thread's, mapped, `MAX_MESSAGE_BYTES` long, and `send_lent` says that there is no other reference into it.
        let page = unsafe { core::slice::from_raw_parts_mut(self.send, MAX_MESSAGE_BYTES) };
        let result = job(page);
        self.send_lent.set(false);
        Some(result)
    }

    /// Lends the first `length` bytes of the receive page. `job` must not enter the kernel: it decodes into values of its own, and that is all.
    ///
    /// # Safety
    /// No system call that receives a message happens in `job`.
    pub(crate) unsafe fn with_received<R>(&self, length: usize, job: impl FnOnce(&[u8]) -> R) -> R {
        // SAFETY: the page is this thread's, mapped and long enough; nobody writes to it but the kernel, which does not while `job` runs.
        let bytes =
            unsafe { core::slice::from_raw_parts(self.receive, length.min(MAX_MESSAGE_BYTES)) };
        job(bytes)
    }

    /// The descriptors of the handles that came with the message received last.
    pub(crate) fn received_handles(&self, count: usize) -> ([HandleTransfer; MAX_HANDLES], u8) {
        read_handles(self.receive, count)
    }
}

/// Reads the descriptors of `count` handles from a message page.
pub(crate) fn read_handles(page: *const u8, count: usize) -> ([HandleTransfer; MAX_HANDLES], u8) {
    let mut handles = [HandleTransfer::default(); MAX_HANDLES];
    let count = count.min(MAX_HANDLES);
    for (index, handle) in handles.iter_mut().enumerate().take(count) {
        // SAFETY: every caller passes a whole mapped message page of its own; descriptor `index` is below `MAX_HANDLES` and so inside of it,
        // aligned because the page and the offset are. Any bytes are a valid `HandleTransfer`.
        *handle = unsafe {
            page.add(TRANSFER_OFFSET)
                .cast::<HandleTransfer>()
                .add(index)
                .read()
        };
    }
    (handles, count as u8)
}

impl Transfers {
    const fn new() -> Self {
        const NONE: HandleTransfer = HandleTransfer {
            handle: 0,
            rights: 0,
            mode: 0,
            kind: 0,
        };
        Self {
            count: Cell::new(0),
            mode: Cell::new(0),
            list: [const { Cell::new(NONE) }; MAX_HANDLES],
        }
    }
}
