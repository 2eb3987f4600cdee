//! Addresses that kernel and user space agree on, and the time page.

/// Bytes of a page and of a frame.
pub const PAGE_SIZE: usize = 4096;
/// The first address that a process may map.
pub const USER_START: u64 = 0x1_0000;
/// The end of what a process may map (exclusive): one page below the canonical hole, so that no `SYSCALL` can end there.
pub const USER_END: u64 = 0x7fff_ffff_f000;
/// Where the time page is mapped, read-only, in every process. The page is outside what a process may map or unmap.
pub const TIME_PAGE_ADDRESS: u64 = USER_END - 2 * PAGE_SIZE as u64;
/// The end of what a process may map itself (exclusive).
pub const USER_MAP_END: u64 = TIME_PAGE_ADDRESS;
/// CPUs, at most.
pub const MAX_CPUS: usize = 8;
/// Priorities: 0 is the lowest.
pub const PRIORITIES: u8 = 64;
/// A deadline that never comes.
pub const NEVER: u64 = u64::MAX;

/// The time page. `nanoseconds = ((tsc - tsc_at_boot) * multiplier) >> 32`, with a 128-bit product.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct TimePage {
    /// [`TimePage::MAGIC`].
    pub magic: u64,
    /// The time-stamp counter at time zero.
    pub tsc_at_boot: u64,
    /// Nanoseconds per tick, in 2^-32.
    pub multiplier: u64,
    /// Ticks per second.
    pub tsc_frequency: u64,
    /// CPUs that run.
    pub cpu_count: u64,
}

impl TimePage {
    /// What a time page starts with.
    pub const MAGIC: u64 = u64::from_le_bytes(*b"PblTime1");
}
