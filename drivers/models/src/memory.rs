//! Memory that a driver and a model share.

use std::cell::RefCell;
use std::rc::Rc;

use driver_lib::{DmaAddr, DmaMemory};

/// Zeroed bytes at a device address. Clones share them.
#[derive(Clone, Debug)]
pub struct Memory {
    bytes: Rc<RefCell<Vec<u8>>>,
    start: usize,
    length: usize,
    address: DmaAddr,
}

impl Memory {
    /// `length` bytes that the device finds at `address`.
    pub fn new(length: usize, address: u64) -> Self {
        Self {
            bytes: Rc::new(RefCell::new(vec![0; length])),
            start: 0,
            length,
            address: DmaAddr(address),
        }
    }

    /// The `length` bytes from `offset`, as memory of its own.
    pub fn part(&self, offset: usize, length: usize) -> Self {
        assert!(
            offset + length <= self.length,
            "a part lies inside its whole"
        );
        Self {
            bytes: self.bytes.clone(),
            start: self.start + offset,
            length,
            address: self.address.plus(offset as u64),
        }
    }

    /// What the device reads at `address`; `None` if that is elsewhere.
    pub fn device_read(&self, address: u64, length: usize) -> Option<Vec<u8>> {
        let start = self.locate(address, length)?;
        Some(self.bytes.borrow()[start..start + length].to_vec())
    }

    /// The device writes at `address`; false if that is elsewhere.
    pub fn device_write(&self, address: u64, data: &[u8]) -> bool {
        match self.locate(address, data.len()) {
            Some(start) => {
                self.bytes.borrow_mut()[start..start + data.len()].copy_from_slice(data);
                true
            }
            None => false,
        }
    }

    fn locate(&self, address: u64, length: usize) -> Option<usize> {
        let offset = usize::try_from(address.checked_sub(self.address.0)?).ok()?;
        (offset.checked_add(length)? <= self.length).then_some(self.start + offset)
    }

    fn get<const N: usize>(&self, offset: usize) -> [u8; N] {
        assert!(
            offset + N <= self.length && offset.is_multiple_of(N),
            "an access to DMA memory is aligned and inside"
        );
        let at = self.start + offset;
        self.bytes.borrow()[at..at + N]
            .try_into()
            .expect("the slice has N bytes")
    }

    fn put<const N: usize>(&mut self, offset: usize, value: [u8; N]) {
        assert!(
            offset + N <= self.length && offset.is_multiple_of(N),
            "an access to DMA memory is aligned and inside"
        );
        let at = self.start + offset;
        self.bytes.borrow_mut()[at..at + N].copy_from_slice(&value);
    }
}

impl DmaMemory for Memory {
    fn len(&self) -> usize {
        self.length
    }
    fn device_address(&self) -> DmaAddr {
        self.address
    }
    fn read_u16(&self, offset: usize) -> u16 {
        u16::from_le_bytes(self.get(offset))
    }
    fn read_u32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.get(offset))
    }
    fn read_u64(&self, offset: usize) -> u64 {
        u64::from_le_bytes(self.get(offset))
    }
    fn write_u16(&mut self, offset: usize, value: u16) {
        self.put(offset, value.to_le_bytes());
    }
    fn write_u32(&mut self, offset: usize, value: u32) {
        self.put(offset, value.to_le_bytes());
    }
    fn write_u64(&mut self, offset: usize, value: u64) {
        self.put(offset, value.to_le_bytes());
    }
    fn fence(&self) {}
}
