//! The rings between the terminal and the serial driver. Their memory is ttyd's, kept in its capsule, so neither side's death loses a byte.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use libipc::byte_ring::{self, Broken, Consumer, Producer};
use libipc::{
    Capsule, Connection, Deadline, Handle, MemoryObject, Notification, Protection, StartError,
};
use protocols::serial;

/// Bytes of each ring with its header.
const RING_BYTES: usize = 64 * 1024;
const MEMORY_SLOT: u16 = 0;
const DOORBELL_SLOT: u16 = 1;
/// What the driver may take for an answer.
const PATIENCE_MS: u64 = 10_000;

/// Both rings.
pub struct Rings {
    serial: serial::Client,
    doorbell: Handle<Notification>,
    output: Producer,
    input: Consumer,
    backlog: Vec<u8>,
    sent: bool,
}

impl Rings {
    /// Takes up the rings of the last incarnation, or makes new ones, and attaches them to the driver.
    ///
    /// # Errors
    /// What the kernel or the driver says.
    pub fn open(
        capsule: &Handle<Capsule>,
        connection: Handle<Connection>,
    ) -> Result<Self, StartError> {
        let broken = |Broken| StartError::Other("the serial rings are broken".into());
        let (memory, doorbell, is_new) =
            match (capsule.take(MEMORY_SLOT), capsule.take(DOORBELL_SLOT)) {
                (Ok(memory), Ok(doorbell)) => (memory, doorbell, false),
                _ => {
                    let memory =
                        Handle::<libipc::object::MemoryObject>::create(2 * RING_BYTES as u64)?;
                    let doorbell = Handle::<libipc::object::Notification>::create()?;
                    (memory, doorbell, true)
                }
            };
        let mapping = Arc::new(memory.map(0, 2 * RING_BYTES, Protection::ReadWrite)?);
        if is_new {
            byte_ring::initialise(&mapping, 0, RING_BYTES).map_err(broken)?;
            byte_ring::initialise(&mapping, RING_BYTES, RING_BYTES).map_err(broken)?;
            keep(capsule, &memory, &doorbell)?;
        }
        let serial = serial::Client::connect(connection)?;
        let rings = Self {
            output: Producer::open(mapping.clone(), 0, RING_BYTES).map_err(broken)?,
            input: Consumer::open(mapping, RING_BYTES, RING_BYTES).map_err(broken)?,
            doorbell,
            serial,
            backlog: Vec::new(),
            sent: true,
        };
        rings
            .serial
            .attach(Deadline::after_ms(PATIENCE_MS), &memory, &rings.doorbell)
            .map_err(|error| {
                StartError::Other(alloc::format!(
                    "the serial driver does not take the rings: {error}"
                ))
            })?;
        Ok(rings)
    }

    /// What the driver signals.
    pub fn doorbell(&self) -> &Handle<Notification> {
        &self.doorbell
    }

    /// Takes what was typed.
    pub fn read_input(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; 256];
        match self.input.read(&mut bytes) {
            Ok(count) => bytes.truncate(count),
            Err(Broken) => {
                libipc::error!("the serial driver broke the input ring");
                bytes.clear();
            }
        }
        bytes
    }

    /// Whether everything that was pushed is in the ring, and so many bytes more fit. A broken ring takes everything: it is lost in any case.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.backlog.is_empty() && self.output.room().is_ok_and(|room| room >= bytes)
            || self.output.room().is_err()
    }

    /// Where the output ring stands.
    pub fn written(&self) -> u64 {
        self.output.position()
    }

    /// Sends bytes; those that do not fit the ring wait here.
    pub fn push(&mut self, bytes: &[u8]) {
        self.drain();
        let fitting = if self.backlog.is_empty() {
            self.write(bytes)
        } else {
            0
        };
        self.backlog.extend_from_slice(&bytes[fitting..]);
    }

    /// Wakes the driver if there is something for it, and says what we wait for: input, and room if something is left that needs `room` bytes. False if there is that room
    /// after all.
    pub fn settle(&mut self, room: usize, nothing_left: bool) -> bool {
        self.drain();
        if !self.backlog.is_empty() || !nothing_left {
            self.output.wait_for_room();
            self.drain();
            if !nothing_left && self.has_room(room) {
                return false;
            }
        }
        if core::mem::take(&mut self.sent) && self.output.must_wake() && self.serial.ring().is_err()
        {
            libipc::error!("the serial driver is gone for good");
        }
        self.input.sleep();
        if self.input.available().is_ok_and(|count| count > 0) {
            // Something came just before we said that we sleep: have ourselves woken.
            let _ = self.doorbell.signal(1);
        }
        true
    }

    fn drain(&mut self) {
        let backlog = core::mem::take(&mut self.backlog);
        let done = self.write(&backlog);
        self.backlog = backlog;
        self.backlog.drain(..done);
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        let count = self.output.write(bytes).unwrap_or_else(|Broken| {
            libipc::error!("the serial driver broke the output ring");
            bytes.len()
        });
        self.sent |= count > 0;
        count
    }
}

fn keep(
    capsule: &Handle<Capsule>,
    memory: &Handle<MemoryObject>,
    doorbell: &Handle<Notification>,
) -> Result<(), StartError> {
    let _ = capsule.clear(MEMORY_SLOT);
    let _ = capsule.clear(DOORBELL_SLOT);
    capsule.keep(MEMORY_SLOT, memory)?;
    capsule.keep(DOORBELL_SLOT, doorbell)?;
    Ok(())
}
