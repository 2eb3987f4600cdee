//! System calls on capsules.

use abi::{Outcome, Rights};

use super::memory::whole_pages;
use super::{Next, Operands, Stop};
use crate::handle::Reference;
use crate::object::{Capsule, Kind, MAX_SLOTS, Name, Quota, Resource};
use crate::sync::Order;
use crate::{Kernel, Machine};

impl<M: Machine> Kernel<M> {
    /// `capsule_create(bytes, slots)`. Checks, in order: the length; the slots; the quota.
    pub(super) fn capsule_create(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let pages = whole_pages(operands.word(0))?;
        let quota = self.payer(operands)?;
        let name = self.make_capsule(quota, pages, operands.word(1))?;
        self.give(operands, name, Rights::all())
    }

    /// A capsule with so many pages and slots. Has no references yet.
    pub fn make_capsule(&self, quota_name: Name<Quota>, pages: u64, slots: u64) -> Result<Name<Capsule>, Outcome> {
        if slots > MAX_SLOTS {
            return Err(Outcome::BadArgument);
        }
        let quota = self.at(quota_name);
        let (name, capsule) = self.allocate::<Capsule>(quota_name)?;
        let result = self.make_anonymous(quota_name, pages).and_then(|memory| {
            self.pin(memory);
            capsule.memory.set(memory);
            if slots == 0 {
                return Ok(());
            }
            quota.charge(Resource::Handles, slots)?;
            match self.take_charged_frame(quota) {
                Ok(frame) => capsule.slots.set(frame.number()),
                Err(outcome) => {
                    self.uncharge(quota_name, Resource::Handles, slots);
                    return Err(outcome);
                }
            }
            capsule.slot_count.set(slots as u32);
            Ok(())
        });
        match result {
            Ok(()) => Ok(name),
            Err(outcome) => {
                let memory = capsule.memory.get();
                self.free(name);
                if memory.is_some() {
                    self.unpin(memory);
                }
                Err(outcome)
            }
        }
    }

    /// `capsule_memory(capsule)`. Checks: the capsule (`READ`). The memory's handle can do what the capsule's could.
    pub(super) fn capsule_memory(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let capsule = self.at(operands.a::<Capsule>());
        let held = operands.held_a()?;
        let mut rights = Rights::READ | Rights::MAP | Rights::INSPECT | Rights::DUPLICATE | Rights::TRANSFER;
        rights |= held.rights & (Rights::WRITE | Rights::MANAGE);
        self.give(operands, capsule.memory.get(), rights)
    }

    /// `capsule_keep(capsule, handle, slot)`.
    ///
    /// Checks, in order: the capsule (`WRITE`); the handle (`TRANSFER | DUPLICATE`); it is not a capsule, which could keep itself alive; the slot exists;
    /// it is empty.
    pub(super) fn capsule_keep(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let held = operands.held_b()?;
        if held.kind == Kind::Capsule {
            return Err(Outcome::BadArgument.into());
        }
        self.with_capsule_slot(operands, |place| {
            if !place.is_empty() {
                return Err(Outcome::Busy);
            }
            self.acquire(held);
            place.set(Some(held));
            Ok(())
        })?;
        Ok(Next::Done)
    }

    /// `capsule_take(capsule, slot)`. Checks, in order: the capsule (`READ`); the slot exists; it is not empty.
    pub(super) fn capsule_take(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        self.with_capsule_slot(operands, |place| {
            let held = place.get().ok_or(Outcome::NotFound)?;
            self.return_handle(operands, 0, held);
            Ok(())
        })?;
        Ok(Next::Done)
    }

    /// `capsule_clear(capsule, slot)`. Checks, in order: the capsule (`WRITE`); the slot exists.
    pub(super) fn capsule_clear(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let mut old = None;
        self.with_capsule_slot(operands, |place| {
            old = place.take();
            Ok(())
        })?;
        // The lock is open again: what goes with the last handle may take others.
        if let Some(held) = old {
            self.release(held);
        }
        Ok(Next::Done)
    }

    fn with_capsule_slot(
        &self,
        operands: &Operands<'_>,
        act: impl FnOnce(&Reference) -> Result<(), Outcome>,
    ) -> Result<(), Outcome> {
        let capsule = self.at(operands.a::<Capsule>());
        let index = operands.word(0);
        if index >= u64::from(capsule.slot_count.get()) {
            return Err(Outcome::NotFound);
        }
        let _guard = capsule.lock.take(self.machine(), Order::Capsule);
        let place = self.capsule_slot(capsule.slots.get(), index).ok_or(Outcome::NotFound)?;
        act(place)
    }
}
