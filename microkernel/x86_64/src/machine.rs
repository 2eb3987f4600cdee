//! [`Machine`] for x86-64: one value in each CPU's area.

use crate::apic::{io, local as apic};
use crate::cpu::clock;
use crate::cpu::local::CpuLocal;
use crate::cpu::random;
use crate::cpu::segments::PortAccess;
use crate::debug_uart;
use crate::paging::layout::DIRECT_BASE;
use crate::paging::table::{Entry, Flags};
use crate::{panic, smp};
use abi::layout::NEVER;
use core::arch::asm;
use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering};
use kernel_core::machine::{
    CacheKind, Frame, InterruptLine, InterruptMessage, Location, MAX_PORT_RANGES, Machine, NoSuchLine, PageAccess,
    PortRange, WORDS_PER_FRAME,
};
use kernel_x86_64::ratio::Ratio;
use zerocopy::FromBytes;

/// The top table with the kernel's half; active before the first address space is.
static KERNEL_ROOT: AtomicU64 = AtomicU64::new(0);
/// The address that a message interrupt is written to (Intel SDM 3A §11.11.1).
const MESSAGE_BASE: u64 = 0xfee0_0000;
/// Entries of the top table that are the kernel's.
const KERNEL_HALF: core::ops::Range<usize> = WORDS_PER_FRAME / 2..WORDS_PER_FRAME;

/// The hardware of one CPU, as the core sees it.
pub struct X86 {
    number: usize,
    counter_at_boot: Cell<u64>,
    to_nanoseconds: Cell<Ratio>,
    to_timer_ticks: Cell<Ratio>,
    armed: Cell<u64>,
    root: Cell<u64>,
    /// What the bitmap of ports says, whether or not it is in force.
    ports: Cell<[PortRange; MAX_PORT_RANGES]>,
}

impl X86 {
    /// The hardware of CPU number `number`.
    pub const fn new(number: usize) -> Self {
        Self {
            number,
            counter_at_boot: Cell::new(0),
            to_nanoseconds: Cell::new(Ratio(0)),
            to_timer_ticks: Cell::new(Ratio(0)),
            armed: Cell::new(NEVER),
            root: Cell::new(0),
            ports: Cell::new([PortRange { first: 0, count: 0 }; MAX_PORT_RANGES]),
        }
    }

    /// Tells the clocks' ratios and when time began.
    pub fn set_clock(&self, counter_at_boot: u64, frequencies: clock::Frequencies) {
        self.counter_at_boot.set(counter_at_boot);
        self.to_nanoseconds.set(Ratio::to_nanoseconds(frequencies.counter));
        self.to_timer_ticks.set(Ratio::from_nanoseconds(frequencies.timer));
    }

    /// Whether the moment that the timer was armed for has come. A wait longer than the hardware can count goes in parts: if
    /// it has not, the next part begins.
    pub fn timer_is_due(&self) -> bool {
        let armed = self.armed.get();
        let is_due = armed <= self.now();
        if is_due {
            self.armed.set(NEVER);
        } else {
            self.arm_timer(armed);
        }
        is_due
    }

    fn area(&self) -> &'static CpuLocal {
        CpuLocal::of(self.number)
    }

    /// Makes the bitmap say something else.
    #[cold]
    #[inline(never)]
    fn change_ports(&self, old: &[PortRange; MAX_PORT_RANGES], wanted: &[PortRange; MAX_PORT_RANGES]) {
        self.ports.set(*wanted);
        self.area().with_segments(|segments| {
            for range in old {
                segments.set_ports(range.first, range.count, PortAccess::Forbidden);
            }
            for range in wanted {
                segments.set_ports(range.first, range.count, PortAccess::Allowed);
            }
        });
    }
}

/// Names the top table that all others take the kernel's half from.
///
/// # Safety
/// `root` is a complete kernel map that never changes again.
pub unsafe fn set_kernel_root(root: u64) {
    KERNEL_ROOT.store(root, Ordering::Relaxed);
}

/// Where the direct map shows a frame. The core has only frames of memory that it was given at boot, all of it mapped.
fn frame_pointer(frame: Frame) -> *mut u64 {
    (DIRECT_BASE + frame.address()) as *mut u64
}

impl Machine for X86 {
    #[inline]
    fn object<T: FromBytes>(&self, at: Location) -> &T {
        const { assert!(align_of::<T>() <= 64 && size_of::<T>() <= abi::layout::PAGE_SIZE) };
        // SAFETY:
        // 1. The direct map shows all memory that the core was given, and locations come from there and are aligned to 64.
        // 2. The object does not leave its frame, which is the caller's word.
        // 3. `FromBytes` types are valid for all bytes, and the core's are made of cells and atomics (see `Machine`).
        unsafe { &*((DIRECT_BASE + at.address()) as *const T) }
    }

    #[inline]
    fn words(&self, frame: Frame) -> &[Cell<u64>; WORDS_PER_FRAME] {
        // SAFETY: as for `object`; a frame is a page of words.
        unsafe { &*frame_pointer(frame).cast() }
    }

    #[inline]
    fn clear(&self, frame: Frame) {
        // SAFETY: the frame is the core's, and this CPU's while it is cleared; `rep stosq` writes one page forwards (the direction flag is clear
        // in the kernel).
        unsafe {
            asm!("rep stosq", inout("rcx") WORDS_PER_FRAME => _, inout("rdi") frame_pointer(frame) => _, in("rax") 0_u64,
                options(nostack, preserves_flags));
        }
    }

    #[inline]
    fn copy(&self, from: Frame, to: Frame, bytes: usize) {
        let words = bytes.min(abi::layout::PAGE_SIZE).div_ceil(8);
        // SAFETY: as for `clear`; at most a page is moved.
        unsafe {
            asm!("rep movsq", inout("rcx") words => _, inout("rdi") frame_pointer(to) => _, inout("rsi") frame_pointer(from) => _,
                options(nostack, preserves_flags));
        }
    }

    fn initialise_root(&self, root: Frame) {
        let kernel = self.words(Frame::containing(KERNEL_ROOT.load(Ordering::Relaxed)));
        for (mine, theirs) in self.words(root)[KERNEL_HALF].iter().zip(&kernel[KERNEL_HALF]) {
            mine.set(theirs.get());
        }
    }

    fn table_entry(&self, table: Frame) -> u64 {
        Entry::new(table.address(), Flags::PRESENT | Flags::WRITABLE | Flags::USER).bits()
    }

    #[inline]
    fn page_entry(&self, page: Frame, access: PageAccess, cache: CacheKind) -> u64 {
        let access = match access {
            PageAccess::Read => Flags::NO_EXECUTE,
            PageAccess::ReadWrite => Flags::WRITABLE | Flags::NO_EXECUTE,
            PageAccess::ReadExecute => Flags::empty(),
        };
        let cache = match cache {
            CacheKind::WriteBack => Flags::empty(),
            CacheKind::Uncached => Flags::UNCACHED | Flags::WRITE_THROUGH,
            // `features::enable` puts write-combining into this entry of the page attribute table.
            CacheKind::WriteCombining => Flags::WRITE_THROUGH,
        };
        Entry::new(page.address(), Flags::PRESENT | Flags::USER | access | cache).bits()
    }

    #[inline]
    fn entry_frame(&self, entry: u64) -> Option<Frame> {
        let entry = Entry::from_bits(entry);
        entry.is_present().then(|| Frame::containing(entry.address()))
    }

    #[inline]
    fn activate(&self, root: Frame) {
        self.root.set(root.address());
        // SAFETY: the core names only top tables that it made with `initialise_root`, so the kernel's half is as it is now.
        unsafe { asm!("mov cr3, {}", in(reg) root.address(), options(nostack, preserves_flags)) };
    }

    #[inline]
    fn flush_page(&self, root: Frame, address: u64) {
        // What is not active has nothing in the TLB: it was dropped with the last change of address space.
        if self.root.get() == root.address() {
            // SAFETY: dropping an entry of the TLB changes nothing but time.
            unsafe { asm!("invlpg [{}]", in(reg) address, options(nostack, preserves_flags)) };
        }
    }

    fn flush_all(&self, root: Frame) {
        if self.root.get() == root.address() {
            self.activate(root);
        }
    }

    #[inline]
    fn now(&self) -> u64 {
        self.ticks_to_nanoseconds(clock::ticks().wrapping_sub(self.counter_at_boot.get()))
    }

    #[inline]
    fn ticks(&self) -> u64 {
        clock::ticks()
    }

    #[inline]
    fn ticks_to_nanoseconds(&self, ticks: u64) -> u64 {
        self.to_nanoseconds.get().apply(ticks)
    }

    fn arm_timer(&self, instant: u64) {
        self.armed.set(instant);
        if instant == NEVER {
            apic::start_timer(0);
            return;
        }
        let wait = self.to_timer_ticks.get().apply(instant.saturating_sub(self.now()));
        // At least one tick, because zero would stop the timer; at most what it can count (see `timer_is_due`).
        apic::start_timer(u32::try_from(wait).unwrap_or(u32::MAX).max(1));
    }

    fn send_ipi(&self, cpu: usize) {
        apic::send_post(smp::apic_id(cpu));
    }

    fn pause(&self) {
        core::hint::spin_loop();
    }

    fn random(&self) -> u64 {
        random::word()
    }

    fn route_line(&self, line: InterruptLine, vector: u8, cpu: usize) -> Result<(), NoSuchLine> {
        io::route(line, vector, smp::apic_id(cpu))
    }

    fn mask_line(&self, gsi: u32) {
        io::mask(gsi);
    }

    fn unmask_line(&self, gsi: u32) {
        io::unmask(gsi);
    }

    fn message(&self, vector: u8, cpu: usize) -> InterruptMessage {
        InterruptMessage { address: MESSAGE_BASE | u64::from(smp::apic_id(cpu)) << 12, data: vector.into() }
    }

    fn set_ports(&self, ranges: &[PortRange]) {
        let count = ranges.len().min(MAX_PORT_RANGES);
        if count == 0 {
            // The bitmap keeps what it says: mostly the same process comes back.
            self.area().with_segments(|segments| segments.use_ports(PortAccess::Forbidden));
            return;
        }
        let mut wanted = [PortRange::default(); MAX_PORT_RANGES];
        wanted[..count].copy_from_slice(&ranges[..count]);
        let old = self.ports.get();
        if old != wanted {
            self.change_ports(&old, &wanted);
        }
        self.area().with_segments(|segments| segments.use_ports(PortAccess::Allowed));
    }

    fn ports_taken(&self, range: PortRange) {
        debug_uart::release_if_within(range.first, range.count);
    }

    fn debug_write(&self, byte: u8) {
        debug_uart::write_byte(byte);
    }

    fn fatal(&self, reason: &str) -> ! {
        panic::fatal(reason)
    }
}
