//! What the supervisor asks, and faults at chosen points. One test: what is armed is armed for the whole test program.
#![allow(missing_docs, reason = "a test has no reader but this file")]

mod support;

use libipc::control::{Order, start_order};
use libipc::prelude::*;
use libipc::{Badge, Deadline, Endpoint, Wake, fault};
use libipc_testing::{Death, Machine};
use std::sync::{Arc, Mutex};
use support::sample;

/// Sends an order as init does, by a Call.
fn order(
    connection: &Handle<Connection>,
    order: &Order,
) -> Result<libipc::control::Health, CallError<libipc::control::OrderError>> {
    let mut endpoint = Endpoint::create().unwrap();
    let pending = start_order(
        &endpoint.calls(),
        connection,
        order,
        Deadline::after_ms(100),
    )
    .unwrap();
    match endpoint.receive(None) {
        Wake::Completed(done) => pending.finish(done),
        other => panic!("unexpected {other:?}"),
    }
}

#[test]
fn an_armed_server_dies_where_it_was_told_to() {
    let machine = Machine::new();
    let (init, client) = (machine.process(), machine.process());
    let kept: Arc<Mutex<support::Kept>> = Arc::default();
    let (endpoint, supervisor, connection) = init.run(|| {
        let endpoint = Endpoint::create().unwrap();
        let supervisor = endpoint.mint(Badge::SUPERVISOR).unwrap();
        let connection = endpoint.mint(Badge::for_client(0, 1)).unwrap();
        let raw = endpoint.handle().raw();
        std::mem::forget((endpoint, supervisor.ours, connection.ours));
        (
            raw,
            supervisor.client.into_raw(),
            connection.client.into_raw(),
        )
    });
    let there = init.pass(connection, &client);
    init.run(|| drop(Handle::<Connection>::from_raw(connection)));
    let start = || {
        let server = machine.process();
        let endpoint = init.pass(endpoint, &server);
        let kept = kept.clone();
        server.start(move || support::serve(endpoint, &kept))
    };
    let supervise = |what: &Order| {
        init.run(|| {
            let connection = Handle::<Connection>::from_raw(supervisor);
            let answer = order(&connection, what);
            std::mem::forget(connection);
            answer
        })
    };
    let call = |job: &dyn Fn(&sample::Client)| {
        client.run(|| {
            let sample = sample::Client::adopt(Handle::from_raw(there));
            job(&sample);
            std::mem::forget(sample);
        });
    };
    let soon = || Deadline::after_ms(500);

    let held = machine.hold_time();
    let first = start();
    assert!(supervise(&Order::Heartbeat).is_ok());
    let long = Order::KillAtPoint {
        point: "x".repeat(100),
        n: 1,
    };
    assert!(matches!(supervise(&long), Err(CallError::Method(_))));

    // Before the second deposit's handler: the replay is the one that counts.
    supervise(&Order::KillAtMethod {
        method: "deposit".into(),
        n: 2,
        is_after: false,
    })
    .unwrap();
    call(&|sample| assert_eq!(sample.deposit(soon(), 1), Ok(1)));
    let watcher = std::thread::spawn(move || first.join());
    let second = std::thread::scope(|scope| {
        scope.spawn(|| call(&|sample| assert_eq!(sample.deposit(soon(), 1), Ok(2))));
        assert_eq!(
            watcher.join().unwrap(),
            Err(Death::Panicked("fault injected at deposit".into()))
        );
        start()
    });

    // After the handler, before the answer: the answer comes out of the journal, the sum does not grow twice.
    supervise(&Order::KillAtMethod {
        method: "deposit".into(),
        n: 1,
        is_after: true,
    })
    .unwrap();
    let third = std::thread::scope(|scope| {
        scope.spawn(|| call(&|sample| assert_eq!(sample.deposit(soon(), 5), Ok(7))));
        assert_eq!(
            second.join(),
            Err(Death::Panicked("fault injected at after a method".into()))
        );
        start()
    });
    assert_eq!(kept.lock().unwrap().sum, 7);

    // A named point, counted; disarmed, nothing happens.
    supervise(&Order::KillAtPoint {
        point: "here".into(),
        n: 2,
    })
    .unwrap();
    fault::point("elsewhere");
    fault::point("here");
    assert!(std::panic::catch_unwind(|| fault::point("here")).is_err());
    fault::point("here");
    assert!(!fault::is_armed());

    client.run(|| drop(Handle::<Connection>::from_raw(there)));
    assert_eq!(third.join(), Ok(()));
    drop(held);
}
