//! The kernel's half of the address space: built once at boot, the same in every address space, never changed afterwards.
//!
//! W^X: text is executable and read-only, constants are read-only, all else is writable and not executable; the direct
//! map shows text and constants read-only too. Everything is global and nothing is reachable from user mode.

use super::layout::{self, DEVICE_BASE, DIRECT_BASE, DIRECT_LIMIT, STACK_BASE};
use super::table::{Entry, Flags, LARGE_PAGE, Table, index};
use abi::layout::PAGE_SIZE;
use core::ops::Range;
use kernel_x86_64::firmware::memory_map::MemoryMap;

const PAGE: u64 = PAGE_SIZE as u64;
const DATA: Flags = Flags::PRESENT.union(Flags::WRITABLE).union(Flags::GLOBAL).union(Flags::NO_EXECUTE);
const CONSTANT: Flags = Flags::PRESENT.union(Flags::GLOBAL).union(Flags::NO_EXECUTE);
const TEXT: Flags = Flags::PRESENT.union(Flags::GLOBAL);
const DEVICE: Flags = DATA.union(Flags::UNCACHED).union(Flags::WRITE_THROUGH);

/// There was no memory for the kernel's page tables or stacks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoBootMemory;

/// The map while it is being built.
pub struct KernelMap<'a> {
    root: u64,
    table: Table,
    free: &'a mut MemoryMap,
    devices: u64,
}

impl<'a> KernelMap<'a> {
    /// A map of the kernel's image and of all `memory`, with tables from `free`.
    pub fn new(free: &'a mut MemoryMap, memory: &MemoryMap) -> Result<Self, NoBootMemory> {
        let root = free.take_pages(1, layout::BOOT_LIMIT).ok_or(NoBootMemory)?;
        // SAFETY: the page was free, becomes the top table here, and only the boot CPU runs.
        let table = unsafe { Table::at(root) }.ok_or(NoBootMemory)?;
        for entry in 0..512 {
            table.set(entry, Entry::EMPTY);
        }
        let mut map = Self { root, table, free, devices: DEVICE_BASE };
        map.map_image()?;
        map.map_memory(memory)?;
        map.make_upper_tables()?;
        Ok(map)
    }

    fn map_image(&mut self) -> Result<(), NoBootMemory> {
        for (range, flags) in [
            (layout::text_range(), TEXT),
            (layout::rodata_range(), CONSTANT),
            (layout::data_range(), DATA),
            (layout::bss_range(), DATA),
        ] {
            let physical = layout::physical(range.start);
            self.map(range.start, physical, range.end - range.start, flags)?;
        }
        Ok(())
    }

    fn map_memory(&mut self, memory: &MemoryMap) -> Result<(), NoBootMemory> {
        let fixed = layout::physical(layout::text_range().start)..layout::physical(layout::rodata_range().end);
        for range in memory.memory() {
            let range = range.start..range.end.min(DIRECT_LIMIT);
            self.map_direct(range.start..range.end.min(fixed.start), DATA)?;
            self.map_direct(range.start.max(fixed.start)..range.end.min(fixed.end), CONSTANT)?;
            self.map_direct(range.start.max(fixed.end)..range.end, DATA)?;
        }
        Ok(())
    }

    fn map_direct(&mut self, physical: Range<u64>, flags: Flags) -> Result<(), NoBootMemory> {
        let length = physical.end.saturating_sub(physical.start);
        self.map(DIRECT_BASE + physical.start, physical.start, length, flags)
    }

    /// Makes every second-highest table of the kernel's half that will ever be needed, because address spaces copy the top
    /// table's entries.
    fn make_upper_tables(&mut self) -> Result<(), NoBootMemory> {
        for address in [DEVICE_BASE, STACK_BASE] {
            let mut take = || self.free.take_pages(1, layout::BOOT_LIMIT);
            self.table.next_or_new(index(address, 4), Flags::empty(), &mut take).ok_or(NoBootMemory)?;
        }
        Ok(())
    }

    /// Maps a page of device registers, uncached; returns where.
    pub fn map_device(&mut self, physical: u64) -> Result<u64, NoBootMemory> {
        let at = self.devices;
        self.map(at, physical / PAGE * PAGE, PAGE, DEVICE)?;
        self.devices += 2 * PAGE;
        Ok(at + physical % PAGE)
    }

    /// Takes memory for a stack and maps it so that it ends at `top`, with unmapped pages below.
    pub fn map_stack(&mut self, top: u64, pages: u64) -> Result<(), NoBootMemory> {
        let physical = self.free.take_pages(pages, layout::BOOT_LIMIT).ok_or(NoBootMemory)?;
        self.map(top - pages * PAGE, physical, pages * PAGE, DATA)
    }

    /// The top table.
    pub fn root(&self) -> u64 {
        self.root
    }

    fn map(&mut self, address: u64, physical: u64, length: u64, flags: Flags) -> Result<(), NoBootMemory> {
        let mut done = 0;
        while done < length {
            let (at, to) = (address + done, physical + done);
            let is_large = (at | to).is_multiple_of(LARGE_PAGE) && length - done >= LARGE_PAGE;
            self.set(at, to, flags, if is_large { 2 } else { 1 }).ok_or(NoBootMemory)?;
            done += if is_large { LARGE_PAGE } else { PAGE };
        }
        Ok(())
    }

    fn set(&mut self, address: u64, physical: u64, flags: Flags, level: u32) -> Option<()> {
        let mut take = || self.free.take_pages(1, layout::BOOT_LIMIT);
        let mut table = self.table;
        for upper in (level + 1..=4).rev() {
            table = table.next_or_new(index(address, upper), Flags::empty(), &mut take)?;
        }
        let large = if level == 2 { Flags::LARGE } else { Flags::empty() };
        table.set(index(address, level), Entry::new(physical, flags | large));
        Some(())
    }
}
