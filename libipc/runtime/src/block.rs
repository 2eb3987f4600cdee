//! What each thread has for itself: its message pages, the handles of the message that it is packing or unpacking, and the reply that its next
//! `receive` takes along.
//!
//! Only the thread itself ever touches its block, so cells are enough.

use crate::message::Words;
use crate::page;
use abi::message::{HandleTransfer, LeaseTransfer, MAX_HANDLES, MAX_LEASES, MAX_MESSAGE_BYTES};
use core::cell::Cell;

/// One thread's own.
#[repr(C)]
pub struct ThreadBlock {
    // First, because `fs:[0]` is how the thread finds its block.
    itself: Cell<*const ThreadBlock>,
    send: *mut u8,
    receive: *mut u8,
    send_lent: Cell<bool>,
    receive_lent: Cell<bool>,
    pub(crate) outgoing: Transfers,
    pub(crate) incoming: Transfers,
    pub(crate) pending: PendingReply,
}

/// Handles and leases beside the bytes of a message.
#[derive(Default)]
pub(crate) struct Transfers {
    /// Handles, and sixteen times the leases.
    pub count: Cell<u8>,
    /// `TransferMode` of what is sent.
    pub mode: Cell<u8>,
    pub list: [Cell<HandleTransfer>; MAX_HANDLES],
    pub leases: [Cell<LeaseTransfer>; MAX_LEASES],
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
            receive_lent: Cell::new(false),
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

    /// Lends the first `length` bytes of the receive page. What enters the kernel to receive something else meanwhile panics: see
    /// [`before_receiving`](Self::before_receiving).
    #[inline(always)]
    pub(crate) fn with_received<R>(&self, length: usize, job: impl FnOnce(&[u8]) -> R) -> R {
        let was_lent = self.receive_lent.replace(true);
        // SAFETY: the page is this thread's, mapped and long enough; nobody writes to it but the kernel, on behalf of this thread, which does not
        // enter it for that while the page is lent.
        let bytes =
            unsafe { core::slice::from_raw_parts(self.receive, length.min(MAX_MESSAGE_BYTES)) };
        let result = job(bytes);
        self.receive_lent.set(was_lent);
        result
    }

    /// Called before every system call that can write to the receive page.
    ///
    /// # Panics
    /// If the page is lent: a value whose decoding makes calls itself.
    #[inline(always)]
    pub(crate) fn before_receiving(&self) {
        assert!(
            !self.receive_lent.get(),
            "a value makes calls while it is decoded"
        );
    }

    /// The descriptors of the handles that came with the message received last.
    pub(crate) fn received_handles(&self, count: usize) -> ([HandleTransfer; MAX_HANDLES], u8) {
        page::read_handles(self.receive, count)
    }
}

impl Transfers {
    const fn new() -> Self {
        const NONE: HandleTransfer = HandleTransfer {
            handle: 0,
            rights: 0,
            mode: 0,
            kind: 0,
        };
        const NO_LEASE: LeaseTransfer = LeaseTransfer {
            handle: 0,
            rights: 0,
            reserved: 0,
            offset: 0,
            length: 0,
        };
        Self {
            count: Cell::new(0),
            mode: Cell::new(0),
            list: [const { Cell::new(NONE) }; MAX_HANDLES],
            leases: [const { Cell::new(NO_LEASE) }; MAX_LEASES],
        }
    }
}
