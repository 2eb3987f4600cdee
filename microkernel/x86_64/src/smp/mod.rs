//! The other CPUs: starting them one after the other (Intel SDM 3A §9.4), and which APIC identifier each has.

mod trampoline;

use crate::apic::local as apic;
use crate::cpu::clock;
use abi::layout::MAX_CPUS;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use kernel_x86_64::ratio::Ratio;

/// How long a CPU needs after INIT, and may need after a start message.
const AFTER_INIT: u64 = 10_000_000;
const AFTER_STARTUP: u64 = 200_000;
const PATIENCE: u64 = 500_000_000;

static APIC_IDS: [AtomicU8; MAX_CPUS] = [const { AtomicU8::new(0) }; MAX_CPUS];
/// CPUs that have come up.
static RUNNING: AtomicUsize = AtomicUsize::new(1);
/// Whether the core is ready for them.
static IS_RELEASED: AtomicBool = AtomicBool::new(false);

/// The APIC identifier of a CPU.
#[inline]
pub fn apic_id(cpu: usize) -> u8 {
    APIC_IDS[cpu % MAX_CPUS].load(Ordering::Relaxed)
}

/// CPUs that run.
pub fn running() -> usize {
    RUNNING.load(Ordering::Acquire)
}

/// Says that this CPU has come up.
pub fn report_running() {
    RUNNING.fetch_add(1, Ordering::AcqRel);
}

/// Lets the other CPUs go, once the core has booted.
pub fn release_others() {
    IS_RELEASED.store(true, Ordering::Release);
}

/// Waits for [`release_others`].
pub fn wait_for_release() {
    while !IS_RELEASED.load(Ordering::Acquire) {
        spin_loop();
    }
}

/// Tells the boot CPU's identifier.
pub fn set_boot_cpu(id: u8) {
    APIC_IDS[0].store(id, Ordering::Relaxed);
}

/// Starts the CPUs with the identifiers `ids` (the boot CPU's is skipped), each at `trampoline::start`, with the page tables
/// at `root`. One that does not come up is left out, and the CPUs keep following numbers.
///
/// `page` is a free page below 1 MiB.
pub fn start_others(ids: &[u8], page: u64, root: u64, to_nanoseconds: Ratio) {
    let others = || ids.iter().copied().filter(|&id| id != apic_id(0));
    if others().next().is_none() {
        return;
    }
    trampoline::install(page, root);
    others().for_each(apic::send_init);
    clock::wait(to_nanoseconds, AFTER_INIT);
    for id in others() {
        let number = running();
        if number == MAX_CPUS {
            return;
        }
        APIC_IDS[number].store(id, Ordering::Relaxed);
        if !start(id, number, page, to_nanoseconds) {
            crate::say!("the CPU with APIC identifier {id} does not start");
        }
    }
}

fn start(id: u8, number: usize, page: u64, to_nanoseconds: Ratio) -> bool {
    trampoline::prepare(number);
    let began = clock::ticks();
    let passed = || to_nanoseconds.apply(clock::ticks().wrapping_sub(began));
    apic::send_startup(id, (page >> 12) as u8);
    let mut is_repeated = false;
    while running() == number {
        if passed() > PATIENCE {
            // Should it come up later after all, it finds that it is not wanted.
            return !trampoline::cancel();
        }
        if passed() > AFTER_STARTUP && !is_repeated {
            apic::send_startup(id, (page >> 12) as u8);
            is_repeated = true;
        }
        spin_loop();
    }
    true
}
