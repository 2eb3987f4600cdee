//! System calls on memory objects.

use core::sync::atomic::Ordering;

use abi::{Outcome, Rights, layout::PAGE_SIZE, syscall::MemoryKind};

use super::{Next, Operands, Stop};
use crate::mem::shrink::Step;
use crate::object::Memory;
use crate::sync::Order;
use crate::{Kernel, Machine};

/// Pages in so many bytes, which must be whole ones.
pub(super) fn whole_pages(length: u64) -> Result<u64, Outcome> {
    let page = PAGE_SIZE as u64;
    if length == 0 || !length.is_multiple_of(page) {
        return Err(Outcome::BadArgument);
    }
    Ok(length / page)
}

impl<M: Machine> Kernel<M> {
    /// `memory_create(length, kind)`. Checks, in order: the length; the kind; the quota; for contiguous memory, the machine.
    pub(super) fn memory_create(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let pages = whole_pages(operands.word(0))?;
        let quota = self.payer(operands)?;
        let name = if operands.word(1) == MemoryKind::Anonymous as u64 {
            self.make_anonymous(quota, pages)?
        } else if operands.word(1) == MemoryKind::Contiguous as u64 {
            self.make_contiguous(quota, pages)?
        } else {
            return Err(Outcome::BadArgument.into());
        };
        self.give(operands, name, Rights::all())
    }

    /// `memory_resize(memory, length)`, one step.
    ///
    /// Checks, in order: the memory (`MANAGE`); it is anonymous; the length.
    pub(super) fn memory_resize(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let memory = self.at(operands.a::<Memory>());
        let pages = whole_pages(operands.word(0))?;
        // What was asked for has been set by the first step; later ones only finish what that began.
        match self.resize_step(memory, pages)? {
            Step::Done => Ok(Next::Done),
            Step::More => Ok(Next::Again),
            Step::Elsewhere(cpu) => Err(Stop::Elsewhere(cpu)),
        }
    }

    /// `memory_info(memory)`. Checks: the memory (`INSPECT`).
    pub(super) fn memory_info(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let memory = self.at(operands.a::<Memory>());
        let _guard = memory.lock.take(self.machine(), Order::Memory);
        let pages = memory.pages.load(Ordering::Relaxed);
        operands.set_words(&[
            pages * PAGE_SIZE as u64,
            memory.present.get(),
            memory.kind() as u64,
            memory.mapping_count.get(),
        ]);
        Ok(Next::Done)
    }
}
