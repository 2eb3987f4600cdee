//! A machine of N CPUs whose memory is a block of bytes, and whose clock, timers and interrupts the test drives.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use kernel_core::machine::{
    CacheKind, Frame, InterruptLine, InterruptMessage, Location, Machine, NoSuchLine, PageAccess, PortRange,
    WORDS_PER_FRAME,
};

const PAGE: usize = 4096;
const PRESENT: u64 = 1;
const WRITABLE: u64 = 2;
const EXECUTABLE: u64 = 4;

/// RAM.
pub struct Ram {
    base: *mut u8,
    layout: Layout,
}

impl Ram {
    /// RAM as the last world of this host thread left it, if there was one: the kernel must not mind.
    fn new(frames: u64) -> Self {
        let layout_is = |ram: &Self| ram.layout.size() == frames as usize * PAGE;
        if let Some(used) = USED.take().filter(layout_is) {
            return used;
        }
        let layout = Layout::from_size_align(frames as usize * PAGE, PAGE).expect("a sane size");
        // SAFETY: the layout is not empty.
        let base = unsafe { alloc_zeroed(layout) };
        assert!(!base.is_null());
        Self { base, layout }
    }

    fn at(&self, address: u64, bytes: usize) -> *const u8 {
        let address = address as usize;
        assert!(
            address != 0 && address + bytes <= self.layout.size(),
            "the kernel reached outside of RAM: {address:#x}"
        );
        // SAFETY: inside the block, as just checked.
        unsafe { self.base.add(address) }
    }
}

thread_local! {
    static USED: Cell<Option<Ram>> = const { Cell::new(None) };
}

impl Drop for Bus {
    fn drop(&mut self) {
        let empty = Ram { base: std::ptr::null_mut(), layout: Layout::new::<()>() };
        USED.set(Some(std::mem::replace(&mut self.ram, empty)));
    }
}

impl Drop for Ram {
    fn drop(&mut self) {
        if self.base.is_null() {
            return;
        }
        // SAFETY: this is how it was allocated.
        unsafe { dealloc(self.base, self.layout) }
    }
}

/// What the CPUs share.
pub struct Bus {
    pub ram: Ram,
    pub now: Cell<u64>,
    pub timers: Vec<Cell<u64>>,
    pub ipis: Vec<Cell<bool>>,
    pub active_roots: Vec<Cell<u64>>,
    pub unmasked: RefCell<Vec<u32>>,
    pub log: RefCell<Vec<u8>>,
    pub ports: RefCell<Vec<PortRange>>,
    random: Cell<u64>,
}

impl Bus {
    pub fn new(cpus: usize, frames: u64, seed: u64) -> Rc<Self> {
        Rc::new(Self {
            ram: Ram::new(frames),
            now: Cell::new(1),
            timers: vec![Cell::new(u64::MAX); cpus],
            ipis: vec![Cell::new(false); cpus],
            active_roots: vec![Cell::new(0); cpus],
            unmasked: RefCell::default(),
            log: RefCell::default(),
            ports: RefCell::default(),
            random: Cell::new(seed | 1),
        })
    }

    pub fn words(&self, frame: Frame) -> &[Cell<u64>; WORDS_PER_FRAME] {
        let pointer = self.ram.at(frame.address(), PAGE);
        // SAFETY: inside RAM, aligned, any bits are words, and all access goes through cells on one host thread.
        unsafe { &*pointer.cast() }
    }
}

/// One CPU's view.
pub struct ModelMachine {
    pub bus: Rc<Bus>,
    pub cpu: usize,
}

impl Machine for ModelMachine {
    fn object<T: zerocopy::FromBytes>(&self, at: Location) -> &T {
        let bytes = size_of::<T>();
        assert!(at.address() % PAGE as u64 + bytes as u64 <= PAGE as u64, "an object leaves its frame");
        let pointer = self.bus.ram.at(at.address(), bytes);
        // SAFETY:
        // 1. Inside RAM and aligned to 64 bytes, which no object exceeds.
        // 2. `FromBytes`: any bits are a value. What changes does so through cells and atomics, on one host thread.
        unsafe { &*pointer.cast() }
    }

    fn words(&self, frame: Frame) -> &[Cell<u64>; WORDS_PER_FRAME] {
        self.bus.words(frame)
    }

    fn clear(&self, frame: Frame) {
        self.words(frame).iter().for_each(|word| word.set(0));
    }

    fn copy(&self, from: Frame, to: Frame, bytes: usize) {
        for (source, target) in self.words(from).iter().zip(self.words(to)).take(bytes.div_ceil(8)) {
            target.set(source.get());
        }
    }

    fn initialise_root(&self, _root: Frame) {}

    fn table_entry(&self, table: Frame) -> u64 {
        table.address() | PRESENT
    }

    fn page_entry(&self, page: Frame, access: PageAccess, _cache: CacheKind) -> u64 {
        page.address()
            | PRESENT
            | match access {
                PageAccess::Read => 0,
                PageAccess::ReadWrite => WRITABLE,
                PageAccess::ReadExecute => EXECUTABLE,
            }
    }

    fn entry_frame(&self, entry: u64) -> Option<Frame> {
        (entry & PRESENT != 0).then(|| Frame::containing(entry))
    }

    fn activate(&self, root: Frame) {
        self.bus.active_roots[self.cpu].set(root.number());
    }

    fn flush_page(&self, _root: Frame, _address: u64) {}

    fn flush_all(&self, _root: Frame) {}

    fn now(&self) -> u64 {
        self.bus.now.get()
    }

    fn ticks(&self) -> u64 {
        self.bus.now.get()
    }

    fn ticks_to_nanoseconds(&self, ticks: u64) -> u64 {
        ticks
    }

    fn arm_timer(&self, instant: u64) {
        self.bus.timers[self.cpu].set(instant);
    }

    fn send_ipi(&self, cpu: usize) {
        assert_ne!(cpu, self.cpu);
        self.bus.ipis[cpu].set(true);
    }

    fn pause(&self) {
        panic!("a lock is taken twice: CPUs of the model never overlap");
    }

    fn random(&self) -> u64 {
        let mut value = self.bus.random.get();
        value ^= value << 13;
        value ^= value >> 7;
        value ^= value << 17;
        self.bus.random.set(value);
        value
    }

    fn route_line(&self, line: InterruptLine, _vector: u8, _cpu: usize) -> Result<(), NoSuchLine> {
        if line.gsi < 24 { Ok(()) } else { Err(NoSuchLine) }
    }

    fn mask_line(&self, gsi: u32) {
        self.bus.unmasked.borrow_mut().retain(|&line| line != gsi);
    }

    fn unmask_line(&self, gsi: u32) {
        self.bus.unmasked.borrow_mut().push(gsi);
    }

    fn message(&self, vector: u8, cpu: usize) -> InterruptMessage {
        InterruptMessage { address: 0xfee0_0000 | (cpu as u64) << 12, data: u64::from(vector) }
    }

    fn set_ports(&self, ranges: &[PortRange]) {
        *self.bus.ports.borrow_mut() = ranges.to_vec();
    }

    fn ports_taken(&self, _range: PortRange) {}

    fn debug_write(&self, byte: u8) {
        self.bus.log.borrow_mut().push(byte);
    }

    fn fatal(&self, reason: &str) -> ! {
        panic!("fatal: {reason}");
    }
}
