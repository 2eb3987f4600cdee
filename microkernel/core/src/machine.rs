//! The border between the kernel's decisions and the hardware that carries them out.
//!
//! `core` decides and never touches hardware; an implementation of [`Machine`] does and never decides. Everything that the
//! kernel remembers lies in physical frames, which it sees through two windows that the machine opens: [`Machine::object`]
//! and [`Machine::words`]. Both give *shared* references to cells: all mutation goes through `Cell`s and atomics.
//!
//! # Why that is sound
//!
//! 1. What lies in a frame is made of integers in cells and atomics (`zerocopy::FromBytes` proves it), so every bit pattern is a
//!    valid value and a stale reference can give a wrong number but never undefined behaviour of its own.
//! 2. A `Cell` is touched by one CPU at a time. Each object has a *home* CPU, whose kernel alone touches its cells; what others
//!    may touch is atomic, or guarded by a lock of the object; an object changes its home only through an inbox, whose
//!    release/acquire pair orders the two CPUs' accesses.
//! 3. A `Kernel` does not preempt itself: interrupts are off from entry to return, and NMI-class entries do not enter `core`.

use core::cell::Cell;

use zerocopy::FromBytes;

pub use crate::mem::frame::{Frame, FrameRange, Location, WORDS_PER_FRAME};

/// What the kernel asks of the hardware. One value for each CPU, used by that CPU's [`Kernel`](crate::Kernel) only.
pub trait Machine {
    // ---- memory -------------------------------------------------------------------------------------------------

    /// The object at `at`, through the kernel's own mapping of all RAM. `at` is aligned to 64 bytes and the object does not
    /// leave its frame; `core` makes locations only from frames that the machine gave it at boot.
    fn object<T: FromBytes>(&self, at: Location) -> &T;

    /// A frame as words.
    fn words(&self, frame: Frame) -> &[Cell<u64>; WORDS_PER_FRAME];

    /// Fills a frame with zeros.
    fn clear(&self, frame: Frame);

    /// Copies the first `bytes` (at most a page) of `from` to the start of `to`, rounded up to words.
    fn copy(&self, from: Frame, to: Frame, bytes: usize);

    // ---- paging -------------------------------------------------------------------------------------------------
    // Four levels of tables with 512 entries of one word. An entry that is zero maps nothing. `core` allocates the tables
    // and writes what these functions encode; what it writes takes effect for pages that were not present at once.

    /// Puts the kernel's half into a new, cleared top-level table.
    fn initialise_root(&self, root: Frame);

    /// The entry that points to a table of the next level.
    fn table_entry(&self, table: Frame) -> u64;

    /// The entry that maps a user page. Writable and executable never come together.
    fn page_entry(&self, page: Frame, access: PageAccess, cache: CacheKind) -> u64;

    /// The frame (table or page) that a present entry names; `None` if the entry is not present.
    fn entry_frame(&self, entry: u64) -> Option<Frame>;

    /// Switches to another address space and drops what the TLB held of the last one (unless the hardware tells them apart).
    fn activate(&self, root: Frame);

    /// Forgets what the TLB holds of one page of the address space `root`, on this CPU.
    fn flush_page(&self, root: Frame, address: u64);

    /// Forgets what the TLB holds of the address space `root`, on this CPU.
    fn flush_all(&self, root: Frame);

    // ---- time ---------------------------------------------------------------------------------------------------

    /// Nanoseconds since boot; the same on every CPU.
    fn now(&self) -> u64;

    /// The raw counter, for accounting: cheaper than [`Machine::now`].
    fn ticks(&self) -> u64;

    /// Nanoseconds in so many ticks.
    fn ticks_to_nanoseconds(&self, ticks: u64) -> u64;

    /// Arms this CPU's one-shot timer: [`Kernel::timer`](crate::Kernel::timer) is called at or after `instant` (in nanoseconds since
    /// boot; a moment that has passed means at once). Replaces what was armed; `u64::MAX` disarms.
    fn arm_timer(&self, instant: u64);

    // ---- CPUs ---------------------------------------------------------------------------------------------------

    /// Makes [`Kernel::ipi`](crate::Kernel::ipi) be called on another CPU.
    fn send_ipi(&self, cpu: usize);

    /// Says that this CPU spins (the PAUSE instruction).
    fn pause(&self);

    /// Random bits, for keys of trees and for seeds; they need not be of cryptographic quality.
    fn random(&self) -> u64;

    // ---- interrupts ---------------------------------------------------------------------------------------------

    /// Routes a line of an I/O APIC to `vector` on `cpu`, masked. Fails if there is no such line.
    fn route_line(&self, line: InterruptLine, vector: u8, cpu: usize) -> Result<(), NoSuchLine>;

    /// Masks a line.
    fn mask_line(&self, gsi: u32);

    /// Unmasks a line.
    fn unmask_line(&self, gsi: u32);

    /// The address and the data that make a device send `vector` to `cpu` as a message.
    fn message(&self, vector: u8, cpu: usize) -> InterruptMessage;

    /// Sets the I/O ports that user space on this CPU may use from now on; an empty slice for none. Called on a switch
    /// to or from a process that has ports, and only then.
    fn set_ports(&self, ranges: &[PortRange]);

    /// Tells that a process now has these ports. If the debug UART is among them, the kernel stops writing to it.
    fn ports_taken(&self, range: PortRange);

    // ---- the end of the line --------------------------------------------------------------------------------------

    /// Writes a byte to the debug UART, unless a driver has its ports.
    fn debug_write(&self, byte: u8);

    /// Reports that the system can't go on (init died twice in a short time), dumps what helps, and restarts the machine.
    fn fatal(&self, reason: &str) -> !;
}

/// What user space may do with a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageAccess {
    /// Look.
    Read,
    /// Look and change.
    ReadWrite,
    /// Look and run.
    ReadExecute,
}

impl PageAccess {
    /// The same but for changing it.
    pub fn without_writing(self) -> Self {
        if self == Self::ReadWrite { Self::Read } else { self }
    }
}

/// How a page is cached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CacheKind {
    /// As RAM.
    WriteBack,
    /// Not at all.
    Uncached,
    /// Writes are gathered.
    WriteCombining,
}

/// A line of an I/O APIC and how it signals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InterruptLine {
    /// Global system interrupt.
    pub gsi: u32,
    /// By level or by edge.
    pub trigger: Trigger,
    /// Which level is the signal.
    pub polarity: Polarity,
}

/// How a line signals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// A change.
    Edge,
    /// A state.
    Level,
}

/// Which level is the signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Polarity {
    /// The high one.
    ActiveHigh,
    /// The low one.
    ActiveLow,
}

/// The machine has no such interrupt line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoSuchLine;

/// What a device writes where to interrupt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InterruptMessage {
    /// The address.
    pub address: u64,
    /// The data.
    pub data: u64,
}

/// Ranges of ports that a process can have.
pub const MAX_PORT_RANGES: usize = 4;

/// A range of I/O ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PortRange {
    /// The first one.
    pub first: u16,
    /// How many.
    pub count: u16,
}

/// The vectors that `core` gives to devices, first and last. The machine keeps the others (exceptions below; timer, inter-processor
/// and spurious interrupts above).
pub const DEVICE_VECTORS: core::ops::RangeInclusive<u8> = 0x30..=0xdf;

/// The registers of a thread that is not running. Lies inside the thread's object.
///
/// The machine's entry code saves registers here, and its exit code loads them from the context that [`Resume::User`] names.
/// Message words are saved in the order of the message, so that the kernel moves them from one thread's context to another's once.
#[derive(FromBytes)]
#[repr(C, align(64))]
pub struct UserContext {
    /// rax: operation and shape of the message; the outcome on return.
    pub info: Cell<u64>,
    /// rdi: two handles; a badge or a result on return.
    pub handles: Cell<u64>,
    /// rsi: deadline or argument; a handle, bits or a result on return.
    pub argument: Cell<u64>,
    /// rdx, r8, r9, r10, r12, r13, r14, r15.
    pub words: [Cell<u64>; 8],
    /// rbx.
    pub rbx: Cell<u64>,
    /// rbp.
    pub rbp: Cell<u64>,
    /// The stack pointer.
    pub rsp: Cell<u64>,
    /// Where the thread goes on.
    pub rip: Cell<u64>,
    /// The flags. `core` sets only flags that user space may have.
    pub rflags: Cell<u64>,
    /// rcx: valid if the thread was interrupted.
    pub rcx: Cell<u64>,
    /// r11: valid if the thread was interrupted.
    pub r11: Cell<u64>,
    /// The base of fs. Loaded when the thread runs after another one; saved when another one runs after it.
    pub fs_base: Cell<u64>,
    /// How the thread left user space: [`UserContext::BY_SYSCALL`] or [`UserContext::BY_INTERRUPT`]. In the first case rcx, r11 and the vector
    /// registers need not be kept. The entry code sets it.
    pub entered: Cell<u64>,
    /// For the machine's own use (whether `vector` is filled, for example). Zero in a new thread.
    pub machine: [Cell<u64>; 4],
    /// Vector registers as `fxsave` writes them, if the machine has put them here.
    pub vector: [Cell<u64>; 64],
}

/// Flags of a thread at its start: interrupts on.
pub const INITIAL_FLAGS: u64 = 0x202;
/// Flags that user space, or its debugger, may choose: arithmetic, direction, single step.
pub const CHOOSABLE_FLAGS: u64 = 0xdd5;

impl UserContext {
    /// The thread is in a system call, or was never in user space.
    pub const BY_SYSCALL: u64 = 0;
    /// The thread was interrupted or faulted: all its registers count.
    pub const BY_INTERRUPT: u64 = 1;
}

/// What the machine does when a kernel entry is over.
#[derive(Clone, Copy)]
pub enum Resume<'k> {
    /// Run this thread. Its address space is active.
    User(&'k UserContext),
    /// Nothing to do: halt with interrupts on until one comes.
    Idle,
    /// No thread to run, but work is left: let interrupts in for an instant, then call [`Kernel::resume`](crate::Kernel::resume).
    Poll,
}

/// What the fast path answers: the thread to run now. Its address space is active.
#[derive(Clone, Copy)]
pub struct FastResume<'k> {
    /// The thread's registers, but for the words of the message.
    pub context: &'k UserContext,
    /// The registers whose words it is to find: those of the thread that sent it a message, so that they are moved once, when they are loaded.
    pub words: &'k UserContext,
}

/// What a thread did when the hardware stopped it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exception {
    /// What happened.
    pub kind: abi::FaultKind,
    /// The address that was touched; 0 if there is none.
    pub address: u64,
    /// The processor's error code; 0 if there is none.
    pub error_code: u64,
}

/// What a thread wanted of a page that it could not get.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// To look.
    Read,
    /// To change.
    Write,
    /// To run.
    Execute,
}

/// A segment of init, whose contents the machine has checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InitSegment {
    /// Where it goes.
    pub address: u64,
    /// Bytes there; those without contents are zero.
    pub memory_bytes: u64,
    /// Bytes of its contents.
    pub bytes: u64,
    /// The frame in which they begin; the others follow.
    pub first: Frame,
    /// `abi::image::SEGMENT_WRITABLE` or `SEGMENT_EXECUTABLE`.
    pub flags: u32,
}

/// Segments of init, at most.
pub const MAX_INIT_SEGMENTS: usize = 8;

/// What the machine found at boot.
pub struct BootFacts<'a> {
    /// RAM that the kernel may use: without its own image, the boot image, the firmware's ranges, and the frames below.
    pub usable: &'a [FrameRange],
    /// All RAM, used or not, and everything else that no driver may get as device memory (I/O APICs, local APICs).
    pub protected: &'a [FrameRange],
    /// CPUs that run or will run (1 to `abi::layout::MAX_CPUS`).
    pub cpu_count: usize,
    /// Where the boot image lies.
    pub image: FrameRange,
    /// Where init begins.
    pub init_entry: u64,
    /// Its segments.
    pub init_segments: &'a [InitSegment],
    /// The firmware's tables for the platform driver; empty if there are none.
    pub firmware: FrameRange,
    /// A frame with an `abi::boot::BootInfo`, complete but for `incarnation`, which `core` writes.
    pub boot_info: Frame,
    /// A frame with the `abi::layout::TimePage`.
    pub time_page: Frame,
}
