//! A PCI bus with functions whose windows behave as the specification says.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A function: 256 bytes of configuration space, masks of its windows, and how it behaves.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its registers.
    pub bytes: [u8; 256],
    /// For each window: which bits can be written.
    pub window_masks: [u32; 6],
    /// Where its Express capability's control register is, if it can be reset so.
    pub reset_control: Option<u16>,
    /// How often it was reset.
    pub resets: usize,
    /// It never answers again after a reset.
    pub dies_in_reset: bool,
}

impl Function {
    /// A function of type 0 with these identifications.
    pub fn new(vendor: u16, device: u16) -> Self {
        let mut bytes = [0; 256];
        bytes[0..2].copy_from_slice(&vendor.to_le_bytes());
        bytes[2..4].copy_from_slice(&device.to_le_bytes());
        Self {
            bytes,
            window_masks: [0; 6],
            reset_control: None,
            resets: 0,
            dies_in_reset: false,
        }
    }

    /// Adds a window of memory.
    pub fn window(mut self, index: usize, base: u32, length: u32, flags: u32) -> Self {
        self.window_masks[index] = !(length - 1);
        self.put(0x10 + 4 * index, base | flags);
        self
    }

    /// Adds a capability with these bytes after its header, and links it to the list's front.
    pub fn capability(mut self, at: u8, id: u8, body: &[u8]) -> Self {
        let next = self.bytes[0x34];
        self.bytes[usize::from(at)] = id;
        self.bytes[usize::from(at) + 1] = next;
        self.bytes[usize::from(at) + 2..usize::from(at) + 2 + body.len()].copy_from_slice(body);
        self.bytes[0x34] = at;
        self.bytes[6] |= 1 << 4;
        self
    }

    fn put(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    fn get(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes[at..at + 4].try_into().expect("four bytes"))
    }
}

/// Functions by bus, device and function.
type Functions = BTreeMap<(u8, u8, u8), Function>;

/// The bus; clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Bus(Rc<RefCell<Functions>>);

impl Bus {
    /// An empty bus.
    pub fn new() -> Self {
        Self::default()
    }

    /// Plugs a function in.
    pub fn plug(&self, at: (u8, u8, u8), function: Function) {
        self.0.borrow_mut().insert(at, function);
    }

    /// A copy of the function as it is now.
    pub fn function(&self, at: (u8, u8, u8)) -> Function {
        self.0.borrow()[&at].clone()
    }

    /// Reads configuration space.
    pub fn read(&self, at: (u8, u8, u8), offset: u16) -> u32 {
        match self.0.borrow().get(&at) {
            Some(function) if offset < 256 && !(function.dies_in_reset && function.resets > 0) => {
                function.get(usize::from(offset & !3))
            }
            _ => u32::MAX,
        }
    }

    /// Writes configuration space.
    pub fn write(&self, at: (u8, u8, u8), offset: u16, value: u32) {
        let mut functions = self.0.borrow_mut();
        let Some(function) = functions.get_mut(&at).filter(|_| offset < 256) else {
            return;
        };
        let offset = usize::from(offset & !3);
        match offset {
            0x10..0x28 => {
                let mask = function.window_masks[(offset - 0x10) / 4];
                let flags = function.get(offset) & !mask & 0xf;
                function.put(offset, value & mask | flags);
            }
            0x04 => function.put(4, function.get(4) & 0xffff_0000 | value & 0xffff),
            0x00 | 0x08 => {}
            _ if function.reset_control == Some(offset as u16) && value & (1 << 15) != 0 => {
                function.resets += 1;
                function.put(4, function.get(4) & 0xffff_0000);
                for index in 0..6 {
                    let kept = function.get(0x10 + 4 * index) & !function.window_masks[index] & 0xf;
                    function.put(0x10 + 4 * index, kept);
                }
            }
            _ => function.put(offset, value),
        }
    }
}
