//! A process's handle table.
//!
//! A frame names the frames of slots; a slot is 32 bytes. Slots are made ready in batches, and the quota is charged for a batch, so
//! that a slot can be taken and given back (as each call does, for its Reply) by a few stores. Slot 0 is never used.
//!
//! A slot's generation grows when it is freed and wraps round: a number is good only in its own process, so a handle that comes round after
//! 2^18 uses of its slot can deceive nobody but its owner.

use core::cell::Cell;

use abi::{Handle, Outcome, Rights};
use zerocopy::FromBytes;

use super::Held;
use crate::mem::frame::Frame;
use crate::object::{Any, Kind, Name, Object, Process, Resource};
use crate::{Kernel, Machine};

/// Slots in a frame.
const SLOTS_PER_FRAME: usize = 128;
/// Slots that are made ready at a time.
const BATCH: u32 = 16;

/// One slot.
#[derive(FromBytes)]
#[repr(C)]
pub struct HandleSlot {
    /// The object; for a Reply the caller, or 0 when the caller has gone.
    pub object: Cell<u64>,
    /// See [`meta`].
    pub meta: Cell<u64>,
    /// For a Reply: the badge of the call.
    pub badge: Cell<u64>,
    /// Free: the handle that the next free slot will be. A Reply whose caller has gone: the next such slot that the receiver has not been told of.
    pub link: Cell<u64>,
}

#[derive(FromBytes)]
#[repr(C)]
struct SlotFrame {
    slots: [HandleSlot; SLOTS_PER_FRAME],
}

/// The second word of a slot: rights in bits 0–15, flags 16–23, kind 24–31, generation 32–49. The kind of a free slot is 0.
pub mod meta {
    use abi::{Handle, Rights};

    use crate::object::header::Kind;

    /// The receiver has not been told yet that the caller has gone.
    pub const UNTOLD: u64 = 1 << 16;
    /// The handle was closed while `UNTOLD`: the slot is freed when the list reaches it.
    pub const CLOSED: u64 = 1 << 17;

    const RIGHTS: u64 = 0xffff;

    /// Packs one.
    #[inline]
    pub const fn new(generation: u64, kind: Kind, rights: Rights) -> u64 {
        generation << 32 | (kind as u64) << 24 | rights.bits() as u64
    }

    /// What bits 24 and up must be for `handle` to name an object of this kind.
    #[inline]
    pub const fn tag(handle: Handle, kind: Kind) -> u64 {
        (handle.generation() as u64) << 8 | kind as u64
    }

    /// Bits 24 and up.
    #[inline]
    pub const fn tag_of(meta: u64) -> u64 {
        meta >> 24
    }

    /// The rights.
    pub const fn rights(meta: u64) -> Rights {
        Rights::from_bits_retain((meta & RIGHTS) as u16)
    }

    /// The kind's number.
    pub const fn kind(meta: u64) -> u8 {
        (meta >> 24) as u8
    }

    /// The generation.
    #[inline]
    pub const fn generation(meta: u64) -> u64 {
        meta >> 32
    }

    /// That of the slot's next use.
    #[inline]
    pub const fn next_generation(meta: u64) -> u64 {
        let next = generation(meta) + 1;
        if next > Handle::MAX_GENERATION as u64 { 1 } else { next }
    }
}

impl<M: Machine> Kernel<M> {
    /// The slot with this index, which is below the number of slots made.
    #[inline]
    pub fn slot(&self, process: &Process, index: usize) -> &HandleSlot {
        let frames = self.machine().words(Frame::new(process.handle_root.get()));
        let frame = Frame::new(frames[(index / SLOTS_PER_FRAME) % SLOTS_PER_FRAME].get());
        let slots: &SlotFrame = self.machine().object(frame.at(0));
        &slots.slots[index % SLOTS_PER_FRAME]
    }

    /// The slot that `handle` names if it holds an object of this kind with these rights. The short way: says nothing about why not.
    #[inline]
    pub fn find_slot(&self, process: &Process, handle: Handle, kind: Kind, rights: Rights) -> Option<&HandleSlot> {
        if handle.slot() >= process.slots_made.get() as usize {
            return None;
        }
        let slot = self.slot(process, handle.slot());
        let meta = slot.meta.get();
        (meta::tag_of(meta) == meta::tag(handle, kind) && meta::rights(meta).contains(rights)).then_some(slot)
    }

    /// The object behind `handle`.
    pub fn look_up<T: Object>(&self, process: &Process, handle: Handle, rights: Rights) -> Result<Name<T>, Outcome> {
        Ok(self.look_up_held(process, handle, Some(T::KIND), rights)?.name.cast())
    }

    /// What `handle` is, if it is of this kind, or any, and has these rights.
    pub fn look_up_held(
        &self,
        process: &Process,
        handle: Handle,
        kind: Option<Kind>,
        rights: Rights,
    ) -> Result<Held, Outcome> {
        let held = self.look_up_any(process, handle)?;
        if kind.is_some_and(|kind| kind != held.kind) {
            Err(Outcome::WrongType)
        } else if !held.rights.contains(rights) {
            Err(Outcome::NoRights)
        } else {
            Ok(held)
        }
    }

    /// What `handle` is.
    pub fn look_up_any(&self, process: &Process, handle: Handle) -> Result<Held, Outcome> {
        let slot = self.any_slot(process, handle)?;
        let meta = slot.meta.get();
        Ok(Held {
            name: Name::from_bits(slot.object.get()),
            kind: Kind::from_number(meta::kind(meta)).ok_or(Outcome::BadHandle)?,
            rights: meta::rights(meta),
        })
    }

    /// The slot of a handle that is open.
    pub fn any_slot(&self, process: &Process, handle: Handle) -> Result<&HandleSlot, Outcome> {
        if handle.slot() >= process.slots_made.get() as usize || handle.slot() == 0 {
            return Err(Outcome::BadHandle);
        }
        let slot = self.slot(process, handle.slot());
        let meta = slot.meta.get();
        let is_open = meta::generation(meta) == u64::from(handle.generation())
            && meta::kind(meta) != 0
            && meta & meta::CLOSED == 0;
        is_open.then_some(slot).ok_or(Outcome::BadHandle)
    }

    /// Makes sure that `count` slots can be taken.
    pub fn reserve_slots(&self, process: &Process, count: u32) -> Result<(), Outcome> {
        while process.free_slots.get() < count {
            self.make_slots(process)?;
        }
        Ok(())
    }

    fn make_slots(&self, process: &Process) -> Result<(), Outcome> {
        let first = process.slots_made.get();
        if first as usize + BATCH as usize > Handle::MAX_SLOTS {
            return Err(Outcome::QuotaHandles);
        }
        let quota_name = process.header.quota.get();
        let quota = self.at(quota_name);
        quota.charge(Resource::Handles, u64::from(BATCH))?;
        if (first as usize).is_multiple_of(SLOTS_PER_FRAME) {
            match self.take_charged_frame(quota) {
                Ok(frame) => self.machine().words(Frame::new(process.handle_root.get()))
                    [first as usize / SLOTS_PER_FRAME]
                    .set(frame.number()),
                Err(outcome) => {
                    self.uncharge(quota_name, Resource::Handles, u64::from(BATCH));
                    return Err(outcome);
                }
            }
        }
        process.slots_made.set(first + BATCH);
        for index in (first..first + BATCH).rev().filter(|&index| index != 0) {
            let slot = self.slot(process, index as usize);
            slot.meta.set(1 << 32);
            slot.link.set(u64::from(process.next_handle.get()));
            process.next_handle.set(Handle::new(index as usize, 1).0);
            process.free_slots.set(process.free_slots.get() + 1);
        }
        Ok(())
    }

    /// Takes a free slot and fills it; `None` if no slot is ready. The caller has counted the reference.
    #[inline]
    pub fn take_slot(
        &self,
        process: &Process,
        object: u64,
        kind: Kind,
        rights: Rights,
    ) -> Option<(Handle, &HandleSlot)> {
        let handle = Handle(process.next_handle.get());
        if handle.is_none() {
            return None;
        }
        let slot = self.slot(process, handle.slot());
        process.next_handle.set(slot.link.get() as u32);
        process.free_slots.set(process.free_slots.get() - 1);
        slot.object.set(object);
        slot.meta.set(meta::new(u64::from(handle.generation()), kind, rights));
        Some((handle, slot))
    }

    /// Makes the next handle another one, as if it had been taken and closed.
    #[inline]
    pub fn skip_handle(&self, process: &Process) {
        let next = process.next_handle.get();
        let skipped = next.checked_add(1 << Handle::SLOT_BITS).unwrap_or_else(|| Handle::new(Handle(next).slot(), 1).0);
        process.next_handle.set(skipped);
    }

    /// Gives a slot back. What it held is the caller's to release.
    #[inline]
    pub fn free_slot(&self, process: &Process, index: u32, slot: &HandleSlot) {
        let generation = meta::next_generation(slot.meta.get());
        slot.object.set(0);
        slot.meta.set(generation << 32);
        slot.link.set(u64::from(process.next_handle.get()));
        let handle = Handle::new(index as usize, generation as u32);
        process.next_handle.set(handle.0);
        process.free_slots.set(process.free_slots.get() + 1);
    }

    /// Puts a reference that is already counted into the table; gives it back as an error if there is no slot.
    pub fn insert(&self, process: &Process, held: Held) -> Result<Handle, Outcome> {
        self.reserve_slots(process, 1)?;
        self.take_slot(process, held.name.bits(), held.kind, held.rights)
            .map(|(handle, _)| handle)
            .ok_or(Outcome::QuotaHandles)
    }

    /// Closes a handle, whatever it names.
    pub fn close_handle(&self, process: &Process, handle: Handle) -> Result<(), Outcome> {
        let slot = self.any_slot(process, handle)?;
        self.close_slot(process, handle.slot() as u32, slot);
        Ok(())
    }

    /// Closes what a slot holds.
    pub fn close_slot(&self, process: &Process, index: u32, slot: &HandleSlot) {
        let meta = slot.meta.get();
        let Some(kind) = Kind::from_number(meta::kind(meta)) else {
            return;
        };
        let name = Name::<Any>::from_bits(slot.object.get());
        if kind == Kind::Reply {
            if meta & meta::UNTOLD != 0 {
                slot.meta.set(meta | meta::CLOSED);
                return;
            }
            self.free_slot(process, index, slot);
            if name.is_some() {
                self.drop_reply(name.cast());
            }
            return;
        }
        if kind == Kind::Endpoint {
            process.endpoints_closed.set(process.endpoints_closed.get().wrapping_add(1));
        }
        self.free_slot(process, index, slot);
        self.release(Held { name, kind, rights: meta::rights(meta) });
    }
}
