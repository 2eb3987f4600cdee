//! The two pages that tell user space about the machine: the time page and init's `BootInfo`.

use super::Found;
use crate::cpu::clock::Frequencies;
use crate::cpu::random;
use crate::paging::direct;
use crate::smp;
use abi::boot::BootInfo;
use abi::layout::{PAGE_SIZE, TimePage};
use core::ops::Range;
use kernel_x86_64::ratio::Ratio;

/// Fills the time page.
pub fn write_time_page(physical: u64, counter_at_boot: u64, frequencies: Frequencies) {
    let page = TimePage {
        magic: TimePage::MAGIC,
        tsc_at_boot: counter_at_boot,
        multiplier: Ratio::to_nanoseconds(frequencies.counter).0,
        tsc_frequency: frequencies.counter,
        cpu_count: smp::running() as u64,
    };
    write(physical, page);
}

/// Fills the page that init finds everything in. `incarnation` is the core's to write.
pub fn write_boot_info(found: &Found, firmware: &Range<u64>, has_iommu: bool) {
    let mut info = BootInfo {
        magic: BootInfo::MAGIC,
        incarnation: 0,
        cpu_count: smp::running() as u32,
        has_iommu: has_iommu.into(),
        memory_bytes: found.memory.usable_bytes(),
        image_bytes: found.image.end - found.image.start,
        rsdp: found.rsdp,
        firmware_base: firmware.start,
        firmware_length: firmware.end - firmware.start,
        config_window_count: found.acpi.config_windows.len() as u32,
        override_count: found.acpi.overrides.len() as u32,
        config_windows: Default::default(),
        overrides: Default::default(),
        random_seed: core::array::from_fn(|_| random::word()),
        framebuffer_base: 0,
        framebuffer_pitch: 0,
        framebuffer_width: 0,
        framebuffer_height: 0,
        command_line_length: found.command_line.len() as u32,
        command_line: [0; abi::boot::MAX_COMMAND_LINE],
    };
    info.config_windows[..found.acpi.config_windows.len()].copy_from_slice(&found.acpi.config_windows);
    info.overrides[..found.acpi.overrides.len()].copy_from_slice(&found.acpi.overrides);
    info.command_line[..found.command_line.len()].copy_from_slice(&found.command_line);
    write(found.boot_info, info);
}

/// Writes a value at the start of a page that was taken for it, and zeros behind.
fn write<T>(physical: u64, value: T) {
    const { assert!(size_of::<T>() <= PAGE_SIZE) };
    let Some(page) = direct::pointer(physical, PAGE_SIZE as u64) else {
        return;
    };
    // SAFETY: the page was taken from the free memory for this, is mapped, and is nobody else's yet.
    unsafe {
        page.write_bytes(0, PAGE_SIZE);
        page.cast::<T>().write(value);
    }
}
