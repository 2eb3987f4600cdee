//! The registers that all virtio devices on PCI share (virtio 1.2 §4.1.4), and the way to start one (§3.1).

use crate::dma::DmaAddr;
use crate::registers::{Mmio, Register};

bitflags::bitflags! {
    /// Device status (virtio 1.2 §2.1).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Status: u8 {
        /// We noticed the device.
        const ACKNOWLEDGE = 1;
        /// We know how to drive it.
        const DRIVER = 2;
        /// We are ready.
        const DRIVER_OK = 4;
        /// We accept the features written.
        const FEATURES_OK = 8;
        /// The device is in a state that it can't leave without a reset.
        const NEEDS_RESET = 64;
        /// We gave up.
        const FAILED = 128;
    }
}

/// Feature: the device follows virtio 1.0 or later.
pub const FEATURE_VERSION_1: u64 = 1 << 32;
/// Feature: the device uses addresses of the IOMMU's.
pub const FEATURE_ACCESS_PLATFORM: u64 = 1 << 33;
/// Feature: used and available events by index (§2.7.7.1).
pub const FEATURE_EVENT_INDEX: u64 = 1 << 29;
/// What stands for no MSI-X vector.
pub const NO_VECTOR: u16 = 0xffff;

/// The common configuration structure (virtio 1.2 §4.1.4.3).
pub mod common {
    use super::Register;
    /// Which half of the device's features `DEVICE_FEATURE` shows.
    pub const DEVICE_FEATURE_SELECT: Register<u32> = Register::at(0x00);
    /// Half of the features offered.
    pub const DEVICE_FEATURE: Register<u32> = Register::at(0x04);
    /// Which half `DRIVER_FEATURE` sets.
    pub const DRIVER_FEATURE_SELECT: Register<u32> = Register::at(0x08);
    /// Half of the features accepted.
    pub const DRIVER_FEATURE: Register<u32> = Register::at(0x0c);
    /// Vector for changes of the configuration.
    pub const CONFIG_VECTOR: Register<u16> = Register::at(0x10);
    /// Queues there are.
    pub const QUEUE_COUNT: Register<u16> = Register::at(0x12);
    /// Status; writing zero resets.
    pub const STATUS: Register<u8> = Register::at(0x14);
    /// Grows when the configuration changes.
    pub const CONFIG_GENERATION: Register<u8> = Register::at(0x15);
    /// The queue that the registers below are about.
    pub const QUEUE_SELECT: Register<u16> = Register::at(0x16);
    /// Its size.
    pub const QUEUE_SIZE: Register<u16> = Register::at(0x18);
    /// Its vector.
    pub const QUEUE_VECTOR: Register<u16> = Register::at(0x1a);
    /// Whether it runs.
    pub const QUEUE_ENABLE: Register<u16> = Register::at(0x1c);
    /// Where its doorbell is, in units of the multiplier.
    pub const QUEUE_NOTIFY_OFFSET: Register<u16> = Register::at(0x1e);
    /// Address of the descriptors, low and high half.
    pub const QUEUE_DESCRIPTORS: [Register<u32>; 2] = [Register::at(0x20), Register::at(0x24)];
    /// Address of the driver's ring.
    pub const QUEUE_DRIVER: [Register<u32>; 2] = [Register::at(0x28), Register::at(0x2c)];
    /// Address of the device's ring.
    pub const QUEUE_DEVICE: [Register<u32>; 2] = [Register::at(0x30), Register::at(0x34)];
}

/// What a virtio device can do wrong while it is started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartError {
    /// It did not come out of reset within the reads allowed.
    ResetTimeout,
    /// It does not offer a feature that we need; which.
    MissingFeature(u64),
    /// It refused the features that we accepted.
    FeaturesRefused,
    /// A queue that we need does not exist or is too small.
    QueueUnavailable(u16),
    /// It did not route an interrupt vector.
    VectorRefused(u16),
}

/// The common configuration of one device.
#[derive(Debug)]
pub struct Transport<M> {
    registers: M,
}

/// How often the status is read before a reset counts as failed. QEMU resets at once; hardware is given some milliseconds of bus reads.
const RESET_READS: u32 = 100_000;

impl<M: Mmio> Transport<M> {
    /// Takes the registers of the common configuration.
    pub fn new(registers: M) -> Self {
        Self { registers }
    }

    /// Resets the device (§3.1.1 step 1): afterwards it touches no memory.
    pub fn reset(&mut self) -> Result<(), StartError> {
        self.registers.write(common::STATUS, 0);
        for _ in 0..RESET_READS {
            if self.registers.read(common::STATUS) == 0 {
                return Ok(());
            }
            core::hint::spin_loop();
        }
        Err(StartError::ResetTimeout)
    }

    /// Steps 2–6 of §3.1.1: says hello and settles on the features that are both offered and in `wanted`, which must include `needed`. Answers those agreed on.
    pub fn negotiate(&mut self, wanted: u64, needed: u64) -> Result<u64, StartError> {
        self.add_status(Status::ACKNOWLEDGE);
        self.add_status(Status::DRIVER);
        let agreed = self.offered_features() & (wanted | needed);
        if agreed & needed != needed {
            self.add_status(Status::FAILED);
            return Err(StartError::MissingFeature(needed & !agreed));
        }
        for half in 0..2 {
            self.registers.write(common::DRIVER_FEATURE_SELECT, half);
            self.registers
                .write(common::DRIVER_FEATURE, (agreed >> (32 * half)) as u32);
        }
        self.add_status(Status::FEATURES_OK);
        if !self.status().contains(Status::FEATURES_OK) {
            self.add_status(Status::FAILED);
            return Err(StartError::FeaturesRefused);
        }
        Ok(agreed)
    }

    /// Gives queue `index` its memory, size and vector, and switches it on. Answers the offset of its doorbell, in units of the notify multiplier.
    pub fn start_queue(
        &mut self,
        index: u16,
        size: u16,
        vector: u16,
        areas: QueueAreas,
    ) -> Result<u16, StartError> {
        self.registers.write(common::QUEUE_SELECT, index);
        if self.registers.read(common::QUEUE_SIZE) < size {
            return Err(StartError::QueueUnavailable(index));
        }
        self.registers.write(common::QUEUE_SIZE, size);
        self.registers.write(common::QUEUE_VECTOR, vector);
        if self.registers.read(common::QUEUE_VECTOR) != vector {
            return Err(StartError::VectorRefused(index));
        }
        self.write_address(common::QUEUE_DESCRIPTORS, areas.descriptors);
        self.write_address(common::QUEUE_DRIVER, areas.driver);
        self.write_address(common::QUEUE_DEVICE, areas.device);
        self.registers.write(common::QUEUE_ENABLE, 1);
        Ok(self.registers.read(common::QUEUE_NOTIFY_OFFSET))
    }

    /// The size that the device offers for queue `index`; 0 if there is no such queue.
    pub fn queue_size(&mut self, index: u16) -> u16 {
        if index >= self.registers.read(common::QUEUE_COUNT) {
            return 0;
        }
        self.registers.write(common::QUEUE_SELECT, index);
        self.registers.read(common::QUEUE_SIZE)
    }

    /// Routes changes of the configuration to a vector.
    pub fn set_config_vector(&mut self, vector: u16) -> Result<(), StartError> {
        self.registers.write(common::CONFIG_VECTOR, vector);
        if self.registers.read(common::CONFIG_VECTOR) == vector {
            Ok(())
        } else {
            Err(StartError::VectorRefused(NO_VECTOR))
        }
    }

    /// The last step of §3.1.1: the device runs.
    pub fn start(&mut self) {
        self.add_status(Status::DRIVER_OK);
    }

    /// The status as the device shows it.
    pub fn status(&self) -> Status {
        Status::from_bits_retain(self.registers.read(common::STATUS))
    }

    /// The number that grows with each change of the configuration.
    pub fn config_generation(&self) -> u8 {
        self.registers.read(common::CONFIG_GENERATION)
    }

    fn add_status(&mut self, status: Status) {
        let now = self.status() | status;
        self.registers.write(common::STATUS, now.bits());
    }

    fn offered_features(&mut self) -> u64 {
        (0..2).fold(0, |features, half| {
            self.registers.write(common::DEVICE_FEATURE_SELECT, half);
            features | u64::from(self.registers.read(common::DEVICE_FEATURE)) << (32 * half)
        })
    }

    fn write_address(&mut self, halves: [Register<u32>; 2], address: DmaAddr) {
        self.registers.write(halves[0], address.0 as u32);
        self.registers.write(halves[1], (address.0 >> 32) as u32);
    }
}

/// Where the three parts of a queue are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueAreas {
    /// The descriptor table.
    pub descriptors: DmaAddr,
    /// What we write: the available ring.
    pub driver: DmaAddr,
    /// What the device writes: the used ring.
    pub device: DmaAddr,
}
