//! What the kernel gives to init at boot.
//!
//! init starts with `rdi` = address of the [`BootInfo`] page (read-only), `rsi` = 0. Its handles have fixed slots, generation 1,
//! so their numbers are constants.

use crate::handle::Handle;

/// init's handle of its own process (all rights).
pub const SELF_PROCESS: Handle = Handle::new(1, 1);
/// init's handle of its first thread.
pub const SELF_THREAD: Handle = Handle::new(2, 1);
/// init's quota: all of the machine.
pub const ROOT_QUOTA: Handle = Handle::new(3, 1);
/// The authority over hardware.
pub const HARDWARE: Handle = Handle::new(4, 1);
/// The boot image (`READ | EXECUTE | MAP`), as QEMU's `-initrd` brought it.
pub const BOOT_IMAGE: Handle = Handle::new(5, 1);
/// init's own capsule; empty at the first start.
pub const CAPSULE: Handle = Handle::new(6, 1);
/// The ACPI tables and other firmware memory that a platform driver reads (`READ | MAP`), if there are any.
pub const FIRMWARE: Handle = Handle::new(7, 1);

/// Where the kernel maps the message pages of init's first thread: the send page, then the receive page.
pub const INIT_MESSAGE_PAGES: u64 = 0x1000_0000;
/// Where the kernel maps the [`BootInfo`] page.
pub const INIT_BOOT_INFO: u64 = 0x1000_4000;
/// The end of init's first stack (exclusive); the kernel maps [`INIT_STACK_BYTES`] below it.
pub const INIT_STACK_TOP: u64 = 0x1010_0000;
/// Bytes of init's first stack; below it nothing is mapped.
pub const INIT_STACK_BYTES: u64 = 0x4_0000;
/// From here on init maps what it likes; its image and all of the above lie below.
pub const INIT_FREE_START: u64 = 0x2000_0000;
/// The end of that (exclusive).
pub const INIT_FREE_END: u64 = 0x7000_0000_0000;

/// I/O APICs that [`BootInfo`] has room for.
pub const MAX_IO_APICS: usize = 4;
/// Interrupt overrides that [`BootInfo`] has room for.
pub const MAX_OVERRIDES: usize = 16;
/// Windows of memory-mapped configuration space that [`BootInfo`] has room for.
pub const MAX_CONFIG_WINDOWS: usize = 4;
/// Bytes of the kernel's command line that are kept.
pub const MAX_COMMAND_LINE: usize = 512;

/// An interrupt source override of the MADT (ACPI 6.5 §5.2.12.5).
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct InterruptOverride {
    /// ISA line.
    pub source: u32,
    /// Global system interrupt.
    pub gsi: u32,
    /// MPS INTI flags.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
}

/// A window of PCI Express configuration space from the MCFG.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct ConfigWindow {
    /// Physical address of bus 0's configuration space.
    pub base: u64,
    /// PCI segment.
    pub segment: u16,
    /// First bus.
    pub first_bus: u8,
    /// Last bus.
    pub last_bus: u8,
    /// Zero.
    pub reserved: u32,
}

/// The machine, as the kernel found it. One page, mapped read-only in init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct BootInfo {
    /// [`BootInfo::MAGIC`].
    pub magic: u64,
    /// How often the kernel has started init (1: first).
    pub incarnation: u64,
    /// CPUs that run.
    pub cpu_count: u32,
    /// 1 if DMA is held in check by an IOMMU.
    pub has_iommu: u32,
    /// Bytes of usable memory.
    pub memory_bytes: u64,
    /// Bytes of the boot image.
    pub image_bytes: u64,
    /// Physical address of the RSDP; 0 if none.
    pub rsdp: u64,
    /// Physical address and length of the firmware range behind [`FIRMWARE`].
    pub firmware_base: u64,
    /// Bytes of it.
    pub firmware_length: u64,
    /// Configuration windows that are valid.
    pub config_window_count: u32,
    /// Overrides that are valid.
    pub override_count: u32,
    /// PCI configuration space.
    pub config_windows: [ConfigWindow; MAX_CONFIG_WINDOWS],
    /// ISA interrupt overrides.
    pub overrides: [InterruptOverride; MAX_OVERRIDES],
    /// A seed from the processor's random generator.
    pub random_seed: [u64; 4],
    /// Physical base of the framebuffer; 0 if none.
    pub framebuffer_base: u64,
    /// Bytes a line.
    pub framebuffer_pitch: u32,
    /// Pixels a line.
    pub framebuffer_width: u32,
    /// Lines.
    pub framebuffer_height: u32,
    /// Bytes of the command line.
    pub command_line_length: u32,
    /// The kernel's command line, UTF-8.
    pub command_line: [u8; MAX_COMMAND_LINE],
}

impl BootInfo {
    /// What a BootInfo starts with.
    pub const MAGIC: u64 = u64::from_le_bytes(*b"PblBoot1");
}

const _: () = assert!(core::mem::size_of::<BootInfo>() <= crate::layout::PAGE_SIZE);
