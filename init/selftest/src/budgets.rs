//! Budgets: a program that never rests gets its share and no more.

use core::time::Duration;
use libipc::object::Process;
use libipc::{Deadline, Handle, Instant, thread};

use crate::{Context, Outcome, Test, fine, hardening, same};

/// `jmp` to itself.
const SPIN: &[u8] = &[0xeb, 0xfe];
const BUDGET: Duration = Duration::from_millis(2);
const PERIOD: Duration = Duration::from_millis(20);
/// How long it spins.
const SPAN_MS: u64 = 400;

/// The tests.
pub const TESTS: &[Test] = &[Test {
    name: "a program that never rests gets its budget and no more",
    run: spinner,
}];

fn spinner(context: &Context) -> Outcome {
    let quota = context
        .quota
        .as_ref()
        .ok_or("there is no quota for processes")?;
    let process = fine("process", Handle::<Process>::create(quota, None, 20))?;
    fine("limit", process.limit_cpu(BUDGET, PERIOD))?;
    fine("start", hardening::start(&process, quota, SPIN))?;
    let (limited, passed) = spent(&process, SPAN_MS)?;
    fine("unlimit", process.limit_cpu(Duration::ZERO, Duration::ZERO))?;
    let (free, _) = spent(&process, SPAN_MS)?;
    fine("kill", process.kill(0))?;
    // The host may stop the whole machine for a while, which the guest takes for time used: a tenth is its share, a quarter is too much.
    same((limited > 0, limited <= passed / 4), (true, true))
        .map_err(|why| alloc::format!("{why}: {limited} of {passed} ns"))?;
    same((free > limited, free), (true, free))
}

/// The time that a process uses while this one rests, and how long that was.
fn spent(
    process: &Handle<Process>,
    milliseconds: u64,
) -> Result<(u64, u64), alloc::string::String> {
    let now = || Instant::now().as_ns();
    let used = || fine("figures", process.figures()).map(|figures| (figures.cpu_ns, now()));
    let (before, start) = used()?;
    fine("wait", thread::pause(Deadline::after_ms(milliseconds)))?;
    let (after, end) = used()?;
    Ok((after - before, end - start))
}
