//! Registers, ports and DMA memory of the real machine.

use core::sync::atomic::{Ordering, fence};

use crate::dma::{DmaAddr, DmaMemory};
use crate::ports::{Port, Ports};
use crate::registers::{Mmio, Register, RegisterValue};

/// A mapped block of device registers.
#[derive(Debug)]
pub struct MappedRegisters {
    base: usize,
    length: usize,
}

impl MappedRegisters {
    /// Takes the registers mapped at `base`.
    ///
    /// # Safety
    /// `base` is page-aligned, and `length` bytes from it are mapped uncached, readable and writable, for as long as the value lives;
    /// nothing else in the process touches them.
    pub const unsafe fn new(base: usize, length: usize) -> Self {
        Self { base, length }
    }

    /// The part of the block from `offset`, `length` bytes long, as a block of its own; `None` if it is not all inside or not aligned to 8.
    pub fn part(&self, offset: usize, length: usize) -> Option<MappedRegisters> {
        let end = offset.checked_add(length)?;
        if end > self.length || !offset.is_multiple_of(8) {
            return None;
        }
        Some(MappedRegisters {
            base: self.base + offset,
            length,
        })
    }

    fn pointer<T: RegisterValue>(&self, register: Register<T>) -> Option<*mut T> {
        let end = register.offset().checked_add(T::BYTES)?;
        (end <= self.length)
            .then(|| core::ptr::with_exposed_provenance_mut(self.base + register.offset()))
    }
}

impl Mmio for MappedRegisters {
    fn read<T: RegisterValue>(&self, register: Register<T>) -> T {
        match self.pointer(register) {
            // SAFETY: `pointer` checked that the register lies inside the block, `Register::at` that it is aligned; `new` promised that the block is mapped.
            Some(pointer) => unsafe { pointer.read_volatile() },
            None => T::from_u64(u64::MAX),
        }
    }

    fn write<T: RegisterValue>(&mut self, register: Register<T>, value: T) {
        if let Some(pointer) = self.pointer(register) {
            // SAFETY: as in `read`; `&mut self` and the promise of `new` make this the only access from here.
            unsafe { pointer.write_volatile(value) }
        }
    }
}

/// A range of I/O ports that the process was allowed to use.
#[derive(Debug)]
pub struct RealPorts {
    first: u16,
    count: u16,
}

impl RealPorts {
    /// Takes the ports from `first`.
    ///
    /// # Safety
    /// The process has enabled these ports, and nothing else in it uses them.
    pub const unsafe fn new(first: u16, count: u16) -> Self {
        Self { first, count }
    }

    fn number(&self, port: Port) -> Option<u16> {
        (port.0 < self.count)
            .then(|| self.first.checked_add(port.0))
            .flatten()
    }
}

impl Ports for RealPorts {
    #[cfg(target_arch = "x86_64")]
    fn read(&mut self, port: Port) -> u8 {
        let Some(number) = self.number(port) else {
            return 0xff;
        };
        let value: u8;
        // SAFETY: `in` touches no memory; `number` checked that the port is one of ours, and `new` promised that we may use those.
        unsafe {
            core::arch::asm!("in al, dx", in("dx") number, out("al") value, options(nomem, nostack, preserves_flags))
        };
        value
    }

    #[cfg(target_arch = "x86_64")]
    fn write(&mut self, port: Port, value: u8) {
        let Some(number) = self.number(port) else {
            return;
        };
        // SAFETY: `out` to a port of a device that has no DMA or is ours alone; `number` checked that it is one of ours.
        unsafe {
            core::arch::asm!("out dx, al", in("dx") number, in("al") value, options(nomem, nostack, preserves_flags))
        };
    }

    #[cfg(target_arch = "x86_64")]
    fn write_u16(&mut self, port: Port, value: u16) {
        let is_inside = self.number(Port(port.0.wrapping_add(1))).is_some();
        let Some(number) = self.number(port).filter(|_| is_inside) else {
            return;
        };
        // SAFETY: as for a byte; both ports are ours.
        unsafe {
            core::arch::asm!("out dx, ax", in("dx") number, in("ax") value, options(nomem, nostack, preserves_flags));
        }
    }
}

/// Mapped memory that a device reaches too.
#[derive(Debug)]
pub struct MappedDma {
    base: usize,
    length: usize,
    device: DmaAddr,
}

impl MappedDma {
    /// Takes memory mapped at `base` that the device finds at `device`.
    ///
    /// # Safety
    /// `base` is aligned to 8, and `length` bytes from it are mapped readable and writable for as long as the value lives; no Rust reference to them exists.
    pub const unsafe fn new(base: usize, length: usize, device: DmaAddr) -> Self {
        Self {
            base,
            length,
            device,
        }
    }

    /// Splits off the first `length` bytes (a multiple of 8).
    ///
    /// # Panics
    /// If there are not that many, or they are no multiple of 8.
    pub fn split(self, length: usize) -> (MappedDma, MappedDma) {
        assert!(
            length <= self.length && length.is_multiple_of(8),
            "a part lies inside its whole and ends aligned"
        );
        (
            MappedDma {
                base: self.base,
                length,
                device: self.device,
            },
            MappedDma {
                base: self.base + length,
                length: self.length - length,
                device: self.device.plus(length as u64),
            },
        )
    }

    fn pointer<T>(&self, offset: usize) -> *mut T {
        assert!(
            offset.is_multiple_of(size_of::<T>()) && offset + size_of::<T>() <= self.length,
            "an access to DMA memory is aligned and inside"
        );
        core::ptr::with_exposed_provenance_mut(self.base + offset)
    }
}

macro_rules! accessors {
    ($($read:ident $write:ident $t:ty),*) => {$(
        fn $read(&self, offset: usize) -> $t {
            // SAFETY: `pointer` checked alignment and bounds; `new` promised the mapping. Volatile, as the device may write at any time.
            unsafe { self.pointer::<$t>(offset).read_volatile() }
        }
        fn $write(&mut self, offset: usize, value: $t) {
            // SAFETY: as for reading; no Rust reference to the memory exists.
            unsafe { self.pointer::<$t>(offset).write_volatile(value) }
        }
    )*};
}

impl DmaMemory for MappedDma {
    fn len(&self) -> usize {
        self.length
    }

    fn device_address(&self) -> DmaAddr {
        self.device
    }

    accessors!(read_u16 write_u16 u16, read_u32 write_u32 u32, read_u64 write_u64 u64);

    fn fence(&self) {
        fence(Ordering::SeqCst);
    }
}
