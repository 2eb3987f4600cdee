//! ACPI's fixed tables (ACPI 6.5 §5.2): processors, interrupt controllers, configuration space, the power-management timer.
//!
//! Only tables with a right checksum are believed, and only their fixed fields; there is no AML here.

use super::PhysicalMemory;
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
    pub fn read(memory: &impl PhysicalMemory, rsdp: u64) -> Self {
        let mut found = Self::default();
        if let Some((root, entry_length)) = root_table(memory, rsdp) {
            found.read_root(memory, root, entry_length);
        }
        found
    }

    fn read_root(&mut self, memory: &impl PhysicalMemory, root: u64, entry_length: usize) {
        let Some(table) = self.table(memory, root) else { return };
        for entry in table[HEADER_LENGTH..].chunks_exact(entry_length) {
            let address = if entry_length == 8 { u64_at(entry, 0) } else { u32_at(entry, 0).map(u64::from) };
            let Some(table) = address.and_then(|address| self.table(memory, address)) else { continue };
            match &table[..4] {
                b"APIC" => self.read_madt(table),
                b"MCFG" => self.read_mcfg(table),
                b"FACP" => self.read_fadt(memory, table),
                b"DMAR" => self.has_dma_remapping = true,
                _ => {}
            }
        }
    }

    /// The table at `address`, if its checksum is right.
    fn table<'m>(&mut self, memory: &'m impl PhysicalMemory, address: u64) -> Option<&'m [u8]> {
        let length = u32_at(memory.bytes(address, HEADER_LENGTH as u64)?, 4)?;
        if !(HEADER_LENGTH as u32..=MAX_TABLE).contains(&length) {
            return None;
        }
        let table = memory.bytes(address, length.into()).filter(|table| is_sum_zero(table))?;
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
    fn read_fadt(&mut self, memory: &impl PhysicalMemory, table: &[u8]) {
        let port = u32_at(table, 76).and_then(|port| u16::try_from(port).ok());
        self.pm_timer = port.filter(|&port| port != 0);
        if let Some(dsdt) = u32_at(table, 40).filter(|&dsdt| dsdt != 0) {
            // Only its extent is of interest.
            let _ = self.table(memory, dsdt.into());
        }
    }
}

/// The root table's address and the length of its entries (§5.2.5.3).
fn root_table(memory: &impl PhysicalMemory, rsdp: u64) -> Option<(u64, usize)> {
    let bytes = memory.bytes(rsdp, 36)?;
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

#[cfg(test)]
mod tests {
    use super::super::Fake;
    use super::*;
    use proptest::prelude::*;

    const BASE: u64 = 0xe_0000;

    fn with_sum(mut bytes: std::vec::Vec<u8>, at: usize) -> std::vec::Vec<u8> {
        let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        bytes[at] = bytes[at].wrapping_sub(sum);
        bytes
    }

    fn table(signature: &[u8; 4], body: &[u8]) -> std::vec::Vec<u8> {
        let mut bytes = signature.to_vec();
        bytes.extend((36 + body.len() as u32).to_le_bytes());
        bytes.resize(36, 0);
        bytes.extend(body);
        with_sum(bytes, 9)
    }

    /// Tables behind an RSDP of revision 2, in the order given.
    fn machine(tables: &[std::vec::Vec<u8>]) -> Fake {
        let xsdt_at = BASE + 64;
        let mut next = xsdt_at + 36 + 8 * tables.len() as u64;
        let mut pointers = std::vec::Vec::new();
        for table in tables {
            pointers.extend(next.to_le_bytes());
            next += table.len() as u64;
        }
        let mut rsdp = b"RSD PTR ".to_vec();
        rsdp.resize(20, 0);
        rsdp[15] = 2;
        rsdp = with_sum(rsdp, 8);
        rsdp.extend(36_u32.to_le_bytes());
        rsdp.extend(xsdt_at.to_le_bytes());
        rsdp.resize(36, 0);
        let mut bytes = with_sum(rsdp, 32);
        bytes.resize(64, 0);
        bytes.extend(table(b"XSDT", &pointers));
        bytes.extend(tables.concat());
        Fake { base: BASE, bytes }
    }

    fn madt() -> std::vec::Vec<u8> {
        let mut body = std::vec![0, 0, 0xe0, 0xfe, 1, 0, 0, 0];
        body.extend([0, 8, 0, 3, 1, 0, 0, 0]); // an enabled processor
        body.extend([0, 8, 1, 5, 0, 0, 0, 0]); // a disabled one
        body.extend([1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 24, 0, 0, 0]); // an I/O APIC
        body.extend([2, 10, 0, 9, 9, 0, 0, 0, 0xd, 0]); // an override
        body.extend([77, 3, 0]); // something unknown
        body.extend([0, 8, 2, 7, 1, 0, 0, 0]);
        table(b"APIC", &body)
    }

    #[test]
    fn processors_controllers_and_overrides_are_found() {
        let found = Acpi::read(&machine(&[madt(), table(b"DMAR", &[])]), BASE);
        assert_eq!(found.cpus, [3, 7]);
        assert_eq!(found.io_apics[0].address, 0xfec0_0000);
        assert_eq!(found.io_apics[0].first_gsi, 24);
        assert_eq!((found.overrides[0].source, found.overrides[0].gsi, found.overrides[0].flags), (9, 9, 0xd));
        assert!(found.has_dma_remapping);
    }

    #[test]
    fn a_table_with_a_wrong_sum_is_not_believed() {
        let mut bad = madt();
        bad[40] ^= 1;
        let found = Acpi::read(&machine(&[bad, table(b"DMAR", &[])]), BASE);
        assert!(found.cpus.is_empty() && found.has_dma_remapping);
    }

    #[test]
    fn processors_without_room_are_counted() {
        let body: std::vec::Vec<u8> =
            [0; 8].into_iter().chain((0..11).flat_map(|id| [0, 8, 0, id, 1, 0, 0, 0])).collect();
        let found = Acpi::read(&machine(&[table(b"APIC", &body)]), BASE);
        assert_eq!((found.cpus.len(), found.cpus_left_out), (MAX_CPUS, 3));
    }

    proptest! {
        #[test]
        fn any_tables_are_survived(bodies: [std::vec::Vec<u8>; 3]) {
            let [madt, mcfg, fadt] = &bodies;
            Acpi::read(&machine(&[table(b"APIC", madt), table(b"MCFG", mcfg), table(b"FACP", fadt)]), BASE);
        }

        #[test]
        fn any_bytes_are_survived(bytes: std::vec::Vec<u8>) {
            Acpi::read(&Fake { base: 0, bytes }, 0);
        }
    }
}
