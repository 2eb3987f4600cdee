//! System calls on handles.

use abi::{Handle, Rights};

use super::{Next, Operands, Stop};
use crate::handle::Held;
use crate::{Kernel, Machine};

impl<M: Machine> Kernel<M> {
    /// `handle_close(handle)`. Checks: the handle.
    pub(super) fn handle_close(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let process = self.at(operands.thread.process.get());
        let handle = Handle(operands.thread.context.handles.get() as u32);
        self.close_handle(process, handle)?;
        Ok(Next::Done)
    }

    /// `handle_duplicate(handle, rights)`. Checks, in order: the handle (`DUPLICATE`); a free slot.
    pub(super) fn handle_duplicate(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let held = operands.held_a()?;
        let rights = held.rights & Rights::from_bits_retain(operands.word(0) as u16);
        self.return_handle(operands, 0, Held { rights, ..held });
        Ok(Next::Done)
    }

    /// `handle_info(handle)`. Checks: the handle.
    pub(super) fn handle_info(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let held = operands.held_a()?;
        operands.set_result(held.kind as u64);
        operands.set_second_result(u64::from(held.rights.bits()));
        operands.set_words(&[self.public_number(held.name.bits())]);
        Ok(Next::Done)
    }

    /// A number that is the same for handles of the same object and says nothing about where it lies: the name, scrambled by a key that is
    /// drawn at boot. Multiplication by an odd number and rotation lose nothing, so different names stay different.
    pub(super) fn public_number(&self, bits: u64) -> u64 {
        if bits == 0 {
            return 0;
        }
        let key = self.shared().number_key();
        (bits ^ key).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(key | 1)
    }
}
