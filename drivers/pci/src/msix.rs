//! MSI-X: tables of messages (PCI Local Bus 3.0 §6.8.2), and MSI where there is no table (§6.8.1).

use driver_lib::{Mmio, Register};

use crate::capability;
use crate::config::{Address, ConfigSpace};
use crate::function::Bar;

const CONTROL_ENABLE: u16 = 1 << 15;
const CONTROL_MASK_ALL: u16 = 1 << 14;
const MSI_ENABLE: u16 = 1;
const MSI_WIDE: u16 = 1 << 7;
const MSI_MULTIPLE: u16 = 0b111 << 4;

/// Bytes of a table entry.
pub const ENTRY_BYTES: u64 = 16;
const VECTOR_MASKED: u32 = 1;

/// Where a function's table is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Table {
    /// The window.
    pub bar: u8,
    /// First byte in it.
    pub offset: u32,
    /// Entries.
    pub vectors: u16,
}

/// A message: what the function writes, and where, to interrupt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message {
    /// Where.
    pub address: u64,
    /// What.
    pub data: u32,
}

/// No such vector, or no such capability.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadVector;

/// The table of a function, if it has one that lies inside one of its windows.
pub fn find(space: &impl ConfigSpace, address: Address, bars: &[Bar]) -> Option<Table> {
    let at = capability::find(space, address, capability::MSIX).filter(|&at| at <= 0xf4)?;
    let vectors = (space.read_u16(address, at + 2) & 0x7ff) + 1;
    let place = space.read(address, at + 4);
    let table = Table {
        bar: (place & 7) as u8,
        offset: place & !7,
        vectors,
    };
    let bar = bars
        .iter()
        .find(|bar| bar.index == table.bar && !bar.is_port)?;
    (u64::from(table.offset) + u64::from(vectors) * ENTRY_BYTES <= bar.length).then_some(table)
}

/// Masks every entry of the table, then lets the function use it.
pub fn enable(
    space: &mut impl ConfigSpace,
    address: Address,
    table: Table,
    registers: &mut impl Mmio,
) -> Result<(), BadVector> {
    let at = capability::find(space, address, capability::MSIX).ok_or(BadVector)?;
    let control = space.read_u16(address, at + 2);
    space.write_u16(address, at + 2, control | CONTROL_ENABLE | CONTROL_MASK_ALL);
    for vector in 0..table.vectors {
        registers.write(control_word(vector), VECTOR_MASKED);
    }
    space.write_u16(
        address,
        at + 2,
        control & !CONTROL_MASK_ALL | CONTROL_ENABLE,
    );
    Ok(())
}

/// Routes a vector and unmasks it. `registers` starts at the table.
pub fn route(
    table: Table,
    registers: &mut impl Mmio,
    vector: u16,
    message: Message,
) -> Result<(), BadVector> {
    if vector >= table.vectors {
        return Err(BadVector);
    }
    let entry = usize::from(vector) * ENTRY_BYTES as usize;
    registers.write(control_word(vector), VECTOR_MASKED);
    registers.write(Register::<u32>::at(entry), message.address as u32);
    registers.write(
        Register::<u32>::at(entry + 4),
        (message.address >> 32) as u32,
    );
    registers.write(Register::<u32>::at(entry + 8), message.data);
    registers.write(control_word(vector), 0);
    Ok(())
}

/// Routes the only message of a function that has MSI but no table.
pub fn route_msi(
    space: &mut impl ConfigSpace,
    address: Address,
    message: Message,
) -> Result<(), BadVector> {
    let at = capability::find(space, address, capability::MSI).ok_or(BadVector)?;
    let control = space.read_u16(address, at + 2);
    let data_at = if control & MSI_WIDE != 0 {
        at + 12
    } else {
        at + 8
    };
    if data_at > 0xfc || (control & MSI_WIDE == 0 && message.address >> 32 != 0) {
        return Err(BadVector);
    }
    space.write(address, at + 4, message.address as u32);
    if control & MSI_WIDE != 0 {
        space.write(address, at + 8, (message.address >> 32) as u32);
    }
    space.write_u16(address, data_at, message.data as u16);
    space.write_u16(address, at + 2, control & !MSI_MULTIPLE | MSI_ENABLE);
    Ok(())
}

/// Masks all messages of a function, whichever kind it has.
pub fn silence(space: &mut impl ConfigSpace, address: Address) {
    for (id, enable) in [
        (capability::MSIX, CONTROL_ENABLE),
        (capability::MSI, MSI_ENABLE),
    ] {
        if let Some(at) = capability::find(space, address, id) {
            let control = space.read_u16(address, at + 2);
            space.write_u16(address, at + 2, control & !enable);
        }
    }
}

fn control_word(vector: u16) -> Register<u32> {
    Register::at(usize::from(vector) * ENTRY_BYTES as usize + 12)
}
