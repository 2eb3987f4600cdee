//! Hardware that init granted, ready for a driver's logic.
//!
//! The handles prove that the process may use what they stand for; that is what makes the constructors of [`real`](crate::real) safe to call here. Mappings made here stay for the life of the
//! process, as drivers have one device each and end with it.

use libipc::{Handle, IoPorts, IoSpace, MemoryObject, Protection, SysError};

use crate::dma::DmaAddr;
use crate::real::{MappedDma, MappedRegisters, RealPorts};

/// Devices are given whole pages.
const PAGE_BYTES: usize = 4096;

/// Enables granted ports. `first` and `count` are the range that the manifest names; the processor refuses others.
///
/// # Errors
/// What the kernel says.
pub fn ports(handle: Handle<IoPorts>, first: u16, count: u16) -> Result<RealPorts, SysError> {
    handle.enable()?;
    // The permission lasts as long as the handle, and this one for the life of the process.
    let _kept = handle.into_raw();
    // SAFETY: the process has just enabled its ports, and a driver takes each grant once. Ports outside the grant fault instead of doing harm.
    Ok(unsafe { RealPorts::new(first, count) })
}

/// Maps granted device memory.
///
/// # Errors
/// What the kernel says.
pub fn registers(memory: &Handle<MemoryObject>) -> Result<MappedRegisters, SysError> {
    let length = memory.figures()?.length as usize;
    let mapping = memory.map(0, length, Protection::ReadWrite)?;
    let base = mapping.leak();
    // SAFETY: the mapping was just made, is page-aligned and never goes (it was leaked), and nobody else has its address.
    Ok(unsafe { MappedRegisters::new(base.as_ptr().cast::<u8>().expose_provenance(), length) })
}

/// Makes zeroed contiguous memory, maps it and lets the device reach it.
///
/// # Errors
/// What the kernel says.
pub fn dma(io_space: &Handle<IoSpace>, length: usize) -> Result<MappedDma, SysError> {
    let length = length.next_multiple_of(PAGE_BYTES);
    let memory = Handle::<MemoryObject>::create_contiguous(length as u64)?;
    // A device is let at whole pages, which is what the memory has.
    let pages = memory.figures()?.length;
    let device = io_space.map(&memory, 0, pages, Protection::ReadWrite)?;
    let mapping = memory.map(0, length, Protection::ReadWrite)?;
    let base = mapping.leak();
    // SAFETY: as for registers; the memory is ordinary and page-aligned, and only accessed through the value made here.
    Ok(unsafe {
        MappedDma::new(
            base.as_ptr().cast::<u8>().expose_provenance(),
            length,
            DmaAddr(device.0),
        )
    })
}
