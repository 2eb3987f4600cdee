//! System calls on the machine itself.

use core::sync::atomic::Ordering;

use abi::{Outcome, Rights, layout::PAGE_SIZE, syscall::InterruptKind, syscall::MemoryKind};

use super::{Next, Operands, Stop};
use crate::machine::{CacheKind, InterruptLine, Polarity, Trigger};
use crate::mem::frame::{Frame, FrameRange};
use crate::object::{Interrupt, IoPorts, IoSpace, Name, Notification};
use crate::{Kernel, Machine};

/// Physical addresses end here, whatever the machine.
const PHYSICAL_END: u64 = 1 << 46;
/// How long a CPU must have been busy for its idleness to be news.
const BUSY_NANOSECONDS: u64 = 1_000_000;

impl<M: Machine> Kernel<M> {
    /// `hardware_interrupt(hardware, kind, line, mode)`. It arrives at the caller's CPU.
    ///
    /// Checks, in order: the authority (`MANAGE`); the kind; the mode; the quota; a vector is free; the line exists.
    pub(super) fn hardware_interrupt(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let (kind, mode) = (operands.word(0), operands.word(2));
        if kind > InterruptKind::Message as u64 || mode > 3 {
            return Err(Outcome::BadArgument.into());
        }
        let gsi = u32::try_from(operands.word(1)).map_err(|_| Outcome::BadArgument)?;
        let (name, interrupt) = self.allocate::<Interrupt>(self.payer(operands)?)?;
        let vector = match self.take_vector(name) {
            Ok(vector) => vector,
            Err(outcome) => {
                self.free(name);
                return Err(outcome.into());
            }
        };
        interrupt.vector.set(u32::from(vector));
        if kind == InterruptKind::Line as u64 {
            let line = InterruptLine {
                gsi,
                trigger: if mode & 1 != 0 { Trigger::Level } else { Trigger::Edge },
                polarity: if mode & 2 != 0 { Polarity::ActiveLow } else { Polarity::ActiveHigh },
            };
            if self.machine().route_line(line, vector, self.cpu()).is_err() {
                self.silence_interrupt(interrupt);
                self.free(name);
                return Err(Outcome::Unsupported.into());
            }
            interrupt.is_line.set(1);
            interrupt.is_level.set(u32::from(line.trigger == Trigger::Level));
            interrupt.gsi.set(gsi);
            operands.set_words(&[0, 0]);
        } else {
            let message = self.machine().message(vector, self.cpu());
            operands.set_words(&[message.address, message.data]);
        }
        self.give(operands, name, Rights::all())
    }

    /// `hardware_memory(hardware, address, length, cache)`.
    ///
    /// Checks, in order: the authority (`MANAGE`); address and length; the cache kind; it is not RAM, nor the kernel's own hardware; the quota.
    pub(super) fn hardware_memory(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let (address, length) = (operands.word(0), operands.word(1));
        let page = PAGE_SIZE as u64;
        let is_range = address.is_multiple_of(page)
            && length.is_multiple_of(page)
            && length != 0
            && address.checked_add(length).is_some_and(|end| end <= PHYSICAL_END);
        if !is_range {
            return Err(Outcome::BadAddress.into());
        }
        let cache = match operands.word(2) {
            0 => CacheKind::Uncached,
            1 => CacheKind::WriteCombining,
            2 => CacheKind::WriteBack,
            _ => return Err(Outcome::BadArgument.into()),
        };
        let range = FrameRange { first: Frame::containing(address), count: length / page };
        if self.shared().is_protected(range) {
            return Err(Outcome::BadAddress.into());
        }
        let quota = self.payer(operands)?;
        let name = self.make_fixed(quota, range, MemoryKind::Device, cache)?;
        let rights = Rights::all().difference(Rights::EXECUTE);
        self.give(operands, name, rights)
    }

    /// `hardware_iospace(hardware, device)`. Checks, in order: the authority (`MANAGE`); the PCI address; the quota.
    pub(super) fn hardware_io_space(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let device = u16::try_from(operands.word(0)).map_err(|_| Outcome::BadArgument)?;
        let quota_name = self.payer(operands)?;
        let (name, space) = self.allocate::<IoSpace>(quota_name)?;
        match self.take_charged_frame(self.at(quota_name)) {
            Ok(frame) => space.entries.set(frame.number()),
            Err(outcome) => {
                self.free(name);
                return Err(outcome.into());
            }
        }
        space.device.set(u32::from(device));
        self.give(operands, name, Rights::all())
    }

    /// `hardware_ports(hardware, first, count)`. Checks, in order: the authority (`MANAGE`); the range; the quota.
    pub(super) fn hardware_ports(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let (first, count) = (operands.word(0), operands.word(1));
        let is_range =
            count != 0 && count <= u64::from(u16::MAX) && first.checked_add(count).is_some_and(|end| end <= 1 << 16);
        if !is_range {
            return Err(Outcome::BadArgument.into());
        }
        let (name, ports) = self.allocate::<IoPorts>(self.payer(operands)?)?;
        ports.first.set(first as u32);
        ports.count.set(count as u32);
        self.give(operands, name, Rights::all())
    }

    /// `hardware_log(hardware, length)`: bytes of the send page. Checks, in order: the authority (`MANAGE`); the length.
    pub(super) fn hardware_log(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let length = operands.word(0) as usize;
        if length > PAGE_SIZE {
            return Err(Outcome::BadArgument.into());
        }
        let page = Frame::new(operands.thread.call.send_page.get());
        let words = self.machine().words(page);
        for index in 0..length {
            let byte = words[index / 8].get() >> (index % 8 * 8);
            self.machine().debug_write(byte as u8);
        }
        Ok(Next::Done)
    }

    /// `hardware_cpu(hardware, cpu)`: figures as of the last time that the CPU left the kernel the long way.
    ///
    /// Checks, in order: the authority (`INSPECT`); the CPU.
    pub(super) fn hardware_cpu(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let number = operands.word(0);
        let shared = self.shared();
        if number >= shared.cpu_count() as u64 {
            return Err(Outcome::NotFound.into());
        }
        let figures = shared.cpu(number as usize).figures.each_ref().map(|figure| figure.load(Ordering::Relaxed));
        let [ready, idle, switches, calls, interrupts, posts, longest] = figures;
        operands.set_result(ready);
        operands.set_words(&[
            self.machine().ticks_to_nanoseconds(idle),
            switches,
            calls,
            interrupts,
            shared.frames.free_count() + self.stock.count() as u64,
            posts,
            self.machine().ticks_to_nanoseconds(longest),
            shared.objects_alive.load(Ordering::Relaxed),
        ]);
        Ok(Next::Done)
    }

    /// `hardware_idle(hardware, notification)`. Checks, in order: the authority (`INSPECT`); the notification (`SIGNAL`).
    pub(super) fn hardware_idle(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let name: Name<Notification> = operands.b();
        self.pin(name);
        let old = {
            let _guard = self.shared().tree.take(self.machine(), crate::sync::Order::Tree);
            self.shared().idle_notification.swap(name.bits(), Ordering::AcqRel)
        };
        if old != 0 {
            self.unpin(Name::<Notification>::from_bits(old));
        }
        Ok(Next::Done)
    }

    /// This CPU has nothing to do. If it had something to do for a while, whoever balances is told.
    pub fn tell_idle(&self) {
        let busy_since = self.busy_since.replace(0);
        if busy_since == 0
            || self.machine().now().saturating_sub(busy_since) < BUSY_NANOSECONDS
            || self.shared().idle_notification.load(Ordering::Acquire) == 0
        {
            return;
        }
        let name: Name<Notification> = {
            let _guard = self.shared().tree.take(self.machine(), crate::sync::Order::Tree);
            let name = Name::from_bits(self.shared().idle_notification.load(Ordering::Acquire));
            if name.is_some() {
                self.pin(name);
            }
            name
        };
        if name.is_some() {
            self.signal(name, 1 << self.cpu());
            self.unpin(name);
        }
    }
}
