//! Random bits from the processor.

use x86::cpuid::CpuId;
use x86::random::{rdrand64, rdseed64};
use x86::time::rdtsc;

/// A generator is asked so often before it counts as broken (Intel's guide for RDRAND says 10).
const ATTEMPTS: u32 = 16;

/// A random word: from RDSEED, else RDRAND, else the counter's low bits, stirred.
pub fn word() -> u64 {
    from_processor().unwrap_or_else(from_counter)
}

/// Whether the processor has a generator.
pub fn has_generator() -> bool {
    from_processor().is_some()
}

fn from_processor() -> Option<u64> {
    let id = CpuId::new();
    let has_seed = id.get_extended_feature_info().is_some_and(|info| info.has_rdseed());
    let has_random = id.get_feature_info().is_some_and(|info| info.has_rdrand());
    let mut word = 0;
    for _ in 0..ATTEMPTS {
        // SAFETY: each instruction is used only where the processor reports it.
        let is_filled = unsafe { has_seed && rdseed64(&mut word) || has_random && rdrand64(&mut word) };
        if is_filled {
            return Some(word);
        }
        core::hint::spin_loop();
    }
    None
}

/// The mixing step of SplitMix64 over the time-stamp counter: unpredictable only as far as the moment is.
fn from_counter() -> u64 {
    // SAFETY: reading the time-stamp counter has no effect.
    let mut word = unsafe { rdtsc() }.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}
