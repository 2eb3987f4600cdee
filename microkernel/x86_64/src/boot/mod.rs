//! From the loader's word to a running core: finding the machine's memory, tables and processors, building the kernel's own
//! address space, and handing everything to the core. See `docs/kernel/boot.md`.

mod entry;
mod image;
mod info;

use crate::apic::{io, legacy, local as apic};
use crate::cpu::clock::{self, Frequencies};
use crate::cpu::local::CpuLocal;
use crate::cpu::{features, random};
use crate::paging::kernel_map::{KernelMap, NoBootMemory};
use crate::paging::{direct, layout, stacks};
use crate::{debug_uart, iommu, machine, panic, say, smp, trap};
use abi::layout::MAX_CPUS;
use core::arch::asm;
use core::ops::Range;
use heapless::Vec;
use kernel_core::BootError;
use kernel_core::machine::{BootFacts, Frame, FrameRange};
use kernel_x86_64::firmware::acpi::Acpi;
use kernel_x86_64::firmware::memory_map::MemoryMap;
use kernel_x86_64::firmware::start_info::{self, CommandLine, Loaded};
use kernel_x86_64::ratio::Ratio;
use spin::Once;

const PAGE: u64 = abi::layout::PAGE_SIZE as u64;
const MEBIBYTE: u64 = 1 << 20;
/// What the system needs beside its boot image to come up.
const NEEDED_BYTES: u64 = 24 * MEBIBYTE;
/// Ranges of memory that the core is told of.
const MAX_RANGES: usize = 64;

/// What the first half of the boot finds and the second needs.
struct Found {
    /// The time-stamp counter when the kernel was entered.
    entered_at: u64,
    memory: MemoryMap,
    free: MemoryMap,
    acpi: Acpi,
    image: Range<u64>,
    init: (u64, image::Segments),
    rsdp: u64,
    command_line: CommandLine,
    io_apic_bases: Vec<(u64, u32), { abi::boot::MAX_IO_APICS }>,
    root: u64,
    trampoline: u64,
    boot_info: u64,
    time_page: u64,
}

/// Handed over from the boot stack to the kernel's.
static FOUND: Once<Found> = Once::new();

/// The first line of Rust, on the boot stack and the boot page tables.
extern "C" fn start(start_info: u64) -> ! {
    let entered_at = clock::ticks();
    debug_uart::init();
    say!("PebbleOS {}", env!("CARGO_PKG_VERSION"));
    if let Err(missing) = features::check() {
        panic::refuse(format_args!("the processor lacks {}", missing.0));
    }
    // SAFETY: the boot tables map what lies below 4 GiB, where the loader and firmware put their tables, and nobody writes them.
    let firmware = unsafe { direct::FirmwareMemory::new() };
    let loaded = match start_info::read(&firmware, start_info) {
        Ok(loaded) => loaded,
        Err(error) => panic::refuse(format_args!("the loader's start information is unusable: {error:?}")),
    };
    let found = match find(&firmware, loaded, entered_at) {
        Ok(found) => FOUND.call_once(|| found),
        Err(NoBootMemory) => {
            panic::refuse(format_args!("there is too little memory; {} MiB are needed", needed_mebibytes(0)))
        }
    };
    // SAFETY: the new tables map the kernel where it is and the stack that it goes to; `continue_boot` never returns to this
    // stack. What `found` refers to is static.
    unsafe {
        asm!(
            "mov cr3, {root}",
            "mov rsp, {stack}",
            "xor ebp, ebp",
            "call {next}",
            "ud2",
            root = in(reg) found.root,
            stack = in(reg) stacks::kernel_stack_top(0),
            next = sym continue_boot,
            options(noreturn),
        )
    }
}

/// Finds what there is, and builds the kernel's address space.
fn find(firmware: &direct::FirmwareMemory, loaded: Loaded, entered_at: u64) -> Result<Found, NoBootMemory> {
    let Some(image) = loaded.image else {
        panic::refuse(format_args!("there is no boot image: give one to QEMU with -initrd"));
    };
    let init = image::init(&image).unwrap_or_else(|problem| panic::refuse(format_args!("{problem}")));
    let usable = loaded.memory.usable_bytes();
    if usable < NEEDED_BYTES + (image.end - image.start) {
        let needed = needed_mebibytes(image.end - image.start);
        panic::refuse(format_args!("{} MiB of memory are too little; {needed} MiB are needed", usable / MEBIBYTE));
    }
    let acpi = loaded.rsdp.map(|rsdp| Acpi::read(firmware, rsdp)).unwrap_or_default();

    let mut free = loaded.memory.clone();
    free.reserve(layout::kernel_physical_range());
    free.reserve(image.clone());
    let trampoline = low_page(&free).ok_or(NoBootMemory)?;
    free.reserve(0..MEBIBYTE);
    let boot_info = free.take_pages(1, layout::BOOT_LIMIT).ok_or(NoBootMemory)?;
    let time_page = free.take_pages(1, layout::BOOT_LIMIT).ok_or(NoBootMemory)?;

    let mut map = KernelMap::new(&mut free, &loaded.memory)?;
    for cpu in 0..acpi.cpus.len().max(1) {
        stacks::map(&mut map, cpu)?;
    }
    let local_apic = map.map_device(apic::physical_base())?;
    let mut io_apic_bases = Vec::new();
    for info in &acpi.io_apics {
        // There is room for as many as the tables were read for.
        let _ = io_apic_bases.push((map.map_device(info.address)?, info.first_gsi));
    }
    let root = map.root();
    // SAFETY: the page is the local APIC's, mapped for ever; the map is complete, and reaches all memory. Nothing is read
    // through either before the map is active.
    unsafe {
        apic::set_base(local_apic);
        machine::set_kernel_root(root);
    }
    Ok(Found {
        entered_at,
        memory: loaded.memory,
        free,
        acpi,
        image,
        init,
        rsdp: loaded.rsdp.unwrap_or(0),
        command_line: loaded.command_line,
        io_apic_bases,
        root,
        trampoline,
        boot_info,
        time_page,
    })
}

/// A free page below 1 MiB for the start of the other CPUs; not page 0.
fn low_page(free: &MemoryMap) -> Option<u64> {
    free.usable()
        .map(|range| range.start.max(PAGE)..range.end.min(MEBIBYTE))
        .find(|range| !range.is_empty())
        .map(|range| range.start)
}

fn needed_mebibytes(image_bytes: u64) -> u64 {
    (NEEDED_BYTES + image_bytes).div_ceil(MEBIBYTE)
}

/// On the kernel's own stack and page tables: the processors, the interrupt controllers, the clock, then the core.
extern "C" fn continue_boot() -> ! {
    let Some(found) = FOUND.get() else { unreachable!("`start` fills it before it comes here") };
    let limit = found.memory.memory().map(|range| range.end).max().unwrap_or(0);
    // SAFETY: the map shows all memory, and only memory is read through it from here on.
    unsafe { direct::set_limit(limit.min(layout::DIRECT_LIMIT)) };
    for cpu in 0..found.acpi.cpus.len().max(1) {
        // SAFETY: `find` mapped the stacks; the CPUs that will use them do not run, and this one's is only written at its top.
        unsafe { stacks::announce(cpu) };
    }
    trap::fill();
    prepare_cpu(0);
    legacy::disable();
    for &(base, first_gsi) in &found.io_apic_bases {
        // SAFETY: `find` mapped the registers of each.
        unsafe { io::add(base, first_gsi) };
    }
    let counter_at_boot = found.entered_at;
    let frequencies = measure_clock(found.acpi.pm_timer);
    for cpu in 0..MAX_CPUS {
        CpuLocal::of(cpu).kernel.machine().set_clock(counter_at_boot, frequencies);
    }
    smp::set_boot_cpu(apic::id());
    smp::start_others(&found.acpi.cpus, found.trampoline, found.root, Ratio::to_nanoseconds(frequencies.counter));
    report(found);
    run(found, counter_at_boot, frequencies)
}

/// Gives this CPU its segments, its interrupts and its protection.
pub fn prepare_cpu(number: usize) {
    // SAFETY: the stacks were announced, the CPU is number `number` and comes here once; it has its final page tables, and
    // `start` checked the features.
    unsafe {
        CpuLocal::of(number).load();
        trap::load();
        features::enable();
    }
    apic::enable();
}

fn measure_clock(pm_timer: Option<u16>) -> Frequencies {
    apic::start_timer(u32::MAX);
    let measured = clock::measure(pm_timer, apic::timer_count);
    apic::start_timer(0);
    match measured {
        Ok(frequencies) => frequencies,
        Err(clock::NoTimer) => panic::refuse(format_args!("no timer answers to measure the clock with")),
    }
}

fn report(found: &Found) {
    say!("{} MiB of memory, {} CPUs", found.memory.usable_bytes() / MEBIBYTE, smp::running());
    if found.acpi.cpus_left_out > 0 {
        say!("{} further CPUs are not used", found.acpi.cpus_left_out);
    }
    if !random::has_generator() {
        say!("the processor has no random generator: keys made here are weak");
    }
    if features::is_leaky() {
        say!("this processor lets programs read kernel memory by speculation");
    }
}

/// Hands the machine to the core and runs what it says.
fn run(found: &'static Found, counter_at_boot: u64, frequencies: Frequencies) -> ! {
    let has_iommu = iommu::report(&found.acpi);
    info::write_time_page(found.time_page, counter_at_boot, frequencies);
    let firmware = firmware_range(found);
    info::write_boot_info(found, &firmware, has_iommu);
    if let Some(table) = image::symbols(&found.image) {
        panic::set_symbols(table);
    }
    let usable: Vec<FrameRange, MAX_RANGES> = found.free.usable().map(frames).collect();
    let mut protected: Vec<FrameRange, MAX_RANGES> = found.memory.usable().map(frames).collect();
    let registers = found.acpi.io_apics.iter().map(|info| info.address).chain([apic::physical_base()]);
    for address in registers {
        if protected.push(frames(address..address + 1)).is_err() {
            panic::refuse(format_args!("the memory map has too many ranges"));
        }
    }
    let facts = BootFacts {
        usable: &usable,
        protected: &protected,
        cpu_count: smp::running(),
        image: frames(found.image.clone()),
        init_entry: found.init.0,
        init_segments: &found.init.1,
        firmware: frames(firmware),
        boot_info: Frame::containing(found.boot_info),
        time_page: Frame::containing(found.time_page),
    };
    let cpu = CpuLocal::this();
    match cpu.kernel.boot(&facts) {
        Ok(resume) => {
            smp::release_others();
            trap::leave(resume)
        }
        Err(BootError::TooLittleMemory { needed_frames }) => {
            let needed = (needed_frames * PAGE).div_ceil(MEBIBYTE);
            panic::refuse(format_args!("there is too little memory; {needed} MiB are needed"))
        }
        Err(BootError::NoImage) => panic::refuse(format_args!("the boot image has no init program")),
        Err(BootError::CorruptImage) => panic::refuse(format_args!("the boot image's init program is damaged")),
    }
}

/// The frames that a range of bytes touches.
fn frames(range: Range<u64>) -> FrameRange {
    if range.is_empty() {
        return FrameRange::EMPTY;
    }
    let first = Frame::containing(range.start);
    FrameRange { first, count: range.end.div_ceil(PAGE) - first.number() }
}

/// Where the firmware's tables lie, in whole pages, unless that would show a driver memory in use.
fn firmware_range(found: &Found) -> Range<u64> {
    let Some(tables) = &found.acpi.tables else {
        return 0..0;
    };
    let pages = tables.start / PAGE * PAGE..tables.end.next_multiple_of(PAGE);
    let is_shared = found.memory.usable().any(|range| range.start < pages.end && pages.start < range.end);
    if is_shared { 0..0 } else { pages }
}

/// A CPU that another one started comes here, on its own stack and the final page tables.
pub fn start_other(number: usize) -> ! {
    prepare_cpu(number);
    smp::report_running();
    smp::wait_for_release();
    trap::leave(CpuLocal::this().kernel.resume())
}
