//! System calls on IoSpaces and IoPorts.

use core::sync::atomic::Ordering;

use abi::{Outcome, Rights, layout::PAGE_SIZE, syscall::MemoryKind, syscall::protection};

use super::{Next, Operands, Stop};
use crate::machine::{MAX_PORT_RANGES, PortRange};
use crate::mem::frame::Frame;
use crate::object::{IoEntries, IoEntry, IoPorts, IoSpace, Memory, Name, Process};
use crate::sync::Order;
use crate::{Kernel, Machine};

impl<M: Machine> Kernel<M> {
    /// `io_space_map(space, memory, protection, offset, length)`.
    ///
    /// Checks, in order: the space (`MAP`); the memory (`MAP`, and `READ` and `WRITE` as asked); the protection; offset and length; the memory is
    /// contiguous; an entry is free.
    pub(super) fn io_space_map(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let held = operands.held_b()?;
        let bits = operands.argument();
        let mut needed = Rights::empty();
        if bits & protection::READ != 0 {
            needed |= Rights::READ;
        }
        if bits & protection::WRITE != 0 {
            needed |= Rights::WRITE;
        }
        if bits == 0 || bits & !(protection::READ | protection::WRITE) != 0 {
            return Err(Outcome::BadArgument.into());
        }
        if !held.rights.contains(needed) {
            return Err(Outcome::NoRights.into());
        }
        let (offset, length) = (operands.word(0), operands.word(1));
        let page = PAGE_SIZE as u64;
        let memory_name: Name<Memory> = operands.b();
        let memory = self.at(memory_name);
        let bytes = memory.pages.load(Ordering::Acquire) * page;
        let is_inside = length != 0
            && offset.is_multiple_of(page)
            && length.is_multiple_of(page)
            && offset.checked_add(length).is_some_and(|end| end <= bytes);
        if !is_inside {
            return Err(Outcome::BadArgument.into());
        }
        if memory.kind() != MemoryKind::Contiguous {
            return Err(Outcome::Unsupported.into());
        }
        let address = Frame::new(memory.base.get()).address() + offset;
        let space = self.at(operands.a::<IoSpace>());
        let _guard = space.lock.take(self.machine(), Order::IoSpace);
        let free = self.io_entries(space).iter().find(|entry| entry.memory.get().is_none()).ok_or(Outcome::Busy)?;
        self.pin(memory_name);
        free.memory.set(memory_name);
        free.address.set(address);
        free.length.set(length);
        free.is_ended.set(0);
        operands.set_result(address);
        Ok(Next::Done)
    }

    /// `io_space_unmap(space, address, length)`. The frames stay withheld: without an IOMMU nothing but the device's stop ends its reach.
    ///
    /// Checks, in order: the space (`MAP`); such an entry exists.
    pub(super) fn io_space_unmap(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let space = self.at(operands.a::<IoSpace>());
        let _guard = space.lock.take(self.machine(), Order::IoSpace);
        let entry = self
            .io_entries(space)
            .iter()
            .find(|entry| {
                entry.memory.get().is_some()
                    && entry.is_ended.get() == 0
                    && entry.address.get() == operands.word(0)
                    && entry.length.get() == operands.word(1)
            })
            .ok_or(Outcome::NotMapped)?;
        entry.is_ended.set(1);
        Ok(Next::Done)
    }

    /// `io_space_release(space)`. Checks: the space (`REVOKE`).
    pub(super) fn io_space_release(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let space = self.at(operands.a::<IoSpace>());
        loop {
            let entry = {
                let _guard = space.lock.take(self.machine(), Order::IoSpace);
                self.io_entries(space)
                    .iter()
                    .map(|entry| entry.memory.replace(Name::NONE))
                    .find(|memory| memory.is_some())
            };
            match entry {
                Some(memory) => self.unpin(memory),
                None => return Ok(Next::Done),
            }
        }
    }

    fn io_entries(&self, space: &IoSpace) -> &[IoEntry] {
        let entries: &IoEntries = self.machine().object(Frame::new(space.entries.get()).at(0));
        &entries.entries
    }

    /// Nobody can name the space any more. If a device may still reach memory in it, it stays, and so does what it withholds.
    pub fn reap_io_space(&self, name: Name<IoSpace>) {
        let space = self.at(name);
        let is_empty = self.io_entries(space).iter().all(|entry| entry.memory.get().is_none());
        if is_empty {
            let (quota, entries) = (space.header.quota.get(), space.entries.get());
            // The frame keeps the quota alive until it is given back itself.
            self.free(name);
            self.give_charged_frame(quota, Frame::new(entries));
        }
    }

    /// `io_ports_enable(ports)`. The process keeps them until it ends.
    ///
    /// Checks, in order: the ports (`MAP`); the process has not too many ranges.
    pub(super) fn io_ports_enable(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let process = self.at(operands.thread.process.get());
        let name: Name<IoPorts> = operands.a();
        let count = process.port_count.get() as usize;
        let place = process.ports.get(count).ok_or(Outcome::Busy)?;
        self.pin(name);
        place.set(name);
        process.port_count.set(count as u32 + 1);
        self.machine().ports_taken(self.at(name).range());
        self.activate_ports(process);
        Ok(Next::Done)
    }

    /// Lets this CPU's user space use the ports of `process`, and no others.
    pub fn activate_ports(&self, process: &Process) {
        let mut ranges = [PortRange::default(); MAX_PORT_RANGES];
        let count = (process.port_count.get() as usize).min(MAX_PORT_RANGES);
        for (range, name) in ranges.iter_mut().zip(&process.ports[..count]) {
            *range = self.at(name.get()).range();
        }
        self.ports_active.set(count as u32);
        self.machine().set_ports(&ranges[..count]);
    }
}
