//! Handles: stale ones, forged ones, and rights that only shrink.

use abi::{Outcome as Kernel, Rights};
use libipc::{Handle, SysError};

use crate::{Context, Outcome, Test, fine, same};

/// The tests.
pub const TESTS: &[Test] = &[
    Test {
        name: "a closed handle is refused, also when its slot is used again",
        run: stale,
    },
    Test {
        name: "a forged handle is refused",
        run: forged,
    },
    Test {
        name: "a handle of another type is refused",
        run: wrong_type,
    },
    Test {
        name: "a copy has no more rights than its original",
        run: rights_shrink,
    },
];

fn stale(_: &Context) -> Outcome {
    let first = fine("create", Handle::<libipc::object::Notification>::create())?;
    let raw = first.raw();
    drop(first);
    let stale = Handle::<libipc::object::Notification>::from_raw(raw);
    same(stale.signal(1), Err(SysError(Kernel::BadHandle)))?;
    let others: alloc::vec::Vec<_> = (0..8)
        .filter_map(|_| Handle::<libipc::object::Notification>::create().ok())
        .collect();
    same(others.len(), 8)?;
    same(stale.signal(1), Err(SysError(Kernel::BadHandle)))?;
    let _forgotten = stale.into_raw();
    Ok(())
}

fn forged(_: &Context) -> Outcome {
    for number in [0u32, 1, 0xffff_ffff, 0x3fff, 0x8000_0001] {
        let forged =
            Handle::<libipc::object::Notification>::from_raw(abi::Handle(number | 0xfff0_0000));
        let found = forged.signal(1);
        let _forgotten = forged.into_raw();
        same(found, Err(SysError(Kernel::BadHandle)))?;
    }
    Ok(())
}

fn wrong_type(_: &Context) -> Outcome {
    let memory = fine(
        "create",
        Handle::<libipc::object::MemoryObject>::create(4096),
    )?;
    let disguised = Handle::<libipc::object::Notification>::from_raw(memory.raw());
    let found = disguised.signal(1);
    let _forgotten = disguised.into_raw();
    same(found, Err(SysError(Kernel::WrongType)))
}

fn rights_shrink(_: &Context) -> Outcome {
    let all = fine("create", Handle::<libipc::object::Notification>::create())?;
    let waiter = fine("copy", all.restricted(Rights::WAIT | Rights::DUPLICATE))?;
    same(waiter.signal(1), Err(SysError(Kernel::NoRights)))?;
    let again = fine("copy of the copy", waiter.restricted(Rights::all()))?;
    same(again.signal(1), Err(SysError(Kernel::NoRights)))?;
    fine("signal through the original", all.signal(4))?;
    same(again.poll(u64::MAX), Ok(4))
}
