//! Quotas: every kind of object runs out with an error of its own, and everything comes back.

use abi::Outcome as Kernel;
use alloc::vec::Vec;
use libipc::object::{MemoryObject, Notification, Process, Quota, ThreadStart};
use libipc::{Deadline, Endpoint, Handle, Instant, SysError, thread};

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
    Test {
        name: "handles run out by name and come back",
        run: handles,
    },
    Test {
        name: "processes and threads run out by name and come back",
        run: processes,
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

fn handles(_: &Context) -> Outcome {
    let one = fine("one", Handle::<Notification>::create())?;
    until_refused(|| one.duplicate())
}

/// Processes with a thread each, under a quota of their own, until it is used up; then the quota is closed over them.
fn processes(context: &Context) -> Outcome {
    let quota = context
        .quota
        .as_ref()
        .ok_or("there is no quota for processes")?;
    let before = fine("figures", quota.figures())?;
    let mut counts = [0; 2];
    for (round, count) in counts.iter_mut().enumerate() {
        // The first time frames are what is short, the second time threads.
        let threads = if round == 0 { 100 } else { 6 };
        let own = fine("split", quota.split(300, 4000, threads))?;
        let mut made = Vec::new();
        let refusal = loop {
            match populated(&own) {
                Ok(process) if made.len() < MANY => made.push(process),
                Ok(_) => return Err(alloc::format!("{MANY} were made without a refusal")),
                Err(SysError(error)) => break error,
            }
        };
        let expected = [Kernel::QuotaFrames, Kernel::QuotaThreads][round];
        same(refusal, expected)?;
        *count = made.len();
        fine("close", own.close())?;
        drop((own, made));
        let deadline = Deadline::after_ms(5_000);
        while fine("figures", quota.figures())? != before {
            if Instant::now() > deadline.moment() {
                return Err("not everything comes back".into());
            }
            fine("wait", thread::pause(Deadline::after_ms(10)))?;
        }
    }
    same((counts[0] > 10, counts[1]), (true, 6))
}

/// A process with a thread, which is never started.
fn populated(quota: &Handle<Quota>) -> Result<Handle<Process>, SysError> {
    let process = Handle::<Process>::create(quota, None, 10)?;
    let start = ThreadStart {
        entry: 0x1000_0000,
        stack: 0,
        arguments: [0, 0],
        pages: 0x2000_0000,
        priority: 1,
        fs_base: 0,
    };
    match process.create_thread(&start) {
        Ok(_) => Ok(process),
        Err(error) => {
            process.kill(0)?;
            Err(error)
        }
    }
}
