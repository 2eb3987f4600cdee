//! What a PVH loader hands over: `hvm_start_info` (Xen, public/arch-x86/hvm/start_info.h).

use super::PhysicalMemory;
use super::memory_map::{MemoryKind, MemoryMap};
use abi::boot::MAX_COMMAND_LINE;
use core::ops::Range;
use heapless::Vec;
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// A command line.
pub type CommandLine = Vec<u8, MAX_COMMAND_LINE>;

const MAGIC: u32 = 0x336e_c578;
const MEMORY_TYPE_RAM: u32 = 1;
const MEMORY_TYPE_ACPI: u32 = 3;
const MEMORY_TYPE_NVS: u32 = 4;
/// More entries than any machine has: what is beyond is not believed.
const MAX_ENTRIES: u32 = 512;

#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    module_count: u32,
    modules: u64,
    command_line: u64,
    rsdp: u64,
    memory_map: u64,
    memory_map_entries: u32,
    reserved: u32,
}

#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct ModuleEntry {
    address: u64,
    length: u64,
    command_line: u64,
    reserved: u64,
}

#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct MemoryEntry {
    address: u64,
    length: u64,
    kind: u32,
    reserved: u32,
}

/// What the loader said, checked and copied.
pub struct Loaded {
    /// The memory of the machine.
    pub memory: MemoryMap,
    /// The first module: the boot image.
    pub image: Option<Range<u64>>,
    /// Physical address of the RSDP, if the loader knows it.
    pub rsdp: Option<u64>,
    /// The command line, as much of it as is kept.
    pub command_line: CommandLine,
}

/// Why the loader's word can't be used.
#[derive(Clone, Copy, Debug)]
pub enum StartInfoError {
    /// There is no `hvm_start_info` where it should be.
    NotFound,
    /// It is of version 0, which has no memory map.
    NoMemoryMap,
}

/// Reads what the loader left at `physical`.
pub fn read(source: &impl PhysicalMemory, physical: u64) -> Result<Loaded, StartInfoError> {
    let info: StartInfo = source.read(physical).ok_or(StartInfoError::NotFound)?;
    if info.magic != MAGIC {
        return Err(StartInfoError::NotFound);
    }
    if info.version < 1 || info.memory_map_entries == 0 {
        return Err(StartInfoError::NoMemoryMap);
    }
    let mut memory = MemoryMap::new();
    for index in 0..info.memory_map_entries.min(MAX_ENTRIES) {
        let at = info.memory_map.saturating_add(u64::from(index) * size_of::<MemoryEntry>() as u64);
        let Some(entry) = source.read::<MemoryEntry>(at) else { break };
        memory.add(entry.address..entry.address.saturating_add(entry.length), kind_of(entry.kind));
    }
    let module = (info.module_count > 0).then(|| source.read::<ModuleEntry>(info.modules)).flatten();
    Ok(Loaded {
        memory,
        image: module.map(|module| module.address..module.address.saturating_add(module.length)),
        rsdp: (info.rsdp != 0).then_some(info.rsdp),
        command_line: text(source, info.command_line),
    })
}

fn kind_of(number: u32) -> MemoryKind {
    match number {
        MEMORY_TYPE_RAM => MemoryKind::Usable,
        MEMORY_TYPE_ACPI | MEMORY_TYPE_NVS => MemoryKind::Firmware,
        _ => MemoryKind::Reserved,
    }
}

/// The zero-terminated text at `physical`, cut to what is kept of a command line.
fn text(source: &impl PhysicalMemory, physical: u64) -> CommandLine {
    let is_there = |at: &u64| *at != 0;
    let bytes = (physical..).take_while(is_there).map_while(|at| source.bytes(at, 1)?.first().copied());
    bytes.take_while(|&byte| byte != 0).take(MAX_COMMAND_LINE).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Fake;
    use super::*;
    use proptest::prelude::*;

    const BASE: u64 = 0x1000;

    /// A start info at `BASE` with one module, two ranges and a command line.
    fn machine() -> Fake {
        let mut bytes = std::vec::Vec::new();
        for word in [MAGIC, 1, 0, 1] {
            bytes.extend(word.to_le_bytes());
        }
        for pointer in [BASE + 0x80, BASE + 0x100, 0xf_0000, BASE + 0xa0] {
            bytes.extend(pointer.to_le_bytes());
        }
        bytes.extend(2_u64.to_le_bytes());
        bytes.resize(0x80, 0);
        for word in [0x20_0000_u64, 0x1800, 0, 0] {
            bytes.extend(word.to_le_bytes());
        }
        for word in [0, 0x9_f000, 1, 0x10_0000, 0x100_0000_u64, 2] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.resize(0x100, 0);
        bytes.extend(b"quiet\0junk");
        Fake { base: BASE, bytes }
    }

    #[test]
    fn everything_that_the_loader_says_is_found() {
        let Ok(loaded) = read(&machine(), BASE) else { panic!("it is all there") };
        assert_eq!(loaded.image, Some(0x20_0000..0x20_1800));
        assert_eq!(loaded.rsdp, Some(0xf_0000));
        assert_eq!(loaded.command_line, b"quiet");
        assert_eq!(loaded.memory.usable_bytes(), 0x9_f000);
    }

    #[test]
    fn a_wrong_magic_number_is_no_start_info() {
        let mut machine = machine();
        machine.bytes[0] ^= 1;
        assert!(matches!(read(&machine, BASE), Err(StartInfoError::NotFound)));
    }

    #[test]
    fn a_loader_without_a_memory_map_is_refused() {
        let mut machine = machine();
        machine.bytes[4] = 0;
        assert!(matches!(read(&machine, BASE), Err(StartInfoError::NoMemoryMap)));
    }

    proptest! {
        #[test]
        fn any_bytes_behind_the_magic_number_are_survived(mut bytes: std::vec::Vec<u8>) {
            bytes.splice(0..0, MAGIC.to_le_bytes());
            let _ = read(&Fake { base: 0, bytes }, 0);
        }
    }
}
