//! Calls: deadlines, dead ends, what happens when nobody answers.

use abi::outcome::NotDelivered;
use libipc::{
    Badge, CallError, Caller, Deadline, Endpoint, Failure, Handle, Lease, Lent, MemoryObject,
    Protection, Replay, SysError, Wake, client, thread,
};

use crate::{Context, Outcome, Test, fine, same};

/// The tests.
pub const TESTS: &[Test] = &[
    Test {
        name: "a call that nobody receives ends by its deadline",
        run: unreceived,
    },
    Test {
        name: "a call through a revoked Connection is not delivered",
        run: revoked,
    },
    Test {
        name: "a call to an endpoint that is gone is not delivered",
        run: closed,
    },
    Test {
        name: "the last copy of a Connection is reported once",
        run: last_copy,
    },
    Test {
        name: "rings come together while nobody looks",
        run: rings,
    },
    Test {
        name: "a server copies from what a caller lends it, and no more once it has answered",
        run: leases,
    },
];

fn call(connection: &libipc::Handle<libipc::Connection>) -> Result<(), Failure> {
    client::call_bytes(connection, &[1, 2, 3], &[], Deadline::after_ms(20)).map(drop)
}

fn unreceived(_: &Context) -> Outcome {
    let endpoint = fine("create", Endpoint::create())?;
    let minted = fine("mint", endpoint.mint(Badge::own(0, 1)))?;
    same(
        call(&minted.client),
        Err(Failure::DeadlinePassed { delivered: false }),
    )
}

fn revoked(_: &Context) -> Outcome {
    let endpoint = fine("create", Endpoint::create())?;
    let minted = fine("mint", endpoint.mint(Badge::own(0, 1)))?;
    let copy = fine("copy", minted.client.duplicate())?;
    fine("revoke", minted.ours.revoke())?;
    for connection in [&minted.client, &copy] {
        same(
            call(connection),
            Err(Failure::NotDelivered(NotDelivered::Revoked)),
        )?;
    }
    Ok(())
}

fn closed(_: &Context) -> Outcome {
    let endpoint = fine("create", Endpoint::create())?;
    let minted = fine("mint", endpoint.mint(Badge::own(0, 1)))?;
    drop(endpoint);
    same(
        call(&minted.client),
        Err(Failure::NotDelivered(NotDelivered::Closed)),
    )
}

fn last_copy(_: &Context) -> Outcome {
    let mut endpoint = fine("create", Endpoint::create())?;
    let badge = Badge::own(0, 77);
    let minted = fine("mint", endpoint.mint(badge))?;
    let copy = fine("copy", minted.client.duplicate())?;
    drop(minted.client);
    let soon = || Some(Deadline::after_ms(10).moment());
    same(matches!(endpoint.receive(soon()), Wake::Deadline(_)), true)?;
    drop(copy);
    same(
        matches!(endpoint.receive(soon()), Wake::Closed(found) if found == badge),
        true,
    )?;
    same(matches!(endpoint.receive(soon()), Wake::Deadline(_)), true)
}

fn rings(_: &Context) -> Outcome {
    let mut endpoint = fine("create", Endpoint::create())?;
    let badge = Badge::own(0, 5);
    let minted = fine("mint", endpoint.mint(badge))?;
    for _ in 0..10 {
        fine("ring", minted.client.ring())?;
    }
    let soon = || Some(Deadline::after_ms(10).moment());
    same(
        matches!(endpoint.receive(soon()), Wake::Rung(found) if found == badge),
        true,
    )?;
    same(matches!(endpoint.receive(soon()), Wake::Deadline(_)), true)
}

/// Bytes that are lent, and where they begin: neither is a whole page.
const LENT: u64 = 9000;
const LENT_FROM: u64 = 0x123;

/// What the server does with the lease: turns each byte round, and finds out where it ends.
fn turn(caller: &Caller, lease: &Lease) -> Result<(), SysError> {
    let mut bytes = alloc::vec![0; LENT as usize];
    lease.read(caller, 0, &mut bytes)?;
    bytes.iter_mut().for_each(|byte| *byte = !*byte);
    lease.write(caller, 0, &bytes)?;
    match lease.read(caller, LENT - 4, &mut [0; 5]) {
        Err(SysError(abi::Outcome::BadArgument)) => Ok(()),
        _ => Err(SysError(abi::Outcome::BadOperation)),
    }
}

fn leases(_: &Context) -> Outcome {
    let mut endpoint = fine("create", Endpoint::create())?;
    let minted = fine("mint", endpoint.mint(Badge::own(0, 1)))?;
    let memory = fine("memory", Handle::<MemoryObject>::create(0x4000))?;
    let view = fine("map", memory.map(0, 0x4000, Protection::ReadWrite))?;
    let before: alloc::vec::Vec<u8> = (0..0x4000_u32).map(|at| (at % 251) as u8).collect();
    same(view.write(0, &before), true)?;
    let connection = minted.client;
    let caller = fine(
        "spawn",
        thread::spawn(move || {
            let lease = Lease::new(&memory, Lent::ReadWrite, LENT_FROM, LENT);
            let terms = Deadline::after_ms(5_000);
            let _: Result<(), CallError<()>> =
                client::call(&connection, 1, Replay::Never, terms.into(), &(lease,));
        }),
    )?;
    let soon = || Some(Deadline::after_ms(5_000).moment());
    let mut kept = None;
    match endpoint.receive(soon()) {
        Wake::Call(call) => call.answer(|caller, (lease,): (Lease,)| -> Result<(), ()> {
            kept = Some((turn(&caller, &lease), caller, lease));
            Ok(())
        }),
        _ => return Err("the call does not arrive".into()),
    }
    // The answer goes out with what waits next.
    same(
        matches!(
            endpoint.receive(Some(Deadline::after_ms(20).moment())),
            Wake::Call(_)
        ),
        false,
    )?;
    fine("join", caller.join(Deadline::after_ms(5_000)))?;
    let Some((result, caller, lease)) = kept else {
        return Err("the lease did not arrive".into());
    };
    fine("copy", result)?;
    same(lease.read(&caller, 0, &mut [0; 1]).is_err(), true)?;
    let mut after = alloc::vec![0; 0x4000];
    same(view.read(0, &mut after), true)?;
    let (start, end) = (LENT_FROM as usize, (LENT_FROM + LENT) as usize);
    let is_right =
        |at: usize| after[at] == before[at] ^ if (start..end).contains(&at) { 0xff } else { 0 };
    same((0..0x4000).find(|&at| !is_right(at)), None)
}
