//! Leases: windows of memory that a call lends to its receiver, who may copy from them or to them until the call ends.
//!
//! A lease is in the call's record and goes with its custody. Only the kernel reaches the memory behind it, so it ends at the same instant as the
//! call, whatever the receiver does: there is nothing to unmap and nobody to wait for.

use abi::message::{MAX_LEASES, TRANSFER_OFFSET, TransferArea};
use abi::{Handle, MessageInfo, Outcome, Rights, layout::PAGE_SIZE, syscall::MemoryKind};

use crate::mem::frame::Frame;
use crate::object::{CallRecord, Caller, Lease, Memory, Name, Process};
use crate::sync::Order;
use crate::syscall::{Next, Operands, Stop};
use crate::{Kernel, Machine};

/// Bytes that are copied in one stay in the kernel.
const SLICE: u64 = 8 * PAGE_SIZE as u64;
/// Words of the transfer area before the first lease, and of each lease.
const FIRST_WORD: usize = (TRANSFER_OFFSET + core::mem::offset_of!(TransferArea, leases)) / 8;
const LEASE_WORDS: usize = 3;

/// One end of a copy: memory from a byte on, or a message page.
#[derive(Clone, Copy)]
struct End<'k> {
    memory: Option<&'k Memory>,
    page: Frame,
    at: u64,
}

impl<M: Machine> Kernel<M> {
    /// Checks the leases of a message and notes them in the record of the call, which is idle. They count from [`Kernel::take_leases`] on.
    ///
    /// Checks, in order, for each: the memory (`READ` and `WRITE` as lent, at least one of them); it is not a device's; it is that long.
    pub fn check_leases(&self, process: &Process, info: MessageInfo, record: &CallRecord) -> Result<(), Outcome> {
        for (index, lease) in record.leases.iter().enumerate().take(info.leases()) {
            let words = &self.machine().words(Frame::new(record.send_page.get()))[FIRST_WORD + index * LEASE_WORDS..];
            let (first, offset, length) = (words[0].get(), words[1].get(), words[2].get());
            let rights = Rights::from_bits_retain((first >> 32) as u16);
            if rights.is_empty() || !(Rights::READ | Rights::WRITE).contains(rights) {
                return Err(Outcome::BadArgument);
            }
            let memory = self.look_up::<Memory>(process, Handle(first as u32), rights)?;
            check_window(self.at(memory), offset, length)?;
            lease.memory.set(memory);
            lease.offset.set(offset);
            lease.length.set(length);
            lease.rights.set(rights.bits().into());
        }
        Ok(())
    }

    /// The checked leases of a call count from now on.
    pub fn take_leases(&self, record: &CallRecord, count: usize) {
        record.lease_count.set(count as u64);
        record.leases.iter().take(count).for_each(|lease| self.pin(lease.memory.get()));
    }

    /// Tells the receiver of a call what it lends: number, rights and length of each lease.
    pub fn show_leases(&self, record: &CallRecord, page: u64) {
        for (index, lease) in record.leases.iter().enumerate().take(record.lease_count.get() as usize) {
            let words = &self.machine().words(Frame::new(page))[FIRST_WORD + index * LEASE_WORDS..];
            words[0].set(index as u64 | lease.rights.get() << 32);
            words[1].set(0);
            words[2].set(lease.length.get());
        }
    }

    /// The call ends, and its leases with it.
    pub fn end_leases(&self, record: &CallRecord) {
        let count = record.lease_count.replace(0) as usize;
        for lease in &record.leases[..count.min(MAX_LEASES)] {
            self.unpin(lease.memory.replace(Name::NONE));
        }
    }

    /// `lease_copy(memory, Reply, lease, direction, offset in the lease, offset in the memory, length)`, a slice. Without memory, it is the caller's message
    /// page: the receive page to copy to, the send page to copy from.
    ///
    /// Checks, in order: the memory (`WRITE` to copy from the lease, `READ` to copy to it); the Reply, whose caller still waits; the direction; there is such a
    /// lease; it allows that; both ranges.
    pub fn lease_copy(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let caller = operands.b::<Caller>();
        if caller.is_none() {
            return Err(Outcome::InvalidState.into());
        }
        let record = &self.at(caller).call;
        let to_lease = match operands.word(0) {
            0 => false,
            1 => true,
            _ => return Err(Outcome::BadArgument.into()),
        };
        let count = record.lease_count.get();
        let number = Some(operands.argument()).filter(|&number| number < count).ok_or(Outcome::NotFound)?;
        let lease: &Lease = &record.leases[number as usize % MAX_LEASES];
        let (of_lease, of_memory) =
            if to_lease { (Rights::WRITE, Rights::READ) } else { (Rights::READ, Rights::WRITE) };
        if !Rights::from_bits_retain(lease.rights.get() as u16).contains(of_lease) {
            return Err(Outcome::NoRights.into());
        }
        let [offset, other, length] = [1, 2, 3].map(|index| operands.word(index));
        if offset.checked_add(length).is_none_or(|end| end > lease.length.get()) {
            return Err(Outcome::BadArgument.into());
        }
        let name = operands.a::<Memory>();
        let memory = name.is_some().then(|| self.at(name));
        if let Some(memory) = memory {
            if !operands.held_a()?.rights.contains(of_memory) {
                return Err(Outcome::NoRights.into());
            }
            check_window(memory, other, length.max(1))?;
        } else if other.checked_add(length).is_none_or(|end| end > PAGE_SIZE as u64) {
            return Err(Outcome::BadArgument.into());
        }
        let pages = &operands.thread.call;
        let page = Frame::new(if to_lease { pages.send_page.get() } else { pages.receive_page.get() });
        let lent = End { memory: Some(self.at(lease.memory.get())), page, at: lease.offset.get() + offset };
        let mine = End { memory, page, at: other };
        let (from, to) = if to_lease { (mine, lent) } else { (lent, mine) };

        let progress = &operands.thread.progress;
        let end = length.min(progress.get() + SLICE);
        while progress.get() < end {
            let copied = self.copy_piece(from, to, progress.get(), end - progress.get())?;
            progress.set(progress.get() + copied);
        }
        if end < length {
            return Ok(Next::Again);
        }
        operands.set_result(length);
        Ok(Next::Done)
    }

    /// Copies what lies within one page at both ends, `done` bytes on; how much that was.
    fn copy_piece(&self, from: End<'_>, to: End<'_>, done: u64, most: u64) -> Result<u64, Outcome> {
        let page = PAGE_SIZE as u64;
        let (source, target) = (from.at + done, to.at + done);
        let count = most.min(page - source % page).min(page - target % page);
        // Two memories are locked in the order of their places, whoever copies which way.
        let mut locks = [from.memory, to.memory];
        locks.sort_unstable_by_key(|memory| memory.map(core::ptr::from_ref));
        let is_one = locks[0].map(core::ptr::from_ref) == locks[1].map(core::ptr::from_ref);
        let _first = locks[0].filter(|_| !is_one).map(|memory| memory.lock.take(self.machine(), Order::Memory));
        let _second = locks[1].map(|memory| memory.lock.take(self.machine(), Order::Memory));
        let frame = |end: End<'_>, at| match end.memory {
            None => Ok(end.page),
            Some(memory) if at / page < memory.pages.load(core::sync::atomic::Ordering::Relaxed) => {
                self.page_frame_or_new(memory, at / page)
            }
            // It was cut off meanwhile.
            Some(_) => Err(Outcome::BadArgument),
        };
        let (read, written) = (frame(from, source)?, frame(to, target)?);
        self.copy_between(read, (source % page) as usize, written, (target % page) as usize, count as usize);
        Ok(count)
    }
}

/// Checks that memory is not a device's, and that it has this window.
fn check_window(memory: &Memory, offset: u64, length: u64) -> Result<(), Outcome> {
    if memory.kind() == MemoryKind::Device {
        return Err(Outcome::Unsupported);
    }
    let bytes = memory.pages.load(core::sync::atomic::Ordering::Acquire) * PAGE_SIZE as u64;
    let is_inside = length != 0 && offset.checked_add(length).is_some_and(|end| end <= bytes);
    is_inside.then_some(()).ok_or(Outcome::BadArgument)
}
