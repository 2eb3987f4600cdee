//! Mapping, unmapping and changing protection, at the process's home.

use core::sync::atomic::Ordering;

use abi::{Outcome, layout::PAGE_SIZE, layout::USER_MAP_END, layout::USER_START, syscall::protection};

use super::fill::page_access;
use crate::machine::PageAccess;
use crate::object::{Mapping, Memory, Name, Process};
use crate::sync::Order;
use crate::{Kernel, Machine};

/// Places in page tables that are looked at in one stay in the kernel.
const SLICE: u32 = 512;

/// A range of whole pages that a process may map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UserRange {
    start: u64,
    end: u64,
}

impl UserRange {
    /// Checks the claim.
    pub fn new(start: u64, length: u64) -> Result<Self, Outcome> {
        let page = PAGE_SIZE as u64;
        let end = start.checked_add(length).ok_or(Outcome::BadAddress)?;
        let is_good = start.is_multiple_of(page)
            && length.is_multiple_of(page)
            && length != 0
            && start >= USER_START
            && end <= USER_MAP_END;
        is_good.then_some(Self { start, end }).ok_or(Outcome::BadAddress)
    }

    /// Its first address.
    pub const fn start(self) -> u64 {
        self.start
    }

    /// Pages in it.
    pub const fn pages(self) -> u64 {
        (self.end - self.start) / PAGE_SIZE as u64
    }
}

/// Checks `Protection` bits: nothing, reading, reading and writing, or reading and executing.
pub fn check_protection(bits: u64) -> Result<u32, Outcome> {
    const READ_WRITE: u64 = protection::READ | protection::WRITE;
    const READ_EXECUTE: u64 = protection::READ | protection::EXECUTE;
    match bits {
        0 | protection::READ | READ_WRITE | READ_EXECUTE => Ok(bits as u32),
        _ => Err(Outcome::BadArgument),
    }
}

/// Whose the pages are that are written through a mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sharing {
    /// The memory's.
    Shared,
    /// The mapping's: it gets a copy of each page that it writes.
    Private,
}

/// What a mapping shows and how.
#[derive(Clone, Copy, Debug)]
pub struct MappingRequest {
    /// Where.
    pub range: UserRange,
    /// Of what; its reference is taken by the mapping.
    pub memory: Name<Memory>,
    /// From which page on.
    pub first_page: u64,
    /// `protection` bits at first.
    pub protection: u32,
    /// `protection` bits at most.
    pub allowed: u32,
    /// Whose what is written is.
    pub sharing: Sharing,
}

impl<M: Machine> Kernel<M> {
    /// Maps memory into a process whose home this is.
    ///
    /// Checks, in order: the memory is that long; nothing is mapped in the range; the quota has room.
    pub fn map(&self, process_name: Name<Process>, request: &MappingRequest) -> Result<(), Outcome> {
        let process = self.at(process_name);
        let memory = self.at(request.memory);
        let past = request.first_page.checked_add(request.range.pages()).ok_or(Outcome::BadArgument)?;
        if past > memory.pages.load(Ordering::Acquire) {
            return Err(Outcome::BadArgument);
        }
        if self.first_mapping(process, request.range.start, request.range.end).is_some() {
            return Err(Outcome::AlreadyMapped);
        }
        let quota = process.header.quota.get();
        let (name, mapping) = self.allocate::<Mapping>(quota)?;
        if request.sharing == Sharing::Private {
            let own = self.make_anonymous(quota, past).inspect_err(|_| self.free(name))?;
            self.pin(own);
            mapping.own.set(own);
        }
        mapping.start.set(request.range.start);
        mapping.end.set(request.range.end);
        mapping.memory.set(request.memory);
        mapping.first_page.set(request.first_page);
        mapping.process.set(process_name);
        mapping.protection.set(request.protection);
        mapping.allowed.set(request.allowed);
        self.pin(request.memory);
        self.attach(process, name);
        process.mapped_bytes.set(process.mapped_bytes.get() + request.range.end - request.range.start);
        Ok(())
    }

    fn attach(&self, process: &Process, name: Name<Mapping>) {
        self.insert_mapping(process, name);
        let mapping = self.at(name);
        let memory = self.at(mapping.memory.get());
        let _guard = memory.lock.take(self.machine(), Order::Memory);
        mapping.shrinks.set(memory.shrinks.get());
        memory.mapping_count.set(memory.mapping_count.get() + 1);
        self.push_back(&memory.mappings, name);
    }

    /// Ends a mapping whose entries are cleared.
    pub fn detach(&self, process: &Process, name: Name<Mapping>) {
        self.remove_mapping(process, name);
        let (memory_name, own) = (self.at(name).memory.get(), self.at(name).own.get());
        {
            let memory = self.at(memory_name);
            let _guard = memory.lock.take(self.machine(), Order::Memory);
            self.unlink(&memory.mappings, name);
            memory.mapping_count.set(memory.mapping_count.get() - 1);
        }
        self.free(name);
        self.unpin(memory_name);
        if own.is_some() {
            self.unpin(own);
        }
    }

    /// Makes two mappings of one, so that one begins at `at`.
    fn split(&self, process: &Process, name: Name<Mapping>, at: u64) -> Result<(), Outcome> {
        let old = self.at(name);
        let (new_name, new) = self.allocate::<Mapping>(process.header.quota.get())?;
        new.start.set(at);
        new.end.set(old.end.get());
        new.memory.set(old.memory.get());
        new.own.set(old.own.get());
        new.first_page.set(old.page_at(at));
        new.process.set(old.process.get());
        new.protection.set(old.protection.get());
        new.allowed.set(old.allowed.get());
        self.pin(old.memory.get());
        if old.own.get().is_some() {
            self.pin(old.own.get());
        }
        old.end.set(at);
        self.attach(process, new_name);
        // A shrink under way must look at both parts: those that it has not looked at stand in front.
        let memory = self.at(old.memory.get());
        let _guard = memory.lock.take(self.machine(), Order::Memory);
        if old.shrinks.get() != memory.shrinks.get() {
            new.shrinks.set(old.shrinks.get());
            self.unlink(&memory.mappings, new_name);
            self.push_front(&memory.mappings, new_name);
        }
        Ok(())
    }

    /// The first mapping in the range, split so that it does not leave the range.
    fn mapping_inside(&self, process: &Process, range: UserRange) -> Result<Option<Name<Mapping>>, Outcome> {
        let Some(mut name) = self.first_mapping(process, range.start, range.end) else {
            return Ok(None);
        };
        if self.at(name).start.get() < range.start {
            self.split(process, name, range.start)?;
            name = match self.mapping_at(process, range.start) {
                Some(upper) => upper,
                None => return Ok(None),
            };
        }
        if self.at(name).end.get() > range.end {
            self.split(process, name, range.end)?;
        }
        Ok(Some(name))
    }

    /// Unmaps a slice of a range; true when nothing in it is mapped any more.
    pub fn unmap_slice(&self, process: &Process, range: UserRange) -> Result<bool, Outcome> {
        let Some(name) = self.mapping_inside(process, range)? else {
            return Ok(true);
        };
        let mapping = self.at(name);
        let (start, end) = (mapping.start.get(), mapping.end.get());
        let next = self.clear_entries(process, start, end, SLICE);
        process.mapped_bytes.set(process.mapped_bytes.get() - (next - start));
        if next == end {
            self.detach(process, name);
        } else {
            mapping.first_page.set(mapping.page_at(next));
            mapping.start.set(next);
        }
        Ok(false)
    }

    /// Whether the whole range is mapped and every mapping in it allows this protection.
    pub fn check_reprotection(&self, process: &Process, range: UserRange, bits: u32) -> Result<(), Outcome> {
        let mut address = range.start;
        while address < range.end {
            let mapping = self.at(self.mapping_at(process, address).ok_or(Outcome::NotMapped)?);
            if bits & !mapping.allowed.get() != 0 {
                return Err(Outcome::NoRights);
            }
            address = mapping.end.get();
        }
        Ok(())
    }

    /// Changes the protection of a slice of a range, from `from` on; gives the address to go on from, or nothing when it is done.
    pub fn reprotect_slice(
        &self,
        process: &Process,
        range: UserRange,
        from: u64,
        bits: u32,
    ) -> Result<Option<u64>, Outcome> {
        let rest = UserRange { start: from.clamp(range.start, range.end), end: range.end };
        let Some(name) = self.mapping_inside(process, rest)? else {
            return Ok(None);
        };
        let mapping = self.at(name);
        mapping.protection.set(bits);
        let cache = self.at(mapping.memory.get()).cache();
        let end = mapping.end.get();
        // Which pages of a private mapping may be written is found out when they are touched.
        let is_private = mapping.own.get().is_some();
        let access = page_access(bits).filter(|&access| !(is_private && access == PageAccess::ReadWrite));
        let next = self.reprotect_entries(process, mapping.start.get(), end, access, cache, SLICE);
        Ok((next < range.end).then_some(next))
    }
}
