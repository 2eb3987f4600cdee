//! System calls on interrupts, and their arrival.

use core::sync::atomic::Ordering;

use abi::Outcome;

use super::{Next, Operands, Stop};
use crate::machine::DEVICE_VECTORS;
use crate::object::{Interrupt, Name, Notification};
use crate::{Kernel, Machine};

impl<M: Machine> Kernel<M> {
    /// `interrupt_bind(interrupt, notification, bit)`, on the CPU that the interrupt arrives at.
    ///
    /// Checks, in order: the interrupt (`MANAGE`); the notification (`SIGNAL`); the bit.
    pub(super) fn interrupt_bind(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let interrupt = self.at_home(operands.a::<Interrupt>())?;
        let bit = operands.word(0);
        if bit >= 64 {
            return Err(Outcome::BadArgument.into());
        }
        let notification: Name<Notification> = operands.b();
        self.pin(notification);
        interrupt.bit.store(bit as u32, Ordering::Relaxed);
        let old = Name::<Notification>::from_bits(interrupt.notification.swap(notification.bits(), Ordering::AcqRel));
        if old.is_some() {
            self.unpin(old);
        }
        if interrupt.is_line.get() != 0 {
            self.machine().unmask_line(interrupt.gsi.get());
        }
        Ok(Next::Done)
    }

    /// `interrupt_acknowledge(interrupt)`. Checks, in order: the interrupt (`SIGNAL`); it is bound.
    pub(super) fn interrupt_acknowledge(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let interrupt = self.at(operands.a::<Interrupt>());
        if interrupt.notification.load(Ordering::Acquire) == 0 {
            return Err(Outcome::InvalidState.into());
        }
        if interrupt.is_level.get() != 0 {
            self.machine().unmask_line(interrupt.gsi.get());
        }
        Ok(Next::Done)
    }

    /// A device's vector arrived: a line that signals by level is masked until it is acknowledged, and the bit is set.
    pub fn serve_interrupt(&self, vector: u8) {
        let name = Name::<Interrupt>::from_bits(self.shared().vectors[vector as usize].load(Ordering::Acquire));
        let Some(interrupt) = self.get(name) else {
            return;
        };
        if interrupt.is_level.get() != 0 {
            self.machine().mask_line(interrupt.gsi.get());
        }
        let notification = Name::<Notification>::from_bits(interrupt.notification.load(Ordering::Acquire));
        if notification.is_some() {
            self.signal(notification, 1 << (interrupt.bit.load(Ordering::Relaxed) & 63));
        }
    }

    /// The last handle has gone: the line is masked and the vector free again. On the CPU that it arrives at.
    pub fn silence_interrupt(&self, interrupt: &Interrupt) {
        if interrupt.is_line.get() != 0 {
            self.machine().mask_line(interrupt.gsi.get());
        }
        self.shared().vectors[interrupt.vector.get() as usize & 0xff].store(0, Ordering::Release);
    }

    /// Reserves a vector for `interrupt`.
    pub(super) fn take_vector(&self, interrupt: Name<Interrupt>) -> Result<u8, Outcome> {
        DEVICE_VECTORS
            .into_iter()
            .find(|&vector| {
                self.shared().vectors[vector as usize]
                    .compare_exchange(0, interrupt.bits(), Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
            })
            .ok_or(Outcome::Unsupported)
    }
}
