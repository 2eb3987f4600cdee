//! Memory: zeroed, shared, bounded.

use abi::{Outcome as Kernel, Rights};
use libipc::object::MemoryObject;
use libipc::{Handle, Protection, SysError};

use crate::{Context, Outcome, Test, fine, same};

/// The tests.
pub const TESTS: &[Test] = &[
    Test {
        name: "fresh memory reads as zeroes",
        run: zeroed,
    },
    Test {
        name: "two mappings of one memory show the same bytes",
        run: shared,
    },
    Test {
        name: "memory can't be mapped beyond its end, nor with rights the handle lacks",
        run: bounded,
    },
    Test {
        name: "memory without length, and more than there can be, is refused",
        run: impossible,
    },
];

fn zeroed(_: &Context) -> Outcome {
    for create in [
        Handle::<MemoryObject>::create,
        Handle::<MemoryObject>::create_contiguous,
    ] {
        let memory = fine("create", create(3 * 4096))?;
        let mapping = fine("map", memory.map(0, 3 * 4096, Protection::ReadWrite))?;
        let mut bytes = [0xffu8; 4096];
        for page in 0..3 {
            same(mapping.read(page * 4096, &mut bytes), true)?;
            same(bytes.iter().all(|byte| *byte == 0), true)?;
            same(mapping.write(page * 4096, &[0xa5; 64]), true)?;
        }
    }
    Ok(())
}

fn shared(_: &Context) -> Outcome {
    let memory = fine("create", Handle::<MemoryObject>::create(2 * 4096))?;
    let whole = fine("map", memory.map(0, 2 * 4096, Protection::ReadWrite))?;
    let second = fine("map", memory.map(4096, 4096, Protection::Read))?;
    same(whole.write(4096 + 10, b"seen"), true)?;
    let mut bytes = [0; 4];
    same(second.read(10, &mut bytes), true)?;
    same(&bytes, b"seen")
}

fn bounded(_: &Context) -> Outcome {
    let memory = fine("create", Handle::<MemoryObject>::create(4096))?;
    same(
        memory.map(0, 2 * 4096, Protection::Read).err(),
        Some(SysError(Kernel::BadArgument)),
    )?;
    same(
        memory.map(4096, 4096, Protection::Read).err(),
        Some(SysError(Kernel::BadArgument)),
    )?;
    let readable = fine("copy", memory.restricted(Rights::READ | Rights::MAP))?;
    same(
        readable.map(0, 4096, Protection::ReadWrite).err(),
        Some(SysError(Kernel::NoRights)),
    )
}

fn impossible(_: &Context) -> Outcome {
    same(
        Handle::<MemoryObject>::create(0).err(),
        Some(SysError(Kernel::BadArgument)),
    )?;
    same(
        Handle::<MemoryObject>::create(u64::MAX - 4096)
            .err()
            .is_some(),
        true,
    )
}
