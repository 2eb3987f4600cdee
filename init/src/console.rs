//! What init says: into its log ring, and on the serial port until its driver takes the port.

use alloc::format;
use core::fmt;

use libipc::log::ring::{self, Reader};
use libipc::log::{self, Level};
use libipc::object::Hardware;
use libipc::{Handle, Mapping, MemoryObject, Protection, SysError};

/// Bytes of a service's log ring: a page of header and as much data as a boot writes.
pub const RING_BYTES: u64 = 5 * 4096;

/// The authority over hardware, which the kernel gave.
pub const fn hardware() -> Handle<Hardware> {
    Handle::from_raw(abi::boot::HARDWARE)
}

/// A log ring: the memory, and init's view of it.
pub struct LogRing {
    /// For the service, and for logd.
    pub memory: Handle<MemoryObject>,
    /// For the last words.
    pub mapping: Mapping,
}

impl LogRing {
    /// An empty one.
    pub fn create() -> Result<Self, SysError> {
        let memory = Handle::<MemoryObject>::create(RING_BYTES)?;
        let mapping = memory.map(0, RING_BYTES as usize, Protection::ReadWrite)?;
        ring::format(&mapping).ok_or(SysError(abi::Outcome::BadArgument))?;
        Ok(Self { memory, mapping })
    }
}

/// The place where init speaks.
pub struct Console {
    hardware: Handle<Hardware>,
    /// init's own ring.
    pub ring: LogRing,
}

impl Console {
    /// Begins logging.
    pub fn new() -> Result<Self, SysError> {
        let ring = LogRing::create()?;
        log::start(
            ring.memory
                .map(0, RING_BYTES as usize, Protection::ReadWrite)?,
        );
        Ok(Self {
            hardware: hardware(),
            ring,
        })
    }

    /// Says something, for people.
    pub fn say(&self, level: Level, text: fmt::Arguments<'_>) {
        log::record(level, text, &[]);
        self.print(format_args!("init: {text}\n"));
    }

    /// Shows on the serial port what a service that died left in its ring; its log may not be running. The records stay in the ring.
    pub fn show_ring(&self, service: &str, ring: &LogRing) {
        let Ok(mapping) = ring
            .memory
            .map(0, RING_BYTES as usize, Protection::ReadWrite)
        else {
            return;
        };
        let Ok(reader) = Reader::new(mapping) else {
            return;
        };
        let mut position = reader.position();
        while let Ok(Some((record, next))) = reader.peek_at(position) {
            self.print(format_args!("{service}: {}\n", record.text));
            position = next;
        }
    }

    fn print(&self, text: fmt::Arguments<'_>) {
        // Once the driver has the port the kernel refuses, and the log is read elsewhere.
        let _ = self.hardware.log(format!("{text}").as_bytes());
    }
}

/// Says why there is no init, when nothing else works yet.
pub fn last(reason: &str) {
    let hardware = hardware();
    let _ = hardware.log(format!("init: {reason}\n").as_bytes());
    // The handle is the kernel's gift and not ours to close.
    let _ = hardware.into_raw();
}
