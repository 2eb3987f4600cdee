//! Calls: deadlines, dead ends, what happens when nobody answers.

use abi::outcome::NotDelivered;
use libipc::{Badge, Deadline, Endpoint, Failure, Wake, client};

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
