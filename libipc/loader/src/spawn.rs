//! A process from an image: mappings, handles, bootstrap page, first thread.
//!
//! Its region, from the start: bootstrap pages, message pages, stack, log ring, each with an unmapped page around it; at 2 MiB the image; behind it what
//! the process maps itself.

use crate::image::{IMAGE_OFFSET, Image, REGION_BYTES, fill};
use abi::Rights;
use abi::layout::PAGE_SIZE;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use libipc::bootstrap::{Bootstrap, Layout, NamedHandle};
use libipc::object::ThreadStart;
use libipc::{
    Connection, Handle, MemoryObject, Object, Process, Protection, Quota, SysError, Thread, random,
};

/// Bytes of a first thread's stack, if nobody says otherwise. Frames are taken when they are touched.
pub const DEFAULT_STACK_BYTES: u64 = 256 * 1024;

const PAGE: u64 = PAGE_SIZE as u64;
/// Bytes of a bootstrap page and its followers, at most: arguments and environment have to fit.
const MAX_BOOTSTRAP_BYTES: usize = 64 * 1024;
/// Bytes of a stack, at most, so that it fits in front of the image.
const MAX_STACK_BYTES: u64 = 1 << 20;
/// Bytes of a log ring, at most, likewise.
const MAX_LOG_BYTES: u64 = 256 * 1024;

/// Why a process could not be made. What was made of it is gone again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpawnError {
    /// Arguments, environment, stack or log ring are larger than there is room for.
    TooLarge,
    /// The kernel refused: mostly for want of quota.
    System(SysError),
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("arguments, environment or stack are too large"),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SpawnError {}

impl From<SysError> for SpawnError {
    fn from(error: SysError) -> Self {
        Self::System(error)
    }
}

/// A handle for the new process.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The name by which it finds it.
    pub name: String,
    /// Number of its `ObjectType`.
    pub kind: u8,
    /// Ours, of which it gets a copy.
    pub handle: abi::Handle,
    /// What it may do with it, at most.
    pub rights: Rights,
}

/// A log ring for the new process; formatted by whoever made it.
#[derive(Clone, Copy, Debug)]
pub struct LogMemory<'a> {
    /// The memory.
    pub memory: &'a Handle<MemoryObject>,
    /// Bytes, whole pages.
    pub length: u64,
}

/// What a new process is to be.
#[derive(Debug)]
pub struct Spawn<'a> {
    /// The program.
    pub image: &'a Image,
    /// What it lives on.
    pub quota: &'a Handle<Quota>,
    /// Where its faults are reported.
    pub faults: Option<&'a Handle<Connection>>,
    /// Its log ring.
    pub log: Option<LogMemory<'a>>,
    /// Name, number, incarnation, arguments, environment, configuration. Handles, seed and layout are filled in.
    pub bootstrap: Bootstrap,
    /// Handles that it gets.
    pub grants: Vec<Grant>,
    /// Priority of its threads.
    pub priority: u8,
    /// How far its heap may grow; 0: as far as its quota lets it.
    pub heap_limit: u64,
    /// Bytes of its first stack.
    pub stack_bytes: u64,
    /// The CPU it starts on; `None`: the maker's.
    pub cpu: Option<u8>,
}

/// A process that runs.
#[derive(Debug)]
pub struct Spawned {
    /// The process, with all rights.
    pub process: Handle<Process>,
    /// Its first thread.
    pub thread: Handle<Thread>,
}

impl<'a> Spawn<'a> {
    /// A process of `image` under `quota`, with nothing else.
    pub fn new(image: &'a Image, quota: &'a Handle<Quota>) -> Self {
        Self {
            image,
            quota,
            faults: None,
            log: None,
            bootstrap: Bootstrap::default(),
            grants: Vec::new(),
            priority: 16,
            heap_limit: 0,
            stack_bytes: DEFAULT_STACK_BYTES,
            cpu: None,
        }
    }

    /// Grants a copy of a handle with at most these rights.
    pub fn grant<T: Object>(&mut self, name: &str, handle: &'a Handle<T>, rights: Rights) {
        self.grants.push(Grant {
            name: name.into(),
            kind: T::TYPE as u8,
            handle: handle.raw(),
            rights,
        });
    }

    /// Makes the process and starts it.
    ///
    /// # Errors
    /// See [`SpawnError`]. Nothing is left of it.
    pub fn start(self) -> Result<Spawned, SpawnError> {
        let process = Handle::<Process>::create(self.quota, self.faults, self.priority)?;
        match self.furnish(&process) {
            Ok(thread) => Ok(Spawned { process, thread }),
            Err(error) => {
                // It never ran; if it can't be killed it has no thread to run either, and goes with its quota.
                let _ = process.kill(0);
                Err(error)
            }
        }
    }

    fn furnish(mut self, process: &Handle<Process>) -> Result<Handle<Thread>, SpawnError> {
        if let Some(cpu) = self.cpu {
            process.move_to(cpu)?;
        }
        self.bootstrap.handles = self
            .grants
            .iter()
            .map(|grant| grant.pass(process))
            .collect::<Result<_, _>>()?;
        self.bootstrap.seed = core::array::from_fn(|_| random::next_u64());
        let own = process.grant(process, Rights::MAP | Rights::MANAGE | Rights::INSPECT)?;
        let mut places = Places {
            next: self.image.region(),
            end: self.image.base(),
        };
        self.image.map_into(process)?;

        let message_pages = places.take(2 * PAGE)?;
        let stack_top = self.map_stack(process, &mut places)?;
        let log = self.map_log(process, &mut places)?;
        let free_start = self.image.base() + self.image.program().length() + PAGE;
        self.bootstrap.layout = Layout {
            process: own.0,
            priority: self.priority,
            message_pages,
            free_start,
            free_end: self.image.region() + REGION_BYTES,
            heap_limit: self.heap_limit,
            log,
            log_length: if log == 0 {
                0
            } else {
                self.log.map_or(0, |log| log.length)
            },
        };
        let (address, length) = self.map_bootstrap(process, &mut places)?;
        let (thread, _) = process.create_thread(&ThreadStart {
            entry: self.image.entry(),
            stack: stack_top,
            arguments: [address, length],
            pages: message_pages,
            priority: self.priority,
            fs_base: 0,
        })?;
        thread.start()?;
        Ok(thread)
    }

    /// Maps a stack and gives its top, somewhere in the last page, so that the addresses in it differ from start to start.
    fn map_stack(&self, process: &Handle<Process>, places: &mut Places) -> Result<u64, SpawnError> {
        let length = self
            .stack_bytes
            .checked_next_multiple_of(PAGE)
            .filter(|length| (PAGE..=MAX_STACK_BYTES).contains(length));
        let length = length.ok_or(SpawnError::TooLarge)?;
        let address = places.take(length)?;
        let memory = Handle::<MemoryObject>::create(length)?;
        process.map(&memory, address, 0, length, Protection::ReadWrite)?;
        let jitter = random::next_u64() % (PAGE / 32) * 16;
        Ok(address + length - jitter)
    }

    fn map_log(&self, process: &Handle<Process>, places: &mut Places) -> Result<u64, SpawnError> {
        let Some(log) = self.log else {
            return Ok(0);
        };
        if log.length > MAX_LOG_BYTES || !log.length.is_multiple_of(PAGE) {
            return Err(SpawnError::TooLarge);
        }
        let address = places.take(log.length)?;
        process.map(log.memory, address, 0, log.length, Protection::ReadWrite)?;
        Ok(address)
    }

    fn map_bootstrap(
        &self,
        process: &Handle<Process>,
        places: &mut Places,
    ) -> Result<(u64, u64), SpawnError> {
        let bytes = self
            .bootstrap
            .to_bytes()
            .filter(|bytes| bytes.len() <= MAX_BOOTSTRAP_BYTES)
            .ok_or(SpawnError::TooLarge)?;
        let length = bytes.len().next_multiple_of(PAGE_SIZE) as u64;
        let memory = Handle::<MemoryObject>::create(length)?;
        fill(&memory, &bytes)?;
        let address = places.take(length)?;
        process.map(&memory, address, 0, length, Protection::Read)?;
        Ok((address, bytes.len() as u64))
    }
}

impl Grant {
    fn pass(&self, process: &Handle<Process>) -> Result<NamedHandle, SysError> {
        let handle =
            process.grant_raw(self.handle, abi::message::TransferMode::Copy, self.rights)?;
        Ok(NamedHandle {
            name: self.name.clone(),
            kind: self.kind,
            handle: handle.0,
        })
    }
}

/// Hands out the addresses in front of the image, with an unmapped page before each range.
struct Places {
    next: u64,
    end: u64,
}

impl Places {
    fn take(&mut self, length: u64) -> Result<u64, SpawnError> {
        let start = self.next + PAGE;
        let end = start
            .checked_add(length)
            .filter(|end| end + PAGE <= self.end)
            .ok_or(SpawnError::TooLarge)?;
        self.next = end;
        Ok(start)
    }
}

const _: () = assert!(
    MAX_STACK_BYTES + MAX_LOG_BYTES + MAX_BOOTSTRAP_BYTES as u64 + 16 * PAGE <= IMAGE_OFFSET
);
