//! Notifications: sticky bits, waits that end.

use abi::Outcome as Kernel;
use libipc::object::Notification;
use libipc::{Deadline, Handle, Instant, SysError};

use crate::{Context, Outcome, Test, fine, same};

/// The tests.
pub const TESTS: &[Test] = &[
    Test {
        name: "bits stay until they are taken, and only those asked for are",
        run: sticky,
    },
    Test {
        name: "a wait ends by its deadline, not before",
        run: deadline,
    },
];

fn sticky(_: &Context) -> Outcome {
    let bits = fine("create", Handle::<Notification>::create())?;
    fine("signal", bits.signal(0b101))?;
    fine("signal", bits.signal(0b010))?;
    same(bits.poll(0b011), Ok(0b011))?;
    same(bits.wait(u64::MAX, Deadline::after_ms(1000)), Ok(0b100))?;
    same(bits.poll(u64::MAX), Ok(0))
}

fn deadline(_: &Context) -> Outcome {
    let bits = fine("create", Handle::<Notification>::create())?;
    let before = Instant::now().as_ns();
    same(
        bits.wait(1, Deadline::after_ms(20)),
        Err(SysError(Kernel::DeadlinePassed)),
    )?;
    let waited = Instant::now().as_ns().saturating_sub(before);
    if waited >= 20_000_000 {
        Ok(())
    } else {
        Err(alloc::format!("it waited {waited} ns only"))
    }
}
