//! What a PVH loader hands over: `hvm_start_info` (Xen, public/arch-x86/hvm/start_info.h).

use super::memory_map::{MemoryKind, MemoryMap};
use crate::paging::direct;
use core::ops::Range;
use zerocopy::{FromBytes, Immutable, KnownLayout};

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
    /// The command line.
    pub command_line: &'static [u8],
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
///
/// # Safety
/// Called before any memory is handed out, with the address that the loader passed.
pub unsafe fn read(physical: u64) -> Result<Loaded, StartInfoError> {
    // SAFETY: for this and the other reads: the loader's structures lie in memory that nobody uses yet.
    let info: StartInfo = unsafe { direct::read(physical) }.ok_or(StartInfoError::NotFound)?;
    if info.magic != MAGIC {
        return Err(StartInfoError::NotFound);
    }
    if info.version < 1 || info.memory_map_entries == 0 {
        return Err(StartInfoError::NoMemoryMap);
    }
    let mut memory = MemoryMap::new();
    for index in 0..info.memory_map_entries.min(MAX_ENTRIES) {
        let at = info.memory_map + u64::from(index) * size_of::<MemoryEntry>() as u64;
        // SAFETY: as above.
        let Some(entry) = (unsafe { direct::read::<MemoryEntry>(at) }) else {
            break;
        };
        memory.add(entry.address..entry.address.saturating_add(entry.length), kind_of(entry.kind));
    }
    // SAFETY: as above.
    let module = (info.module_count > 0).then(|| unsafe { direct::read::<ModuleEntry>(info.modules) }).flatten();
    Ok(Loaded {
        memory,
        image: module.map(|module| module.address..module.address.saturating_add(module.length)),
        rsdp: (info.rsdp != 0).then_some(info.rsdp),
        // SAFETY: as above.
        command_line: unsafe { text(info.command_line) },
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
///
/// # Safety
/// As for [`read`].
unsafe fn text(physical: u64) -> &'static [u8] {
    if physical == 0 {
        return &[];
    }
    // SAFETY: the caller's.
    let bytes = unsafe { direct::bytes(physical, abi::boot::MAX_COMMAND_LINE as u64) }.unwrap_or(&[]);
    let length = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    &bytes[..length]
}
