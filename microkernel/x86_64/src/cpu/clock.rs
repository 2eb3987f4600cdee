//! Time: the time-stamp counter, and how fast it and the local APIC's timer run.
//!
//! Where the processor states the counter's frequency (CPUID leaf 0x15) that counts. Otherwise it is measured against the
//! power-management timer, or against channel 2 of the interval timer where there is none.

use core::hint::spin_loop;
use kernel_x86_64::ratio::Ratio;
use x86::cpuid::CpuId;
use x86::io::{inb, inl, outb};
use x86::time::rdtsc;

/// Frequency of the power-management timer (ACPI 6.5 §4.8.3.3), which has 24 bits that count.
const PM_FREQUENCY: u64 = 3_579_545;
const PM_MASK: u32 = 0xff_ffff;
/// How long to measure, in power-management ticks: about 8 ms.
const PM_INTERVAL: u64 = 28_636;
/// Readings of which the quickest is kept.
const SAMPLES: u32 = 8;
/// Frequency of the interval timer, and how long to measure with it: about 8 ms.
const PIT_FREQUENCY: u64 = 1_193_182;
const PIT_INTERVAL: u16 = 9_545;
const PIT_CHANNEL_2: u16 = 0x42;
const PIT_COMMAND: u16 = 0x43;
const PIT_GATE: u16 = 0x61;
/// Readings of a timer that is not there must end.
const PATIENCE: u32 = 50_000_000;

/// The two frequencies, in ticks a second.
#[derive(Clone, Copy, Debug)]
pub struct Frequencies {
    /// The time-stamp counter's.
    pub counter: u64,
    /// The local APIC timer's, with divisor 1.
    pub timer: u64,
}

/// No timer could be read.
#[derive(Clone, Copy, Debug)]
pub struct NoTimer;

/// The time-stamp counter.
pub fn ticks() -> u64 {
    // SAFETY: reading the time-stamp counter has no effect.
    unsafe { rdtsc() }
}

/// Measures how fast the counter and the local APIC timer run. `timer_count` reads the latter, which counts down.
pub fn measure(pm_timer: Option<u16>, timer_count: impl Fn() -> u32) -> Result<Frequencies, NoTimer> {
    let (passed, frequency) = match pm_timer {
        Some(port) => (against_pm_timer(port, timer_count)?, PM_FREQUENCY),
        None => (against_interval_timer(timer_count)?, PIT_FREQUENCY),
    };
    let per_second = |count: u64| (u128::from(count) * u128::from(frequency) / u128::from(passed.reference)) as u64;
    let counter = stated_frequency().unwrap_or(per_second(passed.counter));
    let timer = per_second(passed.timer);
    if counter == 0 || timer == 0 {
        return Err(NoTimer);
    }
    Ok(Frequencies { counter: round(counter), timer: round(timer) })
}

/// What the processor says of its counter.
fn stated_frequency() -> Option<u64> {
    CpuId::new().get_tsc_info()?.tsc_frequency().filter(|&frequency| frequency > 0)
}

/// Clocks are multiples of a megahertz; a measurement within a two-thousandth of one is that one.
fn round(frequency: u64) -> u64 {
    let nearest = (frequency + 500_000) / 1_000_000 * 1_000_000;
    if nearest.abs_diff(frequency) < frequency / 20_000 { nearest } else { frequency }
}

/// The three clocks at one moment, or how far they went.
#[derive(Clone, Copy)]
struct Sample {
    counter: u64,
    timer: u64,
    reference: u64,
}

/// Reads all clocks several times and keeps the reading that took the shortest: between two reads of an emulated
/// machine anything can happen.
fn sample(reference: impl Fn() -> u32, timer_count: impl Fn() -> u32) -> Sample {
    let read = |_| {
        let start = ticks();
        let (reference, timer) = (reference(), timer_count());
        let length = ticks().wrapping_sub(start);
        let counter = start.wrapping_add(length / 2);
        let sample = Sample { counter, timer: timer.into(), reference: reference.into() };
        (length, sample)
    };
    let (_, best) = (0..SAMPLES).map(read).min_by_key(|(length, _)| *length).unwrap_or_else(|| read(0));
    best
}

fn against_pm_timer(port: u16, timer_count: impl Fn() -> u32) -> Result<Sample, NoTimer> {
    // SAFETY: the port is the one that the ACPI tables name for the timer; reading it has no effect.
    let read = || unsafe { inl(port) } & PM_MASK;
    let start = sample(read, &timer_count);
    let passed = |end: u64| end.wrapping_sub(start.reference) & u64::from(PM_MASK);
    for _ in 0..PATIENCE {
        if passed(read().into()) >= PM_INTERVAL {
            let end = sample(read, &timer_count);
            return Ok(Sample {
                counter: end.counter.wrapping_sub(start.counter),
                timer: start.timer.wrapping_sub(end.timer),
                reference: passed(end.reference),
            });
        }
        spin_loop();
    }
    Err(NoTimer)
}

fn against_interval_timer(timer_count: impl Fn() -> u32) -> Result<Sample, NoTimer> {
    // SAFETY: channel 2 of the interval timer drives only the speaker, which stays off; its gate and output are bits 0 and 5
    // of port 0x61. Mode 0: the output rises when the count has run out.
    unsafe {
        outb(PIT_GATE, inb(PIT_GATE) & !3 | 1);
        outb(PIT_COMMAND, 0xb0);
        let [low, high] = PIT_INTERVAL.to_le_bytes();
        outb(PIT_CHANNEL_2, low);
        outb(PIT_CHANNEL_2, high);
        let (start, timer) = (ticks(), timer_count());
        for _ in 0..PATIENCE {
            if inb(PIT_GATE) & 0x20 != 0 {
                let counter = ticks().wrapping_sub(start);
                let timer = timer.wrapping_sub(timer_count()).into();
                return Ok(Sample { counter, timer, reference: PIT_INTERVAL.into() });
            }
            spin_loop();
        }
    }
    Err(NoTimer)
}

/// Waits, in PAUSEs, until so many nanoseconds have passed.
pub fn wait(ratio: Ratio, nanoseconds: u64) {
    let start = ticks();
    while ratio.apply(ticks().wrapping_sub(start)) < nanoseconds {
        spin_loop();
    }
}
