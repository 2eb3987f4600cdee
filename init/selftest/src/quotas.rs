//! Quotas: every kind of object runs out with an error of its own, and everything comes back.

use abi::Outcome as Kernel;
use alloc::vec::Vec;
use libipc::object::{MemoryObject, Notification};
use libipc::{Endpoint, Handle, SysError};

use crate::{Context, Outcome, Test, fine, same};

/// More than any quota of this program allows.
const MANY: usize = 20_000;

/// The tests.
pub const TESTS: &[Test] = &[
    Test {
        name: "notifications run out by name and come back",
        run: notifications,
    },
    Test {
        name: "memory runs out by name and comes back",
        run: memory,
    },
    Test {
        name: "endpoints run out by name and come back",
        run: endpoints,
    },
];

/// Makes things until it is refused, checks why, gives them back, and does it again: as many must fit.
fn until_refused<T>(create: impl Fn() -> Result<T, SysError>) -> Outcome {
    let mut counts = [0; 2];
    for count in &mut counts {
        let mut made = Vec::new();
        let refusal = loop {
            if made.len() == MANY {
                return Err(alloc::format!("{MANY} were made without a refusal"));
            }
            match create() {
                Ok(one) => made.push(one),
                Err(SysError(error)) => break error,
            }
        };
        let is_named = matches!(refusal, Kernel::QuotaFrames | Kernel::QuotaHandles);
        same((is_named, refusal), (true, refusal))?;
        *count = made.len();
    }
    same(counts[1], counts[0])
}

fn notifications(_: &Context) -> Outcome {
    until_refused(Handle::<Notification>::create)
}

fn memory(_: &Context) -> Outcome {
    until_refused(|| Handle::<MemoryObject>::create_contiguous(64 * 1024))
}

fn endpoints(_: &Context) -> Outcome {
    let first = fine("one", Endpoint::create())?;
    drop(first);
    until_refused(Endpoint::create)
}
