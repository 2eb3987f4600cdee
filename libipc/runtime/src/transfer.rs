//! Handles beside the bytes: how a typed [`Handle`](crate::Handle) inside a value finds its way into a message and out of it.
//!
//! In the bytes a handle is its place (0–3) among the handles of the message. Encoding a handle puts its descriptor into the thread's outgoing
//! list; decoding takes it out of the incoming list, once, and only as the type that the kernel says it is.

use crate::sys;
use abi::message::{HandleTransfer, LeaseTransfer, MAX_HANDLES, TransferArea, TransferMode};
use abi::{ObjectType, Rights};
use core::mem::offset_of;

/// What a lease adds to the count of a message: handles are counted below it.
const FIRST_LEASE: u8 = 16;

/// Starts a new message: no handles and leases yet; those to come pass in this way.
#[inline(always)]
pub(crate) fn begin(mode: TransferMode) {
    let outgoing = &sys::block().outgoing;
    outgoing.count.set(0);
    outgoing.mode.set(mode as u8);
}

/// Adds a handle to the message that is being encoded. Returns its place, or `None` if there are too many.
pub(crate) fn push(handle: abi::Handle, rights: Rights) -> Option<u8> {
    let outgoing = &sys::block().outgoing;
    let count = outgoing.count.get();
    let place = count % FIRST_LEASE;
    let slot = outgoing.list.get(usize::from(place))?;
    slot.set(HandleTransfer {
        handle: handle.0,
        rights: rights.bits(),
        mode: outgoing.mode.get(),
        kind: 0,
    });
    outgoing.count.set(count + 1);
    Some(place)
}

/// Adds a lease to the message that is being encoded. Returns its place, or `None` if there are too many.
pub(crate) fn push_lease(lease: LeaseTransfer) -> Option<u8> {
    let outgoing = &sys::block().outgoing;
    let count = outgoing.count.get();
    let place = count / FIRST_LEASE;
    outgoing.leases.get(usize::from(place))?.set(lease);
    outgoing.count.set(count + FIRST_LEASE);
    Some(place)
}

/// How many handles the message has that was just encoded.
#[inline(always)]
pub(crate) fn count() -> usize {
    usize::from(sys::block().outgoing.count.get() % FIRST_LEASE)
}

/// How many leases.
pub(crate) fn lease_count() -> usize {
    usize::from(sys::block().outgoing.count.get() / FIRST_LEASE)
}

/// Whether it has neither handles nor leases.
#[inline(always)]
pub(crate) fn is_plain() -> bool {
    sys::block().outgoing.count.get() == 0
}

/// Writes their descriptors where the kernel looks for them.
pub(crate) fn write_area(area: &mut [u8]) {
    let outgoing = &sys::block().outgoing;
    for (slot, bytes) in outgoing
        .list
        .iter()
        .take(count())
        .zip(area.chunks_exact_mut(8))
    {
        let transfer = slot.get();
        bytes[0..4].copy_from_slice(&transfer.handle.to_le_bytes());
        bytes[4..6].copy_from_slice(&transfer.rights.to_le_bytes());
        bytes[6] = transfer.mode;
        bytes[7] = transfer.kind;
    }
    let leases = area
        .get_mut(offset_of!(TransferArea, leases)..)
        .unwrap_or_default();
    for (slot, bytes) in outgoing
        .leases
        .iter()
        .take(lease_count())
        .zip(leases.chunks_exact_mut(size_of::<LeaseTransfer>()))
    {
        let lease = slot.get();
        bytes[0..4].copy_from_slice(&lease.handle.to_le_bytes());
        bytes[4..6].copy_from_slice(&lease.rights.to_le_bytes());
        bytes[6..8].fill(0);
        bytes[8..16].copy_from_slice(&lease.offset.to_le_bytes());
        bytes[16..24].copy_from_slice(&lease.length.to_le_bytes());
    }
}

/// The handles of a message while it is decoded. Those that nobody took are closed at the end, so that a peer can't fill our table.
pub(crate) struct Arrived(());

impl Arrived {
    /// Lays out the handles that came with a message.
    #[inline(always)]
    pub(crate) fn new(handles: &[HandleTransfer; MAX_HANDLES], count: u8) -> Self {
        let incoming = &sys::block().incoming;
        incoming.count.set(count);
        for (slot, handle) in incoming.list.iter().zip(handles).take(usize::from(count)) {
            slot.set(*handle);
        }
        Self(())
    }
}

impl Drop for Arrived {
    #[inline(always)]
    fn drop(&mut self) {
        let incoming = &sys::block().incoming;
        let count = incoming.count.replace(0);
        if count != 0 {
            close_rest(count);
        }
    }
}

#[cold]
fn close_rest(count: u8) {
    for slot in sys::block().incoming.list.iter().take(usize::from(count)) {
        close(abi::Handle(slot.take().handle));
    }
}

/// Takes a handle out of the message that is being decoded. `None` if there is none at that place, it was taken, or it is of another type.
pub(crate) fn take(place: u8, kind: ObjectType) -> Option<abi::Handle> {
    let incoming = &sys::block().incoming;
    if place >= incoming.count.get() {
        return None;
    }
    let slot = incoming.list.get(usize::from(place))?;
    let transfer = slot.get();
    if transfer.handle == 0 || transfer.kind != kind as u8 {
        return None;
    }
    slot.set(HandleTransfer::default());
    Some(transfer.handle())
}

/// Takes all handles out of the message that is being decoded, with the kernel's numbers of their types.
pub(crate) fn take_all() -> impl Iterator<Item = (abi::Handle, u8)> {
    let incoming = &sys::block().incoming;
    let count = usize::from(incoming.count.get());
    incoming.list.iter().take(count).map(|slot| {
        let transfer = slot.take();
        (transfer.handle(), transfer.kind)
    })
}

/// Closes a handle. A handle that is gone already is as good as closed.
pub(crate) fn close(handle: abi::Handle) {
    if !handle.is_none() {
        let arguments = sys::Arguments {
            a: handle.0,
            ..sys::Arguments::default()
        };
        let _ = sys::operate(abi::Operation::HandleClose, arguments);
    }
}
