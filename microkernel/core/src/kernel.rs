//! The kernel of one CPU, as the machine sees it: a value with an entry for each thing that can happen.

use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::{layout::MAX_CPUS, layout::NEVER};

use crate::Machine;
use crate::ipc::OpenCall;
use crate::machine::{Access, DEVICE_VECTORS, Exception, FastResume, Resume};
use crate::mem::allocator::FrameAllocator;
use crate::mem::frame::{Frame, FrameRange};
use crate::mem::stock::FrameStock;
use crate::object::{Any, Name, Process, Thread};
use crate::sched::inbox::Inbox;
use crate::sched::ready::ReadyQueues;
use crate::sync::Lock;

pub use crate::boot::BootError;

/// Ranges of protected memory that are remembered.
pub const MAX_PROTECTED: usize = 32;

/// What the CPUs' kernels share. The machine keeps one in a `static`.
pub struct Shared {
    cpus: [CpuShared; MAX_CPUS],
    pub(crate) frames: FrameAllocator,
    /// Guards the tree of quotas and the lists of processes in it.
    pub(crate) tree: Lock,
    /// The Interrupt object of each vector.
    pub(crate) vectors: [AtomicU64; 256],
    /// Ranges that are never device memory: first frame and count.
    pub(crate) protected: [[AtomicU64; 2]; MAX_PROTECTED],
    pub(crate) cpu_count: AtomicU64,
    pub(crate) objects_alive: AtomicU64,
    /// The notification that is told of idle CPUs.
    pub(crate) idle_notification: AtomicU64,
    pub(crate) time_page: AtomicU64,
    kernel_root: AtomicU64,
    /// Scrambles the numbers by which user space tells objects apart.
    number_key: AtomicU64,
    /// What is needed to start init again.
    pub(crate) init: crate::boot::InitRecord,
}

/// What other CPUs see of one.
pub(crate) struct CpuShared {
    pub(crate) inbox: Inbox,
    /// Copies of the CPU's figures, written by it when it leaves the kernel the slow way.
    pub(crate) figures: [AtomicU64; FIGURES],
}

/// Figures of a CPU that `HardwareCpu` gives.
#[derive(Clone, Copy)]
pub(crate) enum Figure {
    Ready,
    IdleTicks,
    Switches,
    SystemCalls,
    Interrupts,
    Posts,
    LongestStay,
}
pub(crate) const FIGURES: usize = Figure::LongestStay as usize + 1;

impl Shared {
    /// An empty one.
    pub const fn new() -> Self {
        Self {
            cpus: [const { CpuShared { inbox: Inbox::new(), figures: [const { AtomicU64::new(0) }; FIGURES] } };
                MAX_CPUS],
            frames: FrameAllocator::new(),
            tree: Lock::new(),
            vectors: [const { AtomicU64::new(0) }; 256],
            protected: [const { [const { AtomicU64::new(0) }; 2] }; MAX_PROTECTED],
            cpu_count: AtomicU64::new(1),
            objects_alive: AtomicU64::new(0),
            idle_notification: AtomicU64::new(0),
            time_page: AtomicU64::new(0),
            kernel_root: AtomicU64::new(0),
            number_key: AtomicU64::new(0),
            init: crate::boot::InitRecord::new(),
        }
    }

    pub(crate) fn cpu(&self, number: usize) -> &CpuShared {
        &self.cpus[number % MAX_CPUS]
    }

    pub(crate) fn kernel_root(&self) -> u64 {
        self.kernel_root.load(Ordering::Relaxed)
    }

    pub(crate) fn set_kernel_root(&self, root: Frame) {
        self.kernel_root.store(root.number(), Ordering::Relaxed);
    }

    pub(crate) fn number_key(&self) -> u64 {
        self.number_key.load(Ordering::Relaxed)
    }

    pub(crate) fn set_number_key(&self, key: u64) {
        self.number_key.store(key, Ordering::Relaxed);
    }

    /// How many CPUs run.
    pub(crate) fn cpu_count(&self) -> usize {
        self.cpu_count.load(Ordering::Relaxed) as usize
    }

    /// Whether a range holds something that no driver may get.
    pub(crate) fn is_protected(&self, range: FrameRange) -> bool {
        self.protected.iter().any(|[first, count]| {
            range.overlaps(FrameRange {
                first: Frame::new(first.load(Ordering::Relaxed)),
                count: count.load(Ordering::Relaxed),
            })
        })
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self::new()
    }
}

/// The kernel of one CPU. Interrupts are off while any of its methods runs; none of them is called from inside another.
///
/// The *current* thread is the one that the last [`Resume::User`] named. Before it calls an entry, the machine has saved the
/// current thread's registers in its context, if user space was running.
pub struct Kernel<M: Machine + 'static> {
    machine: M,
    cpu: usize,
    shared: &'static Shared,
    pub(crate) current: Cell<Name<Thread>>,
    /// The process whose address space is active.
    pub(crate) active_process: Cell<Name<Process>>,
    pub(crate) accounted_until: Cell<u64>,
    /// When the last entry but those of the fast path began, in ticks.
    entered_at: Cell<u64>,
    /// 1 unless the fast path is turned off.
    pub(crate) fast_path: Cell<u64>,
    /// The call that the fast path has just made.
    pub(crate) open: OpenCall,
    /// What the hardware timer is armed for.
    pub(crate) armed_until: Cell<u64>,
    /// The earliest deadline.
    pub(crate) timers: Cell<u64>,
    /// When the current turn ends; never if nobody waits for it.
    pub(crate) turn_end: Cell<u64>,
    /// Ranges of ports that the active process has.
    pub(crate) ports_active: Cell<u32>,
    /// Since when it has had something to do; 0 while it has not.
    pub(crate) busy_since: Cell<u64>,
    pub(crate) work_first: Cell<Name<Any>>,
    pub(crate) work_last: Cell<Name<Any>>,
    generation: Cell<u64>,
    pub(crate) ready: ReadyQueues,
    pub(crate) stock: FrameStock,
    statistics: [Cell<u64>; FIGURES],
}

/// Whether short calls between threads of one CPU take the fast path. Off only in tests, where every way must end the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FastPath {
    /// They do.
    On,
    /// Every call goes the long way.
    Off,
}

impl<M: Machine> Kernel<M> {
    /// The kernel of CPU number `cpu`.
    pub const fn new(machine: M, cpu: usize, shared: &'static Shared) -> Self {
        Self {
            machine,
            cpu,
            shared,
            current: Cell::new(Name::NONE),
            active_process: Cell::new(Name::NONE),
            accounted_until: Cell::new(0),
            entered_at: Cell::new(0),
            fast_path: Cell::new(1),
            armed_until: Cell::new(NEVER),
            timers: Cell::new(0),
            open: OpenCall::new(),
            turn_end: Cell::new(NEVER),
            ports_active: Cell::new(0),
            busy_since: Cell::new(0),
            work_first: Cell::new(Name::NONE),
            work_last: Cell::new(Name::NONE),
            generation: Cell::new(0),
            ready: ReadyQueues::new(),
            stock: FrameStock::new(),
            statistics: [const { Cell::new(0) }; FIGURES],
        }
    }

    /// The machine.
    #[inline]
    pub const fn machine(&self) -> &M {
        &self.machine
    }

    /// The number of this CPU.
    #[inline]
    pub const fn cpu(&self) -> usize {
        self.cpu
    }

    #[inline]
    pub(crate) const fn shared(&self) -> &'static Shared {
        self.shared
    }

    /// Turns the fast path on or off.
    pub fn set_fast_path(&self, setting: FastPath) {
        self.fast_path.set(u64::from(setting == FastPath::On));
    }

    /// The current thread executed `SYSCALL`: the fast path, or else [`Kernel::long_syscall`]. A machine may call the two itself, to keep the
    /// long way's needs out of the short one.
    #[inline]
    pub fn syscall(&self) -> Resume<'_> {
        let Some(FastResume { context, words }) = self.try_fast() else {
            return self.long_syscall();
        };
        for (to, from) in context.words.iter().zip(&words.words) {
            to.set(from.get());
        }
        Resume::User(context)
    }

    /// The current thread's system call, which [`Kernel::try_fast`] did not perform.
    pub fn long_syscall(&self) -> Resume<'_> {
        self.begin();
        self.slow_syscall();
        self.leave_counted()
    }

    /// The current thread touched a page that is not there, or not for this.
    pub fn page_fault(&self, address: u64, access: Access, error_code: u64) -> Resume<'_> {
        self.begin();
        self.serve_page_fault(address, access, error_code);
        self.leave_counted()
    }

    /// The current thread did something else that the processor refused.
    pub fn exception(&self, exception: Exception) -> Resume<'_> {
        self.begin();
        self.serve_exception(exception);
        self.leave_counted()
    }

    /// A device interrupted with this vector. A line is masked in here; the machine ends the interrupt at the local APIC after this returns.
    pub fn interrupt(&self, vector: u8) -> Resume<'_> {
        self.begin();
        if DEVICE_VECTORS.contains(&vector) {
            self.count(Figure::Interrupts, 1);
            self.serve_interrupt(vector);
        }
        self.leave_counted()
    }

    /// The one-shot timer expired.
    pub fn timer(&self) -> Resume<'_> {
        self.begin();
        self.serve_timer();
        self.leave_counted()
    }

    /// Another CPU has posted something.
    pub fn ipi(&self) -> Resume<'_> {
        self.begin();
        self.serve_inbox();
        self.leave_counted()
    }

    /// Says what to run when nothing else happened: the first entry on a CPU other than 0 (after `boot` on CPU 0 has returned), after
    /// [`Resume::Poll`], and after an interrupt that was the machine's own affair.
    pub fn resume(&self) -> Resume<'_> {
        self.begin();
        self.leave_counted()
    }

    /// Every entry but the fast path's begins with this.
    fn begin(&self) {
        self.settle();
        self.entered_at.set(self.machine.ticks());
    }

    fn leave_counted(&self) -> Resume<'_> {
        let resume = self.leave();
        let stay = self.machine.ticks().wrapping_sub(self.entered_at.get());
        let longest = &self.statistics[Figure::LongestStay as usize];
        longest.set(longest.get().max(stay));
        self.statistics[Figure::Ready as usize].set(self.ready.count());
        for (place, value) in self.shared.cpu(self.cpu).figures.iter().zip(&self.statistics) {
            place.store(value.get(), Ordering::Relaxed);
        }
        resume
    }

    /// Adds to a figure of this CPU.
    #[inline]
    pub(crate) fn count(&self, figure: Figure, amount: u64) {
        let place = &self.statistics[figure as usize];
        place.set(place.get().wrapping_add(amount));
    }

    /// A number that differs from that of the last object.
    pub(crate) fn next_generation(&self) -> u64 {
        self.generation.set(self.generation.get() + 1);
        self.generation.get()
    }

    /// A cleared frame, not charged to anybody.
    pub(crate) fn take_frame(&self) -> Option<Frame> {
        self.stock.take(&self.machine, &self.shared.frames)
    }

    /// Gives a frame back.
    pub(crate) fn give_frame(&self, frame: Frame) {
        self.stock.give(&self.machine, &self.shared.frames, frame);
    }
}
