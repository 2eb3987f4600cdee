//! Where things lie in the kernel's half of every address space, and the linker's word on the kernel's own parts.

use core::ops::Range;

/// From the kernel's physical to its linked addresses; also in `targets/kernel.ld`.
pub const KERNEL_OFFSET: u64 = 0xffff_ffff_8000_0000;
/// Where physical address 0 is in the direct map: slot 256 of the top table.
pub const DIRECT_BASE: u64 = 0xffff_8000_0000_0000;
/// Physical addresses that the direct map can reach: 64 TiB.
pub const DIRECT_LIMIT: u64 = 1 << 46;
/// Registers of the interrupt controllers: slot 509.
pub const DEVICE_BASE: u64 = 0xffff_fe80_0000_0000;
/// Stacks, with nothing mapped between them: slot 510.
pub const STACK_BASE: u64 = 0xffff_ff00_0000_0000;
/// What the boot page tables map.
pub const BOOT_LIMIT: u64 = 1 << 32;

macro_rules! linker_ranges {
    ($($(#[$doc:meta])* $name:ident = $start:ident .. $end:ident;)*) => {
        unsafe extern "C" {
            $(static $start: u8; static $end: u8;)*
        }
        $($(#[$doc])* pub fn $name() -> Range<u64> {
            (&raw const $start) as u64..(&raw const $end) as u64
        })*
    };
}

linker_ranges! {
    /// The boot code and tables, by physical address.
    boot_range = __boot_start..__boot_end;
    /// Code, by linked address.
    text_range = __text_start..__text_end;
    /// Constants.
    rodata_range = __rodata_start..__rodata_end;
    /// Variables.
    data_range = __data_start..__data_end;
    /// Variables that start as zero.
    bss_range = __bss_start..__bss_end;
}

/// The physical address of something in the kernel's image.
pub fn physical(linked: u64) -> u64 {
    linked.wrapping_sub(KERNEL_OFFSET)
}

/// All of the kernel in physical memory.
pub fn kernel_physical_range() -> Range<u64> {
    boot_range().start..physical(bss_range().end)
}
