//! The first process: taking the machine's memory, making init, and making it again when it has died.

use core::sync::atomic::{AtomicU64, Ordering};

use abi::{
    Handle, Outcome, Rights, boot, image::SEGMENT_EXECUTABLE, image::SEGMENT_WRITABLE, layout::PAGE_SIZE,
    layout::PRIORITIES, records::DeathCause, syscall::MemoryKind, syscall::protection,
};

use crate::handle::Held;
use crate::kernel::Shared;
use crate::machine::{BootFacts, CacheKind, InitSegment, MAX_INIT_SEGMENTS, Resume};
use crate::mem::frame::{Frame, FrameRange};
use crate::mem::unmap::{MappingRequest, Sharing, UserRange};
use crate::object::{Capsule, Hardware, Kind, Memory, Name, Process, Quota, Resource};
use crate::syscall::ThreadStart;
use crate::{Kernel, Machine};

/// Pages and slots of init's capsule.
const CAPSULE_PAGES: u64 = 64;
const CAPSULE_SLOTS: u64 = 256;
/// Handles and threads of the whole machine: generous, the frames behind them are what is scarce.
const ALL_HANDLES: u64 = 1 << 22;
const ALL_THREADS: u64 = 1 << 16;
/// Frames that stay with the kernel: the stocks of its CPUs.
const RESERVED_FRAMES: u64 = 64 * 8;
/// Frames without which init can't even start.
const LEAST_FRAMES: u64 = RESERVED_FRAMES + 512;
/// Two deaths of init by its own fault within this time are the end.
const DEATH_INTERVAL_NANOSECONDS: u64 = 10_000_000_000;

/// Why the kernel could not start init.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BootError {
    /// There is too little memory; so many frames are needed.
    TooLittleMemory {
        /// Frames that are needed.
        needed_frames: u64,
    },
    /// The boot image has no segments of init.
    NoImage,
    /// The segments of init are nonsense.
    CorruptImage,
}

/// What is needed to start init again.
pub(crate) struct InitRecord {
    process: AtomicU64,
    quota: AtomicU64,
    capsule: AtomicU64,
    hardware: AtomicU64,
    boot_info: AtomicU64,
    image: [AtomicU64; 2],
    entry: AtomicU64,
    /// Of each segment: address, bytes in memory, bytes of contents, first frame, flags.
    segments: [[AtomicU64; 5]; MAX_INIT_SEGMENTS],
    firmware: [AtomicU64; 2],
    incarnation: AtomicU64,
    last_death: AtomicU64,
}

impl InitRecord {
    pub(crate) const fn new() -> Self {
        Self {
            process: AtomicU64::new(0),
            quota: AtomicU64::new(0),
            capsule: AtomicU64::new(0),
            hardware: AtomicU64::new(0),
            boot_info: AtomicU64::new(0),
            image: [const { AtomicU64::new(0) }; 2],
            entry: AtomicU64::new(0),
            segments: [const { [const { AtomicU64::new(0) }; 5] }; MAX_INIT_SEGMENTS],
            firmware: [const { AtomicU64::new(0) }; 2],
            incarnation: AtomicU64::new(0),
            last_death: AtomicU64::new(0),
        }
    }

    /// The quota of the whole machine.
    #[cfg(feature = "audit")]
    pub(crate) fn quota_name(&self) -> Name<Quota> {
        Self::name(&self.quota)
    }

    /// init's capsule.
    #[cfg(feature = "audit")]
    pub(crate) fn capsule_name(&self) -> Name<Capsule> {
        Self::name(&self.capsule)
    }

    /// What the kernel itself holds for init.
    #[cfg(feature = "audit")]
    pub(crate) fn held(&self) -> [Held; 3] {
        [
            Held::new(Self::name::<Quota>(&self.quota), Rights::all()),
            Held::new(Self::name::<Hardware>(&self.hardware), Rights::all()),
            Held::new(Self::name::<Capsule>(&self.capsule), Rights::all()),
        ]
    }

    fn name<T>(cell: &AtomicU64) -> Name<T> {
        Name::from_bits(cell.load(Ordering::Relaxed))
    }
}

fn range([first, count]: &[AtomicU64; 2]) -> FrameRange {
    FrameRange { first: Frame::new(first.load(Ordering::Relaxed)), count: count.load(Ordering::Relaxed) }
}

/// What a failure while making init means at boot.
fn refused(outcome: Outcome) -> BootError {
    match outcome {
        Outcome::NoMemory | Outcome::QuotaFrames => BootError::TooLittleMemory { needed_frames: LEAST_FRAMES },
        _ => BootError::CorruptImage,
    }
}

impl<M: Machine> Kernel<M> {
    /// Takes the machine's memory, makes init and gives it everything. On CPU 0, once, before any other entry on any CPU.
    pub fn boot(&self, facts: &BootFacts<'_>) -> Result<Resume<'_>, BootError> {
        let shared = self.shared();
        shared
            .frames
            .initialise(self.machine(), facts.usable)
            .map_err(|needed| BootError::TooLittleMemory { needed_frames: needed + LEAST_FRAMES })?;
        let available = shared.frames.free_count();
        if available < LEAST_FRAMES {
            return Err(BootError::TooLittleMemory { needed_frames: LEAST_FRAMES });
        }
        remember_facts(shared, facts);
        shared.set_number_key(self.machine().random() | 1);
        let root = self.take_frame().ok_or(refused(Outcome::NoMemory))?;
        self.machine().initialise_root(root);
        shared.set_kernel_root(root);
        self.accounted_until.set(self.machine().ticks());

        self.make_root_objects(available - RESERVED_FRAMES).map_err(refused)?;
        self.start_init()?;
        Ok(self.resume())
    }

    /// The root quota, the authority over hardware, and init's capsule. They are never freed.
    fn make_root_objects(&self, frames: u64) -> Result<(), Outcome> {
        let record = &self.shared().init;
        let quota = self.make_root_quota(frames)?;
        let (hardware, _) = self.allocate::<Hardware>(quota)?;
        let capsule = self.make_capsule(quota, CAPSULE_PAGES, CAPSULE_SLOTS)?;
        self.acquire(Held::new(quota, Rights::all()));
        self.acquire(Held::new(hardware, Rights::all()));
        self.acquire(Held::new(capsule, Rights::all()));
        record.quota.store(quota.bits(), Ordering::Relaxed);
        record.hardware.store(hardware.bits(), Ordering::Relaxed);
        record.capsule.store(capsule.bits(), Ordering::Relaxed);
        Ok(())
    }

    /// The first quota has no parent to be charged to: it lies in a frame of its own, counted in its own figures.
    fn make_root_quota(&self, frames: u64) -> Result<Name<Quota>, Outcome> {
        let frame = self.take_frame().ok_or(Outcome::NoMemory)?;
        let name = Name::<Quota>::new(frame.at(0), self.next_generation());
        let quota = self.at(name);
        quota.header.name.set(name.bits());
        quota.header.kind.set(Kind::Quota as u32);
        quota.header.quota.set(name);
        quota.header.references.store(1, Ordering::Relaxed);
        quota.set_limit(Resource::Frames, frames);
        quota.set_limit(Resource::Handles, ALL_HANDLES);
        quota.set_limit(Resource::Threads, ALL_THREADS);
        quota.charge(Resource::Frames, 1)?;
        Ok(name)
    }

    /// Makes init from the boot image and starts it.
    fn start_init(&self) -> Result<(), BootError> {
        let record = &self.shared().init;
        if record.segments[0][1].load(Ordering::Relaxed) == 0 {
            return Err(BootError::NoImage);
        }
        let quota: Name<Quota> = InitRecord::name(&record.quota);
        let process_name = self.make_process(quota, Name::NONE, u32::from(PRIORITIES) - 1).map_err(refused)?;
        record.process.store(process_name.bits(), Ordering::Relaxed);
        let incarnation = record.incarnation.fetch_add(1, Ordering::Relaxed) + 1;
        let boot_info = Frame::new(record.boot_info.load(Ordering::Relaxed));
        // `BootInfo::incarnation` is the second word.
        self.machine().words(boot_info)[1].set(incarnation);

        let words = record.segments.iter().map(|words| words.each_ref().map(|word| word.load(Ordering::Relaxed)));
        for [address, memory_bytes, bytes, first, flags] in words.take_while(|words| words[1] != 0) {
            let (first, flags) = (Frame::new(first), flags as u32);
            self.load_segment(process_name, InitSegment { address, memory_bytes, bytes, first, flags })?;
        }
        self.furnish_init(process_name, boot_info).map_err(refused)
    }

    /// Maps a segment of init: straight from the image if it is only read or run, else as a copy.
    fn load_segment(&self, process: Name<Process>, segment: InitSegment) -> Result<(), BootError> {
        let page = PAGE_SIZE as u64;
        let length = segment.memory_bytes.div_ceil(page).saturating_mul(page);
        let is_writable = segment.flags & SEGMENT_WRITABLE != 0;
        let is_executable = segment.flags & SEGMENT_EXECUTABLE != 0;
        if length < segment.bytes || (is_writable && is_executable) {
            return Err(BootError::CorruptImage);
        }
        let range = UserRange::new(segment.address, length).map_err(|_| BootError::CorruptImage)?;
        let source = FrameRange { first: segment.first, count: segment.bytes.div_ceil(page) };
        let bits = protection::READ
            | if is_writable { protection::WRITE } else { 0 }
            | if is_executable { protection::EXECUTE } else { 0 };
        let quota = self.at(process).header.quota.get();
        let memory = if is_writable || source.count < range.pages() {
            self.copy_segment(quota, range.pages(), source, segment.bytes)
        } else {
            self.make_fixed(quota, source, MemoryKind::Boot, CacheKind::WriteBack)
        }
        .map_err(refused)?;
        self.map_and_forget(process, memory, range, bits as u32).map_err(refused)
    }

    fn copy_segment(
        &self,
        quota: Name<Quota>,
        pages: u64,
        source: FrameRange,
        length: u64,
    ) -> Result<Name<Memory>, Outcome> {
        let name = self.make_anonymous(quota, pages)?;
        let memory = self.at(name);
        for index in 0..source.count {
            let left = length - index * PAGE_SIZE as u64;
            let frame = self.page_frame_or_new(memory, index)?;
            let bytes = left.min(PAGE_SIZE as u64) as usize;
            self.machine().copy(source.first.plus(index), frame, bytes);
        }
        Ok(name)
    }

    /// Maps new memory, which then lives as long as the mapping.
    fn map_and_forget(
        &self,
        process: Name<Process>,
        memory: Name<Memory>,
        range: UserRange,
        bits: u32,
    ) -> Result<(), Outcome> {
        self.pin(memory);
        let result = self.map(
            process,
            &MappingRequest { range, memory, first_page: 0, protection: bits, allowed: bits, sharing: Sharing::Shared },
        );
        self.unpin(memory);
        result
    }

    /// Gives init its stack, its boot information, its handles and its first thread.
    fn furnish_init(&self, process_name: Name<Process>, boot_info: Frame) -> Result<(), Outcome> {
        let record = &self.shared().init;
        let quota: Name<Quota> = InitRecord::name(&record.quota);
        let page = PAGE_SIZE as u64;
        let read = protection::READ as u32;
        let stack = self.make_anonymous(quota, boot::INIT_STACK_BYTES / page)?;
        self.map_and_forget(
            process_name,
            stack,
            UserRange::new(boot::INIT_STACK_TOP - boot::INIT_STACK_BYTES, boot::INIT_STACK_BYTES)?,
            read | protection::WRITE as u32,
        )?;
        let info =
            self.make_fixed(quota, FrameRange { first: boot_info, count: 1 }, MemoryKind::Boot, CacheKind::WriteBack)?;
        self.map_and_forget(process_name, info, UserRange::new(boot::INIT_BOOT_INFO, page)?, read)?;
        let thread = self.make_thread(
            process_name,
            &ThreadStart {
                entry: record.entry.load(Ordering::Relaxed),
                // As after a call: eight bytes below a multiple of sixteen.
                stack: boot::INIT_STACK_TOP - 8,
                arguments: [boot::INIT_BOOT_INFO, 0],
                pages: UserRange::new(boot::INIT_MESSAGE_PAGES, 2 * page)?,
                priority: u32::from(PRIORITIES) - 1,
                fs_base: 0,
            },
        )?;

        let process = self.at(process_name);
        let all = Rights::all();
        let capsule: Name<Capsule> = InitRecord::name(&record.capsule);
        let hardware: Name<Hardware> = InitRecord::name(&record.hardware);
        let readable = Rights::READ | Rights::MAP | Rights::INSPECT | Rights::DUPLICATE | Rights::TRANSFER;
        let image = self.make_fixed(quota, range(&record.image), MemoryKind::Boot, CacheKind::WriteBack)?;
        self.grant_fixed(process, boot::SELF_PROCESS, Held::new(process_name, all))?;
        self.grant_fixed(process, boot::SELF_THREAD, Held::new(thread, all))?;
        self.grant_fixed(process, boot::ROOT_QUOTA, Held::new(quota, all))?;
        self.grant_fixed(process, boot::HARDWARE, Held::new(hardware, all))?;
        self.grant_fixed(process, boot::BOOT_IMAGE, Held::new(image, readable | Rights::EXECUTE))?;
        self.grant_fixed(process, boot::CAPSULE, Held::new(capsule, all))?;
        if range(&record.firmware).count != 0 {
            let firmware = self.make_fixed(quota, range(&record.firmware), MemoryKind::Boot, CacheKind::WriteBack)?;
            self.grant_fixed(process, boot::FIRMWARE, Held::new(firmware, readable))?;
        }
        self.make_ready(thread);
        Ok(())
    }

    /// Puts a handle into the next slot of a new table, which is the one that user space expects.
    fn grant_fixed(&self, process: &Process, expected: Handle, held: Held) -> Result<(), Outcome> {
        self.acquire(held);
        let handle = self.insert(process, held)?;
        debug_assert_eq!(handle, expected);
        Ok(())
    }

    /// If the process that has ended was init, it is started again, or the machine is.
    pub fn init_may_have_died(&self, name: Name<Process>) {
        let record = &self.shared().init;
        if record.process.load(Ordering::Relaxed) != name.bits() {
            return;
        }
        let now = self.machine().now();
        if self.at(name).cause() == DeathCause::Faulted as u32 {
            let last = record.last_death.swap(now, Ordering::Relaxed);
            if last != 0 && now.saturating_sub(last) < DEATH_INTERVAL_NANOSECONDS {
                self.machine().fatal("init died twice within ten seconds");
            }
        }
        if self.start_init().is_err() {
            self.machine().fatal("init can't be started again");
        }
    }
}

fn remember_facts(shared: &Shared, facts: &BootFacts<'_>) {
    for ([first, count], range) in shared.protected.iter().zip(facts.protected) {
        first.store(range.first.number(), Ordering::Relaxed);
        count.store(range.count, Ordering::Relaxed);
    }
    shared.cpu_count.store(facts.cpu_count as u64, Ordering::Relaxed);
    shared.time_page.store(facts.time_page.number(), Ordering::Relaxed);
    let record = &shared.init;
    for (place, range) in [(&record.image, facts.image), (&record.firmware, facts.firmware)] {
        place[0].store(range.first.number(), Ordering::Relaxed);
        place[1].store(range.count, Ordering::Relaxed);
    }
    for (places, segment) in record.segments.iter().zip(facts.init_segments) {
        let InitSegment { address, memory_bytes, bytes, first, flags } = *segment;
        for (place, value) in places.iter().zip([address, memory_bytes, bytes, first.number(), flags.into()]) {
            place.store(value, Ordering::Relaxed);
        }
    }
    record.entry.store(facts.init_entry, Ordering::Relaxed);
    record.boot_info.store(facts.boot_info.number(), Ordering::Relaxed);
}
