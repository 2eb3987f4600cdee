//! Virtio devices: the common configuration, queues walked from the device's side, and a network card.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use driver_lib::virtio::{FEATURE_VERSION_1, Status, common};
use driver_lib::{Mmio, Register};

use crate::memory::Memory;

/// How a device misbehaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lie {
    /// It never leaves reset.
    StuckInReset,
    /// It offers no `VERSION_1`.
    Legacy,
    /// It refuses the features.
    RefusesFeatures,
    /// It routes no vectors.
    RefusesVectors,
    /// The used index runs ahead by so much.
    UsedIndexAhead(u16),
    /// It gives back a chain that it does not have.
    UnknownChain(u32),
    /// It says that it wrote so many bytes.
    WrittenLength(u32),
}

/// One queue as the device knows it.
#[derive(Clone, Debug, Default)]
pub struct QueueState {
    size: u16,
    enabled: bool,
    vector: u16,
    descriptors: u64,
    driver: u64,
    device: u64,
    seen: u16,
    used: u16,
}

#[derive(Debug)]
struct State {
    status: u8,
    features: u64,
    accepted: u64,
    feature_select: u32,
    driver_feature_select: u32,
    queue_select: u16,
    queues: Vec<QueueState>,
    config_vector: u16,
    lie: Option<Lie>,
    memories: Vec<Memory>,
    sent: Vec<Vec<u8>>,
    pending: VecDeque<Vec<u8>>,
}

/// A virtio device with its registers and queues; clones are the same device.
#[derive(Clone, Debug)]
pub struct Device(Rc<RefCell<State>>);

/// A piece of a chain as the device sees it.
#[derive(Clone, Copy, Debug)]
struct Piece {
    address: u64,
    length: u32,
    writable: bool,
}

impl Device {
    /// A device with `queue_count` queues of `queue_size`, offering `features` besides `VERSION_1`, that reaches `memories`.
    pub fn new(queue_count: usize, queue_size: u16, features: u64, memories: Vec<Memory>) -> Self {
        let queues = vec![
            QueueState {
                size: queue_size,
                ..QueueState::default()
            };
            queue_count
        ];
        Self(Rc::new(RefCell::new(State {
            status: 0,
            features: features | FEATURE_VERSION_1,
            accepted: 0,
            feature_select: 0,
            driver_feature_select: 0,
            queue_select: 0,
            queues,
            config_vector: 0xffff,
            lie: None,
            memories,
            sent: Vec::new(),
            pending: VecDeque::new(),
        })))
    }

    /// From now on the device misbehaves so.
    pub fn lie(&self, lie: Lie) {
        self.0.borrow_mut().lie = Some(lie);
    }

    /// The features that the driver accepted.
    pub fn accepted(&self) -> u64 {
        self.0.borrow().accepted
    }

    /// Whether the driver has it running.
    pub fn is_running(&self) -> bool {
        self.0.borrow().status & Status::DRIVER_OK.bits() != 0
    }

    /// A frame arrives for the card; it is delivered when [`run_network`](Self::run_network) finds a buffer.
    pub fn arrive(&self, frame: &[u8]) {
        self.0.borrow_mut().pending.push_back(frame.to_vec());
    }

    /// Frames that the card sent, without their headers.
    pub fn sent(&self) -> Vec<Vec<u8>> {
        self.0.borrow().sent.clone()
    }

    /// Plays a network card: sends what is in queue 1 and delivers what arrived into queue 0. Both have a 12-byte header before the frame.
    pub fn run_network(&self) {
        let mut state = self.0.borrow_mut();
        while let Some((head, pieces)) = state.take_chain(1) {
            let bytes: Vec<u8> = pieces
                .iter()
                .filter(|piece| !piece.writable)
                .flat_map(|piece| state.read(piece))
                .collect();
            state
                .sent
                .push(bytes.get(12..).unwrap_or_default().to_vec());
            state.give_back(1, head, 0);
        }
        while !state.pending.is_empty() {
            let Some((head, pieces)) = state.take_chain(0) else {
                break;
            };
            let frame = state.pending.pop_front().expect("checked above");
            let mut bytes = vec![0; 12];
            bytes[10] = 1;
            bytes.extend_from_slice(&frame);
            let written = state.scatter(&pieces, &bytes);
            state.give_back(0, head, written);
        }
    }
}

impl State {
    fn memory_read(&self, address: u64, length: usize) -> Vec<u8> {
        self.memories
            .iter()
            .find_map(|memory| memory.device_read(address, length))
            .unwrap_or_else(|| vec![0xff; length])
    }

    fn memory_write(&self, address: u64, data: &[u8]) {
        assert!(
            self.memories
                .iter()
                .any(|memory| memory.device_write(address, data)),
            "the device was told to write outside of its memory"
        );
    }

    fn read(&self, piece: &Piece) -> Vec<u8> {
        self.memory_read(piece.address, piece.length as usize)
    }

    fn read_u16(&self, address: u64) -> u16 {
        u16::from_le_bytes(self.memory_read(address, 2).try_into().expect("two bytes"))
    }

    fn take_chain(&mut self, queue: usize) -> Option<(u16, Vec<Piece>)> {
        let state = self.queues[queue].clone();
        if !state.enabled
            || self.status & Status::DRIVER_OK.bits() == 0
            || self.read_u16(state.driver + 2) == state.seen
        {
            return None;
        }
        let head = self.read_u16(state.driver + 4 + 2 * u64::from(state.seen % state.size));
        let mut pieces = Vec::new();
        let mut slot = head;
        loop {
            let at = state.descriptors + 16 * u64::from(slot);
            let bytes = self.memory_read(at, 16);
            let flags = u16::from_le_bytes([bytes[12], bytes[13]]);
            pieces.push(Piece {
                address: u64::from_le_bytes(bytes[0..8].try_into().expect("eight bytes")),
                length: u32::from_le_bytes(bytes[8..12].try_into().expect("four bytes")),
                writable: flags & 2 != 0,
            });
            assert!(
                pieces.len() <= usize::from(state.size),
                "the driver made a chain that never ends"
            );
            if flags & 1 == 0 {
                break;
            }
            slot = u16::from_le_bytes([bytes[14], bytes[15]]);
        }
        self.queues[queue].seen = state.seen.wrapping_add(1);
        Some((head, pieces))
    }

    fn scatter(&self, pieces: &[Piece], mut bytes: &[u8]) -> u32 {
        let total = bytes.len();
        for piece in pieces.iter().filter(|piece| piece.writable) {
            let count = bytes.len().min(piece.length as usize);
            self.memory_write(piece.address, &bytes[..count]);
            bytes = &bytes[count..];
        }
        (total - bytes.len()) as u32
    }

    fn give_back(&mut self, queue: usize, head: u16, written: u32) {
        let (mut id, mut written, mut ahead) = (u32::from(head), written, 0);
        match self.lie {
            Some(Lie::UnknownChain(other)) => id = other,
            Some(Lie::WrittenLength(other)) => written = other,
            Some(Lie::UsedIndexAhead(by)) => ahead = by,
            _ => {}
        }
        let state = self.queues[queue].clone();
        let entry = state.device + 4 + 8 * u64::from(state.used % state.size);
        self.memory_write(entry, &id.to_le_bytes());
        self.memory_write(entry + 4, &written.to_le_bytes());
        let used = state.used.wrapping_add(1);
        self.memory_write(state.device + 2, &used.wrapping_add(ahead).to_le_bytes());
        self.queues[queue].used = used;
    }

    fn queue(&mut self) -> Option<&mut QueueState> {
        self.queues.get_mut(usize::from(self.queue_select))
    }

    fn reset(&mut self) {
        self.status = 0;
        self.accepted = 0;
        self.config_vector = 0xffff;
        for queue in &mut self.queues {
            *queue = QueueState {
                size: queue.size,
                ..QueueState::default()
            };
        }
    }

    fn read_register(&mut self, offset: usize) -> u64 {
        let features = if self.lie == Some(Lie::Legacy) {
            self.features & 0xffff_ffff
        } else {
            self.features
        };
        if offset == common::DEVICE_FEATURE.offset() {
            return features >> (32 * self.feature_select.min(1)) & 0xffff_ffff;
        }
        if offset == common::QUEUE_COUNT.offset() {
            return self.queues.len() as u64;
        }
        if offset == common::STATUS.offset() {
            return match self.lie {
                Some(Lie::StuckInReset) => 1,
                Some(Lie::RefusesFeatures) => u64::from(self.status & !Status::FEATURES_OK.bits()),
                _ => u64::from(self.status),
            };
        }
        if offset == common::CONFIG_VECTOR.offset() {
            return u64::from(self.config_vector);
        }
        let select = self.queue_select;
        let Some(queue) = self.queue() else { return 0 };
        if offset == common::QUEUE_SIZE.offset() {
            u64::from(queue.size)
        } else if offset == common::QUEUE_VECTOR.offset() {
            u64::from(queue.vector)
        } else if offset == common::QUEUE_ENABLE.offset() {
            u64::from(queue.enabled)
        } else if offset == common::QUEUE_NOTIFY_OFFSET.offset() {
            u64::from(select)
        } else {
            0
        }
    }

    fn write_register(&mut self, offset: usize, value: u64) {
        let half = |old: u64, low: bool| {
            if low {
                old & !0xffff_ffff | value
            } else {
                old & 0xffff_ffff | value << 32
            }
        };
        if offset == common::DEVICE_FEATURE_SELECT.offset() {
            self.feature_select = value as u32;
        } else if offset == common::DRIVER_FEATURE_SELECT.offset() {
            self.driver_feature_select = value as u32;
        } else if offset == common::DRIVER_FEATURE.offset() {
            self.accepted = half(self.accepted, self.driver_feature_select == 0);
        } else if offset == common::STATUS.offset() {
            if value == 0 {
                self.reset()
            } else {
                self.status = value as u8
            }
        } else if offset == common::QUEUE_SELECT.offset() {
            self.queue_select = value as u16;
        } else if offset == common::CONFIG_VECTOR.offset() {
            self.config_vector = if self.lie == Some(Lie::RefusesVectors) {
                0xffff
            } else {
                value as u16
            };
        } else {
            let refuses = self.lie == Some(Lie::RefusesVectors);
            let Some(queue) = self.queue() else { return };
            if offset == common::QUEUE_SIZE.offset() {
                queue.size = value as u16;
            } else if offset == common::QUEUE_VECTOR.offset() {
                queue.vector = if refuses { 0xffff } else { value as u16 };
            } else if offset == common::QUEUE_ENABLE.offset() {
                queue.enabled = value != 0;
            }
            for (pair, field) in [
                (common::QUEUE_DESCRIPTORS, &mut queue.descriptors),
                (common::QUEUE_DRIVER, &mut queue.driver),
                (common::QUEUE_DEVICE, &mut queue.device),
            ] {
                if offset == pair[0].offset() {
                    *field = half(*field, true);
                } else if offset == pair[1].offset() {
                    *field = half(*field, false);
                }
            }
        }
    }
}

impl Mmio for Device {
    fn read<T: driver_lib::registers::RegisterValue>(&self, register: Register<T>) -> T {
        T::from_u64(self.0.borrow_mut().read_register(register.offset()))
    }

    fn write<T: driver_lib::registers::RegisterValue>(&mut self, register: Register<T>, value: T) {
        self.0
            .borrow_mut()
            .write_register(register.offset(), value.to_u64());
    }
}
