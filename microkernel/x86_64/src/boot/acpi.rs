//! ACPI's fixed tables (ACPI 6.5 §5.2): processors, interrupt controllers, configuration space, the power-management timer.
//!
//! Only tables with a right checksum are believed, and only their fixed fields; there is no AML here.

use crate::paging::direct;
use abi::boot::{ConfigWindow, InterruptOverride, MAX_CONFIG_WINDOWS, MAX_IO_APICS, MAX_OVERRIDES};
use abi::layout::MAX_CPUS;
use core::ops::Range;
use heapless::Vec;

const HEADER_LENGTH: usize = 36;
/// A longer table is not believed.
const MAX_TABLE: u32 = 1 << 20;

/// An I/O APIC.
#[derive(Clone, Copy, Debug)]
pub struct IoApicInfo {
    /// Physical address of its registers.
    pub address: u64,
    /// The global system interrupt of its first line.
    pub first_gsi: u32,
}

/// What the tables say.
#[derive(Default, Debug)]
pub struct Acpi {
    /// APIC identifiers of the processors that can be used, as far as there is room.
    pub cpus: Vec<u8, MAX_CPUS>,
    /// Processors without room.
    pub cpus_left_out: u32,
    /// The I/O APICs.
    pub io_apics: Vec<IoApicInfo, MAX_IO_APICS>,
    /// How ISA lines are wired.
    pub overrides: Vec<InterruptOverride, MAX_OVERRIDES>,
    /// PCI configuration space.
    pub config_windows: Vec<ConfigWindow, MAX_CONFIG_WINDOWS>,
    /// Port of the power-management timer.
    pub pm_timer: Option<u16>,
    /// Whether a DMA remapping unit is reported (VT-d's DMAR).
    pub has_dma_remapping: bool,
    /// Where the tables lie, from the first to the last byte.
    pub tables: Option<Range<u64>>,
}

impl Acpi {
    /// Reads the tables that the RSDP at `rsdp` leads to. What is missing or wrong is left out.
    ///
    /// # Safety
    /// Called while the firmware's tables are reachable through the direct map and nobody writes them.
    pub unsafe fn read(rsdp: u64) -> Self {
        let mut found = Self::default();
        // SAFETY: the caller's.
        if let Some((root, entry_length)) = unsafe { root_table(rsdp) } {
            // SAFETY: the caller's.
            unsafe { found.read_root(root, entry_length) };
        }
        found
    }

    /// # Safety
    /// As for [`Acpi::read`].
    unsafe fn read_root(&mut self, root: u64, entry_length: usize) {
        // SAFETY: the caller's.
        let Some(table) = (unsafe { self.table(root) }) else {
            return;
        };
        for entry in table[HEADER_LENGTH..].chunks_exact(entry_length) {
            let address = if entry_length == 8 { u64_at(entry, 0) } else { u32_at(entry, 0).map(u64::from) };
            // SAFETY: the caller's.
            let Some(table) = address.and_then(|address| unsafe { self.table(address) }) else {
                continue;
            };
            match &table[..4] {
                b"APIC" => self.read_madt(table),
                b"MCFG" => self.read_mcfg(table),
                b"FACP" => self.read_fadt(table),
                b"DMAR" => self.has_dma_remapping = true,
                _ => {}
            }
        }
    }

    /// The table at `address`, if its checksum is right.
    ///
    /// # Safety
    /// As for [`Acpi::read`].
    unsafe fn table(&mut self, address: u64) -> Option<&'static [u8]> {
        // SAFETY: the caller's.
        let header = unsafe { direct::bytes(address, HEADER_LENGTH as u64) }?;
        let length = u32_at(header, 4)?;
        if !(HEADER_LENGTH as u32..=MAX_TABLE).contains(&length) {
            return None;
        }
        // SAFETY: the caller's.
        let table = unsafe { direct::bytes(address, length.into()) }.filter(|table| is_sum_zero(table))?;
        let known = self.tables.take().unwrap_or(address..address);
        self.tables = Some(known.start.min(address)..known.end.max(address + u64::from(length)));
        Some(table)
    }

    /// The processors and interrupt controllers (§5.2.12).
    fn read_madt(&mut self, table: &[u8]) {
        let mut rest = table.get(HEADER_LENGTH + 8..).unwrap_or(&[]);
        while let Some(&[kind, length]) = rest.first_chunk() {
            let Some((entry, next)) = rest.split_at_checked(length.into()).filter(|_| length >= 2) else {
                return;
            };
            rest = next;
            // What does not fit is left out: such a line or controller then does not exist for the system.
            let _ = match kind {
                0 => self.add_cpu(entry),
                1 => self.add_io_apic(entry),
                2 => self.add_override(entry),
                _ => None,
            };
        }
    }

    fn add_cpu(&mut self, entry: &[u8]) -> Option<()> {
        let is_enabled = u32_at(entry, 4)? & 1 != 0;
        if is_enabled && self.cpus.push(*entry.get(3)?).is_err() {
            self.cpus_left_out += 1;
        }
        Some(())
    }

    fn add_io_apic(&mut self, entry: &[u8]) -> Option<()> {
        let info = IoApicInfo { address: u32_at(entry, 4)?.into(), first_gsi: u32_at(entry, 8)? };
        self.io_apics.push(info).ok()
    }

    fn add_override(&mut self, entry: &[u8]) -> Option<()> {
        let source = u32::from(*entry.get(3)?);
        let flags = u32::from(u16_at(entry, 8)?);
        self.overrides.push(InterruptOverride { source, gsi: u32_at(entry, 4)?, flags, reserved: 0 }).ok()
    }

    /// PCI Express configuration space (PCI Firmware Specification §4.1.2).
    fn read_mcfg(&mut self, table: &[u8]) {
        for entry in table.get(HEADER_LENGTH + 8..).unwrap_or(&[]).chunks_exact(16) {
            let (Some(base), Some(segment)) = (u64_at(entry, 0), u16_at(entry, 8)) else {
                return;
            };
            let window = ConfigWindow { base, segment, first_bus: entry[10], last_bus: entry[11], reserved: 0 };
            // More windows than BootInfo has room for are left out.
            let _ = self.config_windows.push(window);
        }
    }

    /// The power-management timer (§5.2.9), and the table that the FADT alone points to.
    fn read_fadt(&mut self, table: &[u8]) {
        let port = u32_at(table, 76).and_then(|port| u16::try_from(port).ok());
        self.pm_timer = port.filter(|&port| port != 0);
        if let Some(dsdt) = u32_at(table, 40).filter(|&dsdt| dsdt != 0) {
            // SAFETY: called from `read_root`, whose caller vouches for the tables. Only the extent is of interest.
            let _ = unsafe { self.table(dsdt.into()) };
        }
    }
}

/// The root table's address and the length of its entries (§5.2.5.3).
///
/// # Safety
/// As for [`Acpi::read`].
unsafe fn root_table(rsdp: u64) -> Option<(u64, usize)> {
    // SAFETY: the caller's.
    let bytes = unsafe { direct::bytes(rsdp, 36) }?;
    if &bytes[..8] != b"RSD PTR " || !is_sum_zero(&bytes[..20]) {
        return None;
    }
    if bytes[15] >= 2 && is_sum_zero(bytes) {
        return Some((u64_at(bytes, 24)?, 8));
    }
    Some((u32_at(bytes, 16)?.into(), 4))
}

fn is_sum_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) == 0
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
